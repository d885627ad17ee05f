"""A file that is kept whole: the body of its chunk, and the payload behind it."""

from __future__ import annotations

from dataclasses import dataclass

from codec.errors import DamagedFile
from codec.format.numbers import Reader, varint

STORED, JPEG = range(2)  # forms: packed bytes; the coefficients of a JPEG
_NAMES = "stored bytes", "JPEG coefficients"
_CRC = 4


@dataclass(frozen=True)
class KeptFile:
    """form: STORED or JPEG. size and crc: how many bytes the file has, and their CRC-32."""

    form: int
    size: int
    crc: int
    payload: bytes

    def __str__(self) -> str:
        return _NAMES[self.form]


def pack_kept(kept: KeptFile) -> bytes:
    """The body of the chunk; the payload belongs behind it."""
    return bytes([kept.form]) + varint(kept.size) + kept.crc.to_bytes(_CRC, "little") + varint(len(kept.payload))


def read_kept(body: bytes, payload: bytes | memoryview) -> KeptFile:
    """The kept file of a chunk's body and what follows the chunk. Raises DamagedFile."""
    reader = Reader(body)
    form, size, crc, length = reader.byte(), reader.varint(), reader.number(_CRC), reader.varint()
    reader.done()
    if form not in (STORED, JPEG):
        raise DamagedFile(f"a file is kept in form {form}, which does not exist: get the file again")
    if length != len(payload):
        raise DamagedFile(f"{len(payload)} bytes follow the header, which asks for {length}: get the file again")
    return KeptFile(form, size, crc, bytes(payload))
