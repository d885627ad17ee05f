"""How far apart two sound computations of the same floats may lie: where tests that compare floats have bounds from.

Every operation rounds its result, by half a unit in the last place at most. Which roundings there are depends on the
processor, the libraries and the number of threads: sums run in another order, a product is fused with a sum, exp comes
from elsewhere. After `depth` operations in a row each of two results is off by depth / 2 units at worst, so they are
depth units apart. Roundings go up as often as down, and what is seen is nearer to sqrt(depth). So the bound is `depth`
units, and 10 sqrt(depth) where that is more: ten times what is to be expected, at least.

A unit is one of the LARGEST value: what is left of large values that cancel has the errors of the large ones, and so
has a probability those of its logarithm. A wrong tap, weight or sign changes a value by a good part of itself, and so
exceeds these bounds a thousand times.
"""

import numpy as np

UNITS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}  # of 1
MARGIN = 10


def bound(depth: float, number: str = "float64") -> float:
    """The greatest difference after `depth` roundings in a row, as a part of the largest value."""
    return max(depth, MARGIN * depth**0.5) * UNITS[number]


def depth(net) -> int:
    """Roundings in a row in a network's pass: the longest way adds up every layer's inputs one after another.

    What stands between layers has some ten operations and adds little to sums of 36 and more. Gradients go there and
    back: twice the depth.
    """
    return sum(weight[0].numel() for weight in net.parameters() if weight.ndim > 1)


def distance(found, expected, largest: float = 0) -> float:
    """The largest difference, as a part of the largest of the expected values, or of `largest` where that is more."""
    found, expected = _array(found), _array(expected)
    assert found.shape == expected.shape and np.isfinite(found).all() and np.isfinite(expected).all()
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), largest))


def assert_close(found, expected, depth: float, largest: float = 0, number: str | None = None) -> None:
    """Fails where arrays, tensors or numbers are further apart than `depth` roundings can bring them.

    largest: of the values on the way, where they are larger than the expected results. The roundings are those of the
    coarser one of the two types, unless `number` says in which they were computed.
    """
    most = bound(depth, number or max(map(_number, (found, expected)), key=UNITS.__getitem__))
    assert distance(found, expected, largest) <= most


def _number(array) -> str:
    return str(getattr(array, "dtype", "float64")).removeprefix("torch.")


def _array(array) -> np.ndarray:
    tensor = hasattr(array, "detach")
    return np.asarray(array.detach().double() if tensor else array, np.float64)
