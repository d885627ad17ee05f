"""Bytes that are no pixels, packed by the standard library: as they are, by deflate or by LZMA2, whichever is shortest.

The first byte says which.
"""

import lzma
import zlib

from codec.errors import DamagedFile

_AS_IS, _DEFLATE, _LZMA = range(3)
_WORTH_LZMA = 4096  # bytes from which on it is tried
_DICTIONARY = 2**24  # bytes that a decoder keeps; an encoder takes eleven times as many


def pack(data: bytes, dictionary: bytes = b"") -> bytes:
    """dictionary: bytes that are likely, which deflate may refer to; `unpack` must be given the same."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
    ways = [bytes([_AS_IS]) + data, bytes([_DEFLATE]) + deflate.compress(data) + deflate.flush()]
    if len(data) >= _WORTH_LZMA:
        enough = min(1 << (len(data) - 1).bit_length(), _DICTIONARY)
        ways.append(bytes([_LZMA]) + lzma.compress(data, format=lzma.FORMAT_RAW, filters=_filters(enough)))
    return min(ways, key=len)


def unpack(packed: bytes, most: int, dictionary: bytes = b"") -> bytes:
    """What was packed. Raises DamagedFile, also for more bytes than `most`."""
    way, body = packed[:1], packed[1:]
    try:
        if way == bytes([_AS_IS]):
            data, ended = body, True
        elif way == bytes([_DEFLATE]):
            inflate = zlib.decompressobj(-15, dictionary)
            data = inflate.decompress(body, most + 1)
            ended = inflate.eof and not inflate.unused_data
        elif way == bytes([_LZMA]):
            decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_filters(_DICTIONARY))
            data = decoder.decompress(body, most + 1)
            ended = decoder.eof and not decoder.unused_data
        else:
            raise DamagedFile("bytes are packed in a way that does not exist: get the file again")
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise DamagedFile(f"packed bytes do not unpack ({error}): get the file again") from error
    if len(data) > most or not ended:
        raise DamagedFile("packed bytes do not end where they should: get the file again")
    return data


def _filters(dictionary: int) -> list[dict[str, int]]:
    return [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary}]
