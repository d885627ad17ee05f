"""What single experts would have spent: read from an encoder's trace, after the fact."""

import numpy as np

from codec.entropy.range_coder import UNTRACED, Encoder
from codec.modelling.experts import NAMES
from codec.modelling.logistic import LIMIT, SQUASH

_SHOWN = ("network", "second table", "blend")


def alone(encoder: Encoder, colours: float) -> dict[str, float]:
    """Bits that some experts would have spent alone on the decisions that were mixed, and what exact colours or a
    palette took."""
    symbols, traces = encoder.symbols(), encoder.traces()
    mixed = traces[:, 0] != UNTRACED
    found = {"mixed": float(encoder.costs()[mixed].sum())} if mixed.any() else {}
    for name in _SHOWN if found else ():
        p = SQUASH[traces[mixed, NAMES.index(name)] + LIMIT] / 65536
        found[name] = float(-np.log2(np.where(symbols[mixed] == 1, p, 1 - p)).sum())
    return found | ({"colours": float(colours)} if colours else {})
