"""Image <-> file. Every tile goes through the TileCoder of the model's kind, which is the same for both directions.

Tiles have states, payloads and checksums of their own, so several run side by side and give the same bytes.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Lock
from typing import TypeVar

import numpy as np

from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile, WrongModel
from codec.format import alpha, container
from codec.format.container import MODES, Header, Parsed, Tile
from codec.format.method import METHODS, InOrder, Method
from codec.format.tiles import Box
from codec.images import Image
from codec.models import NORMAL, check_effort
from codec.tile_coders import AUTO, Report, TileCoder, tile_coder
from codec.tile_coders.stages import alone
from runtime import Model
from runtime.progress import Progress
from runtime.variants import TRANSPOSED, orient, unorient

Result = TypeVar("Result")


@dataclass(frozen=True)
class Compressed:
    """A file's bytes, the model's negative log-likelihood of the colour or grey pixels in bits, and how many tiles were
    coded by each method."""

    data: bytes
    nll_bits: float
    methods: dict[Method | InOrder, int]


@dataclass(frozen=True)
class Analysis:
    """Where the bits of a picture go.

    costs: -log2 of each subpixel's probability, float32 [H, W, C]; their sum is Compressed.nll_bits. C counts grey or
    colour channels: alpha is not coded with the model. stages: bits that some experts would have spent alone on the
    decisions that are mixed, and what exact colours or a palette took.
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
    being tried. Raises ValueError for another effort, UnknownOrder, and UnsupportedImage where the network is for
    other pictures.
    """
    coder, planes = tile_coder(model), _planes(image)
    header = _header(image, model, _variant(coder, planes, effort, order))

    def work(box: Box, threads: int, report: Report) -> tuple[Tile, float]:
        tile = _cut(planes, box)
        methods = coder.candidates(tile, effort, order)
        found, encoder = _smallest(coder, tile, methods, (header.variant, threads), report)
        return found, encoder.bits

    results = _each_tile(work, header, model.threads, progress)
    tiles = [tile for tile, _ in results]
    plane = _encode_alpha(image, model, coder, header, effort) if MODES[image.mode].has_alpha else None
    methods = Counter(METHODS[tile.method] for tile in tiles)
    return Compressed(container.pack(header, tiles, plane), sum(bits for _, bits in results), dict(methods))


def decompress(
    data: bytes | Parsed, model: Model, *, max_pixels: int = container.MAX_PIXELS, progress: Progress | None = None
) -> Image:
    """Restores the image of a file, given its bytes or what `codec.format.container` has read and checked of it.

    Raises CodecError: damaged data, another model, more pixels than `max_pixels`.
    """
    parsed = data if isinstance(data, Parsed) else container.unpack(data, max_pixels)
    header, coder = parsed.header, tile_coder(model)
    if header.model_id != container.short_id(model.manifest.model_id):
        raise WrongModel(
            f"the file needs model {header.model_id.hex()[:12]}, not {model.manifest.name} "
            f"({model.manifest.model_id[:12]}); name the right one with --model"
        )
    mode = MODES[header.mode]
    pixels = np.empty((header.height, header.width, mode.channels), np.uint8)
    _decode_tiles(coder, header, parsed.tiles, pixels[..., : mode.colours], model.threads, progress)
    if parsed.alpha is not None:
        pixels[..., -1] = _decode_alpha(parsed.alpha, model, coder, header)
    return Image(pixels, header.mode)


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
        _, encoder = _smallest(coder, tile, methods, (header.variant, threads), report, traced=True)
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
    how: tuple[int, int],
    report: Report,
    traced: bool = False,
) -> tuple[Tile, Encoder]:
    """A tile by the method that makes it smallest, and what encoded it. how: the variant, and how many threads."""

    def encode(method: Method | InOrder) -> tuple[Tile, Encoder]:
        encoder = Encoder(traced)
        return _encode(coder, encoder, tile, (method, *how), _shared(report, len(methods))), encoder

    return min(map(encode, methods), key=lambda entry: len(entry[0].payload))


def _encode(
    coder: TileCoder, encoder: Encoder, tile: np.ndarray, how: tuple[Method | InOrder, int, int], report: Report
) -> Tile:
    """A tile, uint8 [C, h, w], by a method, in a variant, on so many threads."""
    method, variant, threads = how
    coder.code(encoder, np.array(orient(tile, variant), order="C"), method, threads, report)
    return Tile(encoder.finish(), container.pixels_crc(tile.transpose(1, 2, 0)), method.code)


def _decode_tiles(
    coder: TileCoder,
    header: Header,
    tiles: tuple[Tile, ...],
    pixels: np.ndarray,
    threads: int,
    progress: Progress | None = None,
) -> None:
    """Decodes tiles into pixels, uint8 [H, W, C]. Raises DamagedFile."""
    planes, stored = pixels.transpose(2, 0, 1), dict(zip(header.boxes, tiles))

    def work(box: Box, threads: int, report: Report) -> None:
        tile = stored[box]
        shape = (box.width, box.height) if header.variant & TRANSPOSED else (box.height, box.width)
        found = np.zeros((len(planes), *shape), np.uint8)
        coder.code(Decoder(tile.payload), found, METHODS[tile.method], threads, report)
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
    if not coder.codes_alpha or effort == "fast" or len(simple) < alpha.WORTH_TILES:
        return simple
    method = Method(network=False, colours=True)

    def work(box: Box, threads: int, report: Report) -> Tile:
        return _encode(coder, Encoder(), _cut(plane[None], box), (method, header.variant, threads), report)

    return min(alpha.pack(_each_tile(work, header, model.threads, None)), simple, key=len)


def _decode_alpha(payload: bytes, model: Model, coder: TileCoder, header: Header) -> np.ndarray:
    """The alpha plane, uint8 [H, W]."""
    tiles = alpha.unpack(payload, header.tile_count)
    if tiles is None:
        return alpha.decode(payload, header.height, header.width)
    plane = np.empty((header.height, header.width, 1), np.uint8)
    _decode_tiles(coder, header, tiles, plane, model.threads)
    return plane[..., 0]


def _planes(image: Image) -> np.ndarray:
    """What the model codes of an image: a view [C, H, W] without alpha."""
    return image.pixels[..., : MODES[image.mode].colours].transpose(2, 0, 1)


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
