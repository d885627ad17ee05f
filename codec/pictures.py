"""What people hold -> the bytes of a .lmc file -> what people hold: arrays, Pillow's images, files.

>>> import numpy as np
>>> pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
>>> data = encode(pixels)
>>> bool((decode(data).array == pixels).all())
True
>>> probe(data).width
4

Models are loaded when they are first needed, once in a process.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from codec import archive, models
from codec.archive import Wishes
from codec.decompression import Lost, check, decompress
from codec.errors import UnsupportedImage
from codec.format import container
from codec.format.picture import MAX_PIXELS
from codec.format.source import SourceFile
from codec.images import png
from codec.images.samples import Samples
from codec.jpeg import keep
from codec.models import NORMAL, check_effort

if TYPE_CHECKING:
    from PIL import Image

Metadata = Mapping[str, bytes]
Bytes = bytes | bytearray | memoryview

_CARRIERS = dict.fromkeys(("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), "png") | {"CMYK": "tiff"}  # of Pillow's modes
_NAMES = ("icc_profile", "exif", "xmp")  # Pillow's


@dataclass(frozen=True)
class Probe:
    """What a file says without being decoded. width, height: in pixels, None for a kept file that is no JPEG. kind,
    depth: of the samples, None for a kept file. format: of the original file, such as "png", or "jpeg", None where
    nothing says so. suffix: of what is restored. metadata: names of what came with the samples."""

    width: int | None
    height: int | None
    kind: str | None
    depth: int | None
    format: str | None
    suffix: str
    metadata: tuple[str, ...]


@dataclass(frozen=True)
class Picture:
    """A file that was decoded. source: what it says of the one that was compressed. samples: None for one that was kept
    whole, such as a JPEG."""

    source: SourceFile | None
    samples: Samples | None
    _kept: bytes | None = None

    @cached_property
    def file(self) -> bytes:
        """The file that was compressed: the very bytes where `exact` says so; for an array a PNG. Raises
        UnsupportedOutput where no PNG can hold it (CMYK)."""
        if self.samples is None:
            assert self._kept is not None
            return self._kept
        return b"".join(archive.pieces_of(self.source, self.samples))

    @property
    def exact(self) -> bool:
        """Whether `file` is the very file that was compressed."""
        return self.samples is None or (self.source is not None and self.source.exact is not None)

    @cached_property
    def array(self) -> np.ndarray:
        """uint8 or uint16 [H, W], or [H, W, C] where there are several channels: colours of a palette, pixels of a
        JPEG. Raises UnsupportedImage where a file that was kept is no picture."""
        samples = self.samples
        if samples is None:
            return np.asarray(self.image)
        values, palette = samples.values, samples.palette
        if palette is not None and samples.kind == "palette" and int(values.max()) < len(palette):
            return palette[values[..., 0]]
        return values[..., 0] if values.shape[2] == 1 else values

    @property
    def image(self) -> Image.Image:
        """The file as Pillow opens it. Raises UnsupportedImage where it does not."""
        from PIL import Image

        try:
            return Image.open(io.BytesIO(self.file))
        except OSError as error:
            raise UnsupportedImage("Pillow does not open what was compressed: take its bytes with .file") from error

    @property
    def metadata(self) -> dict[str, bytes]:
        """The profile, EXIF and XMP that came with the samples, by Pillow's names: `icc_profile`, `exif`, `xmp`. What
        else came is in `file`."""
        info = self.image.info
        return {name: info[name] for name in _NAMES if info.get(name)}


def encode(
    picture: np.ndarray | Image.Image | Bytes | BinaryIO,
    *,
    effort: str = NORMAL,
    metadata: Metadata | None = None,
    model: str | None = None,
    threads: int = 0,
    verify: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> bytes:
    """The bytes of a .lmc file.

    picture: an array, uint8 or uint16 [H, W] or [H, W, C] of 1 to 4 channels (grey, grey and alpha, RGB, RGB and
    alpha); an image of Pillow; or a file of a picture, as its bytes or open for reading, all of which is kept.
    metadata: of an array or in place of an image's own, bytes by the names that Pillow has for them, `icc_profile`,
    `exif` and `xmp`. model: an available one's name or the path of a bundle, by default the effort's or, for a small
    picture, whichever makes it smallest. threads: 0 for all cores. verify: decode the result and compare. Raises
    TypeError for what is none of these, ValueError for arrays, efforts or metadata that there are not, and CodecError
    as `codec.archive.archive` does.
    """
    check_effort(effort)
    wishes = Wishes(effort=effort, verify=verify, max_pixels=max_pixels)

    choice = models.Choice(model, effort, lambda bundle: models.load(bundle, threads))
    if isinstance(picture, np.ndarray):
        samples = Samples.of(picture)
        source = SourceFile("png", png.compose(samples, **_composed(metadata or {})))
        coded, network = archive.smallest(samples, choice, wishes, source)
        if verify:
            check(container.read(coded.data, None), network, samples)
        return coded.data
    return archive.archive_bytes(_as_file(picture, metadata), SourceFile(), choice, wishes).data


def decode(
    data: Bytes | BinaryIO,
    *,
    model: str | None = None,
    threads: int = 0,
    max_pixels: int = MAX_PIXELS,
    lost: list[Lost] | None = None,
) -> Picture:
    """What a .lmc file holds.

    data: its bytes, or the file open for reading. model: the path of the bundle that it was made with, if that is none
    of those shipped. threads: 0 for all cores. lost: a list, to which tiles of a damaged file are added, whose samples
    are 0 then; without one such a file is refused. Raises TypeError for data that are neither, and CodecError.
    """
    contents = container.read(_bytes_of(data), max_pixels, whole=lost is None)
    if contents.kept is not None:
        return Picture(contents.source, None, keep.restore(contents.kept, max_pixels))
    picture = contents.picture
    network = None
    if picture is not None and picture.needs_model and picture.header.model_id is not None:
        extra = models.resolve(model) if model else None
        network = models.load(models.find(picture.header.model_id, extra), threads)
    return Picture(contents.source, decompress(contents, network, lost=lost))


def probe(data: Bytes | BinaryIO) -> Probe:
    """What a .lmc file says, nothing of which is decoded. Raises TypeError and CodecError."""
    contents = container.read(_bytes_of(data), None)
    suffix = archive.suffix_of(contents)
    if contents.kept is not None:
        frame = keep.frame_of(contents.kept)
        width, height = (frame.width, frame.height) if frame else (None, None)
        return Probe(width, height, None, None, "jpeg" if frame else None, suffix, ())
    assert contents.picture is not None
    header, source = contents.picture.header, contents.source
    names = tuple(dict.fromkeys(item.name for item in archive.metadata_of(contents)))
    format_ = source.format if source else None
    return Probe(header.width, header.height, header.kind, header.depth, format_, suffix, names)


def _bytes_of(data: object) -> bytes:
    """Of bytes, or of a file that is open. Raises TypeError."""
    read = getattr(data, "read", None)
    if read is not None:
        data = read()
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"a {type(data).__name__} is neither bytes nor a file opened in binary mode")


def _as_file(picture: object, metadata: Metadata | None) -> bytes:
    """The bytes of a picture's file; of an image of Pillow's, one that holds it."""
    from PIL import Image

    if not isinstance(picture, Image.Image):
        if isinstance(picture, str):
            raise TypeError("a str is no picture: open the file, or read it with pathlib.Path.read_bytes")
        if metadata is not None:
            raise ValueError("a file brings its own metadata: leave metadata")
        return _bytes_of(picture)
    carrier = _CARRIERS.get(picture.mode)
    if carrier is None:
        raise TypeError(f"an image of mode {picture.mode} is not coded: convert it to one of {', '.join(_CARRIERS)}")
    _composed(metadata or {})
    own = {name: picture.info[name] for name in (*_NAMES, "dpi") if picture.info.get(name)} | dict(metadata or {})
    stream = io.BytesIO()
    if carrier == "png" and "xmp" in own:
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_itxt("XML:com.adobe.xmp", own.pop("xmp").decode("utf-8", "surrogateescape"))
        own["pnginfo"] = text
    picture.save(stream, carrier, **own, **({"compress_level": 1} if carrier == "png" else {}))
    return stream.getvalue()


def _composed(metadata: Metadata) -> dict[str, bytes]:
    """As `png.compose` has them. Raises ValueError for other names and TypeError for what are no bytes."""
    unknown = set(metadata) - set(_NAMES)
    if unknown:
        raise ValueError(f"metadata {', '.join(sorted(unknown))} are not among {', '.join(_NAMES)}")
    wrong = [name for name, value in metadata.items() if not isinstance(value, bytes)]
    if wrong:
        raise TypeError(f"{wrong[0]} is no bytes but a {type(metadata[wrong[0]]).__name__}")
    return {name.removesuffix("_profile"): value for name, value in metadata.items()}
