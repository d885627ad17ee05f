"""Image <-> file: one level loop for both directions.

A tile is coded level by level: known neighbours -> online predictor and network -> integer mixture -> binary decisions
-> range coder. `code_tile` is the only loop; encoder and decoder hand it different coders and nothing else differs.
Tiles have states, payloads and checksums of their own, so several run side by side and give the same bytes.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Lock

import numpy as np

from runtime import Model
from runtime.variants import orient, unorient

from . import alpha, container
from .coder import Decoder, Encoder
from .errors import DamagedFile, WrongModel
from .images import Image
from .mixing import Mixing
from .mixture import Mixture

Progress = Callable[[int, int], None]
_TRANSPOSED = 4  # the order's variant for pictures that are higher than wide


@dataclass(frozen=True)
class Compressed:
    """A file's bytes, and the model's negative log-likelihood of the colour or grey pixels in bits."""

    data: bytes
    nll_bits: float


def compress(
    image: Image, model: Model, *, effort: int = container.EFFORT, progress: Progress | None = None
) -> Compressed:
    """Codes an image with a model; on as many threads as the model was loaded with, to the same bytes.

    effort 1 uses the network's distribution alone and is fastest; 2 to 9, all the same so far, learn the picture at
    hand as well. Decoding takes what encoding took.
    """
    header, planes = _header(image, model, effort), _planes(image)

    def work(box, report):
        tile = _cut(planes, box)
        encoder = Encoder()
        bits, _ = code_tile(model, encoder, _oriented(tile, header.variant), effort, report)
        pixels = tile.transpose(1, 2, 0)
        return container.Tile(encoder.finish(), container.pixels_crc(pixels)), bits

    results = _each_tile(work, header, model.threads, progress)
    plane = alpha.encode(image.pixels[..., -1]) if container.MODES[image.mode].has_alpha else None
    return Compressed(container.pack(header, [tile for tile, _ in results], plane), sum(bits for _, bits in results))


def decompress(
    data: bytes, model: Model, *, max_pixels: int = container.MAX_PIXELS, progress: Progress | None = None
) -> Image:
    """Restores the image of a file. Raises CodecError: damaged data, another model, more pixels than `max_pixels`."""
    parsed = container.unpack(data, max_pixels)
    header = parsed.header
    if header.model_id != container.short_id(model.manifest.model_id):
        raise WrongModel(
            f"the file needs model {header.model_id.hex()[:12]}, not {model.manifest.name} "
            f"({model.manifest.model_id[:12]}); name the right one with --model"
        )
    mode = container.MODES[header.mode]
    pixels = np.empty((header.height, header.width, mode.channels), np.uint8)
    stored = dict(zip(header.boxes, parsed.tiles))

    def work(box, report):
        shape = (box.width, box.height) if header.variant & _TRANSPOSED else (box.height, box.width)
        empty = np.broadcast_to(np.uint8(0), (mode.colours, *shape))
        _, planes = code_tile(model, Decoder(stored[box].payload), empty, header.effort, report)
        tile = unorient(planes, header.variant).transpose(1, 2, 0)
        if container.pixels_crc(tile) != stored[box].pixels_crc:
            raise DamagedFile(
                f"the tile at row {box.row}, column {box.col} does not decode to the pixels that were coded"
            )
        pixels[box.row : box.row + box.height, box.col : box.col + box.width, : mode.colours] = tile

    _each_tile(work, header, model.threads, progress)
    if mode.has_alpha:
        pixels[..., -1] = alpha.decode(parsed.alpha, header.height, header.width)
    return Image(pixels, header.mode)


def cost_map(
    image: Image, model: Model, *, effort: int = container.EFFORT, progress: Progress | None = None
) -> np.ndarray:
    """Where the bits of `compress` go: -log2 of each subpixel's probability, float32 [H, W, C]; their sum is nll_bits.

    C counts grey or colour channels: alpha is not coded with the model. Takes as long as compress.
    """
    header, planes = _header(image, model, effort), _planes(image)
    costs = np.empty(planes.shape, np.float32)

    def work(box, report):
        tile = _oriented(_cut(planes, box), header.variant)
        spent = np.empty((len(tile), tile[0].size), np.float32)
        code_tile(model, Encoder(), tile, effort, report, spent)
        _cut(costs, box)[:] = unorient(spent.reshape(tile.shape), header.variant)

    _each_tile(work, header, model.threads, progress)
    return costs.transpose(1, 2, 0)


def code_tile(
    model: Model,
    coder: Encoder | Decoder,
    known: np.ndarray,
    effort: int = container.EFFORT,
    report: Callable[[int], None] = lambda pixels: None,
    costs: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Runs one tile through a coder: returns the model's bits and the pixels, uint8 [C, H, W].

    `known` holds the true pixels for an Encoder; a Decoder overwrites every decision taken from it. Grey tiles (C = 1)
    are colour tiles whose other planes are copies that need no decisions.
    `costs`, float32 [C, H * W], is filled with the bits of each value if it is given.
    """
    channels, height, width = known.shape
    schedule, tile = model.schedule(height, width), model.tile(height, width)
    predictor, network = tile.predictor, model.network.start(schedule)
    mixture = _distribution(model, height, width, int(np.diff(schedule.starts).max()), effort)
    known, pixels = known.reshape(channels, -1), np.empty((channels, height * width), np.uint8)

    for level in range(schedule.steps):
        at = schedule.positions[schedule.starts[level] : schedule.starts[level + 1]]
        for k in range(3):
            predictor.solve(level, k)
        red = predictor.predict(level, 0)
        mixture.weigh(network.step(level, tile.inputs(level)))
        for k in range(3):
            bases = predictor.predict(level, k) if k else red
            if k < channels:
                before = None if costs is None else mixture.bits.copy()
                values = _code_channel(coder, mixture, k, bases, known[k, at])
                pixels[k, at] = values
                if costs is not None:
                    costs[k, at] = (mixture.bits - before)[: len(at)]
            predictor.put(level, k, values)
        tile.finish(level)
        report(len(at))
    return float(mixture.bits.sum()), pixels.reshape(channels, height, width)


def _distribution(model: Model, height: int, width: int, rows: int, effort: int) -> Mixture:
    """What gives the decisions' probabilities at an effort."""
    if effort < 2:
        return Mixture(rows, model.manifest.components, model.tables)
    return Mixing(height, width, rows, model.manifest.components, model.tables)


def _code_channel(
    coder: Encoder | Decoder, mixture: Mixture, channel: int, bases: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """One channel of one level: rounds of decisions until every value is known."""
    frequencies, symbols = mixture.open(channel, bases, known)
    while len(symbols):
        coder.code(frequencies, symbols)
        frequencies, symbols = mixture.decide(len(symbols), known)
    values = np.empty(len(known), np.uint8)
    mixture.learn(channel, bases, values)
    return values


def _header(image: Image, model: Model, effort: int) -> container.Header:
    variant = _TRANSPOSED if image.height > image.width else 0
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

    def report(pixels: int) -> None:
        if stop.is_set():
            raise InterruptedError
        nonlocal done
        with lock:
            done += pixels
            if progress:
                progress(done, total)

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
