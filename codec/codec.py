"""Image <-> file. Every tile goes through the TileCoder of the model's kind, which is the same for both directions.

Tiles have states, payloads and checksums of their own, so several run side by side and give the same bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import TypeVar

import numpy as np

from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile, WrongModel
from codec.format import alpha, container
from codec.format.container import MODES, NO_MODEL, Header, Parsed, Tile
from codec.format.method import MADE, METHODS, InOrder, Method
from codec.format.tiles import Box
from codec.images import Image
from codec.jpeg.born import Source, find_source, made_by
from codec.jpeg.origin import Origin
from codec.modelling.reconstruction import NONE
from codec.models import NORMAL, check_effort
from codec.tile_coders import AUTO, Report, TileCoder, tile_coder
from codec.tile_coders.stages import alone
from runtime import Model
from runtime.progress import Progress
from runtime.variants import TRANSPOSED, orient, unorient

_LITTLE = 1.0  # bits that a JPEG may take for a subpixel without the walk through pixels being tried as well
Result = TypeVar("Result")


@dataclass(frozen=True)
class Compressed:
    """A file's bytes, the negative log-likelihood of the colour or grey pixels in bits, how many tiles were coded by
    each method, and what the JPEG was that made the picture, if one was found."""

    data: bytes
    nll_bits: float
    methods: dict[Method | InOrder, int]
    source: Origin | None = None


@dataclass(frozen=True)
class Analysis:
    """Where the bits of a picture go.

    costs: -log2 of each subpixel's probability, float32 [H, W, C]; their sum is Compressed.nll_bits. C counts grey or
    colour channels: alpha is not coded with the model. stages: bits that some experts would have spent alone on the
    decisions that are mixed, and what exact colours or a palette took. All of it is that of the walk through pixels,
    whether or not a JPEG made them.
    """

    costs: np.ndarray
    stages: dict[str, float]


def compress(
    image: Image, model: Model, *, effort: str = NORMAL, order: str = AUTO, progress: Progress | None = None
) -> Compressed:
    """Codes an image with a model; on as many threads as the model was loaded with, to the same bytes.

    effort: `fast` uses the network's distribution alone; `normal` learns the picture at hand as well; `best` also codes
    it the way round that a probe finds best. Where colours repeat, several methods are tried and the smallest result is
    kept; decoding takes what one encoding took. order: `name:variant`, a name alone for variant 0, or `auto`: with a
    photo network the way round which takes fewest levels, with one of the paper's the best of the bundle's orders, each
    being tried. With `auto` a picture that a JPEG's decoder made is kept as that JPEG's coefficients, and by a photo
    network where these make other pixels. Raises ValueError for another effort, UnknownOrder, and UnsupportedImage
    where the network is for other pictures.
    """
    coder, planes = tile_coder(model), _planes(image)
    header = _header(image, model, _variant(coder, planes, effort, order))
    source = find_source(planes, progress) if coder.general and order == AUTO else None

    def coded(source: Source | None) -> _Coded:
        made = source.planes if source else _no_planes(*planes.shape[1:])

        def work(box: Box, threads: int, report: Report) -> tuple[Tile, float]:
            tile, given = _cut(planes, box), _cut(made, box)
            if np.array_equal(tile, given):
                report(tile[0].size)
                return Tile(b"", container.pixels_crc(tile.transpose(1, 2, 0)), MADE.code), 0
            methods = coder.candidates(tile, effort, order, given)
            found, encoder = _smallest(coder, tile, methods, (header.variant, threads, given), report)
            return found, encoder.bits

        results = _each_tile(work, header, model.threads, progress)
        return _Coded(source, [tile for tile, _ in results], sum(bits for _, bits in results))

    ways = [None] if source is None else [source] if _surely_smaller(source, planes) else [source, None]
    best = min(map(coded, ways), key=lambda way: way.size)
    plane = _encode_alpha(image, model, coder, header, effort) if MODES[image.mode].has_alpha else None
    return best.file(header, plane)


@dataclass(frozen=True)
class _Coded:
    """A picture's tiles, coded with a JPEG that made it or without, and what they took in bits."""

    source: Source | None
    tiles: list[Tile]
    bits: float

    @property
    def size(self) -> int:
        """Bytes of all but header, index and alpha."""
        return sum(len(tile.payload) for tile in self.tiles) + (len(self.source.data) if self.source else 0)

    def file(self, header: Header, alpha: bytes | None) -> Compressed:
        methods = Counter(METHODS[tile.method] for tile in self.tiles)
        if methods.keys() == {MADE} and alpha is None:
            header = replace(header, model_id=NO_MODEL)
        data = container.pack(header, self.tiles, alpha, self.source.data if self.source else None)
        if self.source is None:
            return Compressed(data, self.bits, dict(methods))
        return Compressed(data, self.bits + 8 * len(self.source.data), dict(methods), self.source.origin)


def _surely_smaller(source: Source, planes: np.ndarray) -> bool:
    """Whether coefficients take so little for what they make that the walk through pixels need not be tried."""
    right = (source.planes == planes).all(0).sum()
    return 8 * len(source.data) < _LITTLE * right * len(planes)


def decompress(
    data: bytes | Parsed,
    model: Model | None = None,
    *,
    max_pixels: int = container.MAX_PIXELS,
    progress: Progress | None = None,
) -> Image:
    """Restores the image of a file, given its bytes or what `codec.format.container` has read and checked of it.

    A picture that a JPEG made to the last pixel needs no model. Raises CodecError: damaged data, another model, more
    pixels than `max_pixels`.
    """
    parsed = data if isinstance(data, Parsed) else container.unpack(data, max_pixels)
    header, mode = parsed.header, MODES[parsed.header.mode]
    if header.model_id == NO_MODEL:
        model = None
    elif model is None or header.model_id != container.short_id(model.manifest.model_id):
        given = f"{model.manifest.name} ({model.manifest.model_id[:12]})" if model else "none"
        raise WrongModel(
            f"the file needs model {header.model_id.hex()[:12]}, not {given}; name the right one with --model"
        )
    coder, threads = (tile_coder(model), model.threads) if model else (None, 1)
    pixels = np.empty((header.height, header.width, mode.channels), np.uint8)
    made = _made(parsed, progress)
    _decode_tiles(coder, header, (parsed.tiles, made), pixels[..., : mode.colours], threads, progress)
    if parsed.alpha is not None and model is not None and coder is not None:
        pixels[..., -1] = _decode_alpha(parsed.alpha, model, coder, header)
    return Image(pixels, header.mode)


def _made(parsed: Parsed, progress: Progress | None) -> np.ndarray:
    """The planes that a file's JPEG makes, or none of as many rows and columns. Raises DamagedFile."""
    height, width, colours = parsed.header.height, parsed.header.width, MODES[parsed.header.mode].colours
    if parsed.source is None:
        return _no_planes(height, width)
    made = made_by(parsed.source, height, width, progress)
    if len(made) not in (1, colours):
        raise DamagedFile(f"a JPEG of {len(made)} components for a picture of {colours}: get the file again")
    return np.broadcast_to(made, (colours, height, width))


def analyse(
    image: Image, model: Model, *, effort: str = NORMAL, order: str = AUTO, progress: Progress | None = None
) -> Analysis:
    """Where the bits of `compress` go; takes a little longer than it and more memory, and raises what it does."""
    coder, planes = tile_coder(model), _planes(image)
    header = _header(image, model, _variant(coder, planes, effort, order))
    costs, stages = np.empty(planes.shape, np.float32), defaultdict[str, float](float)

    def work(box: Box, threads: int, report: Report) -> dict[str, float]:
        tile = _cut(planes, box)
        methods = coder.candidates(tile, effort, order)
        _, encoder = _smallest(coder, tile, methods, (header.variant, threads, NONE), report, traced=True)
        subpixels = tile.size
        spent = encoder.owned(subpixels + tile[0].size)
        channels, height, width = orient(tile, header.variant).shape
        values = spent[:subpixels].reshape(height, width, channels)
        values += spent[subpixels:].reshape(height, width, 1) / channels
        _cut(costs, box)[:] = unorient(values.transpose(2, 0, 1), header.variant)
        return alone(encoder, spent[subpixels:].sum())

    for tile in _each_tile(work, header, model.threads, progress):
        for stage, bits in tile.items():
            stages[stage] += bits
    return Analysis(costs.transpose(1, 2, 0), dict(stages))


def cost_map(
    image: Image, model: Model, *, effort: str = NORMAL, order: str = AUTO, progress: Progress | None = None
) -> np.ndarray:
    """Analysis.costs of an image."""
    return analyse(image, model, effort=effort, order=order, progress=progress).costs


def _variant(coder: TileCoder, planes: np.ndarray, effort: str, order: str) -> int:
    check_effort(effort)
    coder.check(planes)
    return coder.variant(planes, effort, order)


def _header(image: Image, model: Model, variant: int) -> Header:
    model_id = container.short_id(model.manifest.model_id)
    return Header(image.width, image.height, image.mode, model_id, variant)


def _smallest(
    coder: TileCoder,
    tile: np.ndarray,
    methods: Sequence[Method | InOrder],
    how: tuple[int, int, np.ndarray],
    report: Report,
    traced: bool = False,
) -> tuple[Tile, Encoder]:
    """A tile by the method that makes it smallest, and what encoded it. how: the variant, how many threads, and what a
    JPEG makes of the tile."""

    def encode(method: Method | InOrder) -> tuple[Tile, Encoder]:
        encoder = Encoder(traced)
        return _encode(coder, encoder, tile, (method, *how), _shared(report, len(methods))), encoder

    return min(map(encode, methods), key=lambda entry: len(entry[0].payload))


def _encode(
    coder: TileCoder,
    encoder: Encoder,
    tile: np.ndarray,
    how: tuple[Method | InOrder, int, int, np.ndarray],
    report: Report,
) -> Tile:
    """A tile, uint8 [C, h, w], by a method, in a variant, on so many threads, with what a JPEG makes of it."""
    method, variant, threads, made = how
    pixels, given = (np.array(orient(planes, variant), order="C") for planes in (tile, made))
    coder.code(encoder, pixels, method, threads, report, given)
    return Tile(encoder.finish(), container.pixels_crc(tile.transpose(1, 2, 0)), method.code)


def _decode_tiles(
    coder: TileCoder | None,
    header: Header,
    stored: tuple[tuple[Tile, ...], np.ndarray],
    pixels: np.ndarray,
    threads: int,
    progress: Progress | None = None,
) -> None:
    """Decodes tiles into pixels, uint8 [H, W, C]. stored: the tiles, and what a JPEG makes of the picture. Without a
    coder all tiles are made. Raises DamagedFile."""
    planes, tiles, whole = pixels.transpose(2, 0, 1), dict(zip(header.boxes, stored[0])), stored[1]

    def work(box: Box, threads: int, report: Report) -> None:
        tile, made = tiles[box], _cut(whole, box)
        if METHODS[tile.method] == MADE or coder is None:
            restored = made
            report(made[0].size)
        else:
            shape = (box.width, box.height) if header.variant & TRANSPOSED else (box.height, box.width)
            found = np.zeros((len(planes), *shape), np.uint8)
            given = np.array(orient(made, header.variant), order="C")
            coder.code(Decoder(tile.payload), found, METHODS[tile.method], threads, report, given)
            restored = unorient(found, header.variant)
        if container.pixels_crc(restored.transpose(1, 2, 0)) != tile.pixels_crc:
            where = f"row {box.row}, column {box.col}"
            raise DamagedFile(f"the tile at {where} does not decode to the pixels that were coded: get the file again")
        _cut(planes, box)[:] = restored

    _each_tile(work, header, threads, progress)


def _encode_alpha(image: Image, model: Model, coder: TileCoder, header: Header, effort: str) -> bytes:
    """The alpha plane's payload: LZMA's or, where model and effort allow it, that of grey tiles if it is smaller."""
    plane = image.pixels[..., -1]
    simple = alpha.encode(plane)
    if not coder.general or effort == "fast" or len(simple) < alpha.WORTH_TILES:
        return simple
    method = Method(network=False, colours=True)

    def work(box: Box, threads: int, report: Report) -> Tile:
        return _encode(coder, Encoder(), _cut(plane[None], box), (method, header.variant, threads, NONE), report)

    return min(alpha.pack(_each_tile(work, header, model.threads, None)), simple, key=len)


def _decode_alpha(payload: bytes, model: Model, coder: TileCoder, header: Header) -> np.ndarray:
    """The alpha plane, uint8 [H, W]."""
    tiles = alpha.unpack(payload, header.tile_count)
    if tiles is None:
        return alpha.decode(payload, header.height, header.width)
    plane = np.empty((header.height, header.width, 1), np.uint8)
    _decode_tiles(coder, header, (tiles, _no_planes(header.height, header.width)), plane, model.threads)
    return plane[..., 0]


def _planes(image: Image) -> np.ndarray:
    """What the model codes of an image: a view [C, H, W] without alpha."""
    return image.pixels[..., : MODES[image.mode].colours].transpose(2, 0, 1)


def _no_planes(height: int, width: int) -> np.ndarray:
    return np.zeros((0, height, width), np.uint8)


def _cut(planes: np.ndarray, box: Box) -> np.ndarray:
    return planes[:, box.row : box.row + box.height, box.col : box.col + box.width]


def _shared(report: Report, parts: int) -> Report:
    return lambda pixels: report(pixels / parts)


def _each_tile(
    work: Callable[[Box, int, Report], Result], header: Header, threads: int, progress: Progress | None
) -> list[Result]:
    """work(box, threads, report) for every tile, in order of the file; several at once where there are several."""
    lock, stop, total = Lock(), Event(), header.width * header.height
    done: float = 0

    def report(pixels: float) -> None:
        if stop.is_set():
            raise InterruptedError
        nonlocal done
        with lock:
            done += pixels
            if progress:
                progress(round(done), total)

    boxes = header.boxes
    if threads < 2 or len(boxes) == 1:
        return [work(box, threads, report) for box in boxes]
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, box, max(threads // len(boxes), 1), report) for box in boxes]
        try:
            ended, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in ended:
                future.result()  # raises what went wrong, whichever tile it was
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
