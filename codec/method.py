"""How a tile is coded: which stages give its probabilities. One byte in the index of the file says it.

The encoder may try several and keep the smallest; the decoder does what the byte says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MAX_EFFORT = 9
_COLOURS, _PLAIN = 4, 8  # bits of the byte beside the two of Mixing
_ORDERS, _MOST_ORDERS = 64, 64  # codes of InOrder
_SMALL = 128 * 128  # pixels up to which learning may not pay, so that both ways are tried
REPEATING, _FLAT = 0.4, 0.6  # share of pixels like a neighbour: exact colours may pay, and surely do


class Learning(IntEnum):
    """What learns the picture at hand beside the predictor: nothing; the lattice; rivals of the network as well."""

    NONE = 0
    LIGHT = 1
    FULL = 2


@dataclass(frozen=True)
class Method:
    """learning: see Learning. colours: exact colours are asked for first. network: False: errors nearby instead."""

    learning: Learning = Learning.NONE
    colours: bool = False
    network: bool = True

    @property
    def code(self) -> int:
        return self.learning + _COLOURS * self.colours + _PLAIN * (not self.network)

    def __str__(self) -> str:
        learning = [] if self.learning == Learning.NONE else [f"{self.learning.name.lower()} learning"]
        return " + ".join(["colours"] * self.colours + ["network" if self.network else "no network"] + learning)


@dataclass(frozen=True)
class InOrder:
    """By one of the paper's networks alone, in the order of this number among its bundle's."""

    order: int

    @property
    def code(self) -> int:
        return _ORDERS + self.order

    def __str__(self) -> str:
        return f"order {self.order}"


_ALL = [Method(how, colours, network) for how in Learning for colours in (False, True) for network in (False, True)]
_ALL += [InOrder(order) for order in range(_MOST_ORDERS)]
METHODS = {method.code: method for method in _ALL}


def learning_of(effort: int) -> Learning:
    """effort 1: none; 2 to 5: light; 6 to 9: full."""
    return Learning.NONE if effort < 2 else Learning.LIGHT if effort < 6 else Learning.FULL


def candidates(tile: np.ndarray, effort: int) -> list[Method]:
    """The methods worth trying on a tile, uint8 [C, H, W]: one for a photograph, several where colours repeat.

    Without a network there is time for full learning at every effort that learns.
    """
    learning, found = learning_of(effort), []
    repeated = repetition(tile)
    if repeated < _FLAT:
        found.append(Method(learning))
    if repeated >= REPEATING:
        found.append(Method(learning, colours=True))
        if learning:
            found.append(Method(Learning.FULL, colours=True, network=False))
    if learning and tile[0].size <= _SMALL:
        found += candidates(tile, 1)
    return found


def repetition(tile: np.ndarray) -> float:
    """Share of a tile's pixels, uint8 [C, H, W], that have the colour of their left or upper neighbour."""
    same = tile[0] != tile[0]  # nothing yet
    same[:, 1:] = (tile[:, :, 1:] == tile[:, :, :-1]).all(0)
    same[1:] |= (tile[:, 1:] == tile[:, :-1]).all(0)
    return float(same.mean())
