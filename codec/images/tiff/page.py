"""What a page's tags say of its samples: their size, depth and kind, and the strips or tiles that they are stored in.

A block is a strip or a tile, of one plane where the channels are apart. Blocks are counted as the file counts them: by
planes, then from top to bottom, then from left to right. All that is valid but not read is refused here, by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images.samples import CHANNELS
from codec.images.tiff import tags
from codec.images.tiff.directories import Directory, Entry, Form, numbers
from codec.images.tiff.holes import FileWithHoles

_WIDEST_TILE = 1 << 16  # pixels, where the picture is not wider itself
_PADDING = 1 << 24  # bytes that tiles may take beyond four times the samples
_MOST_NUMBERS = 1 << 16  # of a tag but those that place blocks
_COMPRESSIONS = (tags.NONE, tags.LZW, tags.DEFLATE, tags.OLD_DEFLATE, tags.PACKBITS)
_PREDICTED = (tags.LZW, tags.DEFLATE, tags.OLD_DEFLATE)


@dataclass(frozen=True)
class Box:
    """The pixels of a block: from row `y` and column `x` on, `rows` of them stored, `height` x `width` in the picture.

    channels: those that it holds.
    """

    y: int
    x: int
    rows: int
    height: int
    width: int
    channels: slice


@dataclass(frozen=True, eq=False)
class Page:
    """How a picture is stored. depth: bits of a sample. offsets, counts: entries of the tags that place the blocks.

    predicted: whether samples are stored as differences from the one on the left. order: that of bytes, "<" or ">".
    """

    width: int
    height: int
    depth: int
    kind: str
    signed: bool
    planar: bool
    tiled: bool
    block_width: int
    block_height: int
    compression: int
    predicted: bool
    order: str
    palette: np.ndarray | None
    offsets: Entry
    counts: Entry | None

    @property
    def channels(self) -> int:
        return CHANNELS[self.kind]

    @property
    def block_channels(self) -> int:
        return 1 if self.planar else self.channels

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a block."""
        return (self.block_width * self.block_channels * self.depth + 7) // 8

    @property
    def blocks(self) -> int:
        """How many there are."""
        return self.blocks_across * self.blocks_down * (self.channels if self.planar else 1)

    @property
    def blocks_across(self) -> int:
        return -(-self.width // self.block_width)

    @property
    def blocks_down(self) -> int:
        return -(-self.height // self.block_height)

    @property
    def total_bytes(self) -> int:
        """Bytes of all blocks without compression."""
        rows = self.blocks_down * self.block_height if self.tiled else self.height
        return rows * self.row_bytes * self.blocks_across * (self.channels if self.planar else 1)

    def box(self, block: int) -> Box:
        """Where a block is in the picture."""
        plane, place = divmod(block, self.blocks_across * self.blocks_down)
        down, across = divmod(place, self.blocks_across)
        y, x = down * self.block_height, across * self.block_width
        height, width = min(self.block_height, self.height - y), min(self.block_width, self.width - x)
        channels = slice(plane, plane + 1) if self.planar else slice(None)
        return Box(y, x, self.block_height if self.tiled else height, height, width, channels)


class _Tags:
    """The numbers that a directory's tags have."""

    def __init__(self, file: FileWithHoles, form: Form, directory: Directory) -> None:
        self._file, self._form, self.directory = file, form, directory

    def all(self, tag: int, *default: int) -> list[int]:
        entry = self.directory.entry(tag)
        if entry is None:
            return list(default)
        if not 0 < entry.count <= _MOST_NUMBERS:
            raise UnreadableImage(f"has tag {tag} with {entry.count} values: get the file again")
        return [int(number) for number in numbers(self._file, self._form, entry)]

    def one(self, tag: int, default: int | None = None) -> int:
        found = self.all(tag, *([] if default is None else [default]))
        if not found:
            raise UnreadableImage(f"has no tag {tag}, which every picture needs: get the file again")
        return found[0]

    def same(self, tag: int, channels: int, default: int, what: str) -> int:
        """The number that is one and the same for all channels."""
        found = set(self.all(tag, default)[:channels])
        if len(found) > 1:
            raise UnsupportedImage(f"channels with different {what} ({sorted(found)}) are not read: convert it first")
        return found.pop()


def read_page(file: FileWithHoles, form: Form, directory: Directory, max_pixels: int) -> Page:
    """What a directory says of its picture. Raises UnreadableImage, UnsupportedImage or ImageTooLarge."""
    found = _Tags(file, form, directory)
    width, height = found.one(tags.WIDTH), found.one(tags.HEIGHT)
    if not width or not height:
        raise UnreadableImage(f"has {width} x {height} pixels: get the file again")
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"{width} x {height} pixels are more than {max_pixels} in all: allow more with --max-pixels"
        )
    _refuse_other_files(found)
    kind, channels = _kind(found)
    depth, signed = _depth(found, channels, kind)
    compression, predicted = _compression(found, depth)
    planar = found.one(tags.PLANAR, 1)
    if planar not in (1, 2):
        raise UnreadableImage(f"has planar configuration {planar}, not 1 or 2: get the file again")
    tiled, block_width, block_height, offsets, counts = _blocks(found, width, height)
    palette = _palette(found, depth) if kind.startswith("palette") else None
    page = Page(
        *(width, height, depth, kind, signed, planar == 2 and channels > 1, tiled, block_width, block_height),
        *(compression, predicted, form.order, palette, offsets, counts),
    )
    _check_blocks(page)
    return page


def _refuse_other_files(found: _Tags) -> None:
    """Refuse what is built as a TIFF but has its picture elsewhere, and what has more dimensions."""
    if found.directory.entry(tags.DNG_VERSION) is not None:
        raise UnsupportedImage("a raw photograph (DNG) is not read: develop it to a TIFF first")
    if found.one(tags.NEW_SUBFILE_TYPE, 0) & 1:
        raise UnsupportedImage("a file whose first picture is a thumbnail is not read: convert its full picture first")
    if found.one(tags.IMAGE_DEPTH, 1) != 1 or found.one(tags.TILE_DEPTH, 1) != 1:
        raise UnsupportedImage("a volume (ImageDepth is not 1) is not read: store its layers as pages")
    if found.one(tags.FILL_ORDER, 1) != 1:
        raise UnsupportedImage(f"fill order {found.one(tags.FILL_ORDER)} is not read: write the file with fill order 1")


def _kind(found: _Tags) -> tuple[str, int]:
    """Kind and number of channels."""
    photometric = found.one(tags.PHOTOMETRIC)
    if photometric not in tags.KINDS:
        name = tags.UNREAD_PHOTOMETRICS.get(photometric, f"photometric interpretation {photometric}")
        raise UnsupportedImage(f"{name} is not read: convert it to grey, RGB or CMYK first")
    kind = tags.KINDS[photometric]
    inks = found.one(tags.INK_SET, 1), found.one(tags.INKS, 4)
    if kind == "cmyk" and inks != (1, 4):
        raise UnsupportedImage(
            f"{inks[1]} inks of ink set {inks[0]}, which are not CMYK, are not read: convert it first"
        )
    channels = found.one(tags.SAMPLES_PER_PIXEL, 1)
    extra = channels - CHANNELS[kind]
    if extra < 0:
        raise UnreadableImage(f"has {channels} channels where {kind} needs {CHANNELS[kind]}: get the file again")
    if extra > 1:
        raise UnsupportedImage(f"{kind} with {extra} extra channels is not read: leave one of them at most")
    said = found.all(tags.EXTRA_SAMPLES, *[0] * extra)
    if len(said) != extra:
        raise UnreadableImage(f"has {extra} extra channels but names {len(said)}: get the file again")
    if not set(said) <= {0, 1, 2}:
        raise UnsupportedImage(f"an extra channel of type {said[0]} is not read: convert it first")
    return kind + "+alpha" * extra, channels


def _depth(found: _Tags, channels: int, kind: str) -> tuple[int, bool]:
    """Bits of a sample, and whether it has a sign."""
    form = found.same(tags.SAMPLE_FORMAT, channels, 1, "sample formats")
    depth = found.same(tags.BITS, channels, 1, "bits per sample")
    if form not in (1, 2, 4):
        name = tags.SAMPLE_FORMATS.get(form, f"unknown (format {form})")
        raise UnsupportedImage(f"{name} samples of {depth} bits are not read: convert them to whole numbers")
    if not depth:
        raise UnreadableImage("has samples of 0 bits: get the file again")
    most = 8 if kind.startswith("palette") else 16
    if depth > most:
        raise UnsupportedImage(f"{kind} samples of {depth} bits are not read: convert them to {most} bits or fewer")
    if form == 2 and kind.startswith("palette"):
        raise UnsupportedImage("a palette of signed samples is not read: write them without a sign")
    return depth, form == 2


def _compression(found: _Tags, depth: int) -> tuple[int, bool]:
    """The compression's number, and whether samples were predicted before it."""
    compression, predictor = found.one(tags.COMPRESSION, 1), found.one(tags.PREDICTOR, 1)
    if compression not in _COMPRESSIONS:
        name = tags.UNREAD_COMPRESSIONS.get(compression, f"number {compression}")
        raise UnsupportedImage(f"the compression {name} is not read: write the file with deflate, LZW or none")
    if predictor not in (1, 2):
        raise UnsupportedImage(f"predictor {predictor} is not read: write the file with predictor 1 or 2")
    if predictor == 2 and compression not in _PREDICTED:
        raise UnsupportedImage(
            "a predictor without LZW or deflate means different things to readers: write it with none"
        )
    if predictor == 2 and depth not in (8, 16):
        raise UnsupportedImage(f"predictor 2 with {depth} bits is not read: write the file with predictor 1")
    return compression, predictor == 2


def _blocks(found: _Tags, width: int, height: int) -> tuple[bool, int, int, Entry, Entry | None]:
    """Whether there are tiles, a block's width and height, and the entries that place blocks."""
    directory = found.directory
    tiled = directory.entry(tags.TILE_WIDTH) is not None
    if tiled:
        block_width, block_height = found.one(tags.TILE_WIDTH), found.one(tags.TILE_HEIGHT)
        if block_width > max(_WIDEST_TILE, width):
            raise UnsupportedImage(f"tiles {block_width} pixels wide are not read: write smaller ones")
    else:
        block_width, block_height = width, min(found.one(tags.ROWS_PER_STRIP, height), height)
    if not block_width or not block_height:
        raise UnreadableImage(f"has strips or tiles of {block_width} x {block_height} pixels: get the file again")
    offsets = (tiled and directory.entry(tags.TILE_OFFSETS)) or directory.entry(tags.STRIP_OFFSETS)
    counts = (tiled and directory.entry(tags.TILE_COUNTS)) or directory.entry(tags.STRIP_COUNTS)
    if not offsets:
        raise UnreadableImage("says nowhere where its samples are: get the file again")
    return tiled, block_width, block_height, offsets, counts or None


def _check_blocks(page: Page) -> None:
    """Refuse tags that place another number of blocks, and tiles that are next to nothing but padding."""
    for entry in (page.offsets, page.counts):
        if entry is not None and (entry.count != page.blocks or entry.type not in tags.UNSIGNED):
            raise UnreadableImage(f"has {entry.count} strips or tiles where {page.blocks} are due: get the file again")
    if page.counts is None and page.compression != tags.NONE:
        raise UnreadableImage("says nowhere how long its compressed strips are: get the file again")
    samples = page.width * page.height * page.channels * page.depth // 8
    if page.total_bytes > 4 * samples + _PADDING:
        what = f"tiles of {page.block_width} x {page.block_height} pixels"
        raise UnsupportedImage(f"{what} for {page.width} x {page.height} are not read: write smaller ones")


def _palette(found: _Tags, depth: int) -> np.ndarray:
    """The colours, [N, 3] uint8. A map of none above 255 is one of 8 bits, as libtiff takes it, too."""
    stored = np.array(found.all(tags.COLOR_MAP), np.int64)
    if len(stored) != 3 << depth:
        raise UnreadableImage(f"has {len(stored)} numbers in its colour map, not {3 << depth}: get the file again")
    colours = stored.reshape(3, -1).T
    return np.ascontiguousarray(colours if colours.max() < 256 else colours >> 8).astype(np.uint8)
