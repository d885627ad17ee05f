"""Makes codec/modelling/tables.npz, the integer tables of logits and errors, with exact decimal arithmetic.

    python tools/make_tables.py

Every machine reads the same file; nothing in it is computed when a picture is coded.
"""

from decimal import ROUND_HALF_EVEN, Decimal, getcontext
from pathlib import Path

import numpy as np

OUTPUT = Path(__file__).resolve().parent.parent / "codec" / "modelling" / "tables.npz"


def tables() -> dict[str, np.ndarray]:
    """Arrays as codec/modelling/logistic.py describes them.

    squash: 65536 / (1 + exp(-x / 256)) for x = -2047 .. 2047. stretch: 256 logit((p + 1/2) / 4096), within +-2047.
    error_class: 2 log2(i / 16 + 0.15) + 6, within 0 .. 23. log_scale: 32 ln((i / 16 + 0.15) / (2 ln 2)). All rounded
    half to even.
    """
    getcontext().prec = 40
    one, half = Decimal(1), Decimal("0.5")
    squash = [_round(65536 / (one + (-Decimal(x) / 256).exp())) for x in range(-2047, 2048)]
    stretch = [_round(256 * ((p + half) / (4096 - p - half)).ln()) for p in range(4096)]
    log2 = Decimal(2).ln()
    classes = [2 * (Decimal(i) / 16 + Decimal("0.15")).ln() / log2 + 6 for i in range(2048)]
    scales = [32 * ((Decimal(i) / 16 + Decimal("0.15")) / (2 * log2)).ln() for i in range(2048)]
    return {
        "squash": np.array(squash, np.int32),
        "stretch": np.array([min(max(s, -2047), 2047) for s in stretch], np.int32),
        "error_class": np.array([min(max(_round(c), 0), 23) for c in classes], np.int32),
        "log_scale": np.array([_round(s) for s in scales], np.int32),
    }


def _round(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_EVEN))


if __name__ == "__main__":
    np.savez(OUTPUT, **tables())
    print(OUTPUT)
