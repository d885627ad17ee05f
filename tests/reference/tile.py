"""Section 4: a tile of a photo model, and its orientation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference import colours, palette
from tests.reference.bundle import Bundle
from tests.reference.experts import RECIPES, Experts
from tests.reference.least_squares import Canvas, Predictor, Settings, rows_of
from tests.reference.mixture import Mixture, integers
from tests.reference.network import Network, without_network
from tests.reference.reconstruction import Reconstruction

NETWORK, TABLES, COLOURS, PALETTE, LATTICE, MADE = 1, 8, 16, 32, 128, 192  # bits of a method; two more are its learning


def restored(oriented: np.ndarray, variant: int) -> np.ndarray:
    """The tile, [C, h, w], that was oriented by a variant."""
    tile = oriented.transpose(0, 2, 1) if variant & 4 else oriented
    tile = tile[:, ::-1] if variant & 1 else tile
    return tile[:, :, ::-1] if variant & 2 else tile


def oriented_as(tile: np.ndarray, variant: int) -> np.ndarray:
    """A tile, [C, h, w], oriented by a variant."""
    tile = tile[:, :, ::-1] if variant & 2 else tile
    tile = tile[:, ::-1] if variant & 1 else tile
    return tile.transpose(0, 2, 1) if variant & 4 else tile


class PhotoTile:
    """An oriented tile while it is decoded. `place`: the position at hand, and the plane, or None where it is asked for
    exact colours."""

    def __init__(self, bundle: Bundle, shape: tuple[int, int, int], method: int, made: Reconstruction | None = None):
        layout = bundle.layout
        (self.planes, self.height, self.width), self.tables = shape, integers(bundle.tables)
        self.canvas, self.bases, self.place = Canvas(self.height, self.width), {}, None
        self.own = Predictor(self.canvas, Settings(**layout["predictor"]))
        self.network = self.experts = self.colours = self.palette = None
        lattice = (method >> 4 & 3) + 1 if LATTICE <= method < MADE else 0
        method, self.made = (method & 15 if method >= LATTICE else method), made
        self.indexed = method & PALETTE
        if method & NETWORK:
            codes = bundle.tables["codes"]
            self.network = Network(bundle.weights, codes, layout["first_offsets"], layout["kernel"])
        if method >> 1 & 3:
            recipe = RECIPES[method >> 1 & 3]
            tables = bool(method & TABLES)
            self.experts = Experts(self.canvas, self.planes, bundle.tables, recipe, tables, lattice, made)
        if method & COLOURS:
            self.colours = colours.State(self.height, self.width)

    def decoded(self, decide: Callable[[int], int]) -> np.ndarray:
        """uint8 [C, H, W]; decide(frequency) gives one decision after the other."""
        if self.indexed:
            self.palette = palette.Palette(self.planes, self.own, decide)
        for level in range(self.width + 2 * (self.height - 1)):
            self.own.refit(level)
            if self.experts:
                self.experts.blend.refit(level)
            positions = [(r, level - 2 * r) for r in rows_of(level, self.height, self.width)]
            for r, c in positions:
                self.bases[0, r, c] = self.own.predict(0, r, c)
            parameters = [
                self.network.parameters(self.canvas, self.bases, r, c) if self.network else None for r, c in positions
            ]
            for (r, c), given in zip(positions, parameters):
                self.position(r, c, given, decide)
        x = [self.canvas.x[place] for place in np.ndindex(self.planes, self.height, self.width)]
        return np.array(x, np.uint8).reshape(self.planes, self.height, self.width)

    def position(self, r: int, c: int, parameters: list[int] | None, decide: Callable[[int], int]) -> None:
        colour = asked = None
        if self.colours:
            self.place, asked = (r, c, None), colours.Position(self.colours, r, c)
            colour = asked.ask(self.colours, decide)
        if self.made:
            self.place, colour = (r, c, None), self.made.asked(r, c, decide)
        if self.palette:
            self.place, colour = (r, c, None), self.palette.decoded(r, c, decide)
        mixture = Mixture(parameters or without_network(self.own.fits, r, c), self.tables)
        for k in range(3):
            self.place, self.bases[k, r, c] = (r, c, k), self.own.predict(k, r, c)
            if k < self.planes:
                mixture.open(self.bases[k, r, c])
                if self.experts:
                    self.experts.expect(mixture, k, r, c)
                said = None if colour is None else (colour >> 8 * (self.planes - 1 - k)) & 255
                self.canvas.x[k, r, c] = self.value(mixture, k, r, c, decide) if said is None else said
                mixture.learn(self.canvas.x[k, r, c])
                if self.experts:
                    self.experts.learn()
            else:
                self.canvas.x[k, r, c] = self.canvas.x[0, r, c]  # of a grey tile
            self.own.learn(k, r, c)
        if self.colours:
            known = [self.canvas.x[k, r, c] for k in range(self.planes)]
            asked.take_over(self.colours, sum(x << 8 * i for i, x in enumerate(reversed(known))))

    def value(self, mixture: Mixture, k: int, r: int, c: int, decide: Callable[[int], int]) -> int:
        if self.experts:
            return self.experts.decoded([self.canvas.x[p, r, c] for p in range(k)], decide)
        return mixture.decoded(decide)
