"""GIF files byte by byte, with a plain LZW encoder whose habits can be chosen."""

import struct

import numpy as np

GREEDY = 10**9


class Bits:
    """Codes of given widths, the lowest bit first."""

    def __init__(self):
        self.number, self.count = 0, 0

    def add(self, code, width):
        self.number |= code << self.count
        self.count += width

    def bytes(self, pad=0):
        left = -self.count % 8
        self.add(pad & ((1 << left) - 1), left)
        return self.number.to_bytes(self.count // 8, "little")


def lzw(pixels, least, *, clear_after=None, clears=None, first=True, end=True, longest=lambda number: GREEDY, pad=0):
    """The LZW code of pixels, a list. clear_after: codes between clear codes; clears: a list of such numbers instead.
    longest: how many pixels the code of this number may stand for."""
    bits, clear, gaps = Bits(), 1 << least, list(clears or [])
    table, since, width = {(i,): i for i in range(clear)}, 0, least + 1
    free = clear + 2

    def clear_table():
        nonlocal table, since, width, free
        bits.add(clear, width)
        table, since, width, free = {(i,): i for i in range(clear)}, 0, least + 1, clear + 2

    if first:
        clear_table()
    at = number = 0
    while at < len(pixels):
        while gaps and gaps[0] == since:
            gaps.pop(0)
            clear_table()
        if clear_after is not None and since == clear_after:
            clear_table()
        length = 1
        while at + length < len(pixels) and length < longest(number) and tuple(pixels[at : at + length + 1]) in table:
            length += 1
        bits.add(table[tuple(pixels[at : at + length])], width)
        since, number = since + 1, number + 1
        if free == 1 << width and width < 12:
            width += 1
        if free < 4096:
            table.setdefault(tuple(pixels[at : at + length + 1]), free)
            free += 1
        at += length
    for _ in gaps:
        clear_table()
    if end:
        bits.add(clear + 1, width)
    return bits.bytes(pad)


def blocks(code, sizes=(255,)):
    """Cut into blocks, of the last of these sizes from some place on."""
    cut, sizes = b"", list(sizes)
    while code:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        cut += bytes([len(code[:size])]) + code[:size]
        code = code[size:]
    return cut + b"\0"


def extension(label, *contents):
    return bytes([0x21, label]) + b"".join(bytes([len(c)]) + c for c in contents) + b"\0"


def palette(bits, seed=0):
    return np.random.default_rng(seed).integers(0, 256, 3 << bits, dtype=np.uint8).tobytes()


def rows_in_file(height, interlaced):
    if not interlaced:
        return list(range(height))
    return [row for first, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for row in range(first, height, step)]


def build(
    indices,
    least,
    *,
    version=b"GIF89a",
    colours=None,
    own=None,
    interlaced=False,
    screen=None,
    place=(0, 0),
    look=b"\0\0",
    before=b"",
    after=b";",
    sizes=(255,),
    tail=b"",
    code=None,
    **habits,
):
    """A file of [H, W] indices; colours and own: bits of the screen's and of the image's palette."""
    height, width = indices.shape
    across, down = screen or (width, height)
    packed = 0x80 | 0x70 | colours - 1 if colours else 0x70
    image = (0x80 | own - 1 if own else 0) | 0x40 * interlaced
    if code is None:
        code = lzw(indices[rows_in_file(height, interlaced)].ravel().tolist(), least, **habits)
    return b"".join(
        [
            version + struct.pack("<HHB", across, down, packed) + look + (palette(colours) if colours else b""),
            before + struct.pack("<BHHHHB", 0x2C, *place, width, height, image),
            (palette(own, 1) if own else b"") + bytes([least]) + blocks(code + tail, sizes) + after,
        ]
    )


def picture(height, width, most, seed=0):
    """Indices below `most` with runs and repeats, as pictures have them."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, most, (height // 3 + 1, width // 4 + 1))
    noisy = np.repeat(np.repeat(coarse, 3, 0), 4, 1)[:height, :width]
    return np.where(rng.random((height, width)) < 0.2, rng.integers(0, most, (height, width)), noisy)
