"""Forms of a group: how the planes that are coded come of a picture's samples, and back.

Values that do not occur are left out (RANKS): a value becomes its rank among those that do, so that a picture of 12
bits in samples of 16, or one whose contrast was stretched, is as narrow as it can be. Indices of a palette become its
colours (COLOURS), where these tell them apart: what codes photographs then sees what people see.

Of every form, `depth` is how many bits the planes' values have and `count` how many planes there are. Samples are
[h, w, C], planes [count, h, w]; both uint8 up to 8 bits, else uint16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.errors import DamagedFile
from codec.format.packed import pack, unpack
from codec.format.picture import AS_THEY_ARE, COLOURS, RANKS, Group, Header

_DEEP = 8  # bits of a sample from which on it has two bytes
_BAND = 2**20  # samples looked at together
_SPARSE = 0.5  # share of the values that occur, up to which leaving the others out is tried
_WORTH = 0.5  # of what it may gain, that the list of those that occur may take
_ALIKE = 1.2  # values of all channels together, to those of one, up to which they have one list


@dataclass(frozen=True)
class AsTheyAre:
    """The planes are the channels."""

    depth: int
    count: int
    code = AS_THEY_ARE
    used = b""

    def planes(self, samples: np.ndarray) -> np.ndarray:
        """What is coded: a view."""
        return samples.transpose(2, 0, 1)

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """The samples of what was decoded. Raises DamagedFile."""
        if int(planes.max(initial=0)) >> self.depth:
            raise DamagedFile(f"a sample has more than {self.depth} bits: get the file again")
        return planes.transpose(1, 2, 0)


@dataclass(frozen=True)
class Ranks:
    """values: those that occur in each channel, in rising order. bits: of a sample."""

    values: tuple[np.ndarray, ...]
    bits: int
    code = RANKS

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def depth(self) -> int:
        return max(1, (max(map(len, self.values)) - 1).bit_length())

    @property
    def used(self) -> bytes:
        """Packed bits, one for each value and channel: whether it occurs."""
        there = np.zeros((len(self.values), 1 << self.bits), bool)
        for channel, values in enumerate(self.values):
            there[channel, values] = True
        return pack(np.packbits(there, axis=1, bitorder="little").tobytes())

    def planes(self, samples: np.ndarray) -> np.ndarray:
        """What is coded."""
        found = np.empty((samples.shape[2], *samples.shape[:2]), _dtype(self.depth))
        for channel, values in enumerate(self.values):
            ranks = np.zeros(1 << self.bits, found.dtype)
            ranks[values] = np.arange(len(values))
            found[channel] = ranks[samples[..., channel]]
        return found

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """The samples of what was decoded. Raises DamagedFile for a rank that there is not."""
        found = np.empty((*planes.shape[1:], len(planes)), _dtype(self.bits))
        for channel, values in enumerate(self.values):
            if int(planes[channel].max(initial=0)) >= len(values):
                raise DamagedFile("a sample has a value that does not occur: get the file again")
            found[..., channel] = values[planes[channel]]
        return found


@dataclass(frozen=True)
class Colours:
    """The planes are the palette's red, green and blue. palette: uint8 [N, 3], N at most 1 << bits; a colour stands for
    its first index."""

    palette: np.ndarray
    bits: int
    code = COLOURS
    depth = _DEEP
    count = 3
    used = b""

    def planes(self, samples: np.ndarray) -> np.ndarray:
        """What is coded."""
        return self.palette[samples[..., 0]].transpose(2, 0, 1)

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """The samples of what was decoded. Raises DamagedFile for a colour that the palette has not."""
        numbers = _numbers(self.palette)
        order = np.argsort(numbers, kind="stable")
        wanted = _numbers(planes.transpose(1, 2, 0))
        places = np.minimum(np.searchsorted(numbers, wanted, sorter=order), len(order) - 1)
        found = order[places]
        if (numbers[found] != wanted).any():
            raise DamagedFile("a pixel has a colour that the palette has not: get the file again")
        return found.astype(_dtype(self.bits))[..., None]


Form = AsTheyAre | Ranks | Colours


def chosen(samples: np.ndarray, depth: int, palette: np.ndarray | None = None) -> Form:
    """The form that a group's samples, [H, W, C], are best coded in. palette: uint8 [N, 3] of what are its indices."""
    if palette is not None and _is_one_to_one(samples, palette):
        return Colours(palette[: 1 << depth], depth)
    if depth <= _DEEP:
        return AsTheyAre(depth, samples.shape[2])
    values = [_occurring(samples[..., channel], depth) for channel in range(samples.shape[2])]
    if max(map(len, values)) > _SPARSE * (1 << depth):
        return AsTheyAre(depth, len(values))
    together = np.unique(np.concatenate(values))
    if len(together) <= _ALIKE * max(map(len, values)):
        values = [together] * len(values)
    form = Ranks(tuple(values), depth)
    gain = sum(np.log2((1 << depth) / len(each)) for each in values) * samples[..., 0].size
    return form if 8 * len(form.used) < _WORTH * gain else AsTheyAre(depth, len(values))


def form_of(group: Group, header: Header, channels: int) -> Form:
    """The form that a file says. Raises DamagedFile."""
    if group.form == COLOURS:
        palette = header.colours
        if palette is None or not len(palette):
            raise DamagedFile("indices are coded as colours, but the palette has none: get the file again")
        return Colours(palette[: 1 << header.depth], header.depth)
    if group.form == AS_THEY_ARE:
        return AsTheyAre(header.depth, channels)
    size = -(-(1 << header.depth) // 8)
    packed = np.frombuffer(unpack(group.used, channels * size), np.uint8)
    if len(packed) != channels * size:
        raise DamagedFile("the list of values that occur has another length: get the file again")
    there = np.unpackbits(packed.reshape(channels, size), axis=1, count=1 << header.depth, bitorder="little")
    values = tuple(np.flatnonzero(each).astype(_dtype(header.depth)) for each in there)
    if min(map(len, values)) == 0:
        raise DamagedFile("no value occurs in a channel: get the file again")
    return Ranks(values, header.depth)


def _is_one_to_one(samples: np.ndarray, palette: np.ndarray) -> bool:
    """Whether colours tell the indices apart: each that occurs is the first of its colour."""
    used = _occurring(samples[..., 0], 8 * samples.itemsize)
    if int(used[-1]) >= len(palette):
        return False
    numbers = _numbers(palette)
    order = np.argsort(numbers, kind="stable")
    return bool((order[np.searchsorted(numbers, numbers[used], sorter=order)] == used).all())


def _numbers(colours: np.ndarray) -> np.ndarray:
    """Of colours, uint8 [..., 3]: int32 [...]."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def _occurring(plane: np.ndarray, depth: int) -> np.ndarray:
    """The values of a plane [H, W], in rising order."""
    there = np.zeros(1 << depth, bool)
    rows = max(_BAND // plane.shape[1], 1)
    for start in range(0, len(plane), rows):
        there[plane[start : start + rows]] = True
    return np.flatnonzero(there).astype(_dtype(depth))


def _dtype(depth: int) -> type[np.unsignedinteger]:
    return np.uint8 if depth <= _DEEP else np.uint16
