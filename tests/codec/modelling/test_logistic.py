"""Tables of logits and errors: what the tool makes, near the formulas, and fit to be looked up."""

import importlib.util
from pathlib import Path

import numpy as np

from codec.modelling.logistic import ERROR_CLASS, ERROR_CLASSES, LIMIT, LOG_SCALE, SQUASH, STRETCH
from runtime import rules
from tests.reference import numbers

ROOT = Path(__file__).resolve().parents[3]


def test_tables_are_what_the_tool_makes():
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "tools" / "make_tables.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    made = tool.tables()
    assert tool.OUTPUT == ROOT / "codec" / "modelling" / "tables.npz"
    with np.load(tool.OUTPUT, allow_pickle=False) as stored:
        assert set(stored) == set(made)
        for name, table in made.items():
            assert stored[name].dtype == table.dtype == (np.uint16 if name == "histograms" else np.int32)
            np.testing.assert_array_equal(stored[name], table)


def test_tables_are_those_of_the_formulas():
    assert SQUASH.tolist() == [numbers.squash(x) for x in range(-LIMIT, LIMIT + 1)]
    assert STRETCH.tolist() == [numbers.stretch(p) for p in range(4096)]
    assert ERROR_CLASS.tolist() == [numbers.error_class(4 * i) for i in range(2048)]
    assert LOG_SCALE.tolist() == [numbers.log_scale(32 * i) for i in range(2048)]


def test_squash_and_stretch_rise_and_undo_each_other():
    squash, stretch = SQUASH.astype(int), STRETCH.astype(int)
    assert len(squash) == 2 * LIMIT + 1 and len(stretch) == 4096
    assert (np.diff(squash) >= 0).all() and (np.diff(stretch) >= 0).all()
    assert (squash + squash[::-1] == 65536).all() and (stretch + stretch[::-1] == 0).all()
    assert 0 < squash[0] and squash[-1] < 65536 and (stretch[0], stretch[-1]) == (-LIMIT, LIMIT)
    p = np.arange(1, 4095) + 0.5  # the two ends lie beyond the limits
    slope = p / 4096 * (1 - p / 4096) * 65536 / 256  # of squash, per unit of its argument
    assert (abs(squash[stretch[1:-1] + LIMIT] - 16 * p) <= 0.5 * slope * 1.01 + 0.5).all()


def test_classes_and_scales_rise():
    assert len(ERROR_CLASS) == len(LOG_SCALE) == 2048
    assert (np.diff(ERROR_CLASS) >= 0).all() and (np.diff(LOG_SCALE) >= 0).all()
    assert ERROR_CLASS.min() >= 0 and ERROR_CLASSES - 4 <= ERROR_CLASS.max() < ERROR_CLASSES
    low, high = rules.LOWEST_LOG_SCALE * rules.SCALE_UNIT, (rules.LOWEST_LOG_SCALE + 10) * rules.SCALE_UNIT
    assert low < LOG_SCALE.min() and LOG_SCALE.max() < high
