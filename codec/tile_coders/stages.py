"""What single experts would have spent: read from an encoder's trace, after the fact."""

import numpy as np

from codec.entropy.range_coder import UNTRACED, Encoder
from codec.modelling.experts import NAMES
from codec.modelling.logistic import LIMIT, SQUASH
from codec.modelling.mixer import INPUT_BITS

_SHOWN = ("network", "second table")


def alone(encoder: Encoder, colours: float) -> dict[str, float]:
    """Bits that some experts would have spent alone on the decisions that were mixed, and what exact colours or a
    palette took."""
    symbols, traces = encoder.symbols(), encoder.traces()
    mixed = traces[:, 0] != UNTRACED
    found = {"mixed": float(encoder.costs()[mixed].sum())} if mixed.any() else {}
    for name in _SHOWN:
        logits = traces[mixed, NAMES.index(name)] >> (INPUT_BITS - 8)
        if not logits.any():  # nothing was asked of it
            continue
        p = SQUASH[logits + LIMIT] / 65536
        found[name] = float(-np.log2(np.where(symbols[mixed] == 1, p, 1 - p)).sum())
    return found | ({"colours": float(colours)} if colours else {})
