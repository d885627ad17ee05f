"""Whether kernels compute what is written here, on this machine with this compiler: tried once in every process.

Both sides of the coder rest on float32 with + - * / rounded one by one in order, and on integers that shift and divide
downwards. A compiler or a host program that fuses, reorders or rounds otherwise gives other numbers, and no error.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from runtime.kernels import kernel
from runtime.network import BundleError

# Products whose low bits a fused multiply-add would keep, and sums that depend on their order.
_LEFT = np.tile([1 + 2**-13, -1.0, 1e8, 1.0, -1e8, 0.1, 1 / 3, 255.0], 4).astype(np.float32)
_RIGHT = np.tile([1 - 2**-13, 1.0, 1.0, 1.0, 1.0, 0.2, 3.0, 0.92], 4).astype(np.float32)
_SHIFT, _LEAST, _MOST, _UNIT, _HALF = (np.float32(value) for value in (100.3, 0, 255, 64, 0.5))
_WHOLE = np.array([-5, -(1 << 40) - 1, (1 << 52) + 3])
FLOATS = [931.6199951171875, 0.0, 0.9092018604278564, -1.7356380224227905, 90909088.0, -247933872.0, 426997216.0]
INTEGERS = [-1, -1, 6477, -137438953473, -157073089683, 6308, 562949953421312, 643371375338642, 16320]


@kernel
def compute(left, right, whole, floats, integers):
    """Fills floats [7] and integers [3 m] from left, right [n] float32 and whole [m] int64."""
    total = np.float32(0)
    for i in range(len(left)):
        total = total + left[i] * right[i]
    floats[0] = total
    floats[1] = left[0] * right[0] + left[1]
    for i in range(5):
        floats[2 + i] = (left[i] - right[i + 3] * floats[1 + i]) / (left[5] + right[i + 1])
    for i in range(len(whole)):
        integers[3 * i] = whole[i] >> 3
        integers[3 * i + 1] = whole[i] // 7
        integers[3 * i + 2] = np.int32(min(max(floats[2 + i] + _SHIFT, _LEAST), _MOST) * _UNIT + _HALF)


def computed(run: Callable = compute) -> tuple[list[float], list[int]]:
    """What `compute`, or whatever is given in its place, makes of the numbers above."""
    floats, integers = np.zeros(7, np.float32), np.zeros(3 * len(_WHOLE), np.int64)
    run(_LEFT, _RIGHT, _WHOLE, floats, integers)
    return floats.tolist(), integers.tolist()


@cache
def check_arithmetic() -> None:
    """Raises BundleError where kernels compute other numbers than those above."""
    found = computed()
    if found != (FLOATS, INTEGERS):
        raise BundleError(
            f"compiled code gives {found} here, not {(FLOATS, INTEGERS)}: no model runs exactly with this version of "
            "numba, or in a program that changes how numbers are rounded"
        )
