"""Section 10: a tile by one of the paper's networks, square by square, in one of the bundle's orders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.reference.bundle import Bundle
from tests.reference.container import check
from tests.reference.mixture import Mixture, integers, odds
from tests.reference.pixelcnn import Order, PixelCnn

BASE = 8160  # of all planes
MOST = 256  # squares that are coded together


def groups(height: int, width: int, layout: dict) -> list[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """(size, first pixels) of the squares that are coded together."""
    found = {}
    for row in range(0, height, layout["height"]):
        for col in range(0, width, layout["width"]):
            size = min(layout["height"], height - row), min(layout["width"], width - col)
            found.setdefault(size, []).append((row, col))
    return [(size, at[i : i + MOST]) for size, at in found.items() for i in range(0, len(at), MOST)]


def decoded(bundle: Bundle, shape: tuple[int, int, int], order: int, decide: Callable[[int], int]) -> np.ndarray:
    """uint8 [C, H, W]; decide(frequency) gives one decision after the other."""
    layout, tile, tables = bundle.layout, np.zeros(shape, np.uint8), integers(bundle.tables)
    check(shape[0] == layout["channels"] and order < len(layout["orders"]), "not a tile of this model's")
    for (height, width), corners in groups(*shape[1:], layout):
        steps = Order(bundle.tables[f"rank.{order}"][:height, :width], layout)
        networks = [PixelCnn(bundle, steps) for _ in corners]
        for positions in steps.levels:
            parameters = [[network.parameters(r, c) for r, c in positions] for network in networks]
            for (row, col), network, found in zip(corners, networks, parameters):
                for (r, c), given in zip(positions, found):
                    network.known[r, c] = values(given, layout, tables, decide)
                    tile[:, row + r, col + c] = network.known[r, c]
    return tile


def values(parameters: list[int], layout: dict, tables: dict, decide: Callable[[int], int]) -> list[int]:
    """Of a position's planes."""
    if layout["binary"]:
        return [255 * decide(odds(parameters[0], tables["logistic"]))]
    mixture, found = Mixture(parameters, tables), []
    for _ in range(layout["channels"]):
        mixture.open(BASE)
        found.append(mixture.decoded(decide))
        mixture.learn(found[-1])
    return found
