"""Section 14.1: packed bytes."""

from __future__ import annotations

import lzma
import zlib

from tests.reference.container import Refused, check

LZMA2 = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 24}]


def unpacked(packed: bytes, most: int, likely: bytes) -> bytes:
    """At most so many bytes. likely: deflate's preset dictionary."""
    way, body = packed[:1], packed[1:]
    check(way in (b"\0", b"\1", b"\2"), "packed in an unknown way")
    if way == b"\0":
        check(len(body) <= most, "more bytes than there can be")
        return body
    deflate = way == b"\1"
    stream = zlib.decompressobj(-15, likely) if deflate else lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=LZMA2)
    try:
        found = stream.decompress(body, most + 1)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise Refused(str(error)) from error
    check(stream.eof and not stream.unused_data and len(found) <= most, "a stream that does not end where it should")
    return found
