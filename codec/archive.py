"""Files -> .lmc -> files: what goes in comes back, with all that came with it, or is refused.

A JPEG is kept by its coefficients. Any other picture is taken apart into samples, which are coded, and the rest. What
was written is decoded and compared before it counts.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codec import files, images
from codec.compression import Compressed, compress
from codec.decompression import check
from codec.errors import PixelsDiffer, UnknownOrder, UnsupportedImage, UnsupportedOutput
from codec.format import container
from codec.format.container import Contents
from codec.format.kept import JPEG, STORED, KeptFile
from codec.format.packed import pack
from codec.format.picture import MAX_PIXELS
from codec.format.source import SourceFile
from codec.images import lossy, png
from codec.images.samples import Item, Parts, Samples
from codec.jpeg import keep
from codec.models import NORMAL
from codec.tile_coders import AUTO
from runtime import Model
from runtime.progress import Progress, part

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")
Choice = Callable[[Samples], Sequence[Model]]  # which models are to be tried: at least one
_JPEG_START = b"\xff\xd8\xff"
_ESTIMATED = 3 / 8  # bytes of a subpixel of a photograph, about


@dataclass(frozen=True)
class Wishes:
    """How a file is to be compressed. strip: leave out what came with the samples. exact: refuse a file that would come
    back packed otherwise. pixels: take those of a lossy file in place of the file. verify: decode the result and
    compare."""

    effort: str = NORMAL
    order: str = AUTO
    strip: bool = False
    exact: bool = False
    pixels: bool = False
    verify: bool = True
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Archived:
    """A compressed file's bytes. size: of the file that it came from. coded: about the samples, None for a file that is
    kept whole, of which samples is None, too; model: the one that they were coded with. exact: whether the very file
    will come back. kept, dropped: names of what came with the samples. reason: why a JPEG is not kept by its
    coefficients."""

    data: bytes
    size: int
    contents: Contents
    samples: Samples | None = None
    coded: Compressed | None = None
    model: Model | None = None
    exact: bool = True
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    reason: str | None = None


def archive(path: Path, choice: Choice, wishes: Wishes, progress: Progress | None = None) -> Archived:
    """Compresses a file. choice: gives the models for its samples, if one is needed.

    Raises UnreadableImage, UnsupportedImage (also for what would not come back as it is, in words that say what to do),
    ImageTooLarge, and PixelsDiffer where what was coded does not decode to the samples.
    """
    with files.opened(path) as data:
        return archive_bytes(data, outside(path), choice, wishes, progress)


def archive_bytes(
    data: bytes, outside: SourceFile, choice: Choice, wishes: Wishes, progress: Progress | None = None
) -> Archived:
    """The same of a file's bytes. outside: what is said of it besides."""
    if data[: len(container.MAGIC)] == container.MAGIC:
        raise UnsupportedImage("it is compressed already: restore it with decompress")
    is_jpeg = data[:3] == _JPEG_START
    if is_jpeg and not wishes.pixels:
        return _keep(data, outside, wishes, progress)
    kind = "a JPEG" if is_jpeg else lossy.kind_of(data)
    if kind is None:
        name, parts = images.take_apart(data, wishes.max_pixels)
    else:
        name, parts = "png", _pixels_of(data, kind, wishes)
        outside = replace(outside, suffix=None)
    return _Picture(data, name, parts, outside, wishes).archived(choice, progress)


def needs_model(data: bytes, wishes: Wishes) -> bool:
    """Whether `archive` will ask for the model."""
    return wishes.pixels or data[:3] != _JPEG_START


def outside(path: Path) -> SourceFile:
    """What is said of a file's outside; nothing of what comes from stdin."""
    if path == files.STANDARD:
        return SourceFile()
    status = os.stat(path)
    return SourceFile(suffix=path.suffix, modified=status.st_mtime_ns, permissions=status.st_mode & 0o777)


def _shortened(source: SourceFile, usual: str) -> SourceFile:
    """Without a suffix that goes without saying."""
    return replace(source, suffix=None) if source.suffix == usual else source


def _keep(data: bytes, outside: SourceFile, wishes: Wishes, progress: Progress | None) -> Archived:
    """A JPEG file as it is."""
    if wishes.strip:
        raise UnsupportedImage("a JPEG is kept as it is, with all that came with it: leave --strip, or add --pixels")
    found = keep.keep(bytes(data), wishes.max_pixels, progress)
    if wishes.verify and keep.restore(found.kept, wishes.max_pixels) != data:
        raise PixelsDiffer("not the same as what it decodes to: keep the original")
    shortened = _shortened(outside, JPEG_SUFFIXES[0]) if found.kept.form == JPEG else outside
    contents = Contents(found.kept, source=shortened)
    return Archived(container.pack(contents), len(data), contents, kept=("file",), reason=found.reason)


def _stored(data: bytes, outside: SourceFile) -> Archived:
    contents = Contents(KeptFile(STORED, len(data), zlib.crc32(data), pack(bytes(data))), source=outside)
    return Archived(container.pack(contents), len(data), contents, kept=("file",))


def _pixels_of(data: bytes, kind: str, wishes: Wishes) -> Parts:
    """The samples of a lossy file, with its profile, EXIF and XMP, as parts of a new PNG."""
    if not wishes.pixels:
        width, height = lossy.size(data) or (0, 0)
        taken = f", some {round(_ESTIMATED * 3 * width * height)} bytes," if width else ""
        raise UnsupportedImage(
            f"{kind} of {len(data)} bytes is not kept as it is, and its pixels{taken} are more than it: "
            "keep the file, or take its pixels with --pixels"
        )
    samples, metadata = lossy.decoded(data, wishes.max_pixels)
    if wishes.strip:
        metadata = {}
    return Parts(samples, png.compose(samples, **metadata), exact=False)


def smallest(
    samples: Samples, choice: Choice, wishes: Wishes, source: SourceFile | None, progress: Progress | None = None
) -> tuple[Compressed, Model]:
    """Samples coded by the one of several models that makes them smallest, and which that is. A model but the first may
    be for other pictures or orders. Raises as `compress` does."""
    models, found = choice(samples), []
    for number, model in enumerate(models):
        how = part(progress, number, len(models))
        try:
            coded = compress(samples, model, effort=wishes.effort, order=wishes.order, source=source, progress=how)
        except (UnsupportedImage, UnknownOrder):
            if number == 0:
                raise
            continue
        found.append((coded, model))
    return min(found, key=lambda way: len(way[0].data))


class _Picture:
    """A picture's file on its way into an archive."""

    def __init__(self, data: bytes, name: str, parts: Parts, outside: SourceFile, wishes: Wishes) -> None:
        self._data, self._parts, self._outside = data, parts, outside
        self._wishes, self._format = wishes, name
        module = images.module_of(name)
        found = tuple(dict.fromkeys(item.name for item in module.metadata(parts.rest)))
        self.kept = () if wishes.strip else found
        self.dropped = found if wishes.strip else ()
        if wishes.strip:
            self._parts = Parts(parts.samples, module.stripped(parts.rest), exact=False)
        elif wishes.exact and not parts.exact:
            raise UnsupportedImage(
                "it was packed by a program that is not found again, so its bytes would be others: leave --exact-file, "
                "and its samples and all that came with them are kept"
            )
        exact = (len(data), zlib.crc32(data)) if self._parts.exact else None
        usual = images.SUFFIXES[name][0]
        self._source = replace(
            _shortened(outside, usual), format=name, rest=self._parts.rest, exact=exact, stripped=wishes.strip
        )

    def archived(self, choice: Choice, progress: Progress | None) -> Archived:
        """The picture coded, or the file as it is where that is smaller."""
        samples, wishes = self._parts.samples, self._wishes
        most = 1 + wishes.verify
        coded, model = smallest(samples, choice, wishes, self._source, part(progress, 0, most))
        if len(coded.data) > len(self._data) and not wishes.strip and not wishes.pixels:
            stored = _stored(self._data, self._outside)
            if len(stored.data) < len(coded.data):
                return stored
        contents = container.read(coded.data, None)
        if wishes.verify:
            self._verify(contents, model, part(progress, 1, most))
        exact = self._parts.exact
        return Archived(coded.data, len(self._data), contents, samples, coded, model, exact, self.kept, self.dropped)

    def _verify(self, contents: Contents, model: Model, progress: Progress | None) -> None:
        """Raises PixelsDiffer where decoding gives other samples, or what they are put into another file."""
        samples = self._parts.samples
        check(contents, model, samples, progress)
        crc, size, pieces = 0, 0, pieces_of(contents.source, samples)
        if self._source.exact is not None:
            for piece in pieces:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
            if (size, crc) != self._source.exact:
                raise PixelsDiffer("the file that it is put together to is another one: keep the original")
            return
        _, again = images.take_apart(b"".join(pieces), self._wishes.max_pixels)
        module = images.module_of(self._format)
        same = module.metadata(again.rest) == module.metadata(self._parts.rest)
        if not (same and samples.same(again.samples)):
            raise PixelsDiffer("the file that it is put together to says other things: keep the original")


def read(path: Path, max_pixels: int = MAX_PIXELS) -> Samples:
    """The samples of a file alone, those of a lossy one decoded. Raises as `archive` does."""
    with files.opened(path) as data:
        if _is_lossy(data):
            return lossy.decoded(data, max_pixels)[0]
        return images.take_apart(data, max_pixels)[1].samples


def _is_lossy(data: bytes) -> bool:
    return data[:3] == _JPEG_START or lossy.kind_of(data) is not None


def compare(contents: Contents, samples: Samples, path: Path, max_pixels: int = MAX_PIXELS) -> str:
    """Holds what a file restores against the one it came from; returns in words what is the same. Raises
    PixelsDiffer."""
    source = contents.source
    with files.opened(path) as data:
        if source is not None and source.exact is not None and _is(data, pieces_of(contents.source, samples)):
            return "bytes"
        name = None if _is_lossy(data) else images.format_of(data)
        original = read(path, max_pixels) if name is None else images.take_apart(data, max_pixels)[1]
        difference = (original if isinstance(original, Samples) else original.samples).difference(samples)
        if difference:
            raise PixelsDiffer(f"not the same as {path} ({difference}): keep the original")
        if name is None or isinstance(original, Samples) or source is None or source.format != name:
            return "samples"
        theirs, ours = (images.module_of(name).metadata(rest) for rest in (original.rest, source.rest))
    if theirs == ours:
        return "samples and metadata"
    if ours:
        raise PixelsDiffer(f"other metadata than {path}: keep the original")
    return "samples, but not the metadata,"


def _is(data: bytes, pieces: Iterator[bytes]) -> bool:
    """Whether pieces are a file's bytes."""
    size = 0
    for piece in pieces:
        if data[size : size + len(piece)] != piece:
            return False
        size += len(piece)
    return size == len(data)


def suffix_of(contents: Contents) -> str:
    """The ending of the name of what is restored."""
    source, kept = contents.source, contents.kept
    if source is not None and source.suffix is not None:
        return source.suffix
    if kept is not None:
        return JPEG_SUFFIXES[0] if kept.form == JPEG else ""
    return images.SUFFIXES[(source and source.format) or "png"][0]


def suffixes_for(contents: Contents) -> tuple[str, ...]:
    """All endings that name the format of what is restored; none where any will do."""
    if contents.kept is not None:
        return JPEG_SUFFIXES if contents.kept.form == JPEG else ()
    return images.SUFFIXES[(contents.source and contents.source.format) or "png"]


def pieces_of(source: SourceFile | None, samples: Samples) -> Iterator[bytes]:
    """The file that samples came from, or where none is said a new PNG. Raises DamagedFile or UnsupportedOutput."""
    if source is None or source.format is None:
        return new_png(samples)
    return images.module_of(source.format).put_together(samples, source.rest)


def new_png(samples: Samples, source: SourceFile | None = None) -> Iterator[bytes]:
    """The pieces of a PNG of samples alone, those of a palette by its colours. source: where they come from. Raises
    UnsupportedOutput where a PNG would show something else."""
    module = images.module_of(source.format) if source is not None and source.format is not None else None
    peculiarity = getattr(module, "peculiarity", None)
    reason = peculiarity(source.rest) if peculiarity is not None and source is not None else None
    if reason:
        raise UnsupportedOutput(f"a PNG of these samples would show something else ({reason}): restore the file itself")
    palette = samples.palette
    if palette is not None and samples.kind == "palette" and int(samples.values.max()) < len(palette):
        samples = Samples.of(palette[samples.values[..., 0]])
    try:
        return png.put_together(samples, png.compose(samples))
    except ValueError as error:
        raise UnsupportedOutput(f"{error}: restore the file itself") from error


def metadata_of(contents: Contents) -> list[Item]:
    """What came with the samples and is kept."""
    source = contents.source
    return [] if source is None or source.format is None else images.module_of(source.format).metadata(source.rest)
