"""How a tile is coded: which stages give its probabilities. One byte in the index of the file says it.

The encoder may try several and keep the smallest; the decoder does what the byte says.
"""

from dataclasses import dataclass
from itertools import product

_NETWORK, _LEARNING, _COLOURS, _PALETTE = 1, 2, 4, 8  # bits of the byte
_ORDERS, _MOST_ORDERS = 64, 64  # codes of InOrder


@dataclass(frozen=True)
class Method:
    """network: the network gives the distribution, else the errors nearby do. learning: ratio tables and rival
    predictions, which learn the picture, are mixed in. colours: exact colours are asked for first. palette: colours are
    coded as indices of a list, by nothing else of these."""

    network: bool = True
    learning: bool = True
    colours: bool = False
    palette: bool = False

    @property
    def code(self) -> int:
        return _NETWORK * self.network + _LEARNING * self.learning + _COLOURS * self.colours + _PALETTE * self.palette

    def __str__(self) -> str:
        parts = {"palette": self.palette, "colours": self.colours, "network": self.network, "learning": self.learning}
        return " + ".join(name for name, used in parts.items() if used) or "predictor"


@dataclass(frozen=True)
class InOrder:
    """By one of the paper's networks alone, in the order of this number among its bundle's."""

    order: int

    @property
    def code(self) -> int:
        return _ORDERS + self.order

    def __str__(self) -> str:
        return f"order {self.order}"


INDEXED = Method(network=False, learning=False, palette=True)
_ALL: list[Method | InOrder] = [
    *(Method(*flags) for flags in product((False, True), repeat=3)),
    INDEXED,
    *map(InOrder, range(_MOST_ORDERS)),
]
METHODS = {method.code: method for method in _ALL}
