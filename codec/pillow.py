"""Reads and writes .lmc files with Pillow, and with all that reads pictures by it: `import codec.pillow` is enough.

>>> from PIL import Image
>>> import codec.pillow
>>> Image.new("RGB", (3, 2), "red").save("red.lmc")
>>> with Image.open("red.lmc") as image:
...     image.size, image.mode, image.getpixel((0, 0))
((3, 2), 'RGB', (255, 0, 0))

An image is what Pillow makes of the file that was compressed: mode, palette and info are the same. Opening reads the
header alone; pixels are decoded when they are first asked for. Animations are none of a .lmc's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from threading import Lock
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

from codec import archive
from codec.errors import CodecError
from codec.format import container
from codec.format.container import Contents
from codec.images.samples import Samples
from codec.jpeg import keep
from codec.models import NORMAL
from codec.pictures import decode, encode

FORMAT, SUFFIX, MIME = "LMC", ".lmc", "image/x-lmc"
_ALL_PIXELS = 2**62  # how many may be decoded is Pillow's to say, when a file is opened


class LmcImageFile(ImageFile.ImageFile):
    """An image in a .lmc file. Opening raises SyntaxError, which Pillow takes for another format's, and loading
    OSError for a damaged file."""

    format, format_description = FORMAT, "LMConv"

    def __setstate__(self, state: Any) -> None:
        self._loading = Lock()
        super().__setstate__(state)

    def _open(self) -> None:
        self._loading = Lock()
        assert self.fp is not None
        try:
            contents = container.read_beginning(self.fp)
            with _outline(contents) as told:
                self._size, self._mode, self.info = told.size, told.mode, dict(told.info)
                self.palette = told.palette
        except (CodecError, OSError) as error:
            raise SyntaxError(f"not a .lmc file that can be read: {error}") from error

    def load(self) -> Image.core.PixelAccess | None:
        """Decodes the pixels, once; several threads may ask for them."""
        with self._loading:
            if self._im is None:
                self._decode()
        return super().load()

    def _decode(self) -> None:
        lost: list | None = [] if ImageFile.LOAD_TRUNCATED_IMAGES else None
        try:
            with decode(self._read(), max_pixels=_ALL_PIXELS, lost=lost).image as image:
                image.load()
                self.im, self._mode, self._size, self.palette = image.im, image.mode, image.size, image.palette
                self.info |= image.info
        except CodecError as error:
            raise OSError(f"the image is damaged: {error}") from error
        self.readonly = 0
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
            self.fp = None

    def verify(self) -> None:
        """Checks the file's headers, checksums and length without decoding it. Raises OSError; the image must be opened
        again, as Pillow has it."""
        try:
            container.read(self._read(), None)
        except CodecError as error:
            raise OSError(f"the image is damaged: {error}") from error
        super().verify()

    def _read(self) -> bytes:
        assert self.fp is not None
        self.fp.seek(0)
        return self.fp.read()


def _outline(contents: Contents) -> Image.Image:
    """An image as Pillow opens what was compressed, whose pixels nobody may ask for: all are 0, or there are none."""
    if contents.kept is not None:
        around = keep.around_of(contents.kept)
        return Image.open(io.BytesIO(around or keep.restore(contents.kept, _ALL_PIXELS)))
    assert contents.picture is not None
    header = contents.picture.header
    zero = np.zeros(1, np.uint8 if header.depth <= 8 else np.uint16)
    shape = header.height, header.width, container.KINDS[header.kind].channels
    samples = Samples(np.broadcast_to(zero, shape), header.depth, header.kind, header.colours)
    return Image.open(io.BufferedReader(_Pieces(archive.pieces_of(contents.source, samples))))


class _Pieces(io.RawIOBase):
    """A file of pieces, which are made as far as they are read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._made, self._at = pieces, bytearray(), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file; from the end makes all of it."""
        if whence == io.SEEK_END:
            self._make(None)
        self._at = max(offset + (0, self._at, len(self._made))[whence], 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fills the buffer as far as the file goes."""
        self._make(self._at + len(buffer))
        found = self._made[self._at : self._at + len(buffer)]
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)

    def _make(self, size: int | None) -> None:
        while size is None or len(self._made) < size:
            piece = next(self._pieces, None)
            if piece is None:
                return
            self._made += piece


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(container.MAGIC)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    """Writes an image, with `icc_profile`, `exif`, `xmp` and `dpi` that are given or in its info.

    Other settings are those of codec.encode: effort, model, threads, verify. Raises OSError for modes that are not
    coded.
    """
    given = dict(image.encoderinfo)
    image = image.copy()
    for name in ("icc_profile", "exif", "xmp", "dpi"):
        value = given.pop(name, image.info.get(name))
        image.info[name] = value.tobytes() if isinstance(value, Image.Exif) else value
    settings = {name: given[name] for name in ("effort", "model", "threads", "verify") if name in given}
    try:
        stream.write(encode(image, **{"effort": NORMAL, **settings}))
    except TypeError as error:
        raise OSError(f"cannot write mode {image.mode} as LMC: {error}") from error


Image.register_open(FORMAT, LmcImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, SUFFIX)
Image.register_mime(FORMAT, MIME)
