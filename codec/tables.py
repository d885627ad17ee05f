"""The integer tables of the mixing stage, read from tables.npz (made once by tools/make_tables.py).

SQUASH int32 [4095]: logit x / 256, x = -2047 .. 2047, to a probability out of 2^16. STRETCH int32 [4096]: its inverse.
ERROR_CLASS int32 [2048]: mean absolute error in 1/16 grey level to one of 24 classes. RATE int32 [1024]: learning
rates out of 2^16 by number of visits. COST int32 [4096]: bits of a probability, in 2^-16. PLAIN_SCALE int32 [2048]:
log-scale by mean absolute error in 1/16 grey level.
"""

from pathlib import Path

import numpy as np

with np.load(Path(__file__).with_name("tables.npz"), allow_pickle=False) as _tables:
    SQUASH, STRETCH, ERROR_CLASS, RATE, COST, PLAIN_SCALE = (
        _tables[name] for name in ("squash", "stretch", "error_class", "rate", "cost", "plain_scale")
    )
