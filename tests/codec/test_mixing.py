"""Mixing: every frequency equals a plain reference's, whatever the picture, the parameters and the state; tables."""
import hashlib
import importlib.util
import io
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from codec import codec, container, lattice, mixing, tables
from codec.coder import ONE, Encoder
from codec.errors import WrongModel
from codec.images import Image
from codec.lattice import WINDOW, Lattice, correct, divided
from codec.method import Learning, Method
from codec.mixing import FULL, LIGHT, Mixing
from codec.mixture import Mixture
from export.tables import distribution_tables
from runtime.least_squares import Predictor, rows_of
from tests.codec import reference_mixing
from tests.codec.reference_mixing import State, vector_index
from tests.codec.test_mixture import LIMITS
from tests.pictures import checker, constant, lines, noise, photograph, ramp, two_values

ROOT = Path(__file__).resolve().parents[2]
TABLES = distribution_tables()
INT32 = np.iinfo(np.int32)
WEIGHTS = 1 << 20                           # the limit of a weight's size
CAME, EXPECTED = (1 << 12) - 1, (1 << 20) - 1   # those of the lattice's counts, by codec/lattice.py
MASS = 1 << 22                              # of a distribution; its uniform part comes on top
HISTORIES = [0, 1, 2, CAME - 1, CAME], [0, 1, 1023, 1024, EXPECTED - 1, EXPECTED]
either_learning = pytest.mark.parametrize("full", [False, True], ids=["light", "full"])


class Watched(Mixing):
    """A Mixing that checks at every step what must always hold, and keeps what it was given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.given = []                     # per level: parameters, and per plane its bases

    def weigh(self, parameters):
        self.given.append((parameters.copy(), []))
        super().weigh(parameters)

    def open(self, channel, bases, values, fixed):
        self.given[-1][1].append(bases.copy())
        found = super().open(channel, bases, values, fixed)
        for row in self._active[:len(found[0])]:
            size = np.diff(self._bounds[row])[0]
            assert 0 < size <= WINDOW
            assert (self._windows[row, 1:, :size] > 0).all() and (self._windows[row, 0, :size] >= 0).all()
            assert (np.diff(self._curves[row, 1:, :size + 1]) > 0).all()
        if self._stack:
            assert (0 < self._others[:len(bases) * mixing.MEMBERS, :, 2]).all()
            assert (self._others[:len(bases) * mixing.MEMBERS, :, 2] < 1 << 26).all()
            assert (self.scales > 0).all() and (self.scales[..., 1] <= mixing._MANY).all()
        return self._watched(found)

    def decide(self, count, values):
        return self._watched(super().decide(count, values))

    def learn(self, channel, bases, out):
        super().learn(channel, bases, out)
        for array in (self.weights[:, :-1], self.final):
            assert abs(array).max() <= WEIGHTS

    def _watched(self, found):
        frequencies, symbols = found
        assert ((frequencies > 0) & (frequencies < ONE)).all()
        low, split, high = self._masses[self._active[:len(symbols)]].transpose(1, 0, 2)
        assert (low <= split).all() and (split <= high).all() and (high < 2 * MASS).all()
        return found


def compiled_rounds(made, parameters, bases, values, fixed=None):
    """As reference_mixing.code_tile, from a Mixing or a Mixture that `made` gives for a predictor."""
    planes, height, width = values.shape
    found, predictor = [], Predictor(height, width)
    state = made(predictor)
    fixed = np.where(False if fixed is None else fixed, values.astype(np.int16), np.int16(-1))
    for level in range(width + 2 * (height - 1)):
        rows = np.arange(*rows_of(level, height, width))
        at = rows, level - 2 * rows
        for k in range(planes):
            state.solve(level, k)
        state.weigh(parameters[at])
        for k in range(3):
            known = values[min(k, planes - 1)][at]
            if k < planes:
                predictor.bases[k, rows] = base = bases[k][at]
                found.append(one_plane(state, k, base, known, fixed[k][at]))
            predictor.put(level, k, known)
    return found, state


def one_plane(state, k, base, known, fixed):
    calls = []
    frequencies, symbols = state.open(k, base, known, fixed)
    assert len(symbols) == (fixed < 0).sum()
    while len(symbols):
        calls.append((frequencies.tolist(), symbols.tolist()))
        frequencies, symbols = state.decide(len(symbols), known)
    out = np.empty(len(known), np.uint8)
    state.learn(k, base, out)
    np.testing.assert_array_equal(out, known)
    return calls


def mixing_for(predictor, components, mixture_tables=TABLES, full=False) -> Watched:
    return Watched(predictor, predictor.height, components, mixture_tables, full)


def some_fixed(values, share=0.4):
    """Which values are known already: whole pixels and single planes, most of some rows."""
    return np.random.default_rng(9).random(values.shape) < np.linspace(0, 2 * share, values.shape[1])[:, None]


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
    "noise": lambda: noise(8, 11), "photograph": lambda: photograph(12, 17),
    "colours of YCbCr": lambda: through_ycc(photograph(13, 16, 3)), "white": lambda: constant(9, 13),
    "black": lambda: constant(9, 12, 0), "checker": lambda: checker(8, 11), "ramp": lambda: ramp(7, 17),
    "lines": lambda: lines(9, 14), "black and white noise": lambda: two_values(8, 9),
    "row": lambda: photograph(1, 40), "column": lambda: photograph(40, 1), "pixel": lambda: noise(1, 1),
}


@either_learning
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("name", TILES)
def test_equals_the_reference_over_a_tile(tiny_model, monkeypatch, name, channels, full):
    values = TILES[name]()[:channels]
    _, height, width = values.shape
    made, coder = [], Spy()
    monkeypatch.setattr(codec, "Mixing", lambda *arguments: made.append(Watched(*arguments)) or made[-1])
    codec.code_tile(tiny_model, coder, values, Method(Learning.FULL if full else Learning.LIGHT))
    (state,) = made

    parameters = np.zeros((height, width, 10 * tiny_model.components), np.int32)
    bases = np.zeros(values.shape, np.int32)
    for level, (level_parameters, level_bases) in enumerate(state.given):
        rows = np.arange(*rows_of(level, height, width))
        parameters[rows, level - 2 * rows] = level_parameters
        for k in range(channels):
            bases[k, rows, level - 2 * rows] = level_bases[k]
    told = State(full)
    expected = reference_mixing.code_tile(parameters, bases, values, tiny_model.tables, told)
    assert coder.calls == [call for rounds in expected for call in rounds]
    same_state(state, told)


@either_learning
def test_every_tile_learns_for_itself(tiny_model, monkeypatch, full):
    """The same payloads from any number of threads, and those of the tiles alone as pictures."""
    monkeypatch.setattr(container.Header.__init__, "__defaults__", (0, 16, 0))
    assert container.Header(40, 33, "RGB", bytes(6)).tile_count == 9
    pixels, effort = photograph(32, 48).transpose(1, 2, 0).copy(), 9 if full else 5
    coded = [codec.compress(Image(pixels, "RGB"), replace(tiny_model, threads=n), effort=effort) for n in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    for threads in (1, 2):
        decoded = codec.decompress(coded[0].data, replace(tiny_model, threads=threads))
        np.testing.assert_array_equal(decoded.pixels, pixels)
    alone = codec.compress(Image(pixels[16:, 16:32].copy(), "RGB"), tiny_model, effort=effort)
    assert container.unpack(alone.data).tiles[0] == container.unpack(coded[0].data).tiles[4]


# State: where the compiled code keeps what the reference keeps by context.

def count_place(arrays, context):
    """(N, E): arrays are the dense table and the one of pairs."""
    stage, first, second, v = context
    return divmod(int(arrays[0][stage, first, second, v] if stage < 2 else arrays[1][first * 256 + second, v]), 1 << 20)


def same_state(state: Mixing, told: State) -> None:
    for which, wanted in enumerate((told.came, told.expected)):
        for context, number in wanted.items():
            assert count_place(state._lattice, context)[which] == number
    for vector, weights in told.weights.items():
        assert state.weights[vector_index(vector)].tolist() == [*weights, told.visits[vector]]
    for (k, z, step), final in told.final.items():
        assert state.final[(k * 5 + z) * 12 + step].tolist() == final
    for context, scale in told.scale.items():
        assert tuple(state.scales[context].tolist()) == scale


def set_off(state: Mixing, told: State, rng, counts, expected, visits, values) -> None:
    """Both begin as if much had been coded: counts by value v, weights at either limit or near it, visits."""
    came, awaited = rng.choice(counts, 256).astype(np.uint32), rng.choice(expected, 256).astype(np.uint32)
    pairs = np.unique(values[0].astype(int) * 256 + values[1]) if len(values) == 3 else []
    state._lattice[0][:] = state._lattice[1][pairs] = (came << 20) + awaited
    told.came.start, told.expected.start = lambda context: int(came[context[-1]]), lambda c: int(awaited[c[-1]])
    starts = []
    for array in (state.weights, state.final):
        array[:] = rng.choice([-WEIGHTS, WEIGHTS, -WEIGHTS + 1, WEIGHTS - 1, 0], array.shape)
        starts.append(array.copy())
    state.weights[:, -1] = visits
    told.weights.start = lambda vector: starts[0][vector_index(vector), :-1].tolist()
    told.final.start = lambda context: starts[1][(context[0] * 5 + context[1]) * 12 + context[2]].tolist()
    told.visits.start = lambda vector: visits


def agree(parameters, bases, values, full=False, start=None, fixed=None, mixture_tables=TABLES) -> None:
    """Compiled code and reference, from the same start: the same rounds and the same state afterwards."""
    told = State(full, mixture_tables)

    def made(predictor):
        state = mixing_for(predictor, parameters.shape[2] // 10, mixture_tables, full)
        if start:
            start(state, told)
        return state
    found, state = compiled_rounds(made, parameters, bases, values, fixed)
    assert found == reference_mixing.code_tile(parameters, bases, values, mixture_tables, told, fixed, rises)
    same_state(state, told)


def rises(plane) -> None:
    """Every expert's distribution function, in the reference: 0 to about 2^22, never falling."""
    for P in plane.P:
        assert P[0] == 0 and MASS // 2 < P[256] < 2 * MASS and P == sorted(P)


def somewhere(height, width, components, channels, seed=3):
    """Parameters, bases and values as a network has them, roughly."""
    rng, values = np.random.default_rng(seed), photograph(height, width, seed)[:channels]
    spread = np.repeat([128, 200, 200, 200, 40, 40, 40, 120, 120, 120], components)
    parameters = rng.normal(0, spread / 2, (height, width, 10 * components)).round().astype(np.int32)
    bases = (values * 64 + rng.normal(0, 100, values.shape)).round().clip(0, 255 * 64).astype(np.int32)
    return parameters, bases, values


@either_learning
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("size", [(9, 13), (1, 21), (21, 1), (5, 2), (1, 1)], ids=str)
def test_equals_the_reference_where_values_are_known_already(size, channels, full):
    parameters, bases, values = somewhere(*size, 2, channels)
    for fixed in (some_fixed(values), np.ones(values.shape, bool), np.zeros(values.shape, bool)):
        agree(parameters, bases, values, full, fixed=fixed)


def learned_start(full: bool, seed: int = 5) -> dict[str, np.ndarray]:
    """Weights that a model may bring, all over int16."""
    rng, experts = np.random.default_rng(seed), FULL if full else LIGHT
    name, least, most = mixing.START_NAMES[experts], -(1 << 15), (1 << 15) - 1
    weights = rng.integers(least, most, (15 * (65 + 12 * 24), experts + 1), endpoint=True)
    usual = (rng.random(weights.shape) * 4096 - 600).astype(int)
    weights = np.where(rng.random(weights.shape) < 0.03, weights, usual)
    final = np.where(rng.random((180, 2)) < 0.05, rng.choice([least, most], (180, 2)), 1024)
    means = {mixing.SCALES: rng.choice([0, 0, 1, 16, 300, most], (3, 4, 24, 8)).astype(np.int16)} if full else {}
    return {name: weights.astype(np.int16), f"{name}.final": final.astype(np.int16)} | means


def test_scales_of_another_version_are_refused():
    own = learned_start(full=True)[mixing.SCALES]
    for wrong in (own[1:], own - 1):
        with pytest.raises(WrongModel, match="mixing.full.scales do not fit"):
            mixing.first_scales({mixing.SCALES: wrong})


@either_learning
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equals_the_reference_from_weights_that_the_model_brings(channels, full):
    parameters, bases, values = somewhere(8, 11, 2, channels)
    agree(parameters, bases, values, full, fixed=some_fixed(values, 0.2), mixture_tables=TABLES | learned_start(full))


@either_learning
def test_each_learning_has_weights_of_its_own_to_start_with(full):
    """Those of the other are not looked at."""
    own, other = learned_start(full), learned_start(not full)
    experts = FULL if full else LIGHT
    plain, brought = mixing.start(experts, TABLES | other), mixing.start(experts, TABLES | own | other)
    assert (plain[0] == [*mixing.PLAIN, *[0] * (experts - 2)]).all() and (plain[1] == 32768).all()
    name = mixing.START_NAMES[experts]
    np.testing.assert_array_equal(brought[0][:, :-1], own[name].astype(int) * 32)
    np.testing.assert_array_equal(brought[1], own[f"{name}.final"].astype(int) * 32)
    assert (brought[0][:, -1] == 0).all() and abs(brought[0]).max() <= WEIGHTS


@either_learning
def test_weights_of_another_shape_are_another_version_s(full):
    own, experts = learned_start(full), FULL if full else LIGHT
    name = mixing.START_NAMES[experts]
    for key in (name, f"{name}.final"):
        for wrong in (own[key][1:], own[key][:, 1:]):
            with pytest.raises(WrongModel, match=f"the model's {name} has shape .* another version"):
                mixing.start(experts, TABLES | own | {key: wrong})


@either_learning
def test_weights_become_a_start_and_come_back(full):
    experts = FULL if full else LIGHT
    weights, final = mixing.start(experts, TABLES | learned_start(full))
    again = mixing.start(experts, mixing.as_start(weights[:, :-1] + 15.0, final - 15.0, experts))
    inside = abs(weights) < WEIGHTS                             # -2^15 is written as -2^15 + 1
    np.testing.assert_array_equal(again[0][inside], weights[inside])
    np.testing.assert_array_equal(again[1][abs(final) < WEIGHTS], final[abs(final) < WEIGHTS])


def test_a_vector_that_was_never_used_starts_like_its_kind():
    """kinds_mean: each context's vector is the mean of those of the same plane, class and kind, by visits."""
    vectors, rng = 15 * (65 + 12 * 24), np.random.default_rng(2)
    visits = rng.integers(0, 9, vectors) * (np.arange(vectors) % 3 > 0)
    weights = rng.normal(size=(vectors, 5))
    mean = mixing.kinds_mean(weights * visits[:, None], visits)
    overall = np.average(weights[975:], axis=0, weights=visits[975:])
    for place in (0, 7, 179):
        part = slice(975 + 24 * place, 975 + 24 * (place + 1))
        wanted = ((weights[part] * visits[part, None]).sum(0) + overall) / (visits[part].sum() + 1)
        np.testing.assert_allclose(mean[part], np.tile(wanted, (24, 1)))
    assert mean.shape == weights.shape and np.isfinite(mixing.kinds_mean(weights * 0, visits * 0)).all()


@either_learning
@pytest.mark.parametrize("counts", [[CAME], [0], HISTORIES[0]], ids=["all came", "none came", "any came"])
@pytest.mark.parametrize("expected", [[EXPECTED], [0], HISTORIES[1]], ids=["all expected", "none", "any"])
@pytest.mark.parametrize("name", ["constant", "hostile"])
def test_equals_the_reference_after_the_longest_history(name, counts, expected, full):
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
        agree(parameters, bases, values, full, lambda state, told, visits=visits: set_off(
            state, told, np.random.default_rng(visits), counts, expected, visits, values))


@either_learning
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("extreme", [INT32.min, INT32.max, None], ids=["least", "greatest", "any"])
def test_equals_the_reference_at_the_bounds_of_parameters(extreme, channels, full):
    rng = np.random.default_rng(3)
    for values in (noise(5, 7), constant(5, 7), checker(5, 7)):
        parameters = np.full((5, 7, 30), extreme or 0, np.int32)
        if extreme is None:
            parameters = rng.choice(LIMITS, (5, 7, 30)).astype(np.int32)
        bases = rng.choice([0, 255 * 64], values.shape).astype(np.int32)
        agree(parameters, bases, values[:channels], full)


hostile = st.one_of(st.sampled_from(LIMITS), st.integers(INT32.min, INT32.max), st.integers(-500, 500))


@settings(deadline=None, max_examples=40)
@given(data=st.data(), height=st.integers(1, 4), width=st.integers(1, 4), components=st.integers(1, 2),
       channels=st.sampled_from([1, 3]), history=st.booleans(), full=st.booleans(), known=st.sampled_from([0, 0.5, 1]),
       seed=st.integers(0, 2**32 - 1))
def test_equals_the_reference_for_anything(
        data, height, width, components, channels, history, full, known, seed):
    rng = np.random.default_rng(seed)
    pool = np.array(data.draw(st.lists(hostile, min_size=5, max_size=20)), np.int32)
    colours = np.array(data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4)), np.uint8)
    values = rng.choice(colours, (channels, height, width))
    near = rng.integers(0, 255 * 64 + 1, values.shape), values * 64 + rng.integers(-20, 21, values.shape)
    bases = near[seed % 2].clip(0, 255 * 64).astype(np.int32)

    def start(state, told):
        set_off(state, told, rng, *HISTORIES, int(rng.choice([0, 5, 1 << 27])), values)
    agree(rng.choice(pool, (height, width, 10 * components)), bases, values, full, start if history else None,
          rng.random(values.shape) < known)


def test_scales_of_the_rivals_forget():
    """After 800 errors in one context its sums are halved; a long row of black and white brings that about."""
    values = two_values(1, 1000)[:1]
    parameters, bases = np.zeros((1, 1000, 10), np.int32), np.full(values.shape, 128 * 64, np.int32)
    told = State(True)
    found, state = compiled_rounds(partial(mixing_for, components=1, full=True), parameters, bases, values)
    assert found == reference_mixing.code_tile(parameters, bases, values, TABLES, told)
    same_state(state, told)
    assert 400 < state.scales[0, 1, :, :, 1].max() < 700
    assert sum(count - 4 for _, count in told.scale.values()) < 4 * 1000 - 400      # some were forgotten


def test_rivals_start_with_the_error_of_their_class():
    scales = mixing.first_scales({})
    assert scales.shape == (3, 4, 24, 8, 2) and (scales[..., 1] == 4).all()
    means = scales[0, 0, :, 0, 0] / 4 / 64
    assert tables.ERROR_CLASS[(means[6:20] * 16).astype(int)].tolist() == list(range(6, 20))
    assert (means[:2] == 0.25).all() and (scales == scales[0, 0, :, :1]).all()


numbers = [st.one_of(st.sampled_from(levels), st.integers(0, levels[-1])) for levels in HISTORIES]
UNIFORM = 1 << 10                                                   # of 2^22: all values' uniform parts
masses = st.one_of(st.sampled_from([1, 15, 16, 1 << 14, 1 << 20, MASS]), st.integers(0, MASS + UNIFORM))


@settings(deadline=None, max_examples=200)
@given(channel=st.integers(0, 2), low=st.integers(0, 255),
       values=st.lists(st.tuples(masses, *numbers * 3), min_size=1, max_size=WINDOW))
@example(channel=2, low=0, values=[(1 << 20, *[0] * 4, 1, EXPECTED)])               # all that is left is a sum of 1
@example(channel=2, low=0, values=[(MASS + UNIFORM, *[CAME, 0] * 3)])              # the largest products
@example(channel=2, low=0, values=[(0, *[CAME, 0] * 3)] * WINDOW)
def test_experts_equal_the_reference_for_any_counts(channel, low, values):
    """Any q that sums to at most F's 2^22 + 2^10, whether or not a network would say so."""
    values = values[:256 - low]
    while sum(q for q, *_ in values) > MASS + UNIFORM:
        values = [((q + 1) // 2, *rest) for q, *rest in values]
    n, here = len(values), slice(low, low + len(values))
    q, *history = np.array(values, np.int64).T
    window, sums = np.zeros((1, 4, WINDOW), np.int64), np.zeros((1, 4, WINDOW + 1), np.int64)
    dense, pairs = np.zeros((2, 3, 1, 256), np.uint32), np.zeros((1, 256), np.uint32)
    entries = [(came << 20) + awaited for came, awaited in zip(history[::2], history[1::2])]
    window[0, 0, :n], dense[0, channel, 0, here] = q, entries[0]
    dense[1, channel, 0, here], pairs[0, here] = entries[1:]
    correct(0, channel, 0, 0, low, low + n, window, sums, dense, pairs)

    expected = dict(enumerate(q.tolist()))
    mass = sum(expected.values())
    for stage, rate in enumerate((2048, 2048, 31)):
        came, awaited = (part.tolist() for part in history[2 * stage:2 * stage + 2])
        rates = {v: (1024 * came[v] + rate, awaited[v] + rate) for v in range(n)}
        assert all(q * min(N, E << 10) < 2**53 for q, (N, E) in zip(expected.values(), rates.values()))
        if stage < 2 or channel == 2:
            expected = reference_mixing.corrected(expected, rates, mass)
        assert window[0, stage + 1, :n].tolist() == list(expected.values())
        assert sums[0, stage + 1, :n + 1].tolist() == [0, *accumulate(expected.values())]
        assert sums[0, stage + 1, n] <= mass + n < 2 * MASS


below_2_53 = st.one_of(st.integers(0, 2**53 - 1), st.integers(0, 2**20), st.integers(2**53 - 100, 2**53 - 1))


@given(st.one_of(below_2_53, st.tuples(st.integers(1, 2**26), st.integers(1, 2**26)).map(lambda t: t[0] * t[1] - 1)),
       below_2_53.filter(bool))
@example(2**53 - 1, 2**53 - 2)
@example(2**53 - 1, 1)
@example(94906265**2 - 1, 94906265)
def test_divisions_by_floats_are_exact(a, b):
    assert divided(a, b) == a // b
    for whole in (a // b * b, a // b * b - 1, (a // b + 1) * b - 1):            # where rounding would show first
        if 0 <= whole < 2**53:
            assert divided(whole, b) == whole // b


def test_it_learns_what_the_network_does_not_know():
    """Grey in four values, all alike to the network: 2 bits a pixel, where the network takes 20."""
    values = np.random.default_rng(4).choice(np.array([49, 55, 66, 67], np.uint8), (1, 60, 60)).repeat(3, 0)
    parameters, bases = np.zeros((60, 60, 10), np.int32), np.full(values.shape, 60 * 64, np.int32)
    parameters[..., 4:7] = 100                                      # a scale of 23 grey levels, all along
    for made in (partial(mixing_for, components=1), partial(mixing_for, components=1, full=True)):
        _, learned = compiled_rounds(made, parameters, bases, values)
        assert 2 * 3600 < learned.bits.sum() < 6 * 3600             # what it costs to learn, too
        assert learned.alone()["network"] > 19 * 3600 and learned.alone()["lattice"] < 8 * 3600
    _, alone = compiled_rounds(lambda predictor: Mixture(60, 1, TABLES), parameters, bases, values)
    assert alone.bits.sum() > 19 * 3600 and alone.alone() == {}
    assert abs(alone.bits.sum() / learned.alone()["network"] - 1) < 0.01


def test_colours_of_ycbcr_cost_much_less(tiny_model):
    """Only a quarter of all triples comes out of 8-bit YCbCr: what the lattice experts are for."""
    field = 73 + photograph(64, 64, 2) / 3 + np.random.default_rng(1).normal(0, 1, (3, 64, 64))
    picture, method = through_ycc(field.astype(np.uint8)), Method(Learning.LIGHT)
    assert len(np.unique(picture.reshape(3, -1), axis=1).T) > 400
    coded = codec.code_tile(tiny_model, Encoder(), picture, method)
    assert coded.stages["lattice"] < 0.88 * coded.stages["network"] and coded.bits < 0.88 * coded.stages["network"]
    other = codec.code_tile(tiny_model, Encoder(), field.astype(np.uint8), method)
    assert other.stages["lattice"] > 0.97 * other.stages["network"]             # nothing of the kind without YCbCr
    image = Image(np.ascontiguousarray(picture.transpose(1, 2, 0)), "RGB")
    alone, learned = (codec.compress(image, tiny_model, effort=effort) for effort in (1, 5))
    assert len(learned.data) < 0.88 * len(alone.data)


# Size of the state.

def held(thing) -> int:
    """Bytes of all its arrays, each once."""
    return sum({id(array): array.nbytes for array in arrays(thing)}.values())


def arrays(thing):
    if isinstance(thing, np.ndarray):
        yield thing
        return
    parts = thing if isinstance(thing, (list, tuple)) else getattr(thing, "__dict__", {}).values()
    for part in parts:
        yield from arrays(part)


def test_the_counts_are_as_large_as_documented():
    arrays = Lattice().arrays
    assert [array.shape for array in arrays] == [(2, 3, 256, 256), (65536, 256)]
    assert all(array.dtype == np.uint32 and not array.any() for array in arrays)


def test_an_entry_without_room_is_halved():
    """N of 12 bits and E of 20: when one is full both lose half, and nothing runs into the other."""
    size, windows = 4, np.zeros((1, 4, WINDOW), np.int64)
    windows[0, :3] = 1 << 22                                                    # each step expects 1.0 of every value
    single, pairs = np.zeros((2, 3, 256, 256), np.uint32), np.zeros((65536, 256), np.uint32)
    single[..., 0] = pairs[:, 0] = (CAME << 20) + 5000
    single[..., 1] = pairs[:, 1] = (7 << 20) + EXPECTED - 3
    single[..., 2] = pairs[:, 2] = (CAME << 20) + EXPECTED
    lattice.count(0, 2, 3, 4, 0, size, 0, windows, single, pairs)
    lattice.count(0, 2, 3, 4, 0, size, 2, windows, single, pairs)
    for table in (single[0, 2, 3], single[1, 2, 4], pairs[3 * 256 + 4]):
        found = [divmod(int(entry), 1 << 20) for entry in table[:size]]
        assert found[0] == (4096 >> 1, (5000 + 1024 >> 1) + 1024)
        assert found[1] == (7 >> 1, (EXPECTED - 3 + 1024 >> 1) + 1024)
        assert found[2] == ((CAME >> 1) + 1, (EXPECTED + 1024 >> 1) + 1024)
        assert found[3] == (0, 2048)


@either_learning
def test_the_state_stays_as_large_as_it_was(full):
    parameters, before, lattices = np.zeros((6, 8, 10), np.int32), [], []

    def kept(state):
        return held([value for name, value in vars(state).items() if name != "given"])

    def made(predictor):
        state = mixing_for(predictor, 1, TABLES, full)
        before.append(kept(state))
        lattices.append(state._lattice)
        return state
    _, state = compiled_rounds(made, parameters, np.zeros((3, 6, 8), np.int32), noise(6, 8))
    assert kept(state) <= before[0] + 2 * parameters.nbytes                     # it keeps the last level's
    assert all(now is then for now, then in zip(state._lattice, lattices[0], strict=True))


@either_learning
def test_the_largest_tile_has_a_bound(full):
    """Counts 69 MB, 3 for the positions of a level, 40 for the rows of the stack and the pixels."""
    size = container.Header.tile
    state = Mixing(Predictor(size, size), size, 10, TABLES, full)
    assert held(state) < (116_000_000 if full else 76_000_000)


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
    near(tables.RATE, 65536 * np.maximum(0.02 / (1 + 0.02 * n), 0.004))
    near(tables.COST, -65536 * np.log2((p + 0.5) / 4096))
    near(tables.PLAIN_SCALE, 32 * np.log((np.arange(2048) / 16 + 0.15) / np.log(4)))


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
    assert classes.max() >= 20 and len(tables.PLAIN_SCALE) == 2048 and (np.diff(tables.PLAIN_SCALE) >= 0).all()
    assert len(rates) == 1024 and (np.diff(rates) <= 0).all() and rates[0] == 1311 and rates[-1] == 262


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
    unit = np.array([1] * 7 + [64] * 3)[columns]
    return ((low + random % (high - low + 1)) * unit).astype(np.int32), bases, values


GOLDEN = {
    ("smooth", False): ("55f725234473018610e1849b9efd43792ef0865483c9e609c5b83a2e8f8a50e5", 920,
        "c92f7687e96c70d813487b4a156640df33970364552628fd1f9a1dd88b074bad"),
    ("smooth", True): ("988c7555a719e02c2b6f64bc4bfee00814efdad1c89c3ddc8eb38baaa3a4050c", 620,
        "da9f8d4ecba67e4fb02d2ba0b77cc1ed96457db9f245adfb3d0f00cf5c414590"),
    ("colours", False): ("bd3acbb3644118eb33f6a5d66c69598013ff57444531fcd180caae0b21149495", 284,
        "da2098b6dad8f4a145dc51df70d7fbb2e984616fcb7543c2d4a62df9342b574f"),
    ("colours", True): ("cefccec2939e852742ec107b38003c2bcdae2ea0dfbfa597e9019683904be12a", 244,
        "48922fd437f7bcd4640521b7533e0ecde697dee14b3ebc2d1302710aac06bf15"),
    ("noise", False): ("9cfda57c17c0cbeee2da74897c2edadb954bd35f81691a6820778a72d499c07e", 932,
        "2bd2ae031f7d0689547505c625b3a1764fade26fcfa1730f0f74f245a5e2ded8"),
    ("noise", True): ("8a0b27095234fd1562069bf3e72c862608b96c61f8af5e7b6581d517a3cc2142", 829,
        "141b3551ab0175007478e05887efc5a127a7c67d22be457d5443ea1dd83b77e1"),
}


@either_learning
@pytest.mark.parametrize("name", ["smooth", "colours", "noise"])
def test_golden_numbers(name, full):
    """SHA-256 of all frequencies and decisions of a tile, the payload's length and its SHA-256."""
    parameters, bases, values = golden_tile(name)
    made = partial(mixing_for, components=3, mixture_tables=integer_tables(), full=full)
    found, _ = compiled_rounds(made, parameters, bases, values)
    stream, encoder = io.BytesIO(), Encoder()
    for call in (call for rounds in found for call in rounds):
        frequencies, symbols = (np.array(part, np.int32) for part in call)
        stream.write(frequencies.astype("<i4").tobytes() + symbols.astype("<i4").tobytes())
        encoder.code(frequencies, symbols)
    payload = encoder.finish()
    digests = [hashlib.sha256(data).hexdigest() for data in (stream.getvalue(), payload)]
    assert (digests[0], len(payload), digests[1]) == GOLDEN[name, full]


@either_learning
def test_the_golden_numbers_are_the_references(full):
    """On a corner of one of the tiles."""
    parameters, bases, values = (part[..., :8, :9, :] if part.shape[-1] == 30 else part[..., :8, :9].copy()
                                 for part in golden_tile("smooth"))
    agree(parameters, bases, values, full, mixture_tables=integer_tables())
