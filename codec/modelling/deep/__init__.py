"""Values of 9 to 16 bits: predictions, how far off they may be, and decisions as coarse or fine as that asks.

No step knows the range: distances are counted in expected errors, so a decision means the same in dark and in light,
in pictures with and without noise. Predictions are in 1/64 of a step between two values, the *unit* of this room.
"""
