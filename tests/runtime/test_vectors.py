"""Vectors of int16: products and sums as NumPy has them, wrapping where they wrap."""

import numpy as np
import pytest

from runtime.kernels import kernel
from runtime.vectors import LANES, product


@kernel
def multiplied(out, factors, inputs):
    product(out, factors, inputs)


@pytest.mark.parametrize("width", [LANES, 3 * LANES])
@pytest.mark.parametrize("rows", [0, 1, 2, 7])
def test_product_is_numpys(rows, width):
    """Of small numbers, and of any, which wrap."""
    rng = np.random.default_rng(rows)
    for most in (20, (1 << 15) - 1):
        factors = rng.integers(-most, most + 1, (rows, width)).astype(np.int16)
        inputs, out = rng.integers(-most, most + 1, rows).astype(np.int16), np.full(width, 99, np.int16)
        multiplied(out, factors, inputs)
        exact = inputs.astype(np.int64) @ factors.astype(np.int64)
        np.testing.assert_array_equal(out, exact.astype(np.int16))
