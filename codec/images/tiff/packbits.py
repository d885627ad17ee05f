"""PackBits: runs of a byte and literal bytes, each after a byte that says which and how many.

A byte n from 0 to 127 is before n + 1 literal bytes; -1 to -127 before one that is there 1 - n times; -128 is nothing.
What encoders differ in is when a short run ends a stretch of literals; ours knows three rules, `LIBTIFF` and a run's
least length, and is given what it may not go across: a row, or a whole block. The kernels keep no state: an encoder is
given whole rows, a decoder goes on at a byte.
"""

from __future__ import annotations

import numpy as np

from runtime.kernels import kernel

LIBTIFF, FROM_TWO, FROM_THREE = range(3)  # the last two: a run ends literals if it is of so many bytes
RULES = (LIBTIFF, FROM_TWO, FROM_THREE)
LONGEST = 128  # bytes of a packet


@kernel
def decode(source: np.ndarray, at: int, out: np.ndarray, filled: int, wanted: int) -> tuple[int, int]:
    """Writes packets to `out` until `wanted` bytes are there, of which `filled` were; up to LONGEST more are written.

    Returns where to go on in the source (behind its end where it has too little), and how many bytes are there.
    """
    while filled < wanted and at < len(source):
        head = np.int64(source[at])
        at += 1
        if head < 128:
            if at + head + 1 > len(source):
                return len(source) + 1, filled
            for place in range(head + 1):
                out[filled + place] = source[at + place]
            at += head + 1
            filled += head + 1
        elif head > 128:
            if at >= len(source):
                return len(source) + 1, filled
            for place in range(257 - head):
                out[filled + place] = source[at]
            at += 1
            filled += 257 - head
    return at, filled


@kernel
def encode(data: np.ndarray, least: int, out: np.ndarray) -> int:
    """Packs a row by the rule of a least length (2 or 3) of runs. out: room for 2 len(data). Returns its bytes."""
    at, written, literals = 0, 0, -1  # literals: where the byte before them is, -1 for none
    while at < len(data):
        run = 1
        while run < LONGEST and at + run < len(data) and data[at + run] == data[at]:
            run += 1
        if run >= least:
            out[written], out[written + 1] = 257 - run, data[at]
            written, literals, at = written + 2, -1, at + run
            continue
        if literals < 0 or out[literals] == LONGEST - 1:
            literals = written
            out[literals] = 0
            written += 1
        else:
            out[literals] += 1
        out[written] = data[at]
        written, at = written + 1, at + 1
    return written


@kernel
def encode_as_libtiff(data: np.ndarray, out: np.ndarray) -> int:
    """Packs a row: a run of two between literals joins them if room is left. out: room for 2 len(data)."""
    at, written = 0, 0
    literals = -1  # where the byte before the literals is that can be made longer
    joins = False  # whether the packet behind those literals is a run, which the next literal may join with them
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at]:
            run += 1
        byte = data[at]
        at += run
        while run > 0:
            if joins:
                joins = False
                if run == 1 and out[written - 2] == 255 and out[literals] < 126:
                    out[literals] += 2
                    out[written - 2] = out[written - 1]
                    if out[literals] == 127:
                        literals = -1
                else:
                    literals = -1
            if run > 1:
                packed = min(run, LONGEST)
                out[written], out[written + 1] = 257 - packed, byte
                joins = literals >= 0
                written += 2
                run -= packed
                continue
            if literals >= 0:
                out[literals] += 1
                out[written] = byte
                written += 1
                if out[literals] == 127:
                    literals = -1
            else:
                literals = written
                out[written], out[written + 1] = 0, byte
                written += 2
            run = 0
    return written
