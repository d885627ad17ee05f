"""PNG: taken apart and put together again. W3C PNG, third edition, without animations.

Samples are those of the scanlines, all passes put in place, not scaled; palette, transparent colours and all other
chunks are in the rest as they stand. The rest (numbers as in `codec.format.numbers`):

    first       byte: packing (0 as is usual, 1 zlib, 2 stored blocks) | 4 if interlaced | 8 if padding follows
    packing 1   byte: level + 10 * (strategy + 5 * (memory - 8)), zlib's parameters of deflateInit2
                byte: (window - 8) | header's window << 3 | header's effort << 6; window is deflateInit2's, the others
                make the stream's first two bytes: header's window << 4 | 8, then effort << 6 plus 31 less what is
                left of both as a number of 16 bits by 31
    packing 2   byte: as the second above, window - 8 being 0; split of the scanlines into stored blocks
    packing 1, 2   split of the stream into IDAT chunks; choice of filters
    padding     blob: for every row what its last byte has below the last sample
    chunks      all but IHDR and IEND, in order, then byte 0. byte 1: all IDAT, which is there once. byte 2 + i: a chunk
                of type i of `kept._TYPES`, blob: its content; after these types' bytes a whole chunk of `kept._WHOLE`
                each; byte 255: four bytes of a type, blob
    after       whatever follows IEND, to the rest's end

    split       varint: 0 in one piece; 1 listed, varint how many, varint each; n + 1 in pieces of n, and what is left.
                IDAT listed: bytes beyond those go into further chunks of 2**20
    choice      byte: 0 to 4 this filter for every row; 5 to 7 in every row that one of filters.RULES[choice - 5] that
                has the smallest sum of absolute values as signed bytes, the first of several; 8 listed, blob: a byte
                for every row

Rows are those of all passes. Packing 0: not filtered if palette or below 8 bits, else by choice 5; zlib with memory 9
and window 15, level 9, strategy 1 (0 if not filtered), from 2**24 bytes of scanlines on level 6; IDAT of 2**20.
"""

from codec.images.png.compose import compose
from codec.images.png.metadata import metadata, stripped
from codec.images.png.opinion import second_opinion
from codec.images.png.reading import recognises, take_apart
from codec.images.png.writing import put_together

__all__ = ["compose", "metadata", "put_together", "recognises", "second_opinion", "stripped", "take_apart"]
