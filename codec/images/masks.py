"""Channels that share a word: which bits of it each has, and from words to values and back.

Values are what the bits say, not scaled: 0 to 31 for five bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.errors import UnreadableImage, UnsupportedImage


@dataclass(frozen=True)
class Field:
    """Neighbouring bits of a word, from `shift` on, counted from the lowest."""

    shift: int
    bits: int

    @property
    def mask(self) -> int:
        """The word in which just these bits are set."""
        return ((1 << self.bits) - 1) << self.shift


def field_of(mask: int) -> Field:
    """The bits that a mask has. Raises UnsupportedImage for none or over 16, and UnreadableImage for bits with gaps."""
    if mask == 0:
        raise UnsupportedImage("a channel whose mask has no bits is not read: save the picture in another form")
    shift = (mask & -mask).bit_length() - 1
    found = Field(shift, mask.bit_count())
    if found.mask != mask:
        raise UnreadableImage(f"the bits of a channel's mask, {mask:#x}, have gaps: get the file again")
    if found.bits > 16:
        raise UnsupportedImage(f"a channel of {found.bits} bits is not read: save the picture with 16 or fewer")
    return found


def fields_of(masks: tuple[int, ...], word_bits: int) -> tuple[Field, ...]:
    """The fields of a word's channels. Raises as `field_of`, and UnreadableImage where they overlap or do not fit."""
    fields = tuple(field_of(mask) for mask in masks)
    union = 0
    for mask in masks:
        if union & mask or mask >> word_bits:
            raise UnreadableImage(f"masks overlap or exceed {word_bits} bits ({mask:#x}): get the file again")
        union |= mask
    return fields


def spare_bits(fields: tuple[Field, ...], word_bits: int) -> int:
    """The mask of the bits that no field has."""
    return ((1 << word_bits) - 1) & ~sum(field.mask for field in fields)


def split(words: np.ndarray, fields: tuple[Field, ...], values: np.ndarray) -> None:
    """Write to values, [N, W, C], what each field of the words, [N, W], says."""
    for channel, field in enumerate(fields):
        values[:, :, channel] = (words >> field.shift) & ((1 << field.bits) - 1)


def join(values: np.ndarray, fields: tuple[Field, ...], dtype: str) -> np.ndarray:
    """Words, [N, W], of values, [N, W, C]; bits that a field has no room for are left out."""
    words = np.zeros(values.shape[:2], dtype)
    for channel, field in enumerate(fields):
        words |= (values[:, :, channel].astype(dtype) & ((1 << field.bits) - 1)) << field.shift
    return words


def unpack_bits(rows: np.ndarray, bits: int, width: int) -> np.ndarray:
    """Values, [N, width] uint8, of rows, [N, B] uint8, in which each has 1, 2, 4 or 8 bits, the highest first."""
    if bits == 8:
        return rows[:, :width]
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=width)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    parts = (rows[:, :, None] >> shifts) & ((1 << bits) - 1)
    return parts.reshape(len(rows), -1)[:, :width]


def pack_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """The inverse: [N, B] uint8 with zeros after the last value."""
    if bits == 8:
        return values
    if bits == 1:
        return np.packbits(values, axis=1)
    per_byte = 8 // bits
    padded = np.zeros((len(values), -(-values.shape[1] // per_byte) * per_byte), np.uint8)
    padded[:, : values.shape[1]] = values
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return np.bitwise_or.reduce(padded.reshape(len(values), -1, per_byte) << shifts, axis=2)
