"""Mixing: every frequency equals a plain reference's, whatever the picture, the parameters and the state; tables."""
import hashlib
import importlib.util
import io
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from codec import codec, container, mixing, tables
from codec.coder import ONE, Encoder
from codec.images import Image
from codec.lattice import WINDOW, Lattice, correct
from codec.mixing import Mixing
from codec.mixture import Mixture
from export.tables import distribution_tables
from runtime.predictor import rows_of
from tests.codec import reference_mixing
from tests.codec.reference_mixing import State
from tests.codec.test_mixture import LIMITS
from tests.pictures import checker, constant, lines, noise, photograph, ramp, two_values

ROOT = Path(__file__).resolve().parents[2]
TABLES = distribution_tables()
INT32 = np.iinfo(np.int32)
EFFORT = 5                                  # any from 2 on
WEIGHTS = 1 << 20                           # the limit of a weight's size
COUNTS = 1 << 30                            # that of a count, by its bound in codec/lattice.py


class Watched(Mixing):
    """A Mixing that checks at every step what must always hold, and keeps what it was given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.given = []                     # per level: parameters, and per plane its bases

    def weigh(self, parameters):
        self.given.append((parameters.copy(), []))
        super().weigh(parameters)

    def open(self, channel, bases, values):
        self.given[-1][1].append(bases.copy())
        found = super().open(channel, bases, values)
        for (low, high), windows, sums in zip(self._bounds[:len(bases)], self._windows, self._sums):
            assert 0 < high - low <= WINDOW
            assert (windows[:, :high - low] > 0).all() and (np.diff(sums[:, :high - low + 1]) > 0).all()
        return self._watched(found)

    def decide(self, count, values):
        return self._watched(super().decide(count, values))

    def _watched(self, found):
        frequencies, symbols = found
        assert ((frequencies > 0) & (frequencies < ONE)).all()
        low, split, high = self._masses[self._active[:len(symbols)]].transpose(2, 0, 1)
        assert (low <= split).all() and (split <= high).all() and (high < 1 << 25).all()
        return found


def compiled_rounds(state, parameters, bases, values):
    """As reference_mixing.code_tile, from a Mixing."""
    planes, height, width = values.shape
    found = []
    for level in range(width + 2 * (height - 1)):
        rows = np.arange(*rows_of(level, height, width))
        at = rows, level - 2 * rows
        state.weigh(parameters[at])
        for k in range(planes):
            base, known, calls = bases[k][at], values[k][at], []
            frequencies, symbols = state.open(k, base, known)
            while len(symbols):
                calls.append((frequencies.tolist(), symbols.tolist()))
                frequencies, symbols = state.decide(len(symbols), known)
            out = np.empty(len(known), np.uint8)
            state.learn(k, base, out)
            np.testing.assert_array_equal(out, known)
            found.append(calls)
    return found


def mixing_for(height, width, components, mixture_tables=TABLES) -> Watched:
    return Watched(height, width, height, components, mixture_tables)


# A tile of the product: the tiny model's parameters and bases.

class Spy:
    """Stands where the encoder stands."""

    def __init__(self):
        self.calls = []

    def code(self, frequencies, symbols):
        self.calls.append((frequencies.tolist(), symbols.tolist()))


def through_ycc(planes):
    """What a JPEG's colours are: 8-bit YCbCr and back."""
    picture = Pillow.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    return np.asarray(picture.convert("YCbCr").convert("RGB")).transpose(2, 0, 1)


TILES = {
    "noise": lambda: noise(12, 17), "photograph": lambda: photograph(12, 17),
    "colours of YCbCr": lambda: through_ycc(photograph(17, 20, 3)), "white": lambda: constant(12, 17),
    "black": lambda: constant(9, 12, 0), "checker": lambda: checker(12, 17), "ramp": lambda: ramp(8, 17),
    "lines": lambda: lines(12, 17), "black and white noise": lambda: two_values(9, 12),
    "row": lambda: photograph(1, 40), "column": lambda: photograph(40, 1), "pixel": lambda: noise(1, 1),
}


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", TILES)
def test_equals_the_reference_over_a_tile(tiny_model, monkeypatch, name, channels):
    values = TILES[name]()[:channels]
    _, height, width = values.shape
    made, coder = [], Spy()
    monkeypatch.setattr(codec, "Mixing", lambda *arguments: made.append(Watched(*arguments)) or made[-1])
    codec.code_tile(tiny_model, coder, values, EFFORT)
    (state,) = made

    parameters = np.zeros((height, width, 10 * tiny_model.manifest.components), np.int32)
    bases = np.zeros(values.shape, np.int32)
    for level, (level_parameters, level_bases) in enumerate(state.given):
        rows = np.arange(*rows_of(level, height, width))
        parameters[rows, level - 2 * rows] = level_parameters
        for k in range(channels):
            bases[k, rows, level - 2 * rows] = level_bases[k]
    told = State()
    expected = reference_mixing.code_tile(parameters, bases, values, tiny_model.tables, told)
    assert coder.calls == [call for rounds in expected for call in rounds]
    same_state(state, told)


def test_every_tile_learns_for_itself(tiny_model, monkeypatch):
    """The same payloads from any number of threads, and those of the tiles alone as pictures."""
    monkeypatch.setattr(container.Header.__init__, "__defaults__", (0, 16, 0))
    assert container.Header(40, 33, "RGB", bytes(16)).tile_count == 9
    pixels = photograph(32, 48).transpose(1, 2, 0).copy()
    coded = [codec.compress(Image(pixels, "RGB"), replace(tiny_model, threads=n), effort=EFFORT) for n in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    for threads in (1, 2):
        decoded = codec.decompress(coded[0].data, replace(tiny_model, threads=threads))
        np.testing.assert_array_equal(decoded.pixels, pixels)
    alone = codec.compress(Image(pixels[16:, 16:32].copy(), "RGB"), tiny_model, effort=EFFORT)
    assert container.unpack(alone.data).tiles[0] == container.unpack(coded[0].data).tiles[4]


# State: where the compiled code keeps what the reference keeps by context.

def vector_index(vector) -> int:
    """Row of a weight vector in its set: of (0, k, z, kind) or (1, k, z, step, error class)."""
    which, k, z, *rest = vector
    return (k * 5 + z) * 65 + rest[0] if which == 0 else ((k * 5 + z) * 12 + rest[0]) * 24 + rest[1]


def count_place(arrays, context):
    """(array, index) of N or of E: arrays are the dense table and the one of pairs."""
    stage, first, second, v = context
    return (arrays[0], (stage, first, second, v)) if stage < 2 else (arrays[1], (first * 256 + second, v))


def same_state(state: Mixing, told: State) -> None:
    counts, expected, pair_counts, pair_expected = state._lattice
    for found, wanted in (((counts, pair_counts), told.came), ((expected, pair_expected), told.expected)):
        for context, number in wanted.items():
            array, at = count_place(found, context)
            assert array[at] == number
    for vector, weights in told.weights.items():
        assert state._weights[vector[0]][vector_index(vector)].tolist() == weights
        assert state._visits[vector[0]][vector_index(vector)] == told.visits[vector]
    for (k, z, step), final in told.final.items():
        assert state._final[(k * 5 + z) * 12 + step].tolist() == final


def set_off(state: Mixing, told: State, rng, counts, expected, visits, values) -> None:
    """Both begin as if much had been coded: counts by value v, weights at either limit or near it, visits."""
    came, awaited = rng.choice(counts, 256).astype(np.int32), rng.choice(expected, 256).astype(np.int32)
    pairs = np.unique(values[0].astype(int) * 256 + values[1]) if len(values) == 3 else []
    state._lattice[0][:], state._lattice[1][:] = came, awaited
    state._lattice[2][pairs], state._lattice[3][pairs] = came, awaited
    told.came.start, told.expected.start = lambda context: int(came[context[-1]]), lambda c: int(awaited[c[-1]])
    starts = []
    for array in (*state._weights, state._final):
        array[:] = rng.choice([-WEIGHTS, WEIGHTS, -WEIGHTS + 1, WEIGHTS - 1, 0], array.shape)
        starts.append(array.copy())
    told.weights.start = lambda vector: starts[vector[0]][vector_index(vector)].tolist()
    told.final.start = lambda context: starts[2][(context[0] * 5 + context[1]) * 12 + context[2]].tolist()
    for array in state._visits:
        array[:] = visits
    told.visits.start = lambda vector: visits


def agree(parameters, bases, values, start=None) -> None:
    """Compiled code and reference, from the same start: the same rounds and the same state afterwards."""
    components = parameters.shape[2] // 10
    state, told = mixing_for(*values.shape[1:], components), State()
    if start:
        start(state, told)
    found = compiled_rounds(state, parameters, bases, values)
    assert found == reference_mixing.code_tile(parameters, bases, values, TABLES, told, rises)
    same_state(state, told)


def rises(plane) -> None:
    """Every expert's distribution function, in the reference: 0 to about 2^24, never falling."""
    for P in plane.P:
        assert P[0] == 0 and ONE // 2 < P[256] < 2 * ONE and P == sorted(P)


LEVELS_OF_HISTORY = [0, 1, 1023, 1024, COUNTS - 1, COUNTS]


@pytest.mark.parametrize("counts", [[COUNTS], [0], LEVELS_OF_HISTORY], ids=["all came", "none came", "any came"])
@pytest.mark.parametrize("expected", [[COUNTS], [0], LEVELS_OF_HISTORY], ids=["all expected", "none", "any"])
@pytest.mark.parametrize("name", ["constant", "hostile"])
def test_equals_the_reference_after_the_longest_history(name, counts, expected):
    """Counts, weights and visits where a tile of 1024 x 1024 may bring them at most, and beyond."""
    rng = np.random.default_rng(7)
    if name == "constant":
        values, parameters = constant(3, 5, 255), np.zeros((3, 5, 20), np.int32)
        parameters[..., 8:14] = -128                                # the narrowest scale: all mass on one value
        bases = np.full((3, 3, 5), 255 * 64, np.int32)
    else:
        values, parameters = noise(3, 5, 1), rng.choice(LIMITS, (3, 5, 20)).astype(np.int32)
        bases = rng.choice([0, 63, 64, 8160, 255 * 64], (3, 3, 5)).astype(np.int32)
    for visits in (0, INT32.max - 10_000):
        agree(parameters, bases, values, lambda state, told, visits=visits: set_off(
            state, told, np.random.default_rng(visits), counts, expected, visits, values))


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("extreme", [INT32.min, INT32.max, None], ids=["least", "greatest", "any"])
def test_equals_the_reference_at_the_bounds_of_parameters(extreme, channels):
    rng = np.random.default_rng(3)
    for values in (noise(5, 7), constant(5, 7), checker(5, 7)):
        parameters = np.full((5, 7, 30), extreme or 0, np.int32)
        if extreme is None:
            parameters = rng.choice(LIMITS, (5, 7, 30)).astype(np.int32)
        bases = rng.choice([0, 255 * 64], values.shape).astype(np.int32)
        agree(parameters, bases, values[:channels])


hostile = st.one_of(st.sampled_from(LIMITS), st.integers(INT32.min, INT32.max), st.integers(-500, 500))


@settings(deadline=None, max_examples=40)
@given(data=st.data(), height=st.integers(1, 4), width=st.integers(1, 4), components=st.integers(1, 2),
       channels=st.sampled_from([1, 3]), history=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_equals_the_reference_for_anything(data, height, width, components, channels, history, seed):
    rng = np.random.default_rng(seed)
    pool = np.array(data.draw(st.lists(hostile, min_size=5, max_size=20)), np.int32)
    colours = np.array(data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4)), np.uint8)
    values = rng.choice(colours, (channels, height, width))
    near = rng.integers(0, 255 * 64 + 1, values.shape), values * 64 + rng.integers(-20, 21, values.shape)
    bases = near[seed % 2].clip(0, 255 * 64).astype(np.int32)

    def start(state, told):
        set_off(state, told, rng, LEVELS_OF_HISTORY, LEVELS_OF_HISTORY, int(rng.choice([0, 5, 1 << 27])), values)
    agree(rng.choice(pool, (height, width, 10 * components)), bases, values, start if history else None)


numbers = st.one_of(st.sampled_from([0, 1, 1024, COUNTS - 1, COUNTS]), st.integers(0, COUNTS))
masses = st.one_of(st.sampled_from([1, 15, 16, 1 << 14, 1 << 20, 1 << 24]), st.integers(1, (1 << 24) + (1 << 12)))


@settings(deadline=None, max_examples=200)
@given(channel=st.integers(0, 2), low=st.integers(0, 255),
       values=st.lists(st.tuples(masses, *[numbers] * 6), min_size=1, max_size=WINDOW))
@example(channel=2, low=0, values=[(1 << 20, *[0] * 4, 1024, COUNTS)])               # all that is left is a sum of 1
def test_experts_equal_the_reference_for_any_counts(channel, low, values):
    """Any q that sums to at most F's 2^24 + 2^12, whether or not a network would say so."""
    values = values[:256 - low]
    while sum(q for q, *_ in values) > (1 << 24) + (1 << 12):
        values = [((q + 1) // 2, *rest) for q, *rest in values]
    n, here = len(values), slice(low, low + len(values))
    q, *history = np.array(values, np.int64).T
    window, sums = np.zeros((4, WINDOW), np.int64), np.zeros((3, WINDOW + 1), np.int64)
    dense, pairs = np.zeros((2, 2, 3, 1, 256), np.int32), np.zeros((2, 1, 256), np.int32)
    window[0, :n], dense[0, 0, channel, 0, here], dense[1, 0, channel, 0, here] = q, *history[:2]
    dense[0, 1, channel, 0, here], dense[1, 1, channel, 0, here], pairs[0, 0, here], pairs[1, 0, here] = history[2:]
    correct(channel, 0, 0, low, low + n, window, sums, *dense, *pairs)

    expected = dict(enumerate(q.tolist()))
    mass = sum(expected.values())
    for stage, rate in enumerate((2048, 2048, 31)):
        came, awaited = (part.tolist() for part in history[2 * stage:2 * stage + 2])
        rates = {v: (came[v] + rate, awaited[v] + rate) for v in range(n)} if stage < 2 or channel == 2 else {}
        expected = reference_mixing.corrected(expected, rates, mass)
        assert window[stage + 1, :n].tolist() == list(expected.values())
        assert sums[stage, :n + 1].tolist() == [0, *accumulate(expected.values())]
        assert sums[stage, n] <= mass + n < 1 << 25


def test_it_learns_what_the_network_does_not_know():
    """Grey in four values, all alike to the network: 2 bits a pixel, where the network takes 20."""
    values = np.random.default_rng(4).choice(np.array([49, 55, 66, 67], np.uint8), (1, 60, 60)).repeat(3, 0)
    parameters, bases = np.zeros((60, 60, 10), np.int32), np.full(values.shape, 60 * 64, np.int32)
    parameters[..., 4:7] = 100                                      # a scale of 23 grey levels, all along
    learned, alone = mixing_for(60, 60, 1), Mixture(60, 1, TABLES)
    for state in (learned, alone):
        compiled_rounds(state, parameters, bases, values)
    assert 2 * 3600 < learned.bits.sum() < 6 * 3600                 # what it costs to learn, too
    assert alone.bits.sum() > 19 * 3600


# Size of the state.

def held(state) -> int:
    """Bytes of all its arrays."""
    parts = [value if isinstance(value, (tuple, list)) else [value] for value in vars(state).values()]
    return sum(array.nbytes for part in parts for array in part if isinstance(array, np.ndarray))


def test_the_counts_are_as_large_as_documented():
    arrays = Lattice().arrays
    assert [array.shape for array in arrays] == [(2, 3, 256, 256)] * 2 + [(65536, 256)] * 2
    assert all(array.dtype == np.int32 and not array.any() for array in arrays)


def test_the_state_stays_as_large_as_it_was():
    state, parameters = mixing_for(6, 8, 1), np.zeros((6, 8, 10), np.int32)
    before, lattice = held(state), state._lattice
    compiled_rounds(state, parameters, np.zeros((3, 6, 8), np.int32), noise(6, 8))
    assert held(state) <= before + parameters.nbytes                # it keeps the last level's parameters
    assert all(now is then for now, then in zip(state._lattice, lattice, strict=True))


def test_the_largest_tile_has_a_bound():
    """Counts 137 MB, errors of the mean 13 MB, and a few for the positions of a level."""
    assert held(mixing_for(container.Header.tile, container.Header.tile, 10)) < 157_000_000


# Tables.

def test_tables_are_what_the_tool_makes():
    spec = importlib.util.spec_from_file_location("make_tables", ROOT / "tools" / "make_tables.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    made = tool.tables()
    assert tool.OUTPUT == ROOT / "codec" / "tables.npz"
    with np.load(tool.OUTPUT, allow_pickle=False) as stored:
        assert set(stored) == set(made)
        for name, table in made.items():
            assert stored[name].dtype == table.dtype == np.int32
            np.testing.assert_array_equal(stored[name], table)


def test_tables_are_those_of_the_formulas():
    """Each entry is the nearest integer to the float formula of docs/format.md's terms."""
    def near(table, exact):
        assert abs(table - exact).max() < 0.5 + 1e-9

    x, p, n = np.arange(-2047, 2048), np.arange(4096), np.arange(1024)
    near(tables.SQUASH, 65536 / (1 + np.exp(-x / 256)))
    near(tables.STRETCH, (256 * np.log((p + 0.5) / (4095.5 - p))).clip(-2047, 2047))
    near(tables.ERROR_CLASS, (2 * np.log2(np.arange(2048) / 16 + 0.15) + 6).clip(0, 23))
    near(tables.RATE, 65536 * np.maximum(0.05 / (1 + 0.02 * n), 0.004))


def test_squash_and_stretch_rise_and_undo_each_other():
    squash, stretch = tables.SQUASH.astype(int), tables.STRETCH.astype(int)
    assert len(squash) == 4095 and len(stretch) == 4096
    assert (np.diff(squash) >= 0).all() and (np.diff(stretch) >= 0).all()
    assert (squash + squash[::-1] == 65536).all() and (stretch + stretch[::-1] == 0).all()
    assert 0 < squash[0] and squash[-1] < 65536 and (stretch[0], stretch[-1]) == (-2047, 2047)
    p = np.arange(1, 4095) + 0.5                # the two ends lie beyond +-2047
    slope = p / 4096 * (1 - p / 4096) * 65536 / 256                 # of squash, per unit of its argument
    assert (abs(squash[stretch[1:-1] + 2047] - 16 * p) <= 0.5 * slope * 1.01 + 0.5).all()
    x = np.arange(-2047, 2048)
    back = stretch[squash >> 4]
    reach = 8 / np.maximum(squash * (65536 - squash) / 65536 / 256, 1e-9)      # 16 of 65536 share an entry
    inside = abs(x) < 1500
    assert (abs(back - x)[inside] <= 1.1 * reach[inside] + 1.5).all()


def test_error_classes_rise_and_rates_fall():
    classes, rates = tables.ERROR_CLASS, tables.RATE
    assert len(classes) == 2048 and set(classes) <= set(range(24)) and (np.diff(classes) >= 0).all()
    assert classes[-1] < mixing._ERRORS and classes.max() >= 20
    assert len(rates) == 1024 and (np.diff(rates) <= 0).all() and rates[0] == 3277 and rates[-1] == 262


# Golden numbers. All that goes in is made of integers, so nothing but the arithmetic of mixing can change them.

def scrambled(count: int, seed: int) -> np.ndarray:
    """Numbers 0 .. 2^24 - 1, int64 [count]: the high bits of a linear congruential generator."""
    state, found = seed, []
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        found.append(state >> 40)
    return np.array(found, np.int64)


def integer_tables() -> dict[str, np.ndarray]:
    """Tables like a bundle's, without an exponential function."""
    exponential, inverse_scale, deviation = [1 << 22], [128 << 22], [3]
    for _ in range(1023):
        exponential.append(exponential[-1] * 63 // 64)
    for i in range(320):
        inverse_scale.append(inverse_scale[-1] * 31 // 32)
        deviation.append(3 + i * i * i * i // 400_000)
    logistic = [(1 << 21) + (d << 21) // (abs(d) + 128) for d in range(-2048, 2049)]
    return {name: np.array(table, np.int64) for name, table in (
        ("exponential", exponential), ("inverse_scale", inverse_scale), ("deviation", deviation),
        ("logistic", logistic))}


def golden_tile(name: str):
    """parameters [24, 20, 30], bases and values [3, 24, 20]."""
    height, width = 24, 20
    r, c = np.mgrid[:height, :width]
    if name == "smooth":
        plane = 20 + 3 * r + 5 * c + (r * c >> 3)
        values = (np.stack([plane, plane + 9, 200 - plane]) + scrambled(3 * height * width, 1).reshape(3, 24, 20) % 3)
    elif name == "colours":
        chosen = scrambled(height * width, 2).reshape(24, 20) % 5 + c // 10
        values = np.array([[10, 20, 30], [12, 20, 33], [200, 90, 5], [255, 255, 255], [0, 0, 0], [64, 65, 66]])[
            chosen].transpose(2, 0, 1)
    else:
        values = scrambled(3 * height * width, 3).reshape(3, 24, 20) >> 16
    values = values.clip(0, 255).astype(np.uint8)
    off = scrambled(3 * height * width, 4).reshape(3, 24, 20) % 768 - 384
    bases = (values.astype(np.int64) * 64 + off).clip(0, 255 * 64).astype(np.int32)
    random = scrambled(height * width * 30, 5).reshape(height, width, 30)
    columns = np.arange(30) // 3                # which of the ten parameters of a component
    low = np.array([-128] + [-200] * 3 + [-60] * 3 + [-300] * 3)[columns]
    high = np.array([128] + [200] * 3 + [120] * 3 + [300] * 3)[columns]
    return (low + random % (high - low + 1)).astype(np.int32), bases, values


GOLDEN = {
    "smooth": ("76bf39b9e6398ccec5022b1806585754ffdeb64a9bd41390a858adf68ef96b4f", 904,
               "67e96d6c9db43067b561188c3636c501b6e661bf621458b7b2fb60eaaa5758c3"),
    "colours": ("cd762b15ae4933c35f66720b2b1ae4ede638579c17c8915af12f81a8f08ea5c4", 244,
                "c6ba9ef09147d02d4e742a750f5498e6904b49ae9aa087a495f9557d9a563396"),
    "noise": ("68a9290a12de304d3dfc4421ffa7af4da6f2e9b70f2e0c781b379da875b5f2ff", 912,
              "91df4018915f08e5ac595a5101d4357988384e7392a20d77d848ac192adc23a8"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_numbers(name):
    """SHA-256 of all frequencies and decisions of a tile, the payload's length and its SHA-256."""
    parameters, bases, values = golden_tile(name)
    calls = [call for rounds in compiled_rounds(mixing_for(24, 20, 3, integer_tables()), parameters, bases, values)
             for call in rounds]
    stream, encoder = io.BytesIO(), Encoder()
    for call in calls:
        frequencies, symbols = (np.array(part, np.int32) for part in call)
        stream.write(frequencies.astype("<i4").tobytes() + symbols.astype("<i4").tobytes())
        encoder.code(frequencies, symbols)
    payload = encoder.finish()
    digests = [hashlib.sha256(data).hexdigest() for data in (stream.getvalue(), payload)]
    assert (digests[0], len(payload), digests[1]) == GOLDEN[name]


def test_the_golden_numbers_are_the_references():
    """On a corner of one of the tiles."""
    parameters, bases, values = (part[..., :8, :9, :] if part.shape[-1] == 30 else part[..., :8, :9].copy()
                                 for part in golden_tile("smooth"))
    state = mixing_for(8, 9, 3, integer_tables())
    assert compiled_rounds(state, parameters, bases, values) == reference_mixing.code_tile(
        parameters, bases, values, integer_tables())

