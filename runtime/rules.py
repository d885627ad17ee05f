"""The integer rules: fixed-point units that exporter, runtime and codec share. Changing any of them changes VERSION.

Network outputs are integers in these steps; tables are made once by the exporter, stored in the bundle, and looked up.
"""

VERSION = 3

LOGIT_UNIT = 64  # steps per nat of a mixture logit
MEAN_UNIT = 64  # per grey level of a mean, a base, a residual
SCALE_UNIT = 32  # per nat of a log-scale
LOG_ODDS_UNIT = 1024  # per nat of a binary pixel's log-odds
COUPLING_UNIT = 1 << 13  # per unit of a coupling coefficient
LOWEST_LOG_SCALE = -4  # log of the scale (grey levels) at index 0
SCALES = 10 * SCALE_UNIT + 1  # scale indices: log-scales -4 to 6

WEIGHT_BITS = 15  # mixture weights of a position sum to 2^15 at most
CDF_BITS = 22  # a component's distribution function is 0 .. 2^22
LOGISTIC_UNIT = 128  # entries of the logistic table per unit of (x - mean) / scale
LOGISTIC_RANGE = 16  # the table covers -16 .. 16
INVERSE_BITS = 16  # inverse scales are multiples of 2^-16 table entries per grey level
POSITION_BITS = 8  # position within a table entry, for linear interpolation

CODE_BITS = 2  # residuals enter the companding table in steps of 2^2 / MEAN_UNIT
CODE_RANGE = 4096  # entries on either side of zero
CODE_ZERO = 128  # the code of zero
CODE_INSIDE = 64  # the code that marks positions inside the picture
NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))  # whose difference to the red base is an input
KNOWN = 7  # known planes: 3 pixels, 3 residual codes, inside

NORMS = ("none", "weight_norm", "order_rescale", "pono")  # what follows the layers of the paper's network
