"""Learning while a tile is coded: every decision is a plain reference's, whatever picture, parameters and state."""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from itertools import product

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.entropy.range_coder import TRACED, UNTRACED, Decoder, Encoder
from codec.errors import DamagedFile, WrongModel
from codec.format.method import Method
from codec.modelling import experts as learning
from codec.modelling.blend import blend, combine, settle
from codec.modelling.experts import EXPERTS, FINAL, SCALES, WEIGHTS, experts, first_scales, kinds_mean, start
from codec.modelling.mixer import WEIGHT_LIMIT
from codec.modelling.ratio_tables import RatioTables
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
from tests.reference.least_squares import rows_of
from tests.reference.numbers import error_class
from tests.reference.tile import NETWORK, PhotoTile
from tests.runtime.test_least_squares import FUSED, assembly

TABLES = distribution_tables() | {"codes": (np.arange(8192) // 32).astype(np.uint8)}
SIZES = [(1, 1), (1, 17), (17, 1), (2, 2), (6, 5), (9, 11)]
CAME, EXPECTED = (1 << 12) - 1, (1 << 20) - 1  # the most that counts of ratio tables hold
LEARNING, ALONE = Method(), Method(learning=False)


@dataclass(frozen=True)
class Network:
    """Stands for a network: gives numbers, int32 [H, W, 10 K], whatever it is shown."""

    numbers: np.ndarray

    def start(self, schedule) -> Network:
        return self

    def step(self, level: int, inputs: np.ndarray) -> np.ndarray:
        height, width, _ = self.numbers.shape
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

    def __init__(self, seed: int, counts=(0, 1, 2, CAME - 1, CAME), expected=(0, 1, 1023, EXPECTED - 1, EXPECTED)):
        rng = np.random.default_rng(seed)
        self.came, self.expected = (rng.choice(each, 256).astype(np.uint32) for each in (counts, expected))
        places = [-WEIGHT_LIMIT, WEIGHT_LIMIT, -WEIGHT_LIMIT + 1, 0, 6000]
        self.weights, self.final = (rng.choice(places, array.shape) for array in start({}))
        self.weights[:, EXPERTS + 1 :] = 0
        self.visits = int(rng.choice([0, 5, 1 << 27]))
        self.scales = first_scales({})
        self.scales[..., 0] = self.scales[..., 0] // 4 * 799
        self.scales[..., 1] = 799

    def apply(self, state: learning.Experts) -> None:
        state.ratios.first[:] = state.ratios.second[:] = (self.came << 20) + self.expected
        state.mixer.weights[:], state.mixer.final[:], state.mixer.visits[:] = self.weights, self.final, self.visits
        state.scales[:] = self.scales

    def tell(self, told: reference.Experts) -> None:
        """The reference the same."""
        told.counts.came.start = lambda context: int(self.came[context[-1]])
        told.counts.expected.start = lambda context: int(self.expected[context[-1]])
        told.mixer.weights.start = lambda v: self.weights[reference.vector_number(v), : EXPERTS + 1].tolist()
        told.mixer.final.start = lambda place: self.final[reference.place_number(place)].tolist()
        told.mixer.visits.start = lambda vector: self.visits
        told.scales.start = lambda context: tuple(self.scales[context].tolist())


class Coded:
    """A tile that was coded, and what it taught; decoding gives it back."""

    def __init__(self, made: PhotoModel, pixels: np.ndarray, method: Method, begin: Start | None = None):
        def started(canvas):
            self.state = experts(canvas, made.tables)
            if begin:
                begin.apply(self.state)
            return self.state

        coder, self.encoder, found = PhotoCoder(made, started), Encoder(traced=True), np.zeros(pixels.shape, np.uint8)
        coder.code(self.encoder, pixels.copy(), method, 1, lambda pixels: None)
        learned = self.state if method.learning else None
        coder.code(Decoder(self.encoder.finish()), found, method, 1, lambda pixels: None)
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
            mixed = self.experts.mixer.inputs if self.experts and k is not None else [UNTRACED] * TRACED
            decision = next(answers)
            self.asked.append((frequency, decision, owner, [*mixed, *[0] * (TRACED - len(mixed))]))
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
        number = reference.vector_number(vector)
        assert state.mixer.weights[number].tolist() == [*weights, *[0] * (TRACED - len(weights))]
        assert state.mixer.visits[number] == told.mixer.visits[vector]
    for place, final in told.mixer.final.items():
        assert state.mixer.final[reference.place_number(place)].tolist() == final
    for context, scale in told.scales.items():
        assert tuple(state.scales[context].tolist()) == scale
    for context, came in told.counts.came.items():
        entry = entries_of(state.ratios, context)[context[-1]]
        assert divmod(int(entry), 1 << 20) == (came, told.counts.expected[context])


def agree(pixels, numbers, tables=None, begin: Start | None = None, method=LEARNING, predictor=Settings()) -> Coded:
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


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_equals_the_reference(size, channels):
    for kind in (photograph, noise):
        agree(kind(*size)[:channels], some_numbers(*size))


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_reference_on_hostile_pictures(kind):
    agree(KINDS[kind](7, 9), some_numbers(7, 9))


@pytest.mark.parametrize("method", [ALONE, Method(network=False), Method(False, False)], ids=str)
@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equals_the_reference_by_other_methods(method, channels):
    """Without learning, and without a network, whose parameters are then those of the errors nearby."""
    for size in ((1, 9), (6, 8)):
        for kind in (photograph, two_values):
            agree(kind(*size)[:channels], some_numbers(*size), method=method)


def test_equals_the_reference_with_another_predictor():
    predictor = Settings(((4, 1, 1), (3, 2, 1), (3, 2, 2)), 0.8, 0.6, (5.0, 4.0, 3.0))
    agree(photograph(6, 9), some_numbers(6, 9, 1), predictor=predictor)


@pytest.mark.parametrize("extreme", [LIMITS[0], LIMITS[-1], None], ids=["least", "greatest", "any"])
def test_equals_the_reference_at_the_bounds_of_parameters(extreme):
    """Means as far off as they go, the narrowest and the widest scales."""
    rng, shape = np.random.default_rng(3), (5, 6, 20)
    numbers = rng.choice(LIMITS, shape) if extreme is None else np.full(shape, extreme)
    for pixels in (noise(5, 6), constant(5, 6), constant(5, 6, 0)[:1]):
        agree(pixels, numbers.astype(np.int32))


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equals_the_reference_after_the_longest_history(channels):
    """Counts that are halved, weights at their limits, scales that forget."""
    for seed, kind in enumerate((photograph, noise)):
        agree(kind(4, 6)[:channels], some_numbers(4, 6), begin=Start(seed))
    full = Start(3, (CAME,), (EXPECTED,)), Start(4, (CAME,), (0,)), Start(5, (0,), (EXPECTED,))
    for begin in full:
        found = agree(constant(4, 6, 200)[:channels], some_numbers(4, 6), begin=begin)
        assert (found.state.scales[..., 1] <= 800).all() and (found.state.scales[..., 1] == 400).any()


def brought(seed: int = 5) -> dict[str, np.ndarray]:
    """What a model may bring, all over int16."""
    rng, (weights, final) = np.random.default_rng(seed), start({})
    anything = rng.integers(-(1 << 15), 1 << 15, (len(weights), EXPERTS + 1))
    usual = (rng.random(anything.shape) * 2048 - 300).astype(int)
    means = rng.choice([0, 0, 1, 16, 300, (1 << 15) - 1], first_scales({}).shape[:-1])
    tensors = {
        WEIGHTS: np.where(rng.random(anything.shape) < 0.03, anything, usual),
        FINAL: rng.choice([-(1 << 15), 683, 683, 683, (1 << 15) - 1], final.shape),
        SCALES: means,
    }
    return {name: tensor.astype(np.int16) for name, tensor in tensors.items()}


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
def test_equals_the_reference_from_what_the_model_brings(channels):
    agree(photograph(7, 9)[:channels], some_numbers(7, 9), brought())


@settings(deadline=None, max_examples=20)
@given(
    data=st.data(),
    size=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    components=st.integers(1, 2),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_reference_for_anything(data, size, components, channels, seed):
    rng, number = np.random.default_rng(seed), st.one_of(st.sampled_from(LIMITS), st.integers(-500, 500))
    pool = np.array(data.draw(st.lists(number, min_size=5, max_size=20)))
    shown = np.array(data.draw(st.lists(st.integers(0, 255), min_size=1, max_size=4)), np.uint8)
    numbers = rng.choice(pool, (*size, 10 * components)).astype(np.int32)
    agree(rng.choice(shown, (channels, *size)), numbers, begin=Start(seed) if seed % 2 else None)


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("network", [True, False])
def test_values_that_an_exact_colour_has_said_are_learned_too(network, channels):
    """They take no decisions, and all else goes on as if they had."""
    rng = np.random.default_rng(1)
    pixels = rng.choice(np.array([7, 80, 200], np.uint8), (1, 10, 11)).repeat(channels, 0)
    pixels[:, 3:6] = noise(3, 11)[:channels]
    found = agree(pixels, some_numbers(10, 11), method=Method(network, colours=True))
    escaped = {owner // channels for *_, owner in found.decisions if owner < pixels.size}
    assert 20 < 110 - len(escaped) < 90


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_pictures_come_back(kind):
    """Larger ones, by every method, packed on two threads and unpacked on one."""
    for height, width in ((21, 30), (1, 99), (70, 1)):
        pixels, made = KINDS[kind](height, width), model(some_numbers(height, width))
        for flags in product((False, True), repeat=3):
            encoder, found = Encoder(), np.zeros(pixels.shape, np.uint8)
            PhotoCoder(made).code(encoder, pixels.copy(), Method(*flags), 2, lambda pixels: None)
            PhotoCoder(made).code(Decoder(encoder.finish()), found, Method(*flags), 1, lambda pixels: None)
            np.testing.assert_array_equal(found, pixels, f"{height} x {width} by {Method(*flags)}")


def test_any_payload_decodes_or_is_damaged():
    """Decisions that no encoder made lead to some picture: compiled code stays within its arrays."""
    rng, made, damaged = np.random.default_rng(2), model(some_numbers(9, 11)), 0
    for flags in product((False, True), repeat=3):
        for channels in (1, 3):
            for length in (0, 1, 7, 100, 2000):
                decoder = Decoder(rng.integers(1, 256, length, np.uint8).tobytes())
                try:
                    pixels = np.zeros((channels, 9, 11), np.uint8)
                    PhotoCoder(made).code(decoder, pixels, Method(*flags), 1, lambda pixels: None)
                except DamagedFile:
                    damaged += 1
    assert damaged < 5  # whatever starts below the end of the first interval is a picture


def test_flushing_denormals_changes_nothing():
    """On a long flat stretch all sums decay through them."""
    torch = pytest.importorskip("torch")
    pixels = constant(2, 1500, 77)
    pixels[:, :, :100] = noise(2, 100)

    def payload() -> bytes:
        encoder = Encoder()
        PhotoCoder(model(some_numbers(1, 1))).code(encoder, pixels, Method(network=False), 1, lambda pixels: None)
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
    learned, alone = (Coded(model(numbers), values, method).encoder.costs().sum() for method in (LEARNING, ALONE))
    assert 2 * 3600 < learned < 6 * 3600 and alone > 19 * 3600


def test_without_a_network_the_scale_fits_the_errors():
    """Within a tenth of what a code of fixed best scale takes, or better, for errors of a known kind."""
    pixels = (128 + np.random.default_rng(0).laplace(0, 6, (1, 60, 60))).clip(0, 255).astype(np.uint8)
    spent = Coded(model(some_numbers(1, 1)), pixels, Method(False, False)).encoder.costs().sum()
    errors = pixels[0] - predict_picture(colours(pixels))[0] / 64

    def fixed(scale):
        """Bits of a logistic around the prediction."""
        above, below = (1 / (1 + np.exp(-(errors + step) / scale)) for step in (0.5, -0.5))
        return -np.log2(np.maximum(above - below, 2.0**-20)).sum()

    assert spent < 1.1 * min(fixed(scale) for scale in (2, 3, 4, 5, 6, 8, 10))


def test_the_blend_is_better_than_what_it_is_made_of():
    """On what it is made for: its scales, which are mean absolute errors, are the smallest."""
    pixels = photograph(40, 60)
    numbers = np.zeros((40, 60, 10), np.int32)
    state = Coded(model(numbers), pixels, LEARNING).state
    errors = (state.scales[..., 0] - first_scales({})[..., 0]).sum((0, 2, 3))
    assert (errors[0] < errors[1:]).all()


# What a tile starts with.


def test_what_a_model_brings_is_what_a_tile_starts_with():
    plain, own = start({}), brought()
    assert (plain[0][:, :3] == learning._PLAIN).all() and not plain[0][:, 3:].any() and (plain[1] == 21845).all()
    weights, final = start(own)
    np.testing.assert_array_equal(weights[:, : EXPERTS + 1], own[WEIGHTS].astype(int) * 32)
    np.testing.assert_array_equal(final, own[FINAL].astype(int) * 32)
    assert not weights[:, EXPERTS + 1 :].any() and abs(weights).max() <= WEIGHT_LIMIT
    scales, means = first_scales(own), first_scales({})[..., 0] // 4
    assert (scales[..., 1] == 4).all()
    np.testing.assert_array_equal(scales[..., 0], 4 * np.where(own[SCALES] > 0, np.maximum(own[SCALES], 16), means))


def test_rivals_start_with_the_error_of_their_class():
    scales = first_scales({})
    means = scales[0, 0, :, 0, 0] / 4 / 64
    assert [error_class(int(mean * 64)) for mean in means[6:20]] == list(range(6, 20))
    assert (means[:2] == 0.25).all() and (scales == scales[0, 0, :, :1]).all()


def test_what_another_version_brings_is_refused():
    own = brought()
    for key in (WEIGHTS, FINAL):
        for wrong in (own[key][1:], own[key][:, 1:]):
            with pytest.raises(WrongModel, match="the model's mixing.weights have shape .* another version"):
                start(own | {key: wrong})
    for wrong in (own[SCALES][1:], own[SCALES] - 1):
        with pytest.raises(WrongModel, match="mixing.scales do not fit"):
            first_scales(own | {SCALES: wrong})


def test_a_vector_that_was_never_used_starts_like_its_kind():
    """kinds_mean: each context's vector is the mean of those of the same plane, class and kind, by visits."""
    rng, vectors = np.random.default_rng(2), sum(learning.SETS)
    visits = rng.integers(0, 9, vectors) * (np.arange(vectors) % 3 > 0)
    weights = rng.normal(size=(vectors, 5))
    mean = kinds_mean(weights * visits[:, None], visits)
    first, size = learning.SETS[0], learning.SETS[1]
    overall = np.average(weights[first : first + size], axis=0, weights=visits[first : first + size])
    for place in (0, 7, 179):
        part = slice(first + 24 * place, first + 24 * (place + 1))
        wanted = ((weights[part] * visits[part, None]).sum(0) + overall) / (visits[part].sum() + 1)
        np.testing.assert_allclose(mean[part], np.tile(wanted, (24, 1)))
    assert mean.shape == weights.shape and np.isfinite(kinds_mean(weights * 0, visits * 0)).all()


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
    "smooth": "ac3225e867131fdaf9ed00df3b2d0ab686d2acf9a2c2f8ef1ec58d4f0e2fa514",
    "colours": "72785dddef4a578027cfb9cd6b1ec034cefdf0e6e54d8905556cd80315d119ab",
    "noise": "925b3a48f9158da740915be20003a953b220ed33c97720fce560e15917762989",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_payloads(name):
    """Files must stay decodable for ever: of colour and grey, learned, by the network alone and without one."""
    numbers, pixels = golden_tile(name)
    made, digest = model(numbers, integer_tables()), hashlib.sha256()
    for method in (LEARNING, ALONE, Method(network=False), Method(False, False)):
        for planes in (pixels, pixels[:1].copy()):
            digest.update(Coded(made, planes, method).encoder.finish())
    assert digest.hexdigest() == GOLDEN[name]
