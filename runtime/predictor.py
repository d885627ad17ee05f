"""Online least squares: the predictor that learns the picture while it is coded, on both sides of the coder.

Pixels are visited along the wavefront: level t holds the positions (r, c) with c + 2 r = t. For each plane a linear
prediction from known neighbours is refitted at every pixel over an exponential window of the coded past; the windows
of neighbouring rows are joined by a prefix sum over the rows of a level, so rows never wait for each other's solution.
Only + - * / on float64 in a fixed order; the prediction leaves rounded to 1/64 grey level, so both sides, every
machine and any number of threads get the same integers. Pixels are uint8 [3, H, W] in coding order (R, G, B).
"""

from dataclasses import dataclass

import numpy as np

from .kernels import kernel
from .lanes import LANES, decay_add, eliminate, multiply_add, reciprocal, substitute

UNIT = 64  # predictions are integers in 1/64 grey level
TOP, LEFT, RIGHT = 4, 6, 8  # padding around the picture
FILL = 128  # value of what lies above the first row
RING = 8  # columns of a row whose errors are kept, a power of two
FIRST_ERROR = 4 * UNIT  # absolute error assumed where none is known yet
_WEIGHT_FLOOR = 0.3  # sample weight = 1 / (mean absolute error nearby + floor)

_OWN = (
    (0, -1),
    (-1, 0),
    (-1, 1),
    (0, -2),
    (-2, 0),
    (-1, -2),
    (-2, 1),
    (-2, -1),
    (0, -3),
    (-2, 2),
    (-3, 0),
    (-2, -2),
    (-2, 3),
    (-3, 1),
    (-1, -3),
    (-3, -1),
)
_OTHER = ((0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1))


@dataclass(frozen=True)
class Settings:
    """One least-squares predictor. `sizes[k]`: neighbours used of plane k itself, of the first and the second other."""

    sizes: tuple[tuple[int, int, int], ...] = ((16, 2, 2), (10, 8, 2), (10, 8, 6))
    decay: float = 0.92  # per pixel along the row
    row_decay: float = 0.80  # per row above
    ridge: tuple[float, float, float] = (16.0, 3.0, 3.0)

    def taps(self, plane: int) -> np.ndarray:
        """Features of one plane, int32 [n, 3]: (plane, row offset, column offset), most useful first."""

        def on(source, offsets):
            return [(source, *offset) for offset in offsets]

        own, first, second = self.sizes[plane]
        others = (
            (on(1, _OTHER), on(2, _OTHER)),
            ([(0, 0, 0)] + on(0, _OTHER), on(2, _OTHER)),
            ([(1, 0, 0)] + on(1, _OTHER), [(0, 0, 0)] + on(0, _OTHER)),
        )[plane]
        return np.array(on(plane, _OWN)[:own] + others[0][:first] + others[1][:second], np.int32)


def rows_of(level: int, height: int, width: int) -> tuple[int, int]:
    """First and last + 1 row of a wavefront level."""
    return max(0, (level - width + 2) // 2), min(height - 1, level // 2) + 1


class Predictor:
    """State of one picture (or tile): call solve, predict and put for planes 0, 1, 2 of level 0, 1, 2, ...

    `planes` is the padded picture, uint8 [3, TOP + H, LEFT + W + RIGHT]; `put` writes it. `solve(level, k)` needs only
    the levels before, so all planes of a level may be solved at once, on several threads (the kernels drop the GIL).
    """

    def __init__(
        self,
        height: int,
        width: int,
        settings: Settings = Settings(),
        interval: int = 1,
        planes: np.ndarray | None = None,
    ):
        """interval: levels from one refit to the next. planes: those of another predictor, to share (it puts)."""
        self.height, self.width, self.settings = height, width, settings
        self.levels = width + 2 * (height - 1)
        self.shares = planes is not None
        self.planes = np.full((3, TOP + height, LEFT + width + RIGHT), FILL, np.uint8) if planes is None else planes
        self.bases = np.zeros((3, height), np.int32)
        stride, plane = self.planes.shape[2], self.planes[0].size
        self.fits, self._sources, self._offsets = [], [], []
        for k in range(3):
            taps = settings.taps(k)
            self._sources.append(taps[:, 0].astype(np.int64))
            self._offsets.append((taps[:, 0] * plane + taps[:, 1] * stride + taps[:, 2]).astype(np.int64))
            rates = np.array([settings.decay, settings.row_decay, settings.ridge[k]])
            self.fits.append(Fit(height, len(taps), rates, interval, self.planes[k]))

    def solve(self, level: int, k: int) -> None:
        """Learn from level - 1 and refit the weights of plane k for every row of `level`."""
        solve(level, self.height, self.width, *self.fits[k].arrays)

    def predict(self, level: int, k: int) -> np.ndarray:
        """Predictions of plane k at `level`, int32 [n] in 1/64 grey level, rows ascending; valid until the next."""
        fit = self.fits[k]
        first, end = rows_of(level, self.height, self.width)
        _predict(
            level,
            k,
            first,
            end,
            self.planes.reshape(-1),
            self.planes.shape[1],
            self.planes.shape[2],
            self._sources[k],
            self._offsets[k],
            fit.features,
            fit.weights,
            fit.origins,
            self.bases[k],
        )
        return self.bases[k, first:end]

    def put(self, level: int, k: int, values: np.ndarray) -> None:
        """Enter the true values of plane k at `level`, uint8 [n], rows ascending."""
        first, end = rows_of(level, self.height, self.width)
        _put(level, first, end, self.width, self.planes[k], self.shares, self.fits[k].errors, self.bases[k], values)


class Fit:
    """Least-squares state of one plane, in blocks of eight rows.

    rates: decay, row_decay and ridge. plane: uint8, padded as in Predictor, the target. `arrays` is what `solve` takes.
    """

    def __init__(self, height: int, n: int, rates: np.ndarray, interval: int, plane: np.ndarray):
        blocks = -(-height // LANES)
        self.sums = np.zeros((blocks, n * (n + 1) // 2 + n, LANES))  # packed, with the augmented column
        self.features = np.zeros((blocks, n + 1, LANES))  # of the last prediction; [n] is its target
        self.weights = np.zeros((blocks, n, LANES))
        self.origins = np.zeros((blocks, LANES))  # what prediction and target are relative to
        self.errors = np.full((height + 1, RING), FIRST_ERROR, np.int32)  # [r + 1, c % RING]: absolute, of the last c
        self.arrays = (plane, self.errors, self.sums, self.features, self.weights, self.origins, rates, interval)


def predict_picture(pixels: np.ndarray, settings: Settings = Settings()) -> np.ndarray:
    """All predictions for a known picture: uint8 [3, H, W] -> int16 [3, H, W] in 1/64 grey level.

    The same kernels in the same order as the coder runs them; used to prepare training data.
    """
    _, height, width = pixels.shape
    state = Predictor(height, width, settings)
    bases = np.empty(pixels.shape, np.int16)
    for level in range(state.levels):
        first, end = rows_of(level, height, width)
        rows = np.arange(first, end)
        for k in range(3):
            state.solve(level, k)
            bases[k, rows, level - 2 * rows] = state.predict(level, k)
            state.put(level, k, pixels[k, rows, level - 2 * rows])
    return bases


@kernel
def error_nearby(errors, row, c):
    """Eight times the mean absolute error of a Fit around a position, in 1/64 grey level."""
    near = errors[row + 1, (c - 1) % RING] + errors[row + 1, (c - 2) % RING] + errors[row, (c - 1) % RING]
    return 2 * near + errors[row, c % RING] + errors[row, (c - 2) % RING]


@kernel
def solve(level, height, width, plane, errors, sums, features, weights, origins, rates, interval):
    """Enters the samples of level - 1 into a Fit and, at every interval-th level, refits the rows of `level`."""
    one, zero, lanes = np.uint64(1), np.uint64(0), np.uint64(LANES)
    n = np.uint64(weights.shape[1])
    m = n + one
    size = np.uint64(sums.shape[1])
    decay, row_decay, ridge = rates
    first, last = max(0, (level - width + 2) // 2), min(height - 1, level // 2)
    start = max(first - 1, 0)  # the last ended row still counts
    carry = np.zeros(size)
    a = np.empty((size, LANES))
    keep, weight, inverse = np.empty((1, LANES)), np.empty((1, LANES)), np.empty((1, LANES))
    for block in range(start // LANES, last // LANES + 1):
        for lane in range(LANES):
            row = block * LANES + lane
            c = level - 2 * row
            keep[0, lane], weight[0, lane] = 1.0, 0.0
            if first <= row <= last and c > 0:
                e = error_nearby(errors, row, c)
                keep[0, lane], weight[0, lane] = decay, 1.0 / (e * (0.125 / UNIT) + _WEIGHT_FLOOR)
                features[block, n, lane] = plane[row + TOP, c - 1 + LEFT] - origins[block, lane]
        sum_, at = sums[block], zero
        for i in range(n):
            decay_add(sum_, at, keep, weight, features[block], np.uint64(i), m - np.uint64(i))
            at += m - np.uint64(i)
        if level % interval:
            continue
        skip = np.uint64(max(start - block * LANES, 0))
        for i in range(size):
            total = carry[i]
            for lane in range(lanes):
                if lane >= skip:
                    total = row_decay * total + sum_[i, lane]
                a[i, lane] = total
            carry[i] = total
        if block * LANES + LANES <= first:
            continue
        at = zero
        for i in range(n):
            for lane in range(lanes):
                a[at, lane] += ridge
            at += m - np.uint64(i)
        pivot = zero
        for j in range(n):
            reciprocal(inverse, a, pivot)
            at = pivot + (m - np.uint64(j))
            for i in range(np.uint64(j) + one, n):
                eliminate(a, at, pivot + (np.uint64(i) - np.uint64(j)), inverse, m - np.uint64(i))
                at += m - np.uint64(i)
            pivot += m - np.uint64(j)
        for j in range(n):
            i = n - one - np.uint64(j)
            at = pivot - (m - i)
            pivot = at
            substitute(weights[block], i, a, at, n)
    if level % interval and level % 2 == 0 and 0 < level // 2 < height:
        row = level // 2  # a row that begins between two refits takes over its neighbour's weights
        for i in range(n):
            weights[row // LANES, i, row % LANES] = weights[(row - 1) // LANES, i, (row - 1) % LANES]


@kernel
def _predict(level, k, first, end, flat, rows, stride, sources, offsets, features, weights, origins, bases):
    n = len(offsets)
    value, ref = np.empty((1, LANES)), np.empty(3)
    for block in range(first // LANES, (end - 1) // LANES + 1):
        f = features[block]
        for lane in range(LANES):
            row = block * LANES + lane
            if row < first or row >= end:
                value[0, lane] = 0.0
                continue
            here = (row + TOP) * stride + level - 2 * row + LEFT
            for p in range(3):
                at = here + p * rows * stride
                above = int(flat[at - stride - 1]) + int(flat[at - stride]) + int(flat[at - stride + 1])
                ref[p] = 0.25 * (int(flat[at - 1]) + above)
            for i in range(n):
                f[i, lane] = flat[here + offsets[i]] - ref[sources[i]]
            origin = ref[k]
            if k == 1:
                origin += flat[here] - ref[0]
            elif k == 2:
                origin += 0.5 * (flat[here] - ref[0]) + 0.5 * (flat[here + rows * stride] - ref[1])
            origins[block, lane] = origin
            value[0, lane] = origin
        multiply_add(value, weights[block], np.uint64(0), f, np.uint64(n))
        for lane in range(max(0, first - block * LANES), min(LANES, end - block * LANES)):
            prediction = min(max(value[0, lane], 0.0), 255.0)
            bases[block * LANES + lane] = np.int32(prediction * UNIT + 0.5)


@kernel
def _put(level, first, end, width, plane, known, errors, bases, values):
    for row in range(first, end):
        c = level - 2 * row
        x = values[row - first]
        errors[row + 1, c % RING] = abs(np.int32(x) * UNIT - bases[row])
        if known:
            continue
        plane[row + TOP, c + LEFT] = x
        if c == 0 and row + 1 + TOP < plane.shape[0]:
            plane[row + 1 + TOP, :LEFT] = x
        if c == width - 1:
            plane[row + TOP, LEFT + width :] = x
