"""How a tile is coded: which stages give its probabilities. One byte in the index of the file says it.

The encoder may try several and keep the smallest; the decoder does what the byte says.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from itertools import product

_NETWORK, _LEARNING, _TABLES, _COLOURS, _PALETTE = 1, 2, 8, 16, 32  # of the byte; learning has two bits
_ORDERS, _MOST_ORDERS = 64, 64  # codes of InOrder
_LATTICES, _LATTICE, LATTICES = 128, 16, 4  # codes of methods with a lattice; how far those of each are apart; how many
_RECONSTRUCTION = 192  # codes of methods with one


class Learning(IntEnum):
    """How much of what learns the picture is mixed in."""

    NONE = 0
    QUICK = 1
    FULL = 2


@dataclass(frozen=True)
class Method:
    """network: the network gives the distribution, else the errors nearby do. learning: experts that learn the picture
    are mixed in. colours: exact colours are asked for first. tables: ratio tables are among the experts. palette:
    colours are coded as indices of a list, by nothing else of these. lattice: the number of the conversion that colours
    came through, 0 for none. reconstruction: that of the file is asked for first, and mixed in; without anything else
    it is the tile."""

    network: bool = True
    learning: Learning = Learning.QUICK
    colours: bool = False
    tables: bool = False
    palette: bool = False
    lattice: int = 0
    reconstruction: bool = False

    @property
    def code(self) -> int:
        code = _NETWORK * self.network + _LEARNING * self.learning + _TABLES * self.tables
        code += _COLOURS * self.colours + _PALETTE * self.palette + _RECONSTRUCTION * self.reconstruction
        return code + (_LATTICES + _LATTICE * (self.lattice - 1) if self.lattice else 0)

    def __str__(self) -> str:
        parts = {
            "reconstruction": self.reconstruction,
            "palette": self.palette,
            "colours": self.colours,
            "network": self.network,
            f"{Learning(self.learning).name.lower()} learning": self.learning,
            "tables": self.tables,
            f"lattice {self.lattice}": self.lattice,
        }
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


class Independent(Enum):
    """A way that needs no model: one value for each plane; exact colours alone; experts that learn the picture, for
    samples of more than 8 bits."""

    CONSTANT = 33
    FLAT = 34
    DEEP = 35

    @property
    def code(self) -> int:
        return self.value

    def __str__(self) -> str:
        return self.name.lower()


AnyMethod = Method | InOrder | Independent
INDEXED = Method(network=False, learning=Learning.NONE, palette=True)
MADE = Method(network=False, learning=Learning.NONE, reconstruction=True)
_FLAGS = False, True
_ALL: list[AnyMethod] = [
    *(
        Method(network, learning, colours, tables)
        for network, learning, colours, tables in product(_FLAGS, Learning, _FLAGS, _FLAGS)
        if learning or not tables
    ),
    INDEXED,
    *(
        Method(learning=learning, tables=tables, lattice=number)
        for number, learning, tables in product(range(1, LATTICES + 1), (Learning.QUICK, Learning.FULL), _FLAGS)
    ),
    MADE,
    *(
        Method(learning=learning, tables=tables, reconstruction=True)
        for learning, tables in product((Learning.QUICK, Learning.FULL), _FLAGS)
    ),
    *map(InOrder, range(_MOST_ORDERS)),
    *Independent,
]
METHODS = {method.code: method for method in _ALL}
NEEDS_JPEG = {method for method in _ALL if isinstance(method, Method) and method.reconstruction}
NEEDS_MODEL = {method for method in _ALL if not isinstance(method, Independent) and method != MADE}
