"""TIFFs and rests that are cut short or altered: an error of ours or some picture, in bounded memory and time."""

import numpy as np
import pytest

from codec.errors import CodecError, DamagedFile
from codec.images import tiff
from codec.images.samples import Samples
from tests.codec.images.test_tiff import MOST, Picture, pages, samples

PICTURES = {
    "plain": lambda: Picture(samples("rgb"), "rgb", rows=5),
    "deflate": lambda: Picture(samples("rgb", 16), "rgb", 16, compression=8, predictor=2, order=">", first_data=True),
    "lzw": lambda: Picture(samples("palette", 4), "palette", 4, compression=5, big=True),
    "packbits": lambda: Picture(samples(depth=1), depth=1, compression=32773, tile=(16, 16), end=3, padding=1),
    "planar": lambda: Picture(samples("cmyk"), "cmyk", planar=True, tile=(16, 16), padding="edge"),
}


def outcome(data):
    """Parts, or None where an error of ours was raised; a file read can be put together."""
    try:
        parts = tiff.take_apart(data, MOST)
    except CodecError:
        return None
    made = b"".join(tiff.put_together(parts.samples, parts.rest))
    assert (made == data) if parts.exact else tiff.take_apart(made, MOST).samples.same(parts.samples)
    tiff.metadata(parts.rest)
    tiff.stripped(parts.rest)
    return parts


@pytest.mark.parametrize("name", PICTURES)
def test_cut_short(name):
    data = PICTURES[name]().file()
    assert outcome(data) is not None
    refused = [outcome(data[:size]) is None for size in range(0, len(data), 1 + len(data) // 150)]
    assert all(refused)


@pytest.mark.parametrize("name", [*PICTURES, "pages"])
def test_altered(name):
    data = pages()[1] if name == "pages" else PICTURES[name]().file()
    rng = np.random.default_rng(4)
    refused = 0
    for _ in range(150):
        altered = bytearray(data)
        start = rng.choice([0, max(0, len(data) - 400)])
        for at in rng.integers(start, min(len(data), start + 400), rng.integers(1, 4)):
            altered[at] = rng.integers(0, 256) if rng.random() < 0.7 else rng.choice([0, 1, 255])
        refused += outcome(bytes(altered)) is None
    assert 0 < refused < 150


@pytest.mark.parametrize("name", PICTURES)
def test_altered_rests(name):
    parts = tiff.take_apart(PICTURES[name]().file(), MOST)
    rng = np.random.default_rng(5)
    made = refused = 0
    for _ in range(200):
        rest = bytearray(parts.rest)
        if rng.random() < 0.2:
            del rest[rng.integers(0, len(rest)) :]
        for at in rng.integers(0, len(rest), rng.integers(0, 4)) if rest else ():
            rest[at] = rng.integers(0, 256)
        for function in (lambda rest: tiff.put_together(parts.samples, rest), tiff.metadata, tiff.stripped):
            try:
                size = sum(len(piece) for piece in function(bytes(rest)) if isinstance(piece, bytes))
                assert size < 3_000_000
                made += 1
            except DamagedFile:
                refused += 1
    assert made and refused


def test_a_rest_for_other_samples():
    parts = tiff.take_apart(PICTURES["plain"]().file(), MOST)
    values = parts.samples.values
    others = [Samples(values[1:], 8, "rgb"), Samples(values[..., :1], 8, "grey"), Samples(values >> 1, 7, "rgb")]
    for other in others:
        with pytest.raises(DamagedFile, match="other samples"):
            tiff.put_together(other, parts.rest)
    for rest in (b"", b"\xff" * 20, parts.rest[:-200]):
        with pytest.raises(DamagedFile):
            tiff.put_together(parts.samples, rest)
