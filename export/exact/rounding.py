"""Rounds a layer's weights so that their errors cancel on the inputs that the layer really gets.

Inputs of a network go together: neighbouring pixels, x and -x. A weight's rounding error can therefore be made up for
by the weights of inputs that come after it. This is OPTQ (Frantar et al. 2023), one column of errors at a time.
"""

import numpy as np

BLOCK = 128  # inputs that are rounded before the others are told: products of matrices are faster
DAMPING = 1e-3  # of the mean square of an input, added to each: inputs that calibration never saw keep their weights


def compensated(weight: np.ndarray, bias: np.ndarray, moments: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """weight float64 [inputs, outputs] to whole numbers within the limit, and the bias [outputs] that goes with them.

    `moments` float64 [inputs + 1, inputs + 1]: mean products of pairs of inputs, a one as the last input.
    The strongest inputs are rounded first, while there are most left to make up for it.
    """
    strength = np.diag(moments)[:-1]
    order = np.append(np.argsort(-strength, kind="stable"), len(strength))
    moments = moments[np.ix_(order, order)].copy()
    moments[np.diag_indices(len(strength))] += max(DAMPING * strength.mean(), 1e-9)
    upper = np.linalg.cholesky(np.linalg.inv(moments)).T
    upper /= np.diag(upper)[:, None].copy()
    rest = np.concatenate([weight, bias[None]])[order]
    for start in range(0, len(strength), BLOCK):
        end = min(start + BLOCK, len(strength))
        errors = np.empty((end - start, rest.shape[1]))
        for i in range(start, end):
            whole = np.clip(np.round(rest[i]), -limit, limit)
            errors[i - start] = rest[i] - whole
            rest[i] = whole
            rest[i + 1 : end] -= np.outer(upper[i, i + 1 : end], errors[i - start])
        rest[end:] -= upper[start:end, end:].T @ errors
    result = np.empty_like(rest)
    result[order] = rest
    return result[:-1], result[-1]
