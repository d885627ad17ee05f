"""Whether the installed range coder writes the words that the format means: tried once in every process that codes.

constriction turns a probability into a share of its interval by itself. A version that did so otherwise would code and
decode in peace, but no file of another version; so known decisions must give known words.
"""

from functools import cache

import constriction
import numpy as np

from codec.errors import InexactCoder

_ONE = 1 << 24
_EDGES = (16, 17, 999, _ONE // 3, _ONE // 2 - 1, _ONE // 2, _ONE // 2 + 1, _ONE - 999, _ONE - 17, _ONE - 16)
FREQUENCIES = np.repeat(_EDGES, 2)  # of symbol 1, out of 2^24
SYMBOLS = np.tile(np.array([1, 0], np.int32), len(_EDGES))
WORDS = (0xFFFFFFFF, 0xFCFFFF36, 0xDBDBC55A, 0xF3D9DA3E)


def probabilities() -> np.ndarray:
    """constriction's for FREQUENCIES, by the conversion that codec.entropy.range_coder documents."""
    return 1.0 - ((_ONE - FREQUENCIES) - 0.5) / (_ONE - 2.0)


@cache
def check_range_coder() -> None:
    """Raises InexactCoder. Takes some microseconds, once."""
    model = constriction.stream.model.Bernoulli(perfect=False)
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(SYMBOLS, model, probabilities())
    found = encoder.get_compressed()
    if tuple(found.tolist()) != WORDS:
        words = " ".join(f"{word:08x}" for word in found)
        raise InexactCoder(f"this version of constriction codes otherwise ({words}): install constriction>=0.4,<0.6")
    decoder = constriction.stream.queue.RangeDecoder(found)
    if not np.array_equal(decoder.decode(model, probabilities()), SYMBOLS):
        raise InexactCoder("this version of constriction does not decode what it coded: install constriction>=0.4,<0.6")
