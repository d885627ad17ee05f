"""The extremes of a bundle's tables: kernels compiled to look at bounds find nothing, and pictures come back."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime import bundle, rules
from tests import bundles

ROOT = Path(__file__).resolve().parents[2]
ALL = 1 << rules.CDF_BITS
ENDS = {
    "exponential": [np.r_[np.full(1023, ALL), 0], np.r_[ALL, np.zeros(1023)]],
    "inverse_scale": [np.full(321, 1), np.full(321, 1 << 29), np.arange(321) % 2 * ((1 << 29) - 1) + 1],
    "deviation": [np.zeros(321), np.full(321, 1 << 16), np.arange(321) % 2 << 16],
    "logistic": [np.r_[np.zeros(4096), ALL], np.r_[0, np.full(4096, ALL)], np.arange(4097) // 2049 * ALL],
}
PREDICTORS = [
    {"decay": 0.998, "row_decay": 0.99, "ridge": (0.1, 0.1, 0.1)},
    {"decay": 0, "row_decay": 0},
    {"ridge": (1e6, 0.1, 1e6)},
]
CODE = """
import sys
import numpy as np
import numba
import codec
import runtime

assert numba.config.BOUNDSCHECK == 1
rng = np.random.default_rng(0)
noise = rng.integers(0, 256, (13, 19, 3), dtype=np.uint8)
black_and_white = np.repeat(rng.integers(0, 2, (21, 9, 1), dtype=np.uint8) * np.uint8(255), 3, 2)
for path in sys.argv[1:]:
    model = runtime.load(path, threads=1)
    for pixels in (noise, black_and_white):
        for effort in codec.models.EFFORTS:
            image = codec.Samples.of(pixels)
            coded = codec.compress(image, model, effort=effort)
            assert image.difference(codec.decompress(coded.data, model)) is None
            assert np.isfinite(coded.nll_bits) and coded.nll_bits > 0
print("done", len(sys.argv) - 1)
"""


@pytest.mark.slow
def test_the_extremes_that_pass(tiny_bundle, tmp_path):
    original = bundles.tensors(bundles.members(tiny_bundle)[bundles.TABLES])
    predictor = bundle.read_manifest(tiny_bundle).layout.predictor
    changes = [({name: table}, {}) for name, tables in ENDS.items() for table in tables]
    changes += [({name: tables[-1] for name, tables in ENDS.items()}, PREDICTORS[0])]
    changes += [({}, settings) for settings in PREDICTORS]
    paths = []
    for number, (tables, settings) in enumerate(changes):
        part = bundles.packed(original | {name: table.astype(np.int64) for name, table in tables.items()})
        path = tmp_path / f"{number}.lmconv"
        paths.append(bundles.forge(path, tiny_bundle, {bundles.TABLES: part}, predictor=replace(predictor, **settings)))
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "LMCONV_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, paths)],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        timeout=600,
    )
    assert (done.returncode, done.stdout) == (0, f"done {len(paths)}\n"), done.stderr
