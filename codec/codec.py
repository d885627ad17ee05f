"""Image <-> file: one level loop for both directions.

A tile is coded level by level: known neighbours -> online predictor and network -> integer mixture -> binary decisions
-> range coder. `code_tile` is the only loop; encoder and decoder hand it different coders and nothing else differs.
Tiles have states, payloads and checksums of their own, so several run side by side and give the same bytes.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np

from runtime import Model
from runtime.photo import PhotoModel
from runtime.pixelcnn import PixelCnnModel
from runtime.predictor import Predictor
from runtime.variants import TRANSPOSED, orient, unorient

from . import alpha, container, lockstep, plain
from .coder import Decoder, Encoder
from .colours import Colours
from .decisions import Coder, channel_values, rounds
from .errors import DamagedFile, UnknownOrder, WrongModel
from .images import Image
from .method import METHODS, InOrder, Learning, Method, candidates, learning_of
from .mixing import Mixing
from .mixture import Mixture
from .orientation import best_variant, usual_variant

Progress = Callable[[int, int], None]
AUTO = "auto"  # of orders: the best


@dataclass(frozen=True)
class Compressed:
    """A file's bytes, the model's negative log-likelihood of the colour or grey pixels in bits, and its parts.

    stages: bits of what came before the last stage, by stage, as far as the methods used have them; see Mixing.alone.
    methods: how many tiles were coded by each method.
    """

    data: bytes
    nll_bits: float
    stages: dict[str, float]
    methods: dict[Method | InOrder, int]


@dataclass(frozen=True)
class Coded:
    """A tile that went through a coder: bits as in Compressed, in all and by stage, and the pixels, uint8 [C, H, W]."""

    bits: float
    stages: dict[str, float]
    pixels: np.ndarray


def compress(
    image: Image,
    model: Model,
    *,
    effort: int = container.EFFORT,
    order: str = AUTO,
    progress: Progress | None = None,
) -> Compressed:
    """Codes an image with a model; on as many threads as the model was loaded with, to the same bytes.

    effort 1 uses the network's distribution alone and is fastest; 2 to 5 learn the picture at hand as well, 6 to 9 with
    everything there is. Where colours repeat, several methods are tried. Decoding takes what one encoding took.
    order: `name:variant`, a name alone for variant 0, or `auto`. With a photo network that is the way round which takes
    fewest levels, from effort 6 on the one that a probe of the predictor finds best; with one of the paper's, which
    does not learn, the best of the bundle's orders, each being tried. Raises UnknownOrder, and UnsupportedImage where
    the network is for other pictures.
    """
    planes = _planes(image)
    header = _header(image, planes, model, effort, order)

    def work(box, report):
        tile = _cut(planes, box)
        return _smallest(model, header, tile, _methods(model, tile, effort, order), report)

    results = _each_tile(work, header, model.threads, progress)
    plane = _encode_alpha(image, model, header) if container.MODES[image.mode].has_alpha else None
    spent = Counter()
    for _, coded, _ in results:
        spent.update(coded.stages)
    return Compressed(
        container.pack(header, [tile for tile, _, _ in results], plane),
        sum(coded.bits for _, coded, _ in results),
        dict(spent),
        dict(Counter(METHODS[tile.method] for tile, _, _ in results)),
    )


def _methods(model: Model, tile: np.ndarray, effort: int, order: str) -> list[Method | InOrder]:
    """The methods worth trying on a tile, uint8 [C, h, w]."""
    if isinstance(model, PhotoModel):
        return candidates(tile, effort)
    lockstep.check(model, tile)
    return [InOrder(number) for number in _orders(model, order)]


def _orders(model: Model, order: str) -> list[int]:
    """The numbers of the model's orders that are to be tried. Raises UnknownOrder."""
    orders = model.layout.orders
    if order == AUTO:
        return list(range(len(orders)))
    name = order if ":" in order else f"{order}:0"
    if name not in orders:
        raise UnknownOrder(f"model {model.manifest.name} has no order {order!r}, but {', '.join(orders)}")
    return [orders.index(name)]


def _smallest(model: Model, header: container.Header, tile: np.ndarray, methods, report, costed: bool = False):
    """A tile, uint8 [C, h, w], by the best of methods: stored, Coded, and if `costed` float32 [C, h * w] bits."""
    tries = []
    for method in methods:
        costs = np.zeros((len(tile), tile[0].size), np.float32) if costed else None
        encoded = _encode_tile(model, header, tile, method, lambda pixels: report(pixels / len(methods)), costs)
        tries.append((*encoded, costs))
    return min(tries, key=lambda entry: len(entry[0].payload))


def _encode_tile(
    model: Model, header: container.Header, tile: np.ndarray, method: Method, report, costs: np.ndarray | None = None
) -> tuple[container.Tile, Coded]:
    """A tile, uint8 [C, h, w], by one method; costs as in code_tile."""
    encoder = Encoder()
    coded = _code(model, encoder, _oriented(tile, header.variant), method, report, costs)
    return container.Tile(encoder.finish(), container.pixels_crc(tile.transpose(1, 2, 0)), method.code), coded


def decompress(
    data: bytes, model: Model, *, max_pixels: int = container.MAX_PIXELS, progress: Progress | None = None
) -> Image:
    """Restores the image of a file. Raises CodecError: damaged data, another model, more pixels than `max_pixels`."""
    return _restore(data, model, max_pixels, progress)[0]


def stages(
    data: bytes, model: Model, *, max_pixels: int = container.MAX_PIXELS, progress: Progress | None = None
) -> dict[str, float]:
    """Compressed.stages of a file, found by decoding it; raises as `decompress` does."""
    return _restore(data, model, max_pixels, progress)[1]


def _restore(data: bytes, model: Model, max_pixels: int, progress: Progress | None) -> tuple[Image, dict[str, float]]:
    parsed = container.unpack(data, max_pixels)
    header = parsed.header
    if header.model_id != container.short_id(model.manifest.model_id):
        raise WrongModel(
            f"the file needs model {header.model_id.hex()[:12]}, not {model.manifest.name} "
            f"({model.manifest.model_id[:12]}); name the right one with --model"
        )
    mode = container.MODES[header.mode]
    pixels = np.empty((header.height, header.width, mode.channels), np.uint8)
    stored, planes = dict(zip(header.boxes, parsed.tiles)), pixels[..., : mode.colours].transpose(2, 0, 1)

    def work(box, report):
        tile, spent = _decode_tile(model, header, box, stored[box], mode.colours, report)
        _cut(planes, box)[:] = tile
        return spent

    spent = Counter()
    for found in _each_tile(work, header, model.threads, progress):
        spent.update(found)
    if mode.has_alpha:
        pixels[..., -1] = _decode_alpha(parsed, model)
    return Image(pixels, header.mode), dict(spent)


def _encode_alpha(image: Image, model: Model, header: container.Header) -> bytes:
    """The alpha plane's payload: LZMA's, or from effort 2 on, where it is smaller, that of grey tiles."""
    plane, method = image.pixels[..., -1], Method(learning_of(header.effort), colours=True, network=False)
    simple = alpha.encode(plane)
    learns = isinstance(model, PhotoModel) and method.learning != Learning.NONE
    if not learns or len(simple) < alpha.WORTH_TILES:
        return simple

    def work(box, report):
        return _encode_tile(model, header, _cut(plane[None], box), method, report)[0]

    return min(alpha.pack(_each_tile(work, header, model.threads, None)), simple, key=len)


def _decode_alpha(parsed: container.Parsed, model: Model) -> np.ndarray:
    """The alpha plane, uint8 [H, W]."""
    header = parsed.header
    tiles = alpha.unpack(parsed.alpha, header.tile_count)
    if tiles is None:
        return alpha.decode(parsed.alpha, header.height, header.width)
    plane, stored = np.empty((1, header.height, header.width), np.uint8), dict(zip(header.boxes, tiles))

    def work(box, report):
        _cut(plane, box)[:] = _decode_tile(model, header, box, stored[box], 1, report)[0]

    _each_tile(work, header, model.threads, None)
    return plane[0]


def _decode_tile(model: Model, header: container.Header, box, tile: container.Tile, channels: int, report):
    """Pixels uint8 [C, h, w] of a tile and what its stages spent. Raises DamagedFile."""
    shape = (box.width, box.height) if header.variant & TRANSPOSED else (box.height, box.width)
    empty = np.broadcast_to(np.uint8(0), (channels, *shape))
    coded = _code(model, Decoder(tile.payload), empty, METHODS[tile.method], report)
    pixels = unorient(coded.pixels, header.variant)
    if container.pixels_crc(pixels.transpose(1, 2, 0)) != tile.pixels_crc:
        raise DamagedFile(f"the tile at row {box.row}, column {box.col} does not decode to the pixels that were coded")
    return pixels, coded.stages


def cost_map(
    image: Image,
    model: Model,
    *,
    effort: int = container.EFFORT,
    order: str = AUTO,
    progress: Progress | None = None,
) -> np.ndarray:
    """Where the bits of `compress` go: -log2 of each subpixel's probability, float32 [H, W, C]; their sum is nll_bits.

    C counts grey or colour channels: alpha is not coded with the model. Takes as long as compress.
    """
    planes = _planes(image)
    header = _header(image, planes, model, effort, order)
    costs = np.empty(planes.shape, np.float32)

    def work(box, report):
        tile = _cut(planes, box)
        _, coded, spent = _smallest(model, header, tile, _methods(model, tile, effort, order), report, costed=True)
        _cut(costs, box)[:] = unorient(spent.reshape(coded.pixels.shape), header.variant)

    _each_tile(work, header, model.threads, progress)
    return costs.transpose(1, 2, 0)


def _code(model: Model, coder: Coder, known: np.ndarray, method: Method | InOrder, report, costs=None) -> Coded:
    """A tile through a coder by any method. Raises DamagedFile for one that the model has not."""
    if isinstance(model, PixelCnnModel) != isinstance(method, InOrder):
        raise DamagedFile(f"a tile is coded by method {method}, which is none of the model's: get the file again")
    if isinstance(model, PhotoModel):
        return code_tile(model, coder, known, method, report, costs)
    if method.order >= len(model.layout.orders):
        raise DamagedFile(f"a tile is coded in order {method.order}, which the model has not: get the file again")
    bits, pixels = lockstep.code_squares(model, coder, known, method.order, report, costs)
    return Coded(bits, {}, pixels)


def code_tile(
    model: PhotoModel,
    coder: Coder,
    known: np.ndarray,
    method: Method = Method(),
    report: Callable[[float], None] = lambda pixels: None,
    costs: np.ndarray | None = None,
    start: Callable[[PhotoModel, Predictor, int, Method], Mixture] | None = None,
) -> Coded:
    """Runs one tile through a coder, with a photo network.

    `known`, uint8 [C, H, W], holds the true pixels for an Encoder; a Decoder overwrites every decision taken from it.
    Grey tiles (C = 1) are colour tiles whose other planes are copies that need no decisions.
    `costs`, float32 [C, H * W], is filled with the bits of each value if it is given. `start` replaces `distribution`.
    """
    channels, height, width = known.shape
    schedule, tile = model.schedule(height, width), model.tile(height, width)
    predictor, rows = tile.predictor, int(np.diff(schedule.starts).max())
    network = model.network.start(schedule) if method.network else plain.Plain(predictor)
    mixture = (start or distribution)(model, predictor, rows, method)
    colours = Colours(height, width, rows, channels) if method.colours else None
    known, pixels = known.reshape(channels, -1), np.empty((channels, height * width), np.uint8)

    for level in range(schedule.steps):
        at = schedule.positions[schedule.starts[level] : schedule.starts[level + 1]]
        fixed = np.full((channels, len(at)), -1, np.int16)
        if colours:
            before = colours.bits.copy()
            fixed = _code_colours(coder, colours, level, known[:, at])
            if costs is not None:
                costs[:, at] = (colours.bits - before)[: len(at)] / channels
        for k in range(3):
            predictor.solve(level, k)
            if k < channels:
                mixture.solve(level, k)
        red = predictor.predict(level, 0)
        mixture.weigh(network.step(level, tile.inputs(level)) if method.network else network.step(level))
        for k in range(3):
            bases = predictor.predict(level, k) if k else red
            if k < channels:
                before = None if costs is None else mixture.bits.copy()
                pixels[k, at] = values = channel_values(coder, mixture, k, bases, known[k, at], fixed[k])
                if costs is not None:
                    costs[k, at] += (mixture.bits - before)[: len(at)]
            predictor.put(level, k, values)
        tile.finish(level)
        if colours:
            colours.learn(level, pixels[:, at])
        report(len(at))
    spent = {"colours": float(colours.bits.sum())} if colours else {}
    bits = float(mixture.bits.sum()) + spent.get("colours", 0.0)
    return Coded(bits, mixture.alone() | spent, pixels.reshape(channels, height, width))


def distribution(model: PhotoModel, predictor: Predictor, rows: int, method: Method) -> Mixture:
    """What gives the decisions' probabilities by a method, for levels of at most `rows` positions."""
    components = model.components if method.network else plain.COMPONENTS
    if method.learning == Learning.NONE:
        return Mixture(rows, components, model.tables)
    return Mixing(predictor, rows, components, model.tables, method.learning == Learning.FULL)


def _code_colours(coder: Coder, colours: Colours, level: int, known: np.ndarray) -> np.ndarray:
    """The colours of a level that were guessed, int16 [C, n], and -1 where none was."""
    rounds(coder, colours, colours.open(level, known), known)
    resolved, values = colours.found()
    return np.where(resolved, values, np.int16(-1)).astype(np.int16)


def _header(image: Image, planes: np.ndarray, model: Model, effort: int, order: str) -> container.Header:
    numbers, variant = _orders(model, order), 0
    if isinstance(model, PhotoModel):
        if len(numbers) == 1:
            variant = numbers[0]
        elif learning_of(effort) == Learning.FULL:
            variant = best_variant(planes, model.threads)
        else:
            variant = usual_variant(planes)
    model_id = container.short_id(model.manifest.model_id)
    return container.Header(image.width, image.height, image.mode, model_id, variant, effort=effort)


def _planes(image: Image) -> np.ndarray:
    """What the model codes of an image: a view [C, H, W] without alpha."""
    return image.pixels[..., : container.MODES[image.mode].colours].transpose(2, 0, 1)


def _cut(planes: np.ndarray, box) -> np.ndarray:
    return planes[:, box.row : box.row + box.height, box.col : box.col + box.width]


def _oriented(tile: np.ndarray, variant: int) -> np.ndarray:
    return np.ascontiguousarray(orient(tile, variant))


def _each_tile(work, header: container.Header, threads: int, progress: Progress | None) -> list:
    """work(box, report) for every tile, in order of the file; several tiles at once where there are several."""
    done, lock, stop, total = 0, Lock(), Event(), header.width * header.height

    def report(pixels: float) -> None:
        if stop.is_set():
            raise InterruptedError
        nonlocal done
        with lock:
            done += pixels
            if progress:
                progress(round(done), total)

    if threads < 2 or len(header.boxes) == 1:
        return [work(box, report) for box in header.boxes]
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, box, report) for box in header.boxes]
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
