"""Makes codec/tables.npz, the integer tables of the mixing stage, with exact decimal arithmetic.

    python tools/make_tables.py

Every machine reads the same file; nothing in it is computed when a picture is coded.
"""

from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from pathlib import Path

import numpy as np

OUTPUT = Path(__file__).resolve().parent.parent / "codec" / "tables.npz"


def tables() -> dict[str, np.ndarray]:
    """squash [4095]: logit x / 256 for x = -2047 .. 2047 -> probability out of 2^16. stretch [4096]: probability
    (p + 1/2) / 4096 -> logit x 256. error_class [2048]: mean absolute error in 1/16 grey level -> 24 logarithmic
    classes. rate [1024]: learning rate of a weight vector after so many visits, out of 2^16. cost [4096]: bits of an
    event of probability (p + 1/2) / 4096, in 2^-16. plain_scale [2048]: log-scale of a logistic whose mean absolute error is
    so many 1/16 grey level, in 1/32."""
    getcontext().prec = 40
    one, half = Decimal(1), Decimal("0.5")
    squash = [_round(65536 / (one + (-Decimal(x) / 256).exp())) for x in range(-2047, 2048)]
    stretch = [_round(256 * ((p + half) / (4096 - p - half)).ln()) for p in range(4096)]
    log2 = Decimal(2).ln()
    classes = [2 * (Decimal(i) / 16 + Decimal("0.15")).ln() / log2 + 6 for i in range(2048)]
    rates = [max(Decimal("0.02") / (1 + n * Decimal("0.02")), Decimal("0.004")) for n in range(1024)]
    costs = [-((p + half) / 4096).ln() / log2 for p in range(4096)]
    scales = [32 * ((Decimal(i) / 16 + Decimal("0.15")) / (2 * log2)).ln() for i in range(2048)]
    return {
        "squash": np.array(squash, np.int32),
        "stretch": np.array([min(max(s, -2047), 2047) for s in stretch], np.int32),
        "error_class": np.array([min(max(_round(c), 0), 23) for c in classes], np.int32),
        "rate": np.array([_round(r * 65536) for r in rates], np.int32),
        "cost": np.array([_round(c * 65536) for c in costs], np.int32),
        "plain_scale": np.array([_round(s) for s in scales], np.int32),
    }


def _round(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_EVEN))


if __name__ == "__main__":
    np.savez(OUTPUT, **tables())
    print(OUTPUT)
