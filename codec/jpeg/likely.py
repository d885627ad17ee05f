"""What the segments of most JPEGs hold: the tables that libjpeg writes, which stand in ITU-T T.81, annex K.

Packing may refer to these bytes, so they are part of the format.
"""

from functools import cache

import numpy as np

from codec.jpeg.segments import ZIGZAG

_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99),
    *(99,) * 36,
)
_DC_COUNTS = "00010501010101010100000000000000", "00030101010101010101010000000000"  # of luma, and of chroma
_AC_COUNTS = "0002010303020403050504040000017d", "00020102040403040705040400010277"
_AC_LUMA = (
    "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a"
    "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8"
    "a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa"
)
_AC_CHROMA = (
    "0001020311040521310612415107617113223281081442"
    "91a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a434445464748494a535455565758595a63646566676869"
    "6a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4"
    "d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa"
)


def standard_steps(quality: int, chroma: bool) -> np.ndarray:
    """libjpeg's quantisation steps of a quality from 1 to 100, int64 [64] in rows of eight."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(_CHROMA if chroma else _LUMA) * scale + 50) // 100, 1, 255)


@cache
def likely_segments() -> bytes:
    """Segments as libjpeg writes them, those that are likelier further behind."""
    parts = []
    for quality in range(1, 101):
        for number in range(2):
            parts.append(b"\xff\xdb\x00\x43" + bytes([number, *standard_steps(quality, number == 1)[ZIGZAG].tolist()]))
    for sampling in ("11", "21", "22"):
        parts.append(bytes.fromhex(f"ffc2001108000000000301{sampling}00021101031101"))
    tables = zip((0x00, 0x10, 0x01, 0x11), (_DC_COUNTS[0], _AC_COUNTS[0], _DC_COUNTS[1], _AC_COUNTS[1]), _symbols())
    scans = []
    for number, counts, symbols in tables:
        body = bytes([number]) + bytes.fromhex(counts) + symbols
        scans.append(b"\xff\xc4" + (len(body) + 2).to_bytes(2, "big") + body)
    start = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
    grey = bytes.fromhex("ffc0000b080000000001011100ffda0008010100003f00ffd9")
    frames = [bytes.fromhex(f"ffc0001108000000000301{sampling}00021101031101") for sampling in ("11", "21", "22")]
    return b"".join([*parts, start, grey, *frames, *scans, bytes.fromhex("ffda000c03010002110311003f00ffd9")])


def _symbols() -> list[bytes]:
    dc = bytes(range(12))
    return [dc, bytes.fromhex(_AC_LUMA), dc, bytes.fromhex(_AC_CHROMA)]
