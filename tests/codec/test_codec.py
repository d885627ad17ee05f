"""Images and files: threads, tiles, progress, interrupts, memory, and files that are not what they say."""

import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import runtime
from codec.codec import compress, decompress
from codec.entropy.range_coder import Encoder
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.format import alpha, container
from codec.format.method import METHODS, Method
from codec.images import Image
from codec.models import EFFORTS
from codec.tile_coders import AUTO, tile_coder
from tests import bundles
from tests.pictures import KINDS, noise, photograph, screen
from tests.small_tiles import tiled


def image(height: int, width: int, mode: str = "RGB", seed: int = 0, make=photograph) -> Image:
    planes = np.concatenate([make(height, width, seed), noise(height, width, seed)[:1] | 3])
    channels = {"L": [1], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[mode]
    return Image(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)), mode)


def same(found: Image, expected: Image) -> bool:
    return found.difference(expected) is None and found.pixels.dtype == np.uint8


@pytest.fixture(scope="module")
def small(tiny_model):
    """A file of one small tile with alpha, and its picture."""
    picture = image(5, 6, "RGBA")
    return compress(picture, tiny_model).data, picture


@pytest.fixture
def name_alone(tiny_model):
    """A model of the tiny one's name that nothing can be decoded with: to see that nothing was."""
    return replace(tiny_model, network=None, tables={})


def forged(data, payload=None, **header) -> bytes:
    """The file with another payload or header fields and all checksums right."""
    parsed = container.unpack(data)
    tiles = [replace(tile, payload=tile.payload if payload is None else payload) for tile in parsed.tiles]
    return container.pack(replace(parsed.header, **header), tiles, parsed.alpha)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("make", [photograph, screen, noise], ids=lambda make: make.__name__)
def test_a_file_is_as_long_as_its_likelihood(tiny_model, make, mode, effort):
    picture = image(40, 52, mode, make=make)
    coded = compress(picture, tiny_model, effort=effort)
    assert coded.nll_bits < 8 * len(coded.data) <= 1.001 * coded.nll_bits + 8 * 23
    assert same(decompress(coded.data, tiny_model), picture)


@pytest.mark.parametrize("make", [*KINDS.values(), screen], ids=[*KINDS, "screen"])
def test_small_pictures_are_hardly_ever_larger_than_by_the_network_alone(tiny_model, make):
    picture = Image(np.ascontiguousarray(make(64, 64).transpose(1, 2, 0)), "RGB")
    alone = len(compress(picture, tiny_model, effort="fast").data)
    for effort in EFFORTS[1:]:
        assert len(compress(picture, tiny_model, effort=effort).data) <= alone + 8


@pytest.mark.parametrize("make", [screen, photograph, noise], ids=lambda make: make.__name__)
def test_the_smallest_of_the_candidates_is_taken(tiny_model, make):
    planes, lengths, coder = make(33, 40), {}, tile_coder(tiny_model)
    for method in coder.candidates(planes, "normal", AUTO):
        encoder = Encoder()
        coder.code(encoder, planes.copy(), method, 1, lambda pixels: None)
        lengths[method] = len(encoder.finish())
    assert len(lengths) > 1
    coded = compress(Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), "RGB"), tiny_model, order="wavefront")
    (tile,), best = container.unpack(coded.data).tiles, min(lengths, key=lengths.get)
    assert len(tile.payload) == lengths[best] and METHODS[tile.method] == best and coded.methods == {best: 1}


@pytest.mark.parametrize(
    ("mode", "effort", "size"),
    [("L", "best", (2, 1100)), ("RGB", "normal", (1100, 5)), ("RGBA", "normal", (3, 2100)), ("RGB", "fast", (5, 1100))],
)
def test_tiles_on_any_number_of_threads(tiny_model, mode, effort, size):
    picture = image(*size, mode)
    coded = [compress(picture, replace(tiny_model, threads=threads), effort=effort) for threads in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    assert len(container.unpack(coded[0].data).tiles) == -(-max(size) // 1024)
    for threads in (1, 2):
        assert same(decompress(coded[0].data, replace(tiny_model, threads=threads)), picture)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(40, 33), (16, 49), (17, 16), (1, 50), (50, 1)], ids=str)
def test_tiles_in_rows_and_columns(tiny_model, mode, size):
    picture = image(*size, mode)
    data = tiled(picture, tiny_model, Method())
    assert len(container.unpack(data).tiles) == -(-size[0] // 16) * -(-size[1] // 16)
    for threads in (1, 2, 3):
        assert same(decompress(data, replace(tiny_model, threads=threads)), picture)


def test_tiles_do_not_depend_on_each_other(tiny_model):
    """A tile's payload is that of the tile alone as a picture."""
    picture = image(6, 1100)
    coded = [compress(picture, tiny_model, order="wavefront:3").data]
    for box in container.unpack(coded[0]).header.boxes:
        part = Image(picture.pixels[:, box.col : box.col + box.width], "RGB")
        coded.append(compress(part, tiny_model, order="wavefront:3").data)
    whole, *parts = (container.unpack(data).tiles for data in coded)
    assert whole == (*parts[0], *parts[1])


def test_every_tile_has_a_method_of_its_own(tiny_model):
    """Half a photograph, half a screen."""
    planes = np.concatenate([photograph(8, 600), screen(8, 600)], 2)
    picture = Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), "RGB")
    coded = compress(picture, replace(tiny_model, threads=2))
    assert len(coded.methods) == 2 and sum(coded.methods.values()) == 2
    assert {METHODS[tile.method] for tile in container.unpack(coded.data).tiles} == set(coded.methods)
    assert same(decompress(coded.data, tiny_model), picture)


def test_memory_does_not_grow_with_the_number_of_tiles(tiny_model):
    """Beside the picture, which is the caller's: one tile's state, no second copy of the pixels."""
    rows, cols, planes = np.ogrid[:40, :5000, :3]  # a slope, so that the file itself is small
    slope, peaks = (3 * rows + cols // 30 + 9 * planes).astype(np.uint8), []
    pictures = [Image(np.ascontiguousarray(slope[:, : 1000 * tiles]), "RGB") for tiles in (1, 1, 5)]
    for picture in pictures:  # the first warms up
        tracemalloc.start()
        compress(picture, tiny_model, effort="fast", order="wavefront")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < (pictures[2].pixels.nbytes - pictures[1].pixels.nbytes) / 2


@pytest.mark.parametrize("method", [Method(), Method(network=False, colours=True)], ids=str)
def test_a_damaged_tile_is_named(tiny_model, method):
    parsed = container.unpack(tiled(image(32, 48), tiny_model, method))
    tiles = list(parsed.tiles)
    tiles[4] = replace(tiles[4], payload=tiles[3].payload)
    for threads in (1, 2):
        before = threading.active_count()
        with pytest.raises(DamagedFile, match="tile at row 16, column 16 does not decode|a payload does not decode"):
            decompress(container.pack(parsed.header, tiles), replace(tiny_model, threads=threads))
        assert threading.active_count() == before


def progress_of(work) -> list[tuple[int, int]]:
    calls = []
    work(progress=lambda *call: calls.append(call))
    return calls


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_reaches_the_number_of_pixels(tiny_model, threads, effort):
    model = replace(tiny_model, threads=threads)
    for picture in (image(1, 1), image(9, 14, "RGBA"), image(1, 1100, make=screen)):
        total = picture.width * picture.height
        files = [compress(picture, model, effort=effort).data, tiled(picture, tiny_model, Method(), side=256)]
        for work in (partial(compress, picture, model, effort=effort), *(partial(decompress, f, model) for f in files)):
            calls = progress_of(work)
            assert calls == sorted(calls) and calls[-1] == (total, total)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("size", "effort"), [((12, 14), "fast"), ((12, 14), "normal"), ((1, 1100), "normal")], ids=str)
def test_an_interrupt_ends_every_thread(tiny_model, size, threads, error, effort):
    model, picture = replace(tiny_model, threads=threads), image(*size)
    data, before, calls = compress(picture, tiny_model, effort=effort).data, threading.active_count(), []

    def interrupt(done, total):
        calls.append(done)
        if len(calls) == 20:
            raise error

    for work, source in ((partial(compress, effort=effort), picture), (decompress, data)):
        calls.clear()
        with pytest.raises(error):
            work(source, model, progress=interrupt)
        assert threading.active_count() == before
        assert len(calls) < 200  # two tiles have 1100 levels: most were never coded
    assert same(decompress(data, model), picture)  # and the model is none the worse for it


@pytest.mark.parametrize("effort", EFFORTS)
def test_two_pictures_at_once_with_one_model(tiny_model, effort):
    """Sessions, tables and schedules are shared; states are not."""
    pictures = [image(20 + 3 * i, 31 - 2 * i, seed=i) for i in range(6)]
    work = partial(compress, model=tiny_model, effort=effort)
    alone = [work(picture).data for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [coded.data for coded in pool.map(work, pictures)] == alone
        assert all(map(same, pool.map(lambda data: decompress(data, tiny_model), alone), pictures))


@pytest.mark.parametrize(("size", "variant"), [((5, 9), 0), ((9, 5), 4), ((7, 7), 3)])
def test_the_header(tiny_model, size, variant):
    header = container.unpack(compress(image(*size), tiny_model, order=f"wavefront:{variant}").data).header
    assert (header.height, header.width, header.variant, header.tile) == (*size, variant, 1024)
    assert header.model_id == bytes.fromhex(tiny_model.manifest.model_id)[:6]


def test_an_effort_that_there_is_not(tiny_model):
    for effort in ("5", "slow", 9):
        with pytest.raises(ValueError, match=f"effort is {effort!r}, not one of fast, normal, best"):
            compress(image(2, 2), tiny_model, effort=effort)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels_may_lie_in_memory_in_any_way(tiny_model, mode):
    picture = image(9, 13, mode)
    expected = compress(picture, tiny_model, effort="best").data
    fortran, reversed_twice = np.asfortranarray(picture.pixels), picture.pixels[::-1, ::-1].copy()[::-1, ::-1]
    read_only = picture.pixels.copy()
    read_only.flags.writeable = False
    for pixels in (fortran, reversed_twice, read_only):
        assert compress(Image(pixels, mode), tiny_model, effort="best").data == expected
        np.testing.assert_array_equal(pixels, picture.pixels)


def test_another_models_file_is_refused(tiny_model, tiny_bundle, tmp_path, small):
    other = runtime.load(bundles.altered_weights(tmp_path / "another.lmconv", tiny_bundle), threads=1)
    with pytest.raises(WrongModel, match=f"needs model {tiny_model.manifest.model_id[:12]}, not another"):
        decompress(small[0], other)


def test_too_many_pixels_are_refused_before_anything_is_decoded(name_alone, small):
    with pytest.raises(ImageTooLarge):
        decompress(small[0], name_alone, max_pixels=29)
    enormous = small[0][:11] + b"\xff\xff\xff\xff\x0f" * 2 + small[0][13:-4]
    with pytest.raises(ImageTooLarge, match="4294967295 x 4294967295"):
        decompress(enormous + zlib.crc32(enormous).to_bytes(4, "little"), name_alone)


def test_altered_bytes_are_refused_before_anything_is_decoded(name_alone, small):
    data = small[0]
    for at in range(len(data)):
        altered = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        for wrong in (altered, data[:at]):
            with pytest.raises(CodecError):
                decompress(wrong, name_alone)
    for more in (b"\0", b"\xff", bytes(4), data):
        with pytest.raises(CodecError):
            decompress(data + more, name_alone)


def garbage():
    rng = np.random.default_rng(0)
    yield from (b"", b"\1", bytes(400) + b"\1", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\xff" * 400)
    yield from (rng.bytes(n) + b"\1" for n in (1, 2, 7, 10, 40, 201, 2000) for _ in range(3))


@pytest.mark.parametrize("code", [code for code in METHODS if code < 64], ids=lambda code: str(METHODS[code]))
@pytest.mark.parametrize("threads", [1, 2])
def test_payloads_that_are_garbage_under_right_checksums_are_damaged(tiny_model, threads, code):
    parsed, messages = container.unpack(compress(image(11, 13), tiny_model).data), set()
    for payload in garbage():
        tiles = [replace(parsed.tiles[0], payload=payload, method=code)]
        with pytest.raises(DamagedFile) as caught:
            decompress(container.pack(parsed.header, tiles), replace(tiny_model, threads=threads))
        messages.add(str(caught.value).split(":")[0].split(" at ")[0])
    assert len(messages) == 2 + METHODS[code].palette  # some do not decode, some decode to other pixels, or no list


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p[1:], lambda p: p + b"\0"], ids=["-1", "1:", "+1"])
def test_shifted_payloads_under_right_checksums_are_damaged(tiny_model, small, change):
    payload = container.unpack(small[0]).tiles[0].payload
    with pytest.raises(DamagedFile, match="does not decode|ends in a zero"):
        decompress(forged(small[0], change(payload)), tiny_model)


@pytest.mark.parametrize("size", [(5, 6), (1, 6), (6, 1)], ids=str)
def test_a_forged_variant_decodes_to_other_pixels(tiny_model, size):
    """Where it means another order: a single row is the same upside down."""
    for way in (0, 4):
        data = compress(image(*size), tiny_model, order=f"wavefront:{way}").data
        for variant in range(8):
            try:
                found = decompress(forged(data, variant=variant), tiny_model)
            except DamagedFile:
                assert variant != way
                continue
            assert variant == way or min(size) == 1
            assert same(found, image(*size))


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_forged_method_decodes_to_other_pixels(tiny_model, effort):
    parsed = container.unpack(compress(image(11, 13), tiny_model, effort=effort).data)
    for code in set(METHODS) - {parsed.tiles[0].method}:
        with pytest.raises(DamagedFile):
            decompress(container.pack(parsed.header, [replace(parsed.tiles[0], method=code)]), tiny_model)


@pytest.mark.parametrize(("mode", "other"), [("L", "RGB"), ("RGB", "L")])
def test_a_forged_mode_decodes_to_other_pixels(tiny_model, mode, other):
    data = compress(image(11, 13, mode), tiny_model).data
    with pytest.raises(DamagedFile):
        decompress(forged(data, mode=other), tiny_model)


def test_a_wrong_checksum_of_pixels_is_damaged(tiny_model, small):
    parsed = container.unpack(small[0])
    tiles = [replace(parsed.tiles[0], pixels_crc=parsed.tiles[0].pixels_crc ^ 1)]
    with pytest.raises(DamagedFile, match="tile at row 0, column 0 does not decode to the pixels that were coded"):
        decompress(container.pack(parsed.header, tiles, parsed.alpha), tiny_model)


def soft_disc(height: int, width: int) -> Image:
    """A photograph cut out by a disc with a soft edge: its alpha plane takes many bytes."""
    row, column = np.ogrid[:height, :width]
    distance = np.hypot(row - height / 2, column - width / 2)
    plane = (255 * np.clip((min(height, width) / 2 - distance) / 6, 0, 1)).astype(np.uint8)
    return Image(np.dstack([photograph(height, width).transpose(1, 2, 0), plane]), "RGBA")


@pytest.mark.parametrize("plane", [b"", b"\0" * 40, b"\1", b"\2", b"\xff" * 100])
def test_a_forged_alpha_plane_is_damaged(tiny_model, small, plane):
    parsed = container.unpack(small[0])
    with pytest.raises(DamagedFile):
        decompress(container.pack(parsed.header, parsed.tiles, plane), tiny_model)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(110, 140), (140, 110)], ids=str)
def test_an_alpha_plane_of_shapes_is_coded_as_grey_tiles(tiny_model, size, threads):
    picture, model = soft_disc(*size), replace(tiny_model, threads=threads)
    fast, learned = (container.unpack(compress(picture, model, effort=effort).data) for effort in ("fast", "normal"))
    assert fast.alpha == alpha.encode(picture.pixels[..., 3]) and alpha.unpack(fast.alpha, 1) is None
    (tile,) = alpha.unpack(learned.alpha, 1)
    assert METHODS[tile.method] == Method(network=False, colours=True)
    assert len(learned.alpha) < 0.8 * len(fast.alpha)
    for parsed in (fast, learned):
        assert same(decompress(container.pack(parsed.header, parsed.tiles, parsed.alpha), model), picture)
    wrong = alpha.pack([replace(tile, pixels_crc=tile.pixels_crc ^ 1)])
    with pytest.raises(DamagedFile, match="does not decode to the pixels"):
        decompress(container.pack(learned.header, learned.tiles, wrong), model)
