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
    error_class: 2 log2(i / 16 + 0.15) + 6, within 0 .. 23. log_scale: 32 ln((i / 16 + 0.15) / (2 ln 2)). cost:
    -32 log2((p + 1/2) / 4096). histograms: see _histogram. All rounded half to even.
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
        "cost": np.array([_round(-32 * ((p + half) / 4096).ln() / log2) for p in range(4096)], np.int32),
        "histograms": np.array([[_histogram(Decimal(e), s) for e, s in zip(*kind)] for kind in _KINDS], np.uint16),
    }


# Of a residual histogram's classes: by errors nearby and by costs nearby, the mean absolute error expected, in grey
# levels, and log2 of a bin's width in quarters.
_SHIFTS = [0] * 8 + [1] * 2 + [2] * 6, [0] * 10 + [1] * 2 + [2] * 4
_ERRORS = "0.18 0.31 0.44 0.62 0.87 1.25 1.75 2.5 3.5 5 7 10 14 20 28 40".split()
_COSTS = "0.23 0.30 0.40 0.53 0.70 0.92 1.22 1.61 2.12 2.80 3.69 5.60 7.92 11.2 22.4 22.4".split()
_KINDS = (_ERRORS, _SHIFTS[0]), (_COSTS, _SHIFTS[1])
_BINS, _PRIOR = 128, 6 * 64  # and what a histogram has counted at first, six values


def _histogram(error: Decimal, shift: int) -> list[int]:
    """Counts below bins 0 .. 128: 0.85 of a logistic of that mean absolute error, 0.15 of one three times as wide."""
    scale = error / (2 * Decimal(2).ln())

    def below(bin: int) -> Decimal:
        x = Decimal(bin - _BINS // 2) * 2**shift / 4 / scale
        return Decimal("0.85") / (1 + (-x).exp()) + Decimal("0.15") / (1 + (-x / 3).exp())

    low, high = below(0), below(_BINS)
    return [_round(_PRIOR * (below(bin) - low) / (high - low)) for bin in range(_BINS + 1)]


def _round(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_HALF_EVEN))


if __name__ == "__main__":
    np.savez(OUTPUT, **tables())
    print(OUTPUT)
