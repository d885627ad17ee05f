"""What the codec makes of a JPEG's coefficients, the plain decoder reads: the same ones, from docs/format.md alone."""

import zlib
from functools import cache

import numpy as np
import pytest

from codec.errors import DamagedFile
from codec.format import container
from codec.format.container import Contents
from codec.jpeg import coder
from codec.jpeg.file import take_apart
from codec.jpeg.keep import keep
from codec.jpeg.likely import likely_segments
from codec.jpeg.segments import Frame
from tests.codec.golden import FOLDER
from tests.codec.jpeg.jpegs import jpeg, jpegs
from tests.codec.jpeg.test_blocks import SAMPLINGS, frame
from tests.pictures import noise, photograph
from tests.reference import jpeg_file
from tests.reference.container import Refused
from tests.reference.jpeg import Component, Picture, answers, learned
from tests.reference.jpeg_decisions import Decisions
from tests.reference.range_coder import Decoder, Encoder

KEPT = FOLDER / "kept.lmc"
KINDS = ["grey", "4:4:4", "4:2:0", "4:2:2", "CMYK", "restarts", "4:2:0 progressive", "keeps RGB", "one colour"]
KINDS += [f"size {size}" for size in ((1, 1), (1, 9), (9, 1), (17, 33))]


@pytest.fixture
def nothing_learned(monkeypatch) -> Decisions:
    """The codec begins with nothing learned, and so does the plain decoder."""
    monkeypatch.setattr(coder, "_learned", lambda: ())
    return Decisions()


def components(of: Frame, steps: tuple[np.ndarray, ...]) -> list[Component]:
    return [Component(c.rows, c.stride, each.tolist()) for c, each in zip(of.components, steps)]


def agree(coefficients: np.ndarray, of: Frame, steps: tuple[np.ndarray, ...], before: Decisions) -> None:
    decoder = Decoder(coder.encode(coefficients.copy(), of, steps, lambda blocks: None))
    found = Picture(components(of, steps), before).decoded(decoder)
    np.testing.assert_array_equal(found, coefficients)
    assert not decoder.failed


def agree_on_file(data: bytes, before: Decisions) -> None:
    found = take_apart(data)
    agree(found.coefficients, found.frame, found.steps, before)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind(kind, nothing_learned):
    agree_on_file(jpegs()[kind], nothing_learned)


def test_noise(nothing_learned):
    agree_on_file(jpeg(noise(17, 16), quality=100, subsampling=0), nothing_learned)


@pytest.mark.parametrize("sampling", [*SAMPLINGS.values(), [(2, 1), (1, 1)]], ids=str)
@pytest.mark.parametrize(("most", "filled", "step"), [(1, 0.02, 1), (1000, 0.3, 0), (32767, 0.2, 65535)])
def test_any_coefficients(sampling, most, filled, step, nothing_learned):
    of, rng = frame(11, 19, sampling), np.random.default_rng(most)
    blocks = sum(component.blocks for component in of.components)
    coefficients = rng.integers(-most, most + 1, (blocks, 64)) * (rng.random((blocks, 64)) < filled)
    agree(coefficients.astype(np.int16), of, tuple(np.full(64, step) for _ in sampling), nothing_learned)


def taught_by(photographs: list[bytes]) -> Decisions:
    pictures = [take_apart(data) for data in photographs]
    return learned((components(each.frame, each.steps), each.coefficients) for each in pictures)


def test_a_start_of_other_photographs(monkeypatch, tmp_path):
    """Two of them, so that all goes on from one to the next."""
    start = [jpeg(photograph(24, 32), quality=85), jpeg(photograph(16, 40, 2), quality=95)]
    for number, data in enumerate(start):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    monkeypatch.setattr(coder, "_START", tmp_path)
    monkeypatch.setattr(coder, "_learned", cache(coder._learned.__wrapped__))
    before = taught_by(start)
    for kind in ("size (17, 33)", "grey"):
        agree_on_file(jpegs()[kind], before)


def read(data: bytes) -> tuple[jpeg_file.Kept, list[Component]]:
    found = jpeg_file.read(data, likely_segments())
    return found, jpeg_file.components(found.around)


@pytest.mark.parametrize("kind", jpegs())
def test_what_is_around_the_scans(kind):
    data, apart = jpegs()[kind], take_apart(jpegs()[kind])
    found, parts = read(container.pack(Contents(keep(data).kept)))
    assert (found.length, found.crc, found.pad) == (len(data), zlib.crc32(data), 1)
    assert found.around == apart.around and parts == components(apart.frame, apart.steps)


def test_altered_files_are_refused():
    """Before the payload, which has the checksum of the file that is kept."""
    data = KEPT.read_bytes()
    for i in range(len(data) - len(container.read(data).kept.payload)):
        with pytest.raises(Refused):
            read(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])


def test_a_coefficient_that_does_not_fit_is_refused(nothing_learned):
    """One that would be 13 in 16 bits."""
    of, encoder, steps = frame(8, 8, [(1, 1)]), Encoder(), (np.ones(64, np.int64),)
    picture, wrong = Picture(components(of, steps), nothing_learned), np.zeros((1, 64), np.int64)
    wrong[0, 0] = 13 + 65536
    answer = answers(picture, wrong)

    def decide(frequency: int) -> int:
        decision = answer(frequency)
        encoder.code(frequency, decision)
        return decision

    with pytest.raises(Refused, match="does not fit"):
        picture.decoded(decide)
    with pytest.raises(DamagedFile):
        coder.decode(encoder.finish(), of, steps, np.zeros((1, 64), np.int16), lambda blocks: None)


@pytest.mark.slow
def test_the_start():
    """After the three photographs of the format: the coefficients of the file that is kept, and of others."""
    before = taught_by([path.read_bytes() for path in sorted(coder._START.glob("*.jpg"))])
    found, parts = read(KEPT.read_bytes())
    decoder = Decoder(found.payload)
    coefficients = take_apart(KEPT.with_suffix(".jpg").read_bytes()).coefficients
    np.testing.assert_array_equal(Picture(parts, before).decoded(decoder), coefficients)
    assert not decoder.failed
    for kind in ("4:2:0", "CMYK", "size (1, 1)"):
        agree_on_file(jpegs()[kind], before)
