"""Learning while a tile is coded: every decision is a plain reference's, whatever picture, parameters and state."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from functools import partial

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import TRACED, UNTRACED, Decoder, Encoder
from codec.errors import DamagedFile, WrongModel
from codec.format.method import METHODS, Learning, Method
from codec.modelling import experts as learning
from codec.modelling.blend import blend, combine, settle
from codec.modelling.experts import FULL, QUICK, RECIPES, Recipe, experts, start
from codec.modelling.histograms import CLASSES
from codec.modelling.palette.listing import has_palette
from codec.modelling.ratio_tables import RatioTables
from codec.modelling.selectors import ALL, PLACES, SETS, vectors
from codec.tile_coders import How
from codec.tile_coders.photo import PhotoCoder
from export.exact.tables import distribution_tables
from runtime import Manifest
from runtime.kernels import kernel
from runtime.least_squares import Settings, canvas, predict_picture
from runtime.photo import PhotoLayout, PhotoModel
from tests.codec.modelling.test_mixture import LIMITS
from tests.pictures import KINDS, constant, noise, photograph, two_values
from tests.reference import experts as reference
from tests.reference.bundle import Bundle
from tests.reference.hashed import Slot
from tests.reference.histograms import MOST, Histogram
from tests.reference.least_squares import rows_of
from tests.reference.selectors import SETS as TOLD_SETS
from tests.reference.selectors import vector_number
from tests.reference.tile import NETWORK, PhotoTile
from tests.runtime.test_least_squares import FUSED, assembly
from tools.learn_start import kinds_mean

TABLES = distribution_tables() | {"codes": (np.arange(8192) // 32).astype(np.uint8)}
SIZES = [(1, 1), (1, 17), (17, 1), (2, 2), (6, 5), (7, 9)]
CAME, EXPECTED = (1 << 12) - 1, (1 << 20) - 1  # the most that counts of ratio tables hold
QUICKLY, FULLY, ALONE = Method(), Method(learning=Learning.FULL, tables=True), Method(learning=Learning.NONE)
WAYS = [method for method in METHODS.values() if isinstance(method, Method) and not method.reconstruction]


@dataclass(frozen=True)
class Network:
    """Stands for a network: gives numbers, int32 [H, W, 10 K], whatever it is shown."""

    numbers: np.ndarray

    def start(self, schedule) -> Network:
        return self

    def step(self, level: int, inputs: np.ndarray) -> np.ndarray:
        height, width, count = self.numbers.shape
        if len(inputs) == height * width:  # asked for all at once
            return self.numbers.reshape(-1, count)
        rows = np.array(rows_of(level, height, width), int)
        assert len(inputs) == len(rows)
        return self.numbers[rows, level - 2 * rows]


def model(numbers: np.ndarray, tables: dict | None = None, predictor: Settings = Settings()) -> PhotoModel:
    layout = PhotoLayout(numbers.shape[2] // 10, 3, ((0, -1), (-1, 1)), predictor)
    return PhotoModel(Manifest("made up", "0" * 64, layout), Network(numbers), TABLES | (tables or {}), 1)


def some_numbers(height: int, width: int, components: int = 2, seed: int = 3) -> np.ndarray:
    """Parameters like a network's, roughly."""
    rng, spread = np.random.default_rng(seed), np.repeat([128, 200, 200, 200, 40, 40, 40, 8000, 8000, 8000], components)
    return rng.normal(0, spread / 2, (height, width, 10 * components)).round().astype(np.int32)


class Start:
    """A state that neither side has learned: counts near their limits, weights at theirs or near, any visits."""

    def __init__(
        self, seed: int, counts=(0, 1, 2, CAME - 1, CAME), expected=(0, 1, 1023, EXPECTED - 1, EXPECTED), recipe=QUICK
    ):
        rng = np.random.default_rng(seed)
        self.recipe = recipe
        self.came, self.expected = (rng.choice(each, 256).astype(np.uint32) for each in (counts, expected))
        first, final = start({}, recipe)
        places = [-(1 << 15), (1 << 15) - 1, -(1 << 15) + 1, 0, 0, 0, 0, 6000]
        self.weights = rng.choice(places, first.shape) // rng.choice([1, 8, 64])
        self.final = rng.choice([-(1 << 20), (1 << 20) - 1, 0, 20000], final.shape)
        self.visits = int(rng.choice([0, 5, 1 << 27]))
        self.counts = np.sort(rng.choice([0, 64, 12800, MOST - 64, MOST], 129))  # of every histogram
        self.slot = int(rng.choice([1 << 12, (1 << 22) - (1 << 12), 99999])), int(rng.choice([0, 30, 60]))

    def apply(self, state: learning.Experts) -> None:
        state.ratios.first[:] = state.ratios.second[:] = (self.came << 20) + self.expected
        state.mixer.weights[:, : self.recipe.inputs] = self.weights
        state.mixer.final[:], state.mixer.visits[:] = self.final, self.visits
        histograms_of(state)[..., :129], histograms_of(state)[..., 129:] = self.counts, self.counts[-1]
        state.hashed.slots[:] = (self.slot[0] << 10) + self.slot[1]

    def tell(self, told: reference.Experts) -> None:
        """The reference the same."""
        if told.counts:
            told.counts.came.start = lambda context: int(self.came[context[-1]])
            told.counts.expected.start = lambda context: int(self.expected[context[-1]])
        numbers = partial(vector_number, self.recipe.sets)
        told.mixer.weights.start = lambda vector: self.weights[numbers(vector)].astype(np.int64)
        told.mixer.final.start = lambda place: self.final[reference.place_number(place)].tolist()
        told.mixer.visits.start = lambda vector: self.visits

        def histogram(context):
            found = Histogram(*context[2:])
            found.counts = self.counts.copy()
            return found

        def slot(at):
            found = Slot()
            found.p, found.visits = self.slot
            return found

        told.histograms.all.start, told.hashed.slots.start = histogram, slot


def histograms_of(state: learning.Experts) -> np.ndarray:
    """Counts [plane, predictors and the first of them again, class, bins and padding]."""
    return state.histograms.counts.reshape(3, len(state.histograms.rows), CLASSES, -1)


class Coded:
    """A tile that was coded, and what it taught; decoding gives it back."""

    def __init__(self, made: PhotoModel, pixels: np.ndarray, method: Method, begin: Start | None = None):
        def started(canvas, method, given):
            self.state = experts(canvas, made.tables, RECIPES[method.learning - 1], method.tables, method.lattice)
            if begin:
                begin.apply(self.state)
            return self.state

        coder, self.encoder, found = PhotoCoder(made, started), Encoder(traced=True), np.zeros(pixels.shape, np.uint8)
        coder.code(self.encoder, pixels.copy(), method, How(1, lambda pixels: None))
        learned = self.state if method.learning else None
        coder.code(Decoder(self.encoder.finish()), found, method, How(1, lambda pixels: None))
        np.testing.assert_array_equal(found, pixels)
        self.pixels, self.state = pixels, learned
        coded, owners = self.encoder.decisions().astype(np.int64), self.encoder.owners().tolist()
        self.decisions = list(zip((coded // 2 + 1).tolist(), (coded % 2).tolist(), owners))
        self.inputs = self.encoder.traces().tolist()


class Told(PhotoTile):
    """The reference, whose network gives numbers, too. It is answered by the compiled code's decisions."""

    def __init__(self, made: PhotoModel, shape: tuple[int, int, int], numbers: np.ndarray, method: Method):
        layout = {"predictor": asdict(made.layout.predictor)}
        super().__init__(Bundle("photo", b"", layout, {}, made.tables), shape, method.code & ~NETWORK)
        self.network = Numbers(numbers) if method.network else None
        self.asked = []

    def tell(self, found: Coded) -> None:
        """Asks for every decision, with the frequency, the owner and the inputs that it was coded with."""
        answers = iter([decision for _, decision, _ in found.decisions])

        def decide(frequency: int) -> int:
            r, c, k = self.place
            position, planes = r * self.width + c, self.planes
            owner = planes * self.width * self.height + position if k is None else position * planes + k
            mixed = [UNTRACED] * TRACED
            if self.experts and k is not None:
                mixed = self.experts.mixer.inputs[:TRACED].tolist()
            decision = next(answers)
            self.asked.append((frequency, decision, owner, mixed))
            return decision

        np.testing.assert_array_equal(self.decoded(decide), found.pixels)


@dataclass(frozen=True)
class Numbers:
    """The same as Network, for the reference."""

    numbers: np.ndarray

    def parameters(self, canvas, bases, r: int, c: int) -> list[int]:
        return self.numbers[r, c].tolist()


def entries_of(tables: RatioTables, context: tuple) -> np.ndarray:
    """What compiled code's tables hold of a context's plane and what is given, by value."""
    plane, *given, _ = context
    if len(given) == (plane == "blue"):
        return tables.first[2 + given[0] if given else ("red", "green").index(plane)]
    return tables.second[given[0] if plane == "green" else 256 + given[0] * 256 + given[1]]


def same_state(state: learning.Experts, told: reference.Experts) -> None:
    for vector, weights in told.mixer.weights.items():
        number = vector_number(told.recipe.sets, vector)
        own = state.mixer.weights[number].tolist()
        assert own[: len(weights)] == weights.tolist() and not any(own[len(weights) :])
        assert state.mixer.visits[number] == told.mixer.visits[vector]
    for place, final in told.mixer.final.items():
        assert state.mixer.final[reference.place_number(place)].tolist() == final
    for (k, q, by_cost, kind), histogram in told.histograms.all.items():
        own = histograms_of(state)[k, q + by_cost * told.recipe.predictors, kind]
        assert own[:129].tolist() == histogram.counts.tolist() and (own[129:] == own[128]).all()
    for (h, place), slot in told.hashed.slots.items():
        assert divmod(int(state.hashed.slots[h, place]), 1 << 10) == (slot.p, slot.visits)
    for context, came in told.counts.came.items() if told.counts else ():
        entry = entries_of(state.ratios, context)[context[-1]]
        assert divmod(int(entry), 1 << 20) == (came, told.counts.expected[context])


def agree(pixels, numbers, tables=None, begin: Start | None = None, method=QUICKLY, predictor=Settings()) -> Coded:
    """Compiled code and reference, from the same start: the same decisions and the same state afterwards."""
    made = model(numbers, tables, predictor)
    found, told = Coded(made, pixels, method, begin), Told(made, pixels.shape, numbers, method)
    if begin:
        begin.tell(told.experts)
    told.tell(found)
    assert [asked[:3] for asked in told.asked] == found.decisions
    assert [asked[3] for asked in told.asked] == found.inputs
    if method.learning:
        same_state(found.state, told.experts)
    return found


def colours(pixels: np.ndarray) -> np.ndarray:
    return pixels if len(pixels) == 3 else np.repeat(pixels, 3, 0)


def test_recipes_are_the_references():
    assert [asdict(recipe) for recipe in RECIPES] == [asdict(recipe) for recipe in reference.RECIPES.values()]
    assert [(name, contexts) for name, contexts, _ in SETS] == [(name, of[0]) for name, of in TOLD_SETS.items()]


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", [QUICKLY, FULLY], ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_reference(size, method, channels):
    for kind in (photograph, noise):
        agree(kind(*size)[:channels], some_numbers(*size), method=method)


@pytest.mark.parametrize("method", [QUICKLY, FULLY], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference_on_hostile_pictures(kind, method):
    agree(KINDS[kind](5, 7), some_numbers(5, 7), method=method)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(way, marks=pytest.mark.slow if way.lattice > 1 else (), id=str(way))  # conversions are alike
        for way in WAYS
        if way not in (QUICKLY, FULLY) and not way.colours and not way.palette
    ],
)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equals_the_reference_by_other_methods(method, channels):
    """Without learning, without or with ratio tables, and without a network, whose parameters are then those of the
    errors nearby."""
    for kind, *size in ((photograph, 5, 6), (photograph, 1, 5), (two_values, 2, 5)):
        agree(kind(*size)[:channels], some_numbers(*size), method=method)


def test_equals_the_reference_with_another_predictor():
    predictor = Settings(((4, 1, 1), (3, 2, 1), (3, 2, 2)), 0.8, 0.6, (5.0, 4.0, 3.0))
    agree(photograph(6, 9), some_numbers(6, 9, 1), predictor=predictor)


@pytest.mark.parametrize("method", [QUICKLY, FULLY], ids=str)
@pytest.mark.parametrize("extreme", [LIMITS[0], LIMITS[-1], None], ids=["least", "greatest", "any"])
def test_equals_the_reference_at_the_bounds_of_parameters(extreme, method):
    """Means as far off as they go, the narrowest and the widest scales."""
    rng, shape = np.random.default_rng(3), (5, 6, 20)
    numbers = rng.choice(LIMITS, shape) if extreme is None else np.full(shape, extreme)
    for pixels in (noise(5, 6), constant(5, 6), constant(5, 6, 0)[:1]):
        agree(pixels, numbers.astype(np.int32), method=method)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", [QUICKLY, FULLY], ids=str)
def test_equals_the_reference_after_the_longest_history(channels, method):
    """Counts that are halved, weights at their limits."""
    recipe = RECIPES[method.learning - 1]
    for seed, kind in enumerate((photograph, noise)):
        agree(kind(4, 6)[:channels], some_numbers(4, 6), begin=Start(seed, recipe=recipe), method=method)
    if method.tables:
        for begin in (Start(3, (CAME,), (EXPECTED,), recipe), Start(4, (CAME,), (0,), recipe)):
            agree(constant(4, 6, 200)[:channels], some_numbers(4, 6), begin=begin, method=method)


def brought(recipe: Recipe, seed: int = 5) -> dict[str, np.ndarray]:
    """What a model may bring, all over its range."""
    rng, (weights, final) = np.random.default_rng(seed), start({}, recipe)
    anything, usual = (rng.integers(-most, most + 1, weights.shape) for most in (127, 10))
    return {
        recipe.weights: np.where(rng.random(weights.shape) < 0.03, anything, usual).astype(np.int8),
        recipe.final: rng.choice([-(1 << 15) + 1, 512, 512, 512, (1 << 15) - 1], final.shape).astype(np.int16),
    }


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", [QUICKLY, FULLY], ids=str)
def test_equals_the_reference_from_what_the_model_brings(channels, method):
    agree(photograph(7, 9)[:channels], some_numbers(7, 9), brought(RECIPES[method.learning - 1]), method=method)


@settings(deadline=None, max_examples=20)
@given(
    data=st.data(),
    size=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    components=st.integers(1, 2),
    channels=st.sampled_from([1, 3]),
    method=st.sampled_from([way for way in WAYS if way.network and way.learning and not way.colours]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference_for_anything(data, size, components, channels, method, seed):
    rng, number = np.random.default_rng(seed), st.one_of(st.sampled_from(LIMITS), st.integers(-500, 500))
    pool = np.array(data.draw(st.lists(number, min_size=5, max_size=20)))
    shown = np.array(data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4)), np.uint8)
    numbers = rng.choice(pool, (*size, 10 * components)).astype(np.int32)
    begin = Start(seed, recipe=RECIPES[method.learning - 1]) if seed % 2 else None
    agree(rng.choice(shown, (channels, *size)), numbers, begin=begin, method=method)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("method", [way for way in WAYS if way.colours and way.learning], ids=str)
def test_values_that_an_exact_colour_has_said_are_learned_too(method, channels):
    """They take no decisions, and all else goes on as if they had."""
    rng = np.random.default_rng(1)
    pixels = rng.choice(np.array([7, 80, 200], np.uint8), (1, 10, 11)).repeat(channels, 0)
    pixels[:, 3:6] = noise(3, 11)[:channels]
    found = agree(pixels, some_numbers(10, 11), method=method)
    escaped = {owner // channels for *_, owner in found.decisions if owner < pixels.size}
    assert 20 < 110 - len(escaped) < 90


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_pictures_come_back(kind):
    """Larger ones, by every method, packed on two threads and unpacked on one."""
    for height, width in ((17, 24), (1, 40), (40, 1)):
        pixels, made = KINDS[kind](height, width), model(some_numbers(height, width))
        for method in WAYS if height > 1 else (QUICKLY, FULLY):
            if method.palette and not has_palette(pixels):
                continue
            encoder, found = Encoder(), np.zeros(pixels.shape, np.uint8)
            PhotoCoder(made).code(encoder, pixels.copy(), method, How(2, lambda pixels: None))
            PhotoCoder(made).code(Decoder(encoder.finish()), found, method, How(1, lambda pixels: None))
            np.testing.assert_array_equal(found, pixels, f"{height} x {width} by {method}")


def test_any_payload_decodes_or_is_damaged():
    """Decisions that no encoder made lead to some picture: compiled code stays within its arrays."""
    rng, made, damaged = np.random.default_rng(2), model(some_numbers(9, 11)), 0
    for method in WAYS:
        for channels in (1, 3):
            for length in (0, 1, 7, 100, 2000):
                decoder = Decoder(rng.integers(1, 256, length, np.uint8).tobytes())
                try:
                    pixels = np.zeros((channels, 9, 11), np.uint8)
                    PhotoCoder(made).code(decoder, pixels, method, How(1, lambda pixels: None))
                except DamagedFile:
                    damaged += 1
    assert (
        damaged < 18
    )  # whatever starts below the end of the first interval is a picture, or a list that does not rise


def test_flushing_denormals_changes_nothing():
    """On a long flat stretch all sums decay through them."""
    torch = pytest.importorskip("torch")
    pixels = constant(2, 1500, 77)
    pixels[:, :, :100] = noise(2, 100)

    def payload() -> bytes:
        encoder = Encoder()
        PhotoCoder(model(some_numbers(1, 1))).code(encoder, pixels, Method(network=False), How(1, lambda pixels: None))
        return encoder.finish()

    expected = payload()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        assert payload() == expected
    finally:
        torch.set_flush_denormal(False)


@kernel
def blended(level, k, row, means, value, canvas, blend):
    combine(level, k, row, means, canvas, blend)
    settle(level, k, row, value, canvas.size.width, blend)


def test_compiled_code_has_no_fused_multiply_add():
    """Of what adds up floats here; the fits themselves are runtime's, whose tests look through them."""
    empty = canvas(1, 1)
    arguments = 0, 0, 0, (7, 9), 3, empty, blend(empty)
    code = assembly(blended, tuple(map(numba.typeof, arguments)))
    assert re.search(r"mulss|fmul\s+s", code) and re.search(r"addss|fadd\s+s", code)
    assert not FUSED.search(code)


def test_it_learns_what_the_network_does_not_know():
    """Grey in four values, all alike to the network: 2 bits a pixel, where the network takes 20."""
    values = np.random.default_rng(4).choice(np.array([49, 55, 66, 67], np.uint8), (1, 60, 60)).repeat(3, 0)
    numbers = np.zeros((60, 60, 10), np.int32)
    numbers[..., 4:7] = 100  # a scale of 23 grey levels, all along
    learned, alone = (Coded(model(numbers), values, method).encoder.costs().sum() for method in (QUICKLY, ALONE))
    assert 2 * 3600 < learned < 6 * 3600 and alone > 19 * 3600


def test_without_a_network_the_scale_fits_the_errors():
    """Within a tenth of what a code of fixed best scale takes, or better, for errors of a known kind."""
    pixels = (128 + np.random.default_rng(0).laplace(0, 6, (1, 60, 60))).clip(0, 255).astype(np.uint8)
    spent = Coded(model(some_numbers(1, 1)), pixels, Method(False, Learning.NONE)).encoder.costs().sum()
    errors = pixels[0] - predict_picture(colours(pixels))[0] / 64

    def fixed(scale):
        """Bits of a logistic around the prediction."""
        above, below = (1 / (1 + np.exp(-(errors + step) / scale)) for step in (0.5, -0.5))
        return -np.log2(np.maximum(above - below, 2.0**-20)).sum()

    assert spent < 1.1 * min(fixed(scale) for scale in (2, 3, 4, 5, 6, 8, 10))


def test_learning_fully_learns_more():
    """Of a photograph, with and without what a network says."""
    pixels, numbers = photograph(40, 60), some_numbers(40, 60)
    for network in (False, True):
        spent = [
            Coded(model(numbers), pixels, Method(network, learning)).encoder.costs().sum() for learning in Learning
        ]
        assert spent[0] > 1.02 * spent[1] > 1.02 * spent[2]


# What a tile starts with.


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_what_a_model_brings_is_what_a_tile_starts_with(recipe):
    plain, own = start({}, recipe), brought(recipe)
    assert plain[0].shape == (sum(vectors(recipe.sets)), recipe.inputs) and plain[1].shape == (PLACES, len(recipe.sets))
    assert (
        (plain[0][:, 0] == 12000).all() and not plain[0][:, 1:].any() and (plain[1] == 65536 // len(recipe.sets)).all()
    )
    weights, final = start(own, recipe)
    np.testing.assert_array_equal(weights, own[recipe.weights].astype(int) * 128)
    np.testing.assert_array_equal(final, own[recipe.final].astype(int) * 32)
    state = experts(canvas(1, 1), own, recipe, False)
    np.testing.assert_array_equal(state.mixer.weights[:, : recipe.inputs], weights)
    assert not state.mixer.weights[:, recipe.inputs :].any() and state.mixer.weights.shape[1] % 16 == 0
    assert state.mixer.weights.shape[1] <= 512  # what vectors.dot adds up without leaving 32 bits


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_what_another_version_brings_is_refused(recipe):
    own = brought(recipe)
    for key in (recipe.weights, recipe.final):
        for wrong in (own[key][1:], own[key][:, 1:], own[key][0]):
            with pytest.raises(WrongModel, match="the model's mixing.* have shape .* another version"):
                start(own | {key: wrong}, recipe)


def test_a_recipe_without_tensors_starts_plainly():
    for recipe, other in ((QUICK, FULL), (FULL, QUICK)):
        for found, plain in zip(start(brought(other), recipe), start({}, recipe)):
            np.testing.assert_array_equal(found, plain)


def test_a_vector_that_was_never_used_starts_like_its_kind():
    """kinds_mean: each context's vector is the mean of those of the same plane and part of a decision, by visits."""
    rng, sizes = np.random.default_rng(2), vectors(ALL)
    visits = rng.integers(0, 9, sum(sizes)) * (np.arange(sum(sizes)) % 5 > 0)
    weights = rng.normal(size=(sum(sizes), 5))
    mean = kinds_mean(weights * visits[:, None], visits, ALL)
    which = ALL.index("deviation, network's error")
    first, size = sum(sizes[:which]), sizes[which]
    overall = np.average(weights[first : first + size], axis=0, weights=visits[first : first + size])
    for k, part in ((0, 0), (1, 7), (2, 11)):
        rows = first + 480 * k + part + 12 * np.arange(40)
        wanted = ((weights[rows] * visits[rows, None]).sum(0) + overall) / (visits[rows].sum() + 1)
        np.testing.assert_allclose(mean[rows], np.tile(wanted, (40, 1)))
    assert mean.shape == weights.shape and np.isfinite(kinds_mean(weights * 0, visits * 0, ALL)).all()


# Golden payloads. All that goes in is made of integers, so nothing but the codec's arithmetic can change them.


def scrambled(*shape: int, seed: int) -> np.ndarray:
    """Numbers 0 .. 2^24 - 1: the high bits of a linear congruential generator."""
    state, found = seed, []
    for _ in range(int(np.prod(shape))):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        found.append(state >> 40)
    return np.array(found, np.int64).reshape(shape)


def integer_tables() -> dict[str, np.ndarray]:
    """Tables like a bundle's, without an exponential function."""
    exponential, inverse_scale, deviation = [1 << 22], [128 << 22], [3]
    for _ in range(1023):
        exponential.append(exponential[-1] * 63 // 64)
    for i in range(320):
        inverse_scale.append(inverse_scale[-1] * 31 // 32)
        deviation.append(3 + i * i * i * i // 400_000)
    logistic = [(1 << 21) + (d << 21) // (abs(d) + 128) for d in range(-2048, 2049)]
    logistic[0], logistic[-1] = 0, 1 << 22
    return {
        name: np.array(table, np.int64)
        for name, table in (
            ("exponential", exponential),
            ("inverse_scale", inverse_scale),
            ("deviation", deviation),
            ("logistic", logistic),
        )
    }


def golden_tile(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers [24, 20, 30] and pixels [3, 24, 20]."""
    r, c = np.mgrid[:24, :20]
    if name == "smooth":
        plane = 20 + 3 * r + 5 * c + (r * c >> 3)
        pixels = np.stack([plane, plane + 9, 200 - plane]) + scrambled(3, 24, 20, seed=1) % 3
    elif name == "colours":
        chosen = scrambled(24, 20, seed=2) % 5 + c // 10
        palette = [[10, 20, 30], [12, 20, 33], [200, 90, 5], [255, 255, 255], [0, 0, 0], [64, 65, 66]]
        pixels = np.array(palette)[chosen].transpose(2, 0, 1)
    else:
        pixels = scrambled(3, 24, 20, seed=3) >> 16
    unit = np.repeat([1] * 7 + [64] * 3, 3)  # by which of the ten parameters of a component it is
    low = np.repeat([-128] + [-200] * 3 + [-60] * 3 + [-300] * 3, 3)
    high = np.repeat([128] + [200] * 3 + [120] * 3 + [300] * 3, 3)
    numbers = (low + scrambled(24, 20, 30, seed=5) % (high - low + 1)) * unit
    return numbers.astype(np.int32), np.ascontiguousarray(pixels.clip(0, 255).astype(np.uint8))


GOLDEN = {
    "smooth": "7b609e5a6d95c6389e43eb2871efd095d195532e4ad4cef301fa41d3ada057f6",
    "colours": "782fe9ec0605201da24058d686cdcad7e134250bc3b78c524586cc0ac910cfed",
    "noise": "d133a019f1609eba87e748e1f2a145513acb417071d7ee7212ae8878a058efd8",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_payloads(name):
    """Files must stay decodable for ever: of colour and grey, learned, by the network alone and without one."""
    numbers, pixels = golden_tile(name)
    made, digest = model(numbers, integer_tables()), hashlib.sha256()
    for method in (QUICKLY, FULLY, ALONE, Method(network=False), Method(False, Learning.NONE)):
        for planes in (pixels, pixels[:1].copy()):
            digest.update(Coded(made, planes, method).encoder.finish())
    assert digest.hexdigest() == GOLDEN[name]
