"""What numbers of a bundle may be: its tables, and the settings of its layout.

Compiled code looks tables up without looking at bounds and divides without asking, and a bundle's hashes only say that
nobody altered it since it was made. So whatever passes here lets no kernel read outside a table, divide by zero or
leave its integers' range, whoever made it. Where the numbers come from is in export/exact/tables.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runtime import rules
from runtime.least_squares import Settings
from runtime.network import BundleError

RISING, FALLING = 1, -1


@dataclass(frozen=True)
class Table:
    """An array of this type and shape with values from low to high; rising or falling all the way between them."""

    dtype: type[np.generic]
    shape: tuple[int, ...]
    low: int
    high: int
    order: int = 0

    def check(self, name: str, table: np.ndarray | None) -> None:
        """Raises BundleError with the table's name and the value that is wrong."""
        if table is None:
            raise BundleError(f"table {name} is missing")
        if table.dtype != self.dtype or table.shape != self.shape:
            wanted = f"{np.dtype(self.dtype)} {list(self.shape)}"
            raise BundleError(f"table {name} is {table.dtype} {list(table.shape)}, not {wanted}")
        wrong = table[(table < self.low) | (table > self.high)]
        if wrong.size:
            raise BundleError(f"table {name} holds {wrong[0]}, which is not within {self.low} to {self.high}")
        if self.order:
            ends = (self.low, self.high)[:: self.order]
            if (table[0], table[-1]) != ends:
                raise BundleError(f"table {name} goes from {table[0]} to {table[-1]}, not from {ends[0]} to {ends[1]}")
            back = np.flatnonzero(np.diff(table) * self.order < 0)
            if back.size:
                there, after = table[back[0]], table[back[0] + 1]
                raise BundleError(f"table {name} goes from {there} to {after} on its way from {ends[0]} to {ends[1]}")


# Of a mixture: the best component weighs something; a distance, below 2^16, times the finest scale stays below 2^45.
DISTRIBUTION = {
    "exponential": Table(np.int64, (16 * rules.LOGIT_UNIT,), 0, 1 << rules.CDF_BITS, FALLING),
    "inverse_scale": Table(np.int64, (rules.SCALES,), 1, 1 << 29),
    "deviation": Table(np.int64, (rules.SCALES,), 0, 1 << 16),
    "logistic": Table(np.int64, (2 * rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT + 1,), 0, 1 << rules.CDF_BITS, RISING),
}
CODES = Table(np.uint8, (2 * rules.CODE_RANGE,), 0, 255)


def rank(height: int, width: int) -> Table:
    """An order's."""
    return Table(np.int32, (height, width), 0, 1 << 30)


def check_distribution(tables: Mapping[str, np.ndarray]) -> None:
    """Raises BundleError."""
    for name, table in DISTRIBUTION.items():
        table.check(name, tables.get(name))


def check_mixing(tables: Mapping[str, np.ndarray]) -> None:
    """What learning starts with: int8 and int16, which keeps it in range. codec.modelling.experts knows the shapes."""
    for name in (name for name in tables if name.startswith("mixing.")):
        table, other = tables[name], name.removesuffix(".weights") + ".final"
        if name.endswith(".weights") and other not in tables:
            raise BundleError(f"table {other} is missing")
        kind = np.int8 if name.endswith(".weights") else np.int16
        limit = np.iinfo(kind).max
        Table(kind, table.shape, -limit, limit).check(name, table)


def check_number(name: str, value: object, low: float, high: float, kind: type = int) -> None:
    """Raises BundleError for what is no int (or no float, if that is the kind) from low to high."""
    kinds, wanted = ((int,), "an integer") if kind is int else ((int, float), "a number")
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        raise BundleError(f"{name} is {value!r}, not {wanted} within {low} to {high}")


# Of each plane: what the position itself has of the planes before is always among the features, and what
# least_squares.Settings.taps has.
_FEWEST_NEIGHBOURS = ((1, 0, 0), (1, 1, 0), (1, 1, 1))
_MOST_NEIGHBOURS = ((16, 7, 7), (16, 8, 7), (16, 8, 8))


def check_predictor(settings: Settings) -> None:
    """Raises BundleError. A ridge above zero keeps the pivots of the least squares positive on photographs; where
    rounding makes one vanish all the same, a prediction that is no number counts as 0 (least_squares.in_units)."""
    sizes, ridge = settings.sizes, settings.ridge
    if len(sizes) != 3 or any(len(size) != 3 for size in sizes) or len(ridge) != 3:
        raise BundleError(f"the predictor has sizes {sizes!r} and ridge {ridge!r}, not three for each of three planes")
    for size, fewest, most in zip(sizes, _FEWEST_NEIGHBOURS, _MOST_NEIGHBOURS):
        for count, least, limit in zip(size, fewest, most):
            check_number("a size of the predictor", count, least, limit)
    check_number("decay of the predictor", settings.decay, 0, 0.998, float)
    check_number("row_decay of the predictor", settings.row_decay, 0, 0.99, float)
    for value in ridge:
        check_number("ridge of the predictor", value, 0.1, 1e6, float)
