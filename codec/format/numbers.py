"""Numbers and lengths in bytes, as every part of a file has them.

Fixed ones are little-endian. A varint is a whole number below 2^63 as LEB128: seven bits a byte, the lowest first, the
top bit set in each byte but the last, in the shortest form. A blob is a varint, its length, and that many bytes.
"""

from __future__ import annotations

from codec.errors import DamagedFile

_MOST_BYTES = 9  # of a varint


def varint(number: int) -> bytes:
    """The bytes of a number. Raises ValueError for one below 0 or from 2^63 on."""
    if not 0 <= number < 1 << 7 * _MOST_BYTES:
        raise ValueError(f"{number} is not from 0 to 2^63 - 1")
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def blob(data: bytes) -> bytes:
    """Bytes with their length before them."""
    return varint(len(data)) + data


class Reader:
    """Reads bytes, or what has their interface, from the first one on.

    Every read raises DamagedFile where the bytes do not go on so far.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self.at = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self.at

    def take(self, count: int) -> bytes:
        """The next bytes."""
        return bytes(self.view(count))

    def view(self, count: int) -> bytes | memoryview:
        """The same, not copied where the data are a memoryview."""
        if count > self.left:
            raise DamagedFile(f"{self.left} bytes are left where {count} are due: get the file again")
        self.at += count
        return self._data[self.at - count : self.at]

    def number(self, count: int) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.view(count), "little")

    def byte(self) -> int:
        """The next byte, 0 to 255."""
        return self.number(1)

    def varint(self) -> int:
        """The next number, 0 to 2^63 - 1. Raises DamagedFile for one that is not written as it should be, too."""
        found = 0
        for shift in range(0, 7 * _MOST_BYTES, 7):
            byte = self.byte()
            found |= (byte & 0x7F) << shift
            if byte < 0x80:
                if byte == 0 and shift:
                    break
                return found
        raise DamagedFile("a number is not written as it should be: get the file again")

    def blob(self) -> bytes:
        """The bytes of the next blob."""
        return self.take(self.varint())

    def done(self) -> None:
        """Raises DamagedFile if there are bytes that nobody has read."""
        if self.left:
            raise DamagedFile(f"there are {self.left} bytes too many: get the file again")
