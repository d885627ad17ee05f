"""What holds for every format: a file comes back, its metadata can be left out, and damage is told in our errors."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from codec.errors import CodecError, DamagedFile
from codec.images.samples import Item, Parts, Samples

MOST = 10**7


def noise(height: int, width: int, channels: int, most: int = 255) -> np.ndarray:
    """Values up to most, [height, width, channels], of which some neighbours are alike; the first is most."""
    generator = np.random.default_rng([height, width, channels, most])
    values = generator.integers(0, most + 1, (height, -(-width // 3), channels)).repeat(3, axis=1)[:, :width]
    other = generator.random((height, width, 1)) < 0.4
    values = np.where(other, generator.integers(0, most + 1, values.shape), values)
    values[0, 0] = most
    return values.astype(np.uint8 if most < 256 else np.uint16)


def file_of(format_: ModuleType, samples: Samples, rest: bytes) -> bytes:
    return b"".join(format_.put_together(samples, rest))


def checked(format_: ModuleType, data: bytes, values: np.ndarray, kind: str, depth: int, exact: bool = True) -> Parts:
    """The parts of a file whose samples are known, after all that must hold for them."""
    parts = format_.take_apart(data, MOST)
    samples = parts.samples
    assert (samples.kind, samples.depth, parts.exact) == (kind, depth, exact)
    np.testing.assert_array_equal(samples.values, values)
    again = file_of(format_, samples, parts.rest)
    assert (again == data) is exact
    assert format_.recognises(data) and format_.recognises(again)
    reread = format_.take_apart(again, MOST)
    assert reread.samples.same(samples)
    assert reread.exact
    opinion = format_.second_opinion(data)
    assert opinion is None or opinion.same(samples)
    bare = file_of(format_, samples, format_.stripped(parts.rest))
    unread = format_.take_apart(bare, MOST)
    assert unread.samples.same(samples)
    if samples.palette is not None:
        np.testing.assert_array_equal(unread.samples.palette, samples.palette)
    return parts


def items(format_: ModuleType, parts: Parts) -> dict[str, bytes]:
    found: list[Item] = format_.metadata(parts.rest)
    assert len({item.name for item in found}) == len(found)
    return {item.name: item.data for item in found}


def fails_well(format_: ModuleType, data: bytes) -> bool:
    """Whether a damaged file is refused; if it is not, it comes back."""
    format_.recognises(data)
    try:
        parts = format_.take_apart(data, 10**5)
    except CodecError as error:
        assert not isinstance(error, DamagedFile)
        return True
    again = file_of(format_, parts.samples, parts.rest)
    assert (again == data) is parts.exact
    opinion = format_.second_opinion(data)
    assert opinion is None or opinion.values.dtype == parts.samples.values.dtype
    format_.metadata(parts.rest)
    file_of(format_, parts.samples, format_.stripped(parts.rest))
    return False


def mutated(data: bytes, seed: int) -> bytes:
    """Data with one to four bytes changed, taken out, put in or doubled; mostly near the beginning."""
    generator, damaged = np.random.default_rng(seed), bytearray(data)
    for _ in range(generator.integers(1, 5)):
        most = min(len(damaged), 80) if generator.random() < 0.7 else len(damaged)
        at = int(generator.integers(0, max(1, most)))
        value = int(generator.choice([0, 1, 127, 128, 255, generator.integers(256)]))
        way = generator.integers(4)
        if way == 0:
            damaged.insert(at, value)
        elif way == 1:
            del damaged[at : at + 1]
        else:
            damaged[at : at + 1] = bytes([value])
    return bytes(damaged)


def check_damage(format_: ModuleType, data: bytes, mutations: int) -> None:
    """Truncated at many places and mutated, a file is refused by our errors or read as another file."""
    cuts = {*range(min(len(data), 150)), *range(0, len(data), max(1, len(data) // 50))}
    refused = [fails_well(format_, data[:cut]) for cut in sorted(cuts)]
    assert sum(refused) > len(refused) // 2
    assert 0 < sum(fails_well(format_, mutated(data, seed)) for seed in range(mutations)) < mutations


def check_hostile_rests(format_: ModuleType, data: bytes, mutations: int) -> None:
    """A mutated or truncated rest is refused as a damaged file, or it makes a file that is not much larger."""
    parts, damaged = format_.take_apart(data, MOST), 0
    rests = [mutated(parts.rest, seed) for seed in range(mutations)]
    rests += [parts.rest[:cut] for cut in range(min(len(parts.rest), 100))]
    for rest in rests:
        try:
            size = sum(map(len, format_.put_together(parts.samples, rest)))
            assert size < 100 * (len(data) + len(rest))
            format_.metadata(rest)
            format_.stripped(rest)
        except DamagedFile:
            damaged += 1
    assert 0 < damaged
    other = Samples(noise(5, 2, 5), 8, "cmyk+alpha")
    with pytest.raises(DamagedFile):
        file_of(format_, other, parts.rest)
