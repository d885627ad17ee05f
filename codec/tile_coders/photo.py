"""Tiles through a photo network: level by level along the wavefront.

`refit` fits every predictor to the levels before, `prepare` gathers what the network's step reads, and the network
takes its step. `code_level` then codes one position of the level after the other to its end and learns from it. With a
second thread the former run ahead of the latter, by parts of a level (parts.py). Grey tiles (C = 1) are colour tiles
whose other planes are copies that need no decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from codec.entropy import binarisation
from codec.entropy.binarisation import BELOW, decision_for, first_node, moves_up, next_node
from codec.entropy.range_coder import Coder, code, spend_on
from codec.errors import DamagedFile, UnknownOrder
from codec.format.method import INDEXED, AnyMethod, Learning, Method
from codec.modelling import mixture as mixtures
from codec.modelling.blend import refit_blend
from codec.modelling.exact_colours import question
from codec.modelling.exact_colours.memory import colour_of
from codec.modelling.exact_colours.question import ask, exact_colours, take_over
from codec.modelling.experts import RECIPES, Experts, expect, experts, mixed_value, take_in
from codec.modelling.logistic import LOG_SCALE
from codec.modelling.mixture import PARAMETERS, Tables, cdf, explain, place, tables_of, weigh
from codec.modelling.palette.index import code_index, palette
from codec.modelling.palette.listing import code_palette, has_palette
from codec.modelling.ratio_tables import fetch
from codec.modelling.reconstruction import NONE, ask_whether_right, reconstruction
from codec.tile_coders import AUTO, How
from codec.tile_coders.orientation import REPEATING, best_variant, repetition, usual_variant
from codec.tile_coders.parts import Part, Parts
from codec.tile_coders.sparseness import lattice_of, sparse
from runtime import rules
from runtime.kept import Kept
from runtime.kernels import inlined, kernel
from runtime.least_squares import Canvas, draw, error_nearby, learn, predict, rows_of
from runtime.photo import PhotoModel, PhotoTile, fit, prepare, record

_MOST_DECISIONS = 3 * binarisation.MOST_DECISIONS + question.MOST_DECISIONS  # about one position
_LEARNING = {"fast": Learning.NONE, "normal": Learning.QUICK, "best": Learning.FULL}
_SMALL = 128 * 128  # pixels up to which learning may not pay, so that both ways are tried
_AT_ONCE = 64 * 64  # pixels up to which an encoder asks the network for all of a tile at once: levels are short there
_FLAT = 0.6  # share of pixels like a neighbour from which on exact colours surely pay
_MADE = 0.05  # share of pixels from which on a reconstruction helps
_MASK = Method(network=False, colours=True)
_LOG_SCALE = 4  # column of the first log-scale of one component: after a logit and three shifts


class PhotoCoder:
    """The TileCoder of photo networks."""

    general = True

    def __init__(self, model: PhotoModel, start: Callable[[Canvas, Method, np.ndarray], Experts] | None = None) -> None:
        """start: gives what a tile's learning starts with, in place of what the model says."""
        self._model = model
        self._start_learning = start or self._first_experts

    def _first_experts(self, canvas: Canvas, method: Method, made: np.ndarray) -> Experts:
        recipe = RECIPES[method.learning - 1]
        return experts(canvas, self._model.tables, recipe, method.tables, method.lattice, made)

    def check(self, planes: np.ndarray) -> None:
        """Any picture will do."""

    def variant(self, planes: np.ndarray, effort: str, order: str) -> int:
        """The order's; with `auto` the one that takes fewest levels, at best effort the one that a probe finds best."""
        if order != AUTO:
            return variant_of(self._model, order)
        return best_variant(planes, self._model.threads) if effort == "best" else usual_variant(planes)

    def candidates(self, tile: np.ndarray, effort: str, order: str, made: np.ndarray = NONE) -> list[AnyMethod]:
        """One for a photograph, several where colours repeat; the reconstruction's where one makes some of it."""
        learning, found, repeated = _LEARNING[effort], list[AnyMethod](), repetition(tile)
        if len(made) and (tile == made).all(0).mean() > _MADE:
            learning = max(learning, Learning.QUICK)
            return [Method(learning=learning, tables=learning == Learning.FULL, reconstruction=True)]
        if repeated < _FLAT:
            lattice = lattice_of(tile) if learning else 0
            tables = learning == Learning.FULL or (learning == Learning.QUICK and not lattice and sparse(tile))
            found.append(Method(learning=learning, tables=tables, lattice=lattice))
        if repeated >= REPEATING:
            found.append(Method(network=False, learning=max(learning, Learning.QUICK), colours=True, tables=True))
            if learning:
                found.append(Method(learning=learning, colours=True, tables=True))
        if has_palette(tile):
            found.append(INDEXED)
        if learning and repeated < _FLAT and tile[0].size <= _SMALL:
            found.append(Method(learning=Learning.NONE))
        return found

    def for_masks(self, effort: str) -> list[AnyMethod]:
        """Exact colours, and what learns the plane."""
        return [] if effort == "fast" else [_MASK]

    def code(self, coder: Coder, pixels: np.ndarray, method: AnyMethod, how: How) -> None:
        if not isinstance(method, Method):
            raise DamagedFile(f"a tile is coded by {method}, which a photo model has not: get the file again")
        _, height, width = pixels.shape
        whole = self._start(pixels, method.network)
        size, inputs = whole.photo.canvas.size, whole.photo.inputs
        tile, photo = Kept(whole), Kept(whole.photo)
        learned = Kept(self._start_learning(whole.photo.canvas, method, how.made)) if method.learning else None
        exact = Kept(exact_colours(*pixels.shape)) if method.colours else None
        indexed = Kept(palette(code_palette(pixels, coder), height, width)) if method.palette else None
        nearly = Kept(reconstruction(how.made)) if method.reconstruction else None
        parts, network, told = Parts(size, how.threads), None, None
        if method.network and coder.coding.encodes and len(pixels) == 3 and pixels[0].size <= _AT_ONCE:
            told = self._model.parameters(pixels[None])[0]
        elif method.network:
            network = self._model.network.start(self._model.schedule(height, width, parts.steps()))

        def foresee(number: int, part: Part) -> np.ndarray:
            prepare(part.level, photo, part.rows)
            if learned is not None:  # else the thread that codes has less to do
                refit(part.level, tile, learned, part.rows)
            if told is not None:
                rows = np.arange(*rows_of.py_func(part.level, size, part.rows))
                return np.ascontiguousarray(told[:, rows, part.level - 2 * rows].T)
            if network is None:
                return np.zeros((part.positions, PARAMETERS), np.int32)
            return network.step(number, inputs[: part.positions])

        for part, parameters in parts.ahead(foresee):
            if learned is None:
                refit(part.level, tile, learned, part.rows)
            coder.reserve(len(parameters) * _MOST_DECISIONS)
            code_level(part.level, parameters, tile, learned, exact, indexed, nearly, coder.coding, part.rows)
            coder.check()
            how.report(len(parameters))

    def _start(self, pixels: np.ndarray, network: bool) -> Tile:
        _, height, width = pixels.shape
        return Tile(
            network,
            pixels,
            self._model.tile(height, width),
            tables_of(self._model.tables),
            np.zeros((self._model.components if network else 1, 3), np.int64),
            np.zeros(3, np.int64),
        )


def variant_of(model: PhotoModel, order: str) -> int:
    """The variant that an order's name asks for, a name alone for variant 0. Raises UnknownOrder."""
    orders = model.layout.orders
    name = order if ":" in order else f"{order}:0"
    if name not in orders:
        raise UnknownOrder(f"model {model.manifest.name} has no order {order!r}, but {', '.join(orders)}")
    return orders.index(name)


class Tile(NamedTuple):
    """What a tile's kernels work on whatever the method. pixels: uint8 [C, H, W], the true ones when encoding, else to
    be filled."""

    network: bool
    pixels: np.ndarray
    photo: PhotoTile
    tables: Tables
    mixture: np.ndarray  # int64 [K, 3]: the network's at the position at hand
    residuals: np.ndarray  # int64 [3]: value - base of its planes, in 1/64 grey level


@kernel
def refit(level, tile, learned, rows):
    """Fits every predictor but red's own to the levels before, and foresees what it can of their predictions."""
    fit(level, tile.photo, rows)
    if learned is not None:
        for k in range(len(tile.pixels)):
            refit_blend(level, k, tile.photo.canvas, learned.blend, rows)


@kernel
def code_level(level, parameters, tile, learned, exact, indexed, nearly, coding, rows):
    """Codes every position of a level in some rows.

    parameters: int32 [n, 10 K], the network's of these. learned: Experts, or None for a method that does not learn.
    exact, indexed, nearly: ExactColours, Palette and Reconstruction, None for each that the method has not.
    """
    canvas, own, channels = tile.photo.canvas, tile.photo.predictor, len(tile.pixels)
    height, width = canvas.size
    first, end = rows_of(level, canvas.size, rows)
    for row in range(first, end):
        c, colour, value, here = level - 2 * row, np.int64(-1), np.int64(0), parameters[row - first]
        position = row * width + c
        if exact is not None:
            spend_on(coding, channels * height * width + position)
            colour = ask(row, c, colour_of(tile.pixels, row, c), exact, coding)
        if indexed is not None:
            spend_on(coding, channels * height * width + position)
            colour = code_index(level, row, colour_of(tile.pixels, row, c), tile, indexed, coding)
        if nearly is not None:
            spend_on(coding, channels * height * width + position)
            colour = ask_whether_right(row, c, colour_of(tile.pixels, row, c), nearly, coding)
        if not tile.network:
            _set_scales(row, c, own.fits.errors, here)
        weigh(here, tile.tables.exponential, tile.mixture)
        for k in range(3):
            base, origin = predict(level, k, row, canvas, own)
            tile.photo.bases[k, row] = base
            if k < channels and indexed is not None:
                value = colour >> (8 * (channels - 1 - k)) & 255
                tile.pixels[k, row, c] = value
            elif k < channels:
                known = np.int64(-1) if colour < 0 else colour >> (8 * (channels - 1 - k)) & 255
                spend_on(coding, position * channels + k)
                value = _code_value((level, row), k, (here, np.int64(base), known), tile, learned, coding)
                tile.pixels[k, row, c] = value
            draw(k, row, c, value, canvas)
            learn(level, k, row, value, (base, origin), own.fits)
        record(row, c, tile.photo)
        if exact is not None:
            take_over(row, c, colour_of(tile.pixels, row, c), exact)


@inlined
def _set_scales(row, c, errors, parameters):
    """Without a network: the parameters of one logistic at the prediction, as wide as the errors nearby."""
    for k in range(3):
        error = error_nearby(errors[k], row, c) >> 5
        parameters[_LOG_SCALE + k] = LOG_SCALE[min(error, len(LOG_SCALE) - 1)]


@inlined
def _code_value(position, k, prediction, tile, learned, coding):
    """Codes plane k of a position, (level, row), and learns its value. prediction: the network's parameters, the
    predictor's base, and the value where an exact colour has said it, else -1."""
    level, row = position
    parameters, base, known = prediction
    c, width, logistic = level - 2 * row, tile.photo.canvas.size.width, tile.tables.logistic
    red = np.int64(tile.pixels[0, row, c]) if k > 0 else np.int64(0)
    green = np.int64(tile.pixels[1, row, c]) if k == 2 else np.int64(0)
    if learned is not None and learned.tables and k == 2 and known < 0:
        fetch(learned.ratios, red, green, base // rules.MEAN_UNIT)
    mean, spread = place(k, parameters, base, tile.residuals, tile.tables, tile.mixture)
    node, value, wanted = first_node(mean, spread), known, np.int64(tile.pixels[k, row, c])
    if learned is not None:
        expect(level, k, row, (base, mean, spread, node.deviation, node.centre), tile.photo.canvas, learned)
        if known < 0:
            walk = (coding, tile.mixture, logistic, learned)
            value = mixed_value(node, (k, red, green), wanted, walk)
        take_in(level, k, row, value, width, learned)
    elif known < 0:
        value = code_plain(node, tile.mixture, logistic, wanted, coding)
    if k < 2:
        explain(value, logistic, tile.mixture)
    tile.residuals[k] = value * rules.MEAN_UNIT - base
    return value


@inlined
def code_plain(node, mixture, logistic, value, coding):
    """Codes a value by a mixture alone; returns it. value: the true one, when encoding."""
    low, high = cdf(mixture, node.low, logistic), cdf(mixture, node.high, logistic)
    while node.high - node.low > 1:
        middle = cdf(mixture, node.split, logistic)
        part = middle - low if node.side == BELOW else high - middle
        decision = code(coding, mixtures.share(part, high - low), decision_for(node, value))
        if moves_up(node, decision):
            low = middle
        else:
            high = middle
        node = next_node(node, decision)
    return node.low
