"""Files that were forged with care: decoding takes time and memory by the pixels that they declare, whatever follows.

All checksums of headers are right, so decoders go through payloads to the end: they are none that an encoder wrote.
"""

import io
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import runtime
from codec import decompress
from codec.errors import CodecError
from codec.format import container
from codec.format.container import Contents
from codec.format.method import MADE, METHODS, NEEDS_JPEG, Independent, InOrder, Method
from codec.format.packed import pack
from codec.format.picture import COLOURS, KINDS, RANKS, TILES, Group, Header, Picture, Tile, short_id
from codec.jpeg.keep import keep, restore
from tests.codec.golden import TINY
from tests.pictures import photograph

PIXEL = 0.001  # seconds of the processor, many times what any takes here
NARROW = 0.003  # of tiles of 8 x 8 and of single rows, where what is done once for a tile or a level counts most
PIXEL_BYTES, BASE_BYTES = 1500, 2**27  # of memory: the tables of what learns are the base
RNG = np.random.default_rng(0)
PAYLOADS = {
    "nothing": b"",
    "little": b"\x80",
    "ones": b"\xff" * 2000,
    "zeros": bytes(2000) + b"\1",
    "noise": RNG.bytes(2000) + b"\1",
    "more than enough": RNG.bytes(300_000) + b"\1",
}
JPEG = b"\0\4\x50\0", b"\0\1\x5a\0"  # grey, and colours with chroma of half the size
MASKS, DEEP = Independent.FLAT.code, Independent.DEEP.code


@pytest.fixture(scope="module")
def model():
    return runtime.load(TINY, threads=1)


def forged(
    model, code: int, payload: bytes, size=(48, 48), kind="rgb", depth=8, form=0, used=b"", jpeg=None, tile=TILES[0]
) -> bytes:
    """A file whose colours are coded by a method, and all else by exact colours."""
    palette = RNG.bytes(3 * 200) if kind.startswith("palette") else None
    header = Header(*size, kind, depth, short_id(model.manifest.model_id), tile=tile, palette=palette)
    methods = [code if not group.start else MASKS for group in KINDS[kind].groups]
    groups = [Group((Tile(payload, 0, each),) * header.tile_count, form, used) for each in methods]
    digest = bytes(8) if len(groups) * header.tile_count > 1 else None
    if METHODS[code] in NEEDS_JPEG and jpeg is None:
        jpeg = JPEG[kind == "rgb"] + payload
    return container.pack(Contents(Picture(header, tuple(groups), digest), jpeg))


def held_in_bounds(work: Callable[[], object], pixels: int, each: float = PIXEL) -> None:
    """That work ends in time, with a result or an error of ours, and takes no more memory than it may."""
    for _ in range(2):  # once for what is compiled or read at first
        began = time.process_time()
        try:
            work()
        except CodecError:
            pass
        took = time.process_time() - began
    assert took < 0.2 + each * pixels
    tracemalloc.start()
    try:
        work()
    except CodecError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < BASE_BYTES + PIXEL_BYTES * pixels


@pytest.mark.parametrize("code", [code for code, method in METHODS.items() if isinstance(method, Method)])
def test_every_method(model, code):
    for kind, payload in (("rgb", "noise"), ("grey+alpha", "nothing")):
        data = forged(model, code, b"" if code == MADE.code else PAYLOADS[payload], kind=kind)
        held_in_bounds(lambda data=data: decompress(data, model, lost=[]), 48 * 48)


@pytest.mark.parametrize("code", [1, 13, 21, 32, 33, 34])
def test_every_payload(model, code):
    for payload in PAYLOADS.values():
        data = forged(model, code, payload, (60, 50))
        held_in_bounds(lambda data=data: decompress(data, model, lost=[]), 60 * 50)


@pytest.mark.parametrize("code", [13, 34])
def test_a_larger_picture(model, code):
    data = forged(model, code, PAYLOADS["noise"], (200, 200))
    held_in_bounds(lambda: decompress(data, model, lost=[]), 200 * 200)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("kind", ["grey", "rgb"])
def test_deep_samples(model, kind, payload):
    data = forged(model, DEEP, PAYLOADS[payload], kind=kind, depth=16)
    held_in_bounds(lambda: decompress(data, model, lost=[]), 48 * 48)


@pytest.mark.parametrize("code", [13, 21, 32, 33, 34])
@pytest.mark.parametrize("size", [(1, 3000), (3000, 1)])
def test_pictures_of_one_row_or_column(model, code, size):
    data = forged(model, code, PAYLOADS["noise"], size)
    held_in_bounds(lambda: decompress(data, model, lost=[]), 3000, NARROW)


@pytest.mark.parametrize("code", [13, 21, 32, 33, 34])
def test_tiles_of_8_by_8(model, code):
    """As small as a file can say: many begin anew, each of which is six bytes at least."""
    data = forged(model, code, b"\x80", (40, 40), tile=TILES[-1])
    held_in_bounds(lambda: decompress(data, model, lost=[]), 40 * 40, NARROW)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_colours_of_a_palette_and_lists_of_values(model, payload):
    ranks = pack(RNG.bytes(2**13))
    bomb = pack(bytes(2**24))
    for data in (
        forged(model, MASKS, PAYLOADS[payload], kind="palette", form=COLOURS),
        forged(model, 1, PAYLOADS[payload], kind="palette"),
        forged(model, 33, PAYLOADS[payload], kind="grey", depth=16, form=RANKS, used=ranks),
        forged(model, 33, PAYLOADS[payload], kind="grey", depth=16, form=RANKS, used=bomb),
    ):
        held_in_bounds(lambda data=data: decompress(data, model, lost=[]), 48 * 48)


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("head", JPEG)
def test_coefficients_that_made_a_picture(model, head, payload):
    data = forged(model, MADE.code, b"", (200, 200), jpeg=head + PAYLOADS[payload])
    held_in_bounds(lambda: decompress(data, model, lost=[]), 200 * 200)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_coefficients_of_a_jpeg(payload):
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(photograph(200, 200).transpose(1, 2, 0))).save(stream, "JPEG")
    kept = keep(stream.getvalue()).kept
    around = 5 + int.from_bytes(kept.payload[:4], "little")
    hostile = replace(kept, payload=kept.payload[:around] + PAYLOADS[payload])
    held_in_bounds(lambda: restore(container.read(container.pack(Contents(hostile))).kept), 200 * 200)


@pytest.mark.parametrize("order", [0, 2, 3, 63])
def test_orders_of_the_paper_s_networks(square_models, order):
    for payload in ("nothing", "noise"):
        data = forged(square_models["colour"], InOrder(order).code, PAYLOADS[payload])
        held_in_bounds(lambda data=data: decompress(data, square_models["colour"], lost=[]), 48 * 48)
