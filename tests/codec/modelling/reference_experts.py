"""Learning while a photograph is coded again, slowly: codec/modelling/experts.py and codec/tile_coders/photo.py.

State is kept by what it belongs to. A tile is walked once, position by position, and every decision learns right after
it is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from codec.modelling import experts
from codec.modelling.logistic import ERROR_CLASS, LOG_SCALE
from runtime.least_squares import Settings
from tests.codec.modelling.reference_blend import Blend, nearby
from tests.codec.modelling.reference_mixer import Mixer, Table, squash, stretch
from tests.codec.modelling.reference_mixture import GROWTH, STEPS, Position, limited, splits
from tests.codec.modelling.reference_ratio_tables import Counts, Window
from tests.runtime.reference_least_squares import f32, predict, rows_of

RIVALS, EXPERTS = 4, 7
DEVIATIONS = (96, 192, 384, 768)
NARROW, WIDE = experts._NARROW, experts._WIDE
CONSTANT = experts._CONSTANT
RATES = experts._RATES.tolist()


def vector_number(vector: tuple) -> int:
    """Where a model keeps the weights that a vector starts with."""
    which, k, *rest = vector
    if which == 0:
        z, kind = rest
        return (k * 5 + z) * 65 + kind
    if which == 1:
        z, step, error = rest
        return 3 * 5 * 65 + ((k * 5 + z) * 12 + step) * 24 + error
    step, side, cross = rest
    return 3 * 5 * 65 + 3 * 5 * 12 * 24 + ((k * 12 + step) * 3 + side) * 8 + cross


def place_number(place: tuple) -> int:
    k, z, step = place
    return (k * 5 + z) * 12 + step


@dataclass
class Decision:
    """frequency of 1 out of 2^24, the truth, and what was mixed: none where the mixture alone was asked."""

    frequency: int
    symbol: int
    owner: int
    inputs: list[int] | None = None


class Experts:
    """What a tile has taught so far. It begins as a model's tensors say; a test may replace the starts."""

    def __init__(self, pixels: np.ndarray, planes: int, tables: dict):
        self.width = pixels.shape[2]
        self.blend, self.counts = Blend(pixels, planes), Counts()
        self.error = {}  # (plane, r, c): 64 x - the network's mean
        weights, final = (array.astype(int) for array in experts.start(tables))
        self.mixer = Mixer(
            lambda vector: weights[vector_number(vector), : EXPERTS + 1].tolist(),
            lambda place: final[place_number(place)].tolist(),
            RATES,
            20,
        )
        scales = experts.first_scales(tables)
        self.scales = Table(lambda context: tuple(scales[context].tolist()))  # (sum, number) of errors

    def cross(self, k: int, r: int, c: int) -> int:
        """The class of the network's errors in the other planes: here in those known already, else left and above."""

        def e(plane: int, dr: int, dc: int) -> int:
            return abs(self.error.get((plane, r + dr, c + dc), 256))

        if k == 0:
            error = (e(1, 0, -1) + e(1, -1, 0) + e(2, 0, -1) + e(2, -1, 0)) >> 2
        else:
            error = e(0, 0, 0) if k == 1 else e(1, 0, 0) + (e(0, 0, 0) >> 1)
        return sum(error > limit for limit in experts._CROSS.tolist())

    def code(self, position: Position, place: tuple, base: int, before: list[int], value: int, known: bool) -> list:
        """(frequency, decision, inputs) of plane k at (r, c), place = (k, r, c), and learns."""
        k, r, c = place
        self.seen = error_class(nearby(self.error, k, r, c, self.width)), self.cross(k, r, c)
        prediction = self.blend.predict(k, r, c, base, position.mean)
        self.rivals, used = [], []
        for q in range(RIVALS):
            used.append((k, q, error_class(self.blend.nearby(k, q, r, c)), self.seen[1]))
            total, number = self.scales[used[-1]]
            self.rivals.append((prediction.members[q], experts._SHARPNESS * number // total))
        found = [] if known else list(self.decisions(position, k, before, value))
        for q, context in enumerate(used):
            total, number = self.scales[context]
            total, number = total + max(abs(64 * value - prediction.members[q]), 16), number + 1
            self.scales[context] = (total // 2, number // 2) if number > experts._MANY else (total, number)
        self.error[place] = 64 * value - position.mean
        self.blend.put(k, r, c, value, prediction)
        return found

    def decisions(self, position: Position, k: int, before: list[int], value: int) -> Iterator[tuple]:
        z = sum(position.deviation > limit for limit in DEVIATIONS)
        centre = limited((position.mean >> 6) + 1, 1, 255)
        window = Window(self.counts, position, k, before, centre)
        way = list(splits(value, position.mean, position.deviation))

        def masses(v: int) -> list[int]:
            return window.masses(v) + [self.rival_mass(q, v, position.tables["logistic"]) for q in range(RIVALS)]

        for j, ((low, split, high, upper, symbol), (kind, step)) in enumerate(zip(way, kinds(z, centre, value, way))):
            below, middle, above = ([0] * EXPERTS if v == 0 else masses(v) for v in (low, split, high))
            inputs = []
            for e in range(EXPERTS):
                part = abs(above[e] - middle[e]) if upper else abs(below[e] - middle[e])
                whole = max(above[e] - below[e], 1)
                share = int(f32(part) * f32(65536) / f32(whole))
                inputs.append(stretch(limited(share, 16, 65520)))
            side = 0 if j == 0 else 1 + int(value >= centre)
            vectors = [(0, k, z, kind), (1, k, z, step, self.seen[0]), (2, k, step, side, self.seen[1])]
            inputs.append(CONSTANT)
            frequency = 256 * squash(self.mixer.mix(inputs, vectors, (k, z, step)))
            self.mixer.learn(symbol)
            yield frequency, symbol, inputs
        window.learn(value)

    def rival_mass(self, q: int, v: int, logistic: list[int]) -> int:
        """Two logistics at the same prediction, one three times as wide."""
        mean, inverse = self.rivals[q]
        if v == 256:
            return (1 << 22) + 1024
        mass = NARROW * inside(logistic, mean, inverse, v) + WIDE * inside(logistic, mean, inverse // 3, v)
        return (mass >> 15) + 4 * v


def inside(logistic: list[int], mean: int, inverse: int, v: int) -> int:
    """The logistic table below v - 1/2, held at its last position but one above."""
    position = limited((((64 * v - 32 - mean) * inverse) >> 14) + (2048 << 8), 0, (4096 << 8) - 1)
    entry, part = divmod(position, 256)
    return logistic[entry] + ((logistic[entry + 1] - logistic[entry]) * part >> 8)


def kinds(z: int, centre: int, value: int, way: list[tuple]) -> Iterator[tuple[int, int]]:
    """(kind, step) of every decision on this way to a value."""
    yield 0, 0
    side = int(value >= centre)
    size = 256 - centre if side else centre
    climbing = True
    for j, (low, _, high, _, symbol) in enumerate(way[1:]):
        climbing = climbing and STEPS[z] * GROWTH[j] < size
        if climbing:
            yield 1 + 16 * side + j, 1 + min(j, 7)
            climbing = symbol == 1
        else:
            n = high - low
            yield 33 + 16 * side + min(n, 15), 9 if n == 2 else 10 if n <= 4 else 11


def error_class(error: int) -> int:
    return int(ERROR_CLASS[min(error >> 2, 2047)])


class Scales:
    """The parameters of a tile without a network: one logistic at the prediction, as wide as the errors nearby."""

    def __init__(self, pixels: np.ndarray, bases: np.ndarray):
        self.errors = abs(pixels.astype(int) * 64 - bases).tolist()

    def parameters(self, r: int, c: int) -> list[int]:
        found = [0] * 10
        for k in range(3):

            def e(dr: int, dc: int, k=k) -> int:
                return self.errors[k][r + dr][c + dc] if r + dr >= 0 and c + dc >= 0 else 256

            error = 2 * (e(0, -1) + e(0, -2) + e(-1, -1)) + e(-1, 0) + e(-1, -2)
            found[4 + k] = int(LOG_SCALE[min(error >> 5, 2047)])
        return found


def walk(
    pixels: np.ndarray,
    parameters: np.ndarray | None,
    tables: dict,
    settings: Settings = Settings(),
    state: Experts | None = None,
    known: np.ndarray | None = None,
) -> list[Decision]:
    """Every decision about the values of a tile, uint8 [C, H, W], in order.

    parameters: int32 [H, W, 10 K], the network's; None without one. settings: the model's predictor's. state: what
    learns; None where nothing does. known: bool [H, W], positions whose values take no decisions.
    """
    channels, height, width = pixels.shape
    colours = pixels if channels == 3 else np.repeat(pixels, 3, 0)
    bases, found = predict(colours, settings), []
    scales, x = Scales(colours, bases), pixels.tolist()
    for level in range(width + 2 * (height - 1)):
        if state:
            state.blend.refit(level)
        for r in rows_of(level, height, width):
            c = level - 2 * r
            position = Position(scales.parameters(r, c) if parameters is None else parameters[r, c], tables)
            for k in range(channels):
                base, value, owner = int(bases[k, r, c]), x[k][r][c], (r * width + c) * channels + k
                position.open(base)
                is_known = known is not None and bool(known[r, c])
                if state:
                    before = [x[p][r][c] for p in range(k)]
                    ways = state.code(position, (k, r, c), base, before, value, is_known)
                else:
                    ways = [] if is_known else [(q, symbol, None) for q, symbol in position.decisions(value)]
                found += [Decision(q, symbol, owner, inputs) for q, symbol, inputs in ways]
                position.learn(value, base)
    return found
