"""The tables of a bundle: integers made once, here, and looked up on every machine that codes (runtime/rules.py).

exponential[d] = weight of a component whose logit is d steps below the best; inverse_scale[i] and deviation[i] of
scale index i; logistic[z] = the logistic distribution function; codes = the network's companding of residuals.
"""

import numpy as np

from runtime import rules


def distribution_tables() -> dict[str, np.ndarray]:
    """exponential int64 [1024], inverse_scale int64 [321], deviation int64 [321], logistic int64 [4097]."""
    nats = np.arange(16 * rules.LOGIT_UNIT) / rules.LOGIT_UNIT
    scale = np.exp(rules.LOWEST_LOG_SCALE + np.arange(rules.SCALES) / rules.SCALE_UNIT)  # grey levels
    z = np.arange(-rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT, rules.LOGISTIC_RANGE * rules.LOGISTIC_UNIT + 1)
    return {
        "exponential": _whole(np.exp(-nats) * (1 << rules.CDF_BITS)),
        "inverse_scale": _whole(rules.LOGISTIC_UNIT / scale * (1 << rules.INVERSE_BITS)),
        "deviation": _whole(2 * np.log(2) * scale * rules.MEAN_UNIT),  # mean absolute, 1/64 grey level
        "logistic": _whole((1 << rules.CDF_BITS) / (1 + np.exp(-z / rules.LOGISTIC_UNIT))),
    }


def _whole(values: np.ndarray) -> np.ndarray:
    return np.round(values).astype(np.int64)
