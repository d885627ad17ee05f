"""Online least squares: predictors that learn the picture while it is coded, on both sides of the coder.

Pixels are visited along the wavefront: level t holds the positions (r, c) with c + 2 r = t. For each plane a linear
prediction from known neighbours is refitted at every pixel over an exponential window of the coded past; the windows
of neighbouring rows are joined by a sum over the rows of a level, so rows never wait for each other's solution (after
Ye and Hou's and Ulacha's blended least squares; this form is this project's).
Only + - * / on float32 in a fixed order; a prediction leaves rounded to 1/64 grey level, so both sides, every machine
and any number of threads get the same integers. Pixels are uint8 [3, H, W] in coding order (R, G, B), or uint16
[C, H, W] of any range.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runtime.kernels import inlined, kernel
from runtime.lanes import LANES, accumulate, decay_add, eliminate, eliminate_two, multiply_add, reciprocal, substitute

UNIT = 64  # predictions are integers in 1/64 grey level
TOP, LEFT, RIGHT = 4, 6, 8  # padding around the picture
FILL = 128  # value of what lies above the first row
RING = 8  # columns of a row whose errors are kept, a power of two
LAST = RING - 1  # a column & LAST is its place among them
FIRST_ERROR = 4 * UNIT  # absolute error assumed where none is known yet
_ERROR_SCALE = np.float32(0.125 / UNIT)
_WEIGHT_FLOOR = np.float32(0.3)  # sample weight = 1 / (mean absolute error nearby + floor)
_ZERO, _HALF, _QUARTER, _ONE = np.float32(0), np.float32(0.5), np.float32(0.25), np.float32(1)
ALL = 0, 1 << 30  # rows of a tile: from one, a multiple of LANES, to before the other
WHITE, _PER_LEVEL = 255, np.float32(UNIT)

_OWN = (
    ((0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1), (-2, -1))
    + ((0, -3), (-2, 2), (-3, 0), (-2, -2), (-2, 3), (-3, 1), (-1, -3), (-3, -1))
    + ((0, -4), (-3, 2), (-2, -3), (-3, 3), (-3, -2), (-4, 0), (-3, 4), (-1, -4))
)  # fmt: skip
_OTHER = ((0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1), (-2, -1), (-2, 2), (-1, -3))


@dataclass(frozen=True)
class Settings:
    """One least-squares predictor. `sizes[k]`: neighbours used of plane k itself, of the first and the second other."""

    sizes: tuple[tuple[int, int, int], ...] = ((16, 2, 2), (10, 8, 2), (10, 8, 6))
    decay: float = 0.92  # per pixel along the row
    row_decay: float = 0.80  # per row above
    ridge: tuple[float, float, float] = (16.0, 3.0, 3.0)

    def taps(self, plane: int) -> np.ndarray:
        """Features of one plane, int32 [n, 3]: (plane, row offset, column offset), most useful first, but that those
        of the position itself, one for green, two for blue, come last."""

        def on(source: int, offsets: tuple[tuple[int, int], ...]) -> list[tuple[int, int, int]]:
            return [(source, *offset) for offset in offsets]

        own, first, second = self.sizes[plane]
        others = (
            (on(1, _OTHER), on(2, _OTHER)),
            ([(0, 0, 0)] + on(0, _OTHER), on(2, _OTHER)),
            ([(1, 0, 0)] + on(1, _OTHER), [(0, 0, 0)] + on(0, _OTHER)),
        )[plane]
        found = on(plane, _OWN)[:own] + others[0][:first] + others[1][:second]
        return np.array(sorted(found, key=lambda tap: tap[1:] == (0, 0)), np.int32)


class Size(NamedTuple):
    """Of a picture or tile, in pixels."""

    height: int
    width: int

    @property
    def levels(self) -> int:
        return self.width + 2 * (self.height - 1)


class Canvas(NamedTuple):
    """The known pixels of a tile, uint8 or uint16 [C, TOP + H, LEFT + W + RIGHT], padded, and for each row of the level
    at hand what its features are relative to: the mean of four neighbours in each plane, float32 [C, H]."""

    size: Size
    pixels: np.ndarray
    references: np.ndarray
    white: np.float32  # the largest value that there is


class Workspace(NamedTuple):
    """What one block's solution takes, float32; planes have their own, for they may be fitted at the same time."""

    matrix: np.ndarray  # [3, M, 8], packed, with the augmented column
    carry: np.ndarray  # [3, M]: what the rows above add up to
    scaled: np.ndarray  # [3, interval, N + 1, 8]: features times weights of the samples
    lanes: np.ndarray  # [3, 2, 2, 8]: two reciprocal pivots, which rows count, a sum


class Fits(NamedTuple):
    """Least squares of C planes, mostly three, in blocks of eight rows."""

    counts: np.ndarray  # int64 [3]: features n of each plane
    rates: np.ndarray  # float32 [3, 10]: ridge, decay, and powers 1 to 8 of the row decay
    interval: int  # levels from one refit to the next
    squared: bool  # whether a sample's weight is the square of what it is otherwise
    sums: np.ndarray  # float32 [3, B, M, 8]: packed, with the augmented column
    features: np.ndarray  # float32 [3, B, interval, N + 1, 8]: of the levels since the last refit; [n] is the target
    samples: np.ndarray  # float32 [3, 2, B, interval, 8]: decay and weight of these
    weights: np.ndarray  # float32 [3, B, N, 8]
    errors: np.ndarray  # int32 [3, H + 1, RING], [r + 1, c & LAST]: absolute, of the last c, in 1/64 grey level
    work: Workspace


class Predictor(NamedTuple):
    """Fits whose features are pixels: plane and offset into the canvas of each, int64 [3, N], and of each row of the
    level at hand what the known ones add up to, float32 [3, H]."""

    fits: Fits
    sources: np.ndarray
    offsets: np.ndarray
    partial: np.ndarray


def canvas(height: int, width: int, planes: int = 3, white: int = WHITE) -> Canvas:
    """An empty one, of bytes or of larger values."""
    fill = (white + 1) // 2
    pixels = np.full((planes, TOP + height, LEFT + width + RIGHT), fill, np.uint8 if white == WHITE else np.uint16)
    return Canvas(Size(height, width), pixels, np.full((planes, height), fill, np.float32), np.float32(white))


def fits(
    height: int,
    counts: list[int],
    decay: float,
    row_decay: float,
    ridge: Sequence[float],
    interval: int = 1,
    squared: bool = False,
) -> Fits:
    """Fits that have seen nothing. counts, ridge: one for each plane."""
    blocks, n, planes = -(-height // LANES), max(counts), len(counts)
    packed = n * (n + 1) // 2 + n
    powers = np.multiply.accumulate(np.full(LANES, row_decay, np.float64))  # no library's power function
    rates = np.array([[ridge[k], decay, *powers] for k in range(planes)], np.float32)
    return Fits(
        np.array(counts, np.int64),
        rates,
        interval,
        squared,
        np.zeros((planes, blocks, packed, LANES), np.float32),
        np.zeros((planes, blocks, interval, n + 1, LANES), np.float32),
        np.zeros((planes, 2, blocks, interval, LANES), np.float32),
        np.zeros((planes, blocks, n, LANES), np.float32),
        np.full((planes, height + 1, RING), FIRST_ERROR, np.int32),
        Workspace(
            np.zeros((planes, packed, LANES), np.float32),
            np.zeros((planes, packed), np.float32),
            np.zeros((planes, interval, n + 1, LANES), np.float32),
            np.zeros((planes, 2, 2, LANES), np.float32),
        ),
    )


def predictor(canvas: Canvas, settings: Settings, interval: int = 1, squared: bool = False) -> Predictor:
    """A predictor of the canvas that has seen nothing. interval: levels from one refit to the next."""
    height, (planes, _, stride), plane = canvas.size.height, canvas.pixels.shape, canvas.pixels[0].size
    taps = [settings.taps(k) for k in range(planes)]
    counts = [len(found) for found in taps]
    sources, offsets = np.zeros((2, planes, max(counts)), np.int64)
    for k, found in enumerate(taps):
        sources[k, : len(found)] = found[:, 0]
        offsets[k, : len(found)] = found[:, 0] * plane + found[:, 1] * stride + found[:, 2]
    state = fits(height, counts, settings.decay, settings.row_decay, settings.ridge, interval, squared)
    return Predictor(state, sources, offsets, np.zeros((planes, height), np.float32))


def predict_picture(pixels: np.ndarray, settings: Settings = Settings()) -> np.ndarray:
    """All predictions for a known picture: uint8 [3, H, W] -> int16 [3, H, W] in 1/64 grey level.

    The same kernels in the same order as the coder runs them; used to prepare training data.
    """
    bases = np.empty(pixels.shape, np.int16)
    empty = canvas(*pixels.shape[1:])
    _predict_picture(np.ascontiguousarray(pixels), empty, predictor(empty, settings), bases)
    return bases


@kernel
def _predict_picture(pixels, canvas, predictor, bases):
    size = canvas.size
    for level in range(size.width + 2 * (size.height - 1)):
        first, end = rows_of(level, size)
        for k in range(3):
            refit(level, size, k, predictor.fits)
            foresee(level, k, canvas, predictor)
        for row in range(first, end):
            for k in range(3):
                bases[k, row, level - 2 * row] = take_over(level, k, row, pixels, canvas, predictor)
        refer(level + 1, canvas)


@inlined
def rows_of(level, size, rows=ALL):
    """First and last + 1 row of a wavefront level, of those in `rows`."""
    first, end = max(0, (level - size.width + 2) // 2), min(size.height - 1, level // 2) + 1
    return max(first, rows[0]), min(end, rows[1])


@inlined
def error_nearby(errors, row, c):
    """Eight times the mean absolute error around a position, of a plane's errors as Fits keeps them."""
    near = errors[row + 1, (c - 1) & LAST] + errors[row + 1, (c - 2) & LAST] + errors[row, (c - 1) & LAST]
    return 2 * near + errors[row, c & LAST] + errors[row, (c - 2) & LAST]


@inlined
def slot_of(level, k, fits):
    """Where a level's samples wait for the next refit, which is behind the last slot: at another level for each plane,
    so that no level has to solve them all."""
    return (level + k * fits.interval // 3) % fits.interval


@kernel
def refit(level, size, k, fits, rows=ALL):
    """Takes the samples of the level before into the fits of plane k; at every interval-th level solves them anew.

    rows: those to do; all parts of a level must be done, one after the other downwards.
    """
    first, end = rows_of(level, size)
    start = max(first - 1, 0)  # the last ended row still counts
    blocks = max(start, rows[0]) // LANES, (min(end, rows[1]) + LANES - 1) // LANES
    slot = slot_of(level - 1, k, fits)
    keep, weight = fits.samples[k, 0], fits.samples[k, 1]
    for block in range(blocks[0], blocks[1]):
        for lane in range(LANES):
            row = block * LANES + lane
            c = level - 2 * row
            keep[block, slot, lane], weight[block, slot, lane] = _ONE, _ZERO
            if first <= row < end and c > 0:
                error = np.float32(error_nearby(fits.errors[k], row, c))
                keep[block, slot, lane] = fits.rates[k, 1]
                expected = error * _ERROR_SCALE + _WEIGHT_FLOOR
                weight[block, slot, lane] = _ONE / (expected * expected if fits.squared else expected)
    if slot == fits.interval - 1:
        _solve(start, first, k, fits, blocks)
    elif level % 2 == 0 and rows[0] <= level // 2 < min(rows[1], size.height) and level > 0:
        row = level // 2  # a row that begins between two refits takes over its neighbour's weights
        for i in range(fits.counts[k]):
            above = fits.weights[k, (row - 1) // LANES, i, (row - 1) % LANES]
            fits.weights[k, row // LANES, i, row % LANES] = above


@kernel
def _solve(start, first, k, fits, blocks):
    """Some blocks of the rows from `start` on: their samples since the last refit, then the weights of those from
    `first` on. What the rows above add up to is carried from one part of a level to the next."""
    one, zero, samples = np.uint64(1), np.uint64(0), np.uint64(fits.interval)
    n = np.uint64(fits.counts[k])
    m = n + one
    size, stride = n * m // np.uint64(2) + n, np.uint64(fits.features.shape[3])
    a, carry, scaled = fits.work.matrix[k], fits.work.carry[k], fits.work.scaled[k]
    inverses, visible = fits.work.lanes[k, 0], fits.work.lanes[k, 1]
    powers, ridge = fits.rates[k, 2:], fits.rates[k, 0]
    if blocks[0] == start // LANES:
        carry[:] = _ZERO
    for block in range(blocks[0], blocks[1]):
        features, sums = fits.features[k, block], fits.sums[k, block]
        weight = fits.samples[k, 1, block]
        for s in range(samples):
            for i in range(m):
                for lane in range(LANES):
                    scaled[s, i, lane] = weight[s, lane] * features[s, i, lane]
        at = zero
        for i in range(n):
            decay_add(sums, at, fits.samples[k, 0, block], scaled, features, i, m - i, samples, stride)
            at += m - i
        for lane in range(LANES):
            visible[0, lane] = _ONE if block * LANES + lane >= start else _ZERO
        accumulate(a, sums, visible, powers, carry, size)
        if block * LANES + LANES <= first:
            continue
        at = zero
        for i in range(n):
            for lane in range(LANES):
                a[at, lane] += ridge
            at += m - i
        _triangulate(a, n, inverses)
        pivot = size
        for j in range(n):
            i = n - one - j
            pivot -= m - i
            substitute(fits.weights[k, block], i, a, pivot, n)


@inlined
def _triangulate(a, n, inverses):
    """Gaussian elimination of n packed rows with their augmented column, two pivots at a time."""
    one, two = np.uint64(1), np.uint64(2)
    m, pivot, j = n + one, np.uint64(0), np.uint64(0)
    while j + one < n:
        following = pivot + (m - j)
        reciprocal(inverses, a, pivot)
        eliminate(a, following, pivot + one, inverses, m - j - one)
        reciprocal(inverses[1:], a, following)
        at = following + (m - j - one)
        for i in range(j + two, n):
            eliminate_two(a, at, pivot + (i - j), following + (i - j - one), inverses, m - i)
            at += m - i
        pivot = following + (m - j - one)
        j += two


@kernel
def refer(level, canvas, rows=ALL):
    """Sets the references of rows of a level, which `foresee` and `predict` need, once those before are drawn."""
    first, end = rows_of(level, canvas.size, rows)
    for p in range(len(canvas.pixels)):
        for row in range(first, end):
            above, c = canvas.pixels[p, row + TOP - 1], level - 2 * row + LEFT
            total = np.int32(canvas.pixels[p, row + TOP, c - 1]) + np.int32(above[c - 1])
            total += np.int32(above[c]) + np.int32(above[c + 1])
            canvas.references[p, row] = _QUARTER * np.float32(total)


@kernel
def foresee(level, k, canvas, predictor, rows=ALL):
    """Features of plane k for rows of a level but those of the position itself, and what they add up to."""
    first, end = rows_of(level, canvas.size, rows)
    flat, stride = canvas.pixels.reshape(-1), canvas.pixels.shape[2]
    fits, known = predictor.fits, predictor.fits.counts[k] - k
    value, slot = fits.work.lanes[k, 1, 1:], slot_of(level, k, fits)
    for block in range(first // LANES, (end - 1) // LANES + 1):
        f = fits.features[k, block, slot]
        low, high = max(first - block * LANES, 0), min(end - block * LANES, LANES)
        here = (block * LANES + TOP) * stride + level - 2 * block * LANES + LEFT
        for i in range(known):
            at, references = here + predictor.offsets[k, i], canvas.references[predictor.sources[k, i]]
            for lane in range(low, high):
                f[i, lane] = np.float32(flat[at + lane * (stride - 2)]) - references[block * LANES + lane]
        for lane in range(LANES):
            value[0, lane] = canvas.references[k, block * LANES + lane] if low <= lane < high else _ZERO
        multiply_add(value, fits.weights[k, block], f, np.uint64(known))
        for lane in range(low, high):
            predictor.partial[k, block * LANES + lane] = value[0, lane]


@inlined
def predict(level, k, row, canvas, predictor):
    """The prediction of plane k at a level's row, in 1/64 grey level, once the planes before it are drawn there; and
    what the target is relative to, float32."""
    block, lane, fits = row // LANES, row % LANES, predictor.fits
    value, origin = predictor.partial[k, row], canvas.references[k, row]
    if k > 0:
        f, n = fits.features[k, block, slot_of(level, k, fits)], fits.counts[k]
        y, x = row + TOP, level - 2 * row + LEFT
        red = np.float32(canvas.pixels[0, y, x]) - canvas.references[0, row]
        added = red
        if k == 2:
            green = np.float32(canvas.pixels[1, y, x]) - canvas.references[1, row]
            added = _HALF * red + _HALF * green
            f[n - 2, lane] = green
            value += fits.weights[k, block, n - 2, lane] * green
        f[n - 1, lane] = red
        value += fits.weights[k, block, n - 1, lane] * red
        value += added
        origin += added
    return in_units(value, canvas.white), origin


@inlined
def in_units(value, white):
    """A float32 grey level, held within 0 to `white`, in 1/64; 0 for what is no number."""
    value = value if value > _ZERO else _ZERO
    value = value if value < white else white
    return np.int32(value * _PER_LEVEL + _HALF)


@inlined
def draw(k, row, c, value, canvas):
    """Enters a pixel's value of plane k into the canvas."""
    draw_in(row, c, canvas.size.width, value, canvas.pixels[k])


@inlined
def draw_in(row, c, width, value, plane):
    """Enters what a padded plane has at a position and, at the picture's edges, into its padding."""
    plane[row + TOP, c + LEFT] = value
    if c == 0 and row + 1 < plane.shape[0] - TOP:
        for x in range(LEFT):
            plane[row + 1 + TOP, x] = value
    if c == width - 1:
        for x in range(LEFT + width, LEFT + width + RIGHT):
            plane[row + TOP, x] = value


@inlined
def take_over(level, k, row, pixels, canvas, predictor):
    """Predicts, draws and learns a value of a known picture, uint8 [3, H, W]; returns the prediction."""
    predicted = predict(level, k, row, canvas, predictor)
    value = pixels[k, row, level - 2 * row]
    draw(k, row, level - 2 * row, value, canvas)
    learn(level, k, row, value, predicted, predictor.fits)
    return predicted[0]


@inlined
def learn(level, k, row, value, predicted, fits):
    """Enters the true value of what `predict` returned into the fits: its error at once, the sample at the next
    refit."""
    base, origin = predicted
    fits.errors[k, row + 1, (level - 2 * row) & LAST] = abs(np.int32(value) * UNIT - base)
    target = np.float32(value) - origin
    fits.features[k, row // LANES, slot_of(level, k, fits), fits.counts[k], row % LANES] = target
