"""The integer tables of the mixing stage, read from tables.safetensors (made once by tools/make_tables.py).

SQUASH int32 [4095]: logit x / 256, x = -2047 .. 2047, to a probability out of 2^16. STRETCH int32 [4096]: its inverse.
ERROR_CLASS int32 [2048]: mean absolute error in 1/16 grey level to one of 24 classes. RATE int32 [1024]: learning
rates out of 2^16 by number of visits.
"""

from pathlib import Path

from safetensors.numpy import load_file

_TABLES = load_file(Path(__file__).with_name("tables.safetensors"))
SQUASH, STRETCH, ERROR_CLASS, RATE = (_TABLES[name] for name in ("squash", "stretch", "error_class", "rate"))
