"""Integer tables of logits and errors, read from tables.npz (made once by tools/make_tables.py).

SQUASH int32 [4095]: logit x / 256, x = -2047 .. 2047, to a probability out of 2^16. STRETCH int32 [4096]: its inverse.
ERROR_CLASS int32 [2048]: mean absolute error in 1/16 grey level to one of 24 classes. LOG_SCALE int32 [2048]: log-scale
of a logistic, in 1/32 nat, by mean absolute error in 1/16 grey level. COST int32 [4096]: what a decision costs, in 1/32
bit, by 4096 times the probability of how it went. HISTOGRAMS uint16 [2, 16, 129]: what residual histograms start with,
by kind and class: counts below each bin.
"""

from pathlib import Path

import numpy as np

LIMIT = 2047  # logits stay within +-8
ERROR_CLASSES = 24

with np.load(Path(__file__).with_name("tables.npz"), allow_pickle=False) as _tables:
    SQUASH, STRETCH, ERROR_CLASS, LOG_SCALE, COST, HISTOGRAMS = (
        _tables[name] for name in ("squash", "stretch", "error_class", "log_scale", "cost", "histograms")
    )
