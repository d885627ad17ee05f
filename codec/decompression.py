"""File -> samples: all of them, those of a part, or what a damaged file still has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from codec.entropy.range_coder import Decoder
from codec.errors import CodecError, DamagedFile, KeepsAFile, PixelsDiffer, WrongModel
from codec.format import container
from codec.format.container import Contents
from codec.format.forms import Form, form_of
from codec.format.method import MADE, NEEDS_JPEG, Independent
from codec.format.picture import KINDS, MAX_PIXELS, Picture, Tile, crc_of, digest_of, short_id
from codec.format.tiles import Box
from codec.images.samples import Samples
from codec.jpeg.born import made_by
from codec.tile_coders import SHALLOW, How, Report, TileCoder, tile_coder
from codec.tile_coders.independent import IndependentCoder
from codec.work import Work, cut, no_planes, rows_of
from runtime import Model
from runtime.progress import Progress
from runtime.variants import TRANSPOSED, orient, unorient


@dataclass(frozen=True)
class Lost:
    """A tile that a damaged file has lost: where it lies, and the channels in it that are 0 now."""

    box: Box
    channels: slice

    def __str__(self) -> str:
        box, first, last = self.box, self.channels.start, self.channels.stop - 1
        channels = f"channel {first}" if first == last else f"channels {first} to {last}"
        return f"{box.width} x {box.height} pixels from column {box.col}, row {box.row} on, {channels}"


def decompress(
    data: bytes | memoryview | Contents,
    model: Model | None = None,
    *,
    crop: Box | None = None,
    lost: list[Lost] | None = None,
    max_pixels: int = MAX_PIXELS,
    progress: Progress | None = None,
) -> Samples:
    """Restores the samples of a file, given its bytes or what `codec.format.container` has read of them.

    A picture that needs no model is restored without one. crop: a part of the picture; only the tiles that it touches
    are decoded. lost: a list that takes the tiles which cannot be decoded, in the order of the file, whose samples are
    0 then; without it the first such tile is an error. Raises CodecError for damaged data, another model, more pixels
    than `max_pixels`, and ValueError for a crop that is not within the picture.
    """
    contents = data if isinstance(data, Contents) else container.read(data, max_pixels, whole=lost is None)
    return _Decoding(contents, model, crop, lost, progress).samples()


def check(contents: Contents, model: Model | None, samples: Samples, progress: Progress | None = None) -> None:
    """Decodes a file tile by tile and holds it against the samples that were coded, with no second copy of them.

    Raises PixelsDiffer, and what `decompress` does.
    """
    _Decoding(contents, model, None, None, progress).check(samples)


class _Decoding:
    """A file on its way to samples."""

    def __init__(
        self,
        contents: Contents,
        model: Model | None,
        crop: Box | None,
        lost: list[Lost] | None,
        progress: Progress | None,
    ) -> None:
        if contents.picture is None:
            raise KeepsAFile("it keeps a file, not a picture's samples: restore it with lmconv-codec decompress")
        self._contents, self._picture, self._header = contents, contents.picture, contents.picture.header
        self._kind, self._lost, self._progress = KINDS[self._header.kind], lost, progress
        whole = Box(0, 0, self._header.height, self._header.width)
        self._wanted = whole if crop is None else crop
        if not _contains(whole, self._wanted):
            size = f"{whole.width} x {whole.height}"
            raise ValueError(f"the crop {self._wanted} is not within {size} pixels")
        self._coder, self._independent = _coder_for(self._picture, model), IndependentCoder()
        boxes = [box for box in self._header.boxes if _touch(box, self._wanted)]
        self._work = Work(boxes, len(self._kind.groups), model.threads if model else 1, progress)

    def samples(self) -> Samples:
        """What is wanted of them."""
        header, wanted = self._header, self._wanted
        dtype = np.uint8 if header.depth <= SHALLOW else np.uint16
        values = np.zeros((wanted.height, wanted.width, self._kind.channels), dtype)

        def put(restored: np.ndarray, box: Box, channels: slice) -> None:
            _put(values[..., channels], wanted, restored, box)

        self._each_tile(put)
        if (wanted.height, wanted.width) == (header.height, header.width):
            self._check_digest(values)
        return Samples(values, header.depth, header.kind, header.colours)

    def check(self, samples: Samples) -> None:
        """Holds every tile against what it should be."""
        told = self._header.width, self._header.height, self._header.kind, self._header.depth
        if told != (samples.width, samples.height, samples.kind, samples.depth):
            raise PixelsDiffer(f"it holds other samples than {samples.description}: keep the original")

        def compare(restored: np.ndarray, box: Box, channels: slice) -> None:
            if not np.array_equal(restored, rows_of(samples.values[..., channels], box)):
                raise PixelsDiffer(f"other samples in {Lost(box, channels)}: keep the original")

        self._each_tile(compare)
        self._check_digest(samples.values)

    def _each_tile(self, take: Callable[[np.ndarray, Box, slice], None]) -> None:
        """Gives take(samples [h, w, C], box, channels) every tile that is wanted, of one group after the other."""
        for group, channels in zip(self._picture.groups, self._kind.groups, strict=True):
            form = form_of(group, self._header, channels.stop - channels.start)
            first = channels.start == 0
            made = self._made() if first else no_planes(self._header.height, self._header.width)
            tiles = dict(zip(self._header.boxes, group.tiles, strict=True))
            lost = self._work.each(self._decoder(tiles, form, made, channels, take))
            if self._lost is not None:
                self._lost += [tile for tile in lost if tile is not None]

    def _decoder(
        self,
        tiles: dict[Box, Tile],
        form: Form,
        made: np.ndarray,
        channels: slice,
        take: Callable[[np.ndarray, Box, slice], None],
    ) -> Callable[[Box, int, Report], Lost | None]:
        """What decodes a box of a group, or notes that it is lost."""

        def decode(box: Box, threads: int, report: Report) -> Lost | None:
            try:
                restored = self._decoded(tiles[box], box, form, How(threads, report, cut(made, box), form.depth))
            except CodecError:
                if self._lost is None:
                    raise
                return Lost(box, channels)
            take(restored, box, channels)
            return None

        return decode

    def _made(self) -> np.ndarray:
        """The planes that a file's JPEG makes, or none of as many rows and columns. Raises DamagedFile."""
        height, width, colours = self._header.height, self._header.width, self._kind.colours
        if self._contents.jpeg is None:
            return no_planes(height, width)
        made = made_by(self._contents.jpeg, height, width, self._progress)
        if len(made) not in (1, colours):
            raise DamagedFile(f"a JPEG of {len(made)} components for a picture of {colours}: get the file again")
        return np.broadcast_to(made, (colours, height, width))

    def _decoded(self, tile: Tile, box: Box, form: Form, how: How) -> np.ndarray:
        """The samples of a tile, [h, w, C]. Raises DamagedFile."""
        where = f"the tile at row {box.row}, column {box.col}"
        if tile.payload is None:
            raise DamagedFile(f"{where} is not there: get the file again")
        if tile.method in NEEDS_JPEG and (len(how.made) != form.count or form.depth > SHALLOW):
            raise DamagedFile(f"{where} is that of a JPEG, but of other planes: get the file again")
        if tile.method == MADE:
            planes = how.made
            how.report(planes[0].size)
        else:
            planes = self._walked(tile, box, form, how)
        samples = form.samples(planes)
        if crc_of(samples) != tile.crc:
            raise DamagedFile(f"{where} does not decode to the pixels that were coded: get the file again")
        return samples

    def _walked(self, tile: Tile, box: Box, form: Form, how: How) -> np.ndarray:
        """The planes of a tile that was coded by itself."""
        variant, method = self._header.variant, tile.method
        if method != Independent.CONSTANT and (method == Independent.DEEP) != (form.depth > SHALLOW):
            raise DamagedFile(f"a tile of {form.depth} bits is coded by {method}: get the file again")
        shape = (box.width, box.height) if variant & TRANSPOSED else (box.height, box.width)
        found = np.zeros((form.count, *shape), np.uint8 if form.depth <= SHALLOW else np.uint16)
        given = np.array(orient(how.made, variant), order="C")
        coder = self._independent if isinstance(method, Independent) else self._coder
        assert coder is not None and tile.payload is not None
        coder.code(Decoder(bytes(tile.payload)), found, method, How(how.threads, how.report, given, form.depth))
        return unorient(found, variant)

    def _check_digest(self, values: np.ndarray) -> None:
        if self._picture.digest is None or self._lost:
            return
        parts = (rows_of(values[..., group], box) for group in self._kind.groups for box in self._header.boxes)
        if digest_of(parts) != self._picture.digest:
            raise DamagedFile("it does not decode to the samples that were coded: get the file again")


def _coder_for(picture: Picture, model: Model | None) -> TileCoder | None:
    """What decodes the tiles that need the model. Raises WrongModel."""
    if not picture.needs_model:
        return None
    needed = picture.header.model_id or b""
    if model is None or needed != short_id(model.manifest.model_id):
        given = f"{model.manifest.name} ({model.manifest.model_id[:12]})" if model else "none"
        raise WrongModel(f"the file needs model {needed.hex()[:12]}, not {given}; name the right one with --model")
    return tile_coder(model)


def _contains(whole: Box, part: Box) -> bool:
    down = 0 <= part.row and 1 <= part.height and part.row + part.height <= whole.height
    return down and 0 <= part.col and 1 <= part.width and part.col + part.width <= whole.width


def _touch(one: Box, other: Box) -> bool:
    down = one.row < other.row + other.height and other.row < one.row + one.height
    return down and one.col < other.col + other.width and other.col < one.col + one.width


def _put(values: np.ndarray, wanted: Box, samples: np.ndarray, box: Box) -> None:
    """Writes what is wanted of a box's samples to where it belongs."""
    top, left = max(box.row, wanted.row), max(box.col, wanted.col)
    bottom = min(box.row + box.height, wanted.row + wanted.height)
    right = min(box.col + box.width, wanted.col + wanted.width)
    part = samples[top - box.row : bottom - box.row, left - box.col : right - box.col]
    values[top - wanted.row : bottom - wanted.row, left - wanted.col : right - wanted.col] = part
