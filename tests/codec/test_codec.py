"""The level loop in both directions: threads, tiles, progress, interrupts, and files that are not what they say."""
import threading
import zlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import runtime
from codec import alpha, codec, container
from codec.codec import code_tile, compress, decompress
from codec.coder import Decoder, Encoder
from codec.container import Header
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.images import Image
from codec.method import METHODS, Learning, Method, candidates
from tests import bundles
from tests.pictures import KINDS, noise, photograph

EFFORTS = (1, 5, 9)          # the network alone, with what is learned quickly, and with all that there is
WAYS = [METHODS[code] for code in sorted(METHODS) if isinstance(METHODS[code], Method)]

def image(height, width, mode="RGB", seed=0) -> Image:
    planes = np.concatenate([photograph(height, width, seed), noise(height, width, seed)[:1] | 3])
    channels = {"L": [1], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[mode]
    return Image(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)), mode)


def same(found: Image, expected: Image) -> bool:
    return found.difference(expected) is None and found.pixels.dtype == np.uint8


@pytest.fixture
def tiles_of_16(monkeypatch):
    """Images are cut into tiles of at most 16 x 16, as huge ones are into larger tiles."""
    fields = ("variant", "tile", "effort")
    defaults = tuple(16 if name == "tile" else getattr(Header, name) for name in fields)
    monkeypatch.setattr(Header.__init__, "__defaults__", defaults)
    assert Header(40, 33, "RGB", bytes(6)).tile_count == 9


@pytest.fixture(scope="module")
def small(tiny_model):
    """A file of one small tile with alpha, and its picture."""
    picture = image(5, 6, "RGBA")
    return compress(picture, tiny_model).data, picture


def forged(data, payload=None, **header) -> bytes:
    """The file with another payload or header fields and all checksums right."""
    parsed = container.unpack(data)
    tiles = [replace(tile, payload=tile.payload if payload is None else payload) for tile in parsed.tiles]
    return container.pack(replace(parsed.header, **header), tiles, parsed.alpha)


def flat(height, width, seed=0) -> np.ndarray:
    """Like a screen: rectangles of few colours, uint8 [3, H, W]."""
    rng, planes = np.random.default_rng(seed), np.full((3, height, width), 240, np.uint8)
    for _ in range(max(3, height * width // 60)):
        row, col = rng.integers(0, height), rng.integers(0, width)
        planes[:, row:row + rng.integers(1, 7), col:col + rng.integers(1, 9)] = rng.choice(
            [[0, 0, 0], [30, 90, 200], [255, 255, 255], [200, 40, 40]])[:, None, None]
    return planes


@pytest.mark.parametrize("method", WAYS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_loop_serves_both_directions(tiny_model, channels, method):
    for planes in (photograph(14, 17)[:channels], flat(14, 17)[:channels], noise(1, 9)[:channels]):
        encoder = Encoder()
        coded = code_tile(tiny_model, encoder, planes, method)
        np.testing.assert_array_equal(coded.pixels, planes)
        payload = encoder.finish()
        anything = np.broadcast_to(np.uint8(7), planes.shape)
        again = code_tile(tiny_model, Decoder(payload), anything, method)
        np.testing.assert_array_equal(again.pixels, planes)
        assert (again.bits, again.stages) == (coded.bits, coded.stages)
        assert coded.bits - 16 < 8 * len(payload) <= 1.001 * coded.bits + 8         # by luck it ends in zeros


@pytest.mark.parametrize("method", WAYS, ids=str)
def test_stages_are_those_of_the_method(tiny_model, method):
    wanted = {"network", "lattice"} if method.learning else set()
    wanted |= {"stack"} if method.learning == Learning.FULL else set()
    wanted |= {"colours"} if method.colours else set()
    coded = code_tile(tiny_model, Encoder(), flat(12, 13), method)
    assert set(coded.stages) == wanted and all(bits > 0 for bits in coded.stages.values())


@pytest.mark.parametrize("method", [Method(), Method(Learning.LIGHT), Method(Learning.FULL)], ids=str)
def test_grey_is_colour_whose_other_planes_are_copies(tiny_model, method):
    """The same predictions and parameters, and not a decision for the copies."""
    plane = photograph(9, 12)[:1]
    colour, grey = Encoder(), Encoder()
    colour_bits = code_tile(tiny_model, colour, np.repeat(plane, 3, 0), method).bits
    grey_bits = code_tile(tiny_model, grey, plane, method).bits
    assert 0 < grey_bits < colour_bits and len(grey.finish()) < len(colour.finish())


@pytest.mark.parametrize("method", WAYS, ids=str)
def test_a_true_picture_is_not_looked_at_when_decoding(tiny_model, method):
    planes = flat(8, 9)
    encoder = Encoder()
    code_tile(tiny_model, encoder, planes, method)
    payload = encoder.finish()
    for known in (planes, 255 - planes, noise(8, 9)):
        np.testing.assert_array_equal(code_tile(tiny_model, Decoder(payload), known, method).pixels, planes)


@pytest.mark.parametrize("method", [method for method in WAYS if not method.colours], ids=str)
def test_all_values_cost_what_the_likelihood_says(tiny_model, method):
    planes, paid = photograph(9, 11), np.zeros((3, 99), np.float32)
    coded = code_tile(tiny_model, Encoder(), planes, method, costs=paid)
    assert (paid > 0).all() and paid.sum(dtype=float) == pytest.approx(coded.bits, rel=1e-6)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("made", [photograph, flat, noise], ids=lambda made: made.__name__)
def test_a_file_is_as_long_as_its_likelihood(tiny_model, made, mode, effort):
    planes = made(40, 52)[:len(mode)]
    coded = compress(Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), mode), tiny_model, effort=effort)
    assert coded.nll_bits < 8 * len(coded.data) <= 1.001 * coded.nll_bits + 8 * 24
    assert sum(coded.methods.values()) == 1 and set(coded.methods) <= set(candidates(planes, effort))


@pytest.mark.parametrize("made", [*KINDS.values(), flat], ids=[*KINDS, "flat"])
def test_small_pictures_are_hardly_ever_larger_than_by_the_network_alone(tiny_model, made):
    picture = Image(np.ascontiguousarray(made(64, 64).transpose(1, 2, 0)), "RGB")
    alone = len(compress(picture, tiny_model, effort=1).data)
    for effort in EFFORTS[1:]:
        assert len(compress(picture, tiny_model, effort=effort).data) <= alone + 8


def test_the_smallest_of_the_candidates_is_taken(tiny_model):
    for planes in (flat(33, 40), photograph(20, 30), noise(16, 16)):
        picture = Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), "RGB")
        coded = compress(picture, tiny_model, effort=5, order="wavefront")
        lengths = {}
        for method in candidates(planes, 5):
            encoder = Encoder()
            code_tile(tiny_model, encoder, planes, method)
            lengths[method] = len(encoder.finish())
        assert len(lengths) > 1
        (tile,), best = container.unpack(coded.data).tiles, min(lengths, key=lengths.get)
        assert len(tile.payload) == lengths[best] and METHODS[tile.method] == best and coded.methods == {best: 1}


@pytest.mark.parametrize("effort", EFFORTS)
def test_decoding_tells_the_same_stages(tiny_model, tiles_of_16, effort):
    coded = compress(image(20, 33), tiny_model, effort=effort)
    assert codec.stages(coded.data, tiny_model) == coded.stages


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(33, 40), (40, 33), (16, 49), (17, 16), (1, 50), (50, 1)], ids=str)
@pytest.mark.parametrize("effort", EFFORTS)
def test_tiles(tiny_model, tiles_of_16, size, mode, effort):
    picture = image(*size, mode)
    coded = [compress(picture, replace(tiny_model, threads=threads), effort=effort) for threads in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    assert len(container.unpack(coded[0].data).tiles) == -(-size[0] // 16) * -(-size[1] // 16)
    for threads in (1, 2):
        assert same(decompress(coded[0].data, replace(tiny_model, threads=threads)), picture)


@pytest.mark.parametrize("effort", EFFORTS)
def test_tiles_do_not_depend_on_each_other(tiny_model, tiles_of_16, effort):
    """A tile's payload is that of the tile alone as a picture."""
    picture = image(32, 48)
    tiles = container.unpack(compress(picture, tiny_model, effort=effort).data).tiles
    box = Header(48, 32, "RGB", bytes(6)).boxes[4]
    part = Image(picture.pixels[box.row:box.row + box.height, box.col:box.col + box.width], "RGB")
    assert container.unpack(compress(part, tiny_model, effort=effort).data).tiles == (tiles[4],)


def test_every_tile_has_a_method_of_its_own(tiny_model, tiles_of_16):
    """Half a photograph, half a screen."""
    planes = np.concatenate([photograph(16, 32), flat(16, 32)], 2)
    picture = Image(np.ascontiguousarray(planes.transpose(1, 2, 0)), "RGB")
    coded = compress(picture, replace(tiny_model, threads=2), effort=5)
    assert len(coded.methods) > 1 and sum(coded.methods.values()) == 4
    assert {METHODS[tile.method] for tile in container.unpack(coded.data).tiles} == set(coded.methods)
    assert same(decompress(coded.data, tiny_model), picture)


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_damaged_tile_is_named(tiny_model, tiles_of_16, effort):
    data = compress(image(32, 48), tiny_model, effort=effort).data
    parsed = container.unpack(data)
    tiles = list(parsed.tiles)
    tiles[4] = replace(tiles[4], payload=tiles[3].payload, method=tiles[3].method)
    for threads in (1, 2):
        before = threading.active_count()
        with pytest.raises(DamagedFile, match="tile at row 16, column 16 does not decode|a payload does not decode"):
            decompress(container.pack(parsed.header, tiles), replace(tiny_model, threads=threads))
        assert threading.active_count() == before


def check_progress(calls, pixels, threads) -> None:
    assert {total for _, total in calls} == {pixels}
    assert max(done for done, _ in calls) == pixels
    if threads == 1:
        assert calls == sorted(calls)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (33, 40)], ids=str)
def test_progress_reaches_the_number_of_pixels(tiny_model, tiles_of_16, size, threads, effort):
    model, coding, decoding = replace(tiny_model, threads=threads), [], []
    data = compress(image(*size, "RGBA"), model, effort=effort, progress=lambda *call: coding.append(call)).data
    decompress(data, model, progress=lambda *call: decoding.append(call))
    for calls in (coding, decoding):
        check_progress(calls, size[0] * size[1], threads)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", [(12, 14), (33, 40)], ids=["one tile", "tiles"])
def test_an_interrupt_ends_every_thread(tiny_model, tiles_of_16, size, threads, error, effort):
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
        assert len(calls) < 200                                       # 9 tiles have 414 levels: most were never coded
    assert same(decompress(data, model), picture)               # and the model is none the worse for it


@pytest.mark.parametrize("effort", EFFORTS)
def test_two_pictures_at_once_with_one_model(tiny_model, effort):
    """Sessions, tables and schedules are shared; states are not."""
    from concurrent.futures import ThreadPoolExecutor
    pictures = [image(20 + 3 * i, 31 - 2 * i, seed=i) for i in range(6)]
    work = partial(compress, model=tiny_model, effort=effort)
    alone = [work(picture).data for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [coded.data for coded in pool.map(work, pictures)] == alone
        assert all(map(same, pool.map(lambda data: decompress(data, tiny_model), alone), pictures))


def test_the_header(tiny_model):
    for size, variant, effort in (((5, 9), 0, 1), ((9, 5), 4, 3), ((7, 7), 0, 9)):
        coded = compress(image(*size), tiny_model, effort=effort, order=f"wavefront:{variant}")
        header = container.unpack(coded.data).header
        assert (header.height, header.width, header.variant, header.effort) == (*size, variant, effort)
        assert header.tile == 1024
        assert header.model_id == bytes.fromhex(tiny_model.manifest.model_id)[:6]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels_may_lie_in_memory_in_any_way(tiny_model, mode):
    picture = image(9, 13, mode)
    expected = compress(picture, tiny_model).data
    fortran, reversed_twice = np.asfortranarray(picture.pixels), picture.pixels[::-1, ::-1].copy()[::-1, ::-1]
    read_only = picture.pixels.copy()
    read_only.flags.writeable = False
    for pixels in (fortran, reversed_twice, read_only):
        assert compress(Image(pixels, mode), tiny_model).data == expected


def test_another_models_file_is_refused(tiny_model, tiny_bundle, tmp_path, small):
    other = runtime.load(bundles.altered_weights(tmp_path / "another.lmconv", tiny_bundle), threads=1)
    assert other.manifest.model_id != tiny_model.manifest.model_id
    with pytest.raises(WrongModel, match=f"needs model {tiny_model.manifest.model_id[:12]}, not another"):
        decompress(small[0], other)


def test_too_many_pixels_are_refused_before_anything_is_decoded(tiny_model, small, monkeypatch):
    monkeypatch.setattr(codec, "code_tile", None)
    with pytest.raises(ImageTooLarge):
        decompress(small[0], tiny_model, max_pixels=29)
    enormous = small[0][:12] + b"\xff\xff\xff\xff\x0f" * 2 + small[0][14:-4]
    with pytest.raises(ImageTooLarge, match="4294967295 x 4294967295"):
        decompress(enormous + zlib.crc32(enormous).to_bytes(4, "little"), tiny_model)


@pytest.fixture
def never_decoded(monkeypatch):
    """Checksums must refuse altered bytes: decoding them would take long and could do anything."""
    def decoded(*arguments):
        raise AssertionError("an altered file was decoded")
    monkeypatch.setattr(codec, "code_tile", decoded)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_every_altered_byte_is_refused(tiny_model, mode, request):
    data = compress(image(4, 5, mode), tiny_model, effort=5).data
    request.getfixturevalue("never_decoded")
    for at in range(len(data)):
        for bits in (*(1 << b for b in range(8)), 0xFF):
            altered = bytearray(data)
            altered[at] ^= bits
            with pytest.raises(CodecError):
                decompress(bytes(altered), tiny_model)


def test_every_truncation_and_every_appended_byte_is_refused(tiny_model, small, never_decoded):
    data, _ = small
    for length in range(len(data)):
        with pytest.raises(CodecError):
            decompress(data[:length], tiny_model)
    for more in (b"\0", b"\xff", bytes(4), data):
        with pytest.raises(CodecError):
            decompress(data + more, tiny_model)


OTHERS = [b"", b"\x89", b"\x89LM", b"\x89LM\0", b"\x89LMC", b"a text file\n" * 20, b"\x89PNG\r\n\x1a\n" + bytes(100)]


@pytest.mark.parametrize("data", OTHERS)
def test_other_files_are_refused(tiny_model, data):
    with pytest.raises(CodecError):
        decompress(data, tiny_model)


def garbage():
    rng = np.random.default_rng(0)
    yield from (b"", b"\1", bytes(400) + b"\1", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\xff" * 400)
    yield from (rng.bytes(n) + b"\1" for n in (1, 2, 7, 10, 40, 201, 2000) for _ in range(5))


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("threads", [1, 2])
def test_payloads_that_are_garbage_under_right_checksums_are_damaged(tiny_model, threads, effort):
    model = replace(tiny_model, threads=threads)
    data = compress(image(11, 13), tiny_model, effort=effort).data
    messages = set()
    for payload in garbage():
        with pytest.raises(DamagedFile) as caught:
            decompress(forged(data, payload), model)
        messages.add(str(caught.value).split(":")[0].split(" at ")[0])
    assert len(messages) == 2                   # some do not decode, some decode to other pixels: both were met


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p[1:], lambda p: p + b"\0"], ids=["-1", "1:", "+1"])
def test_shifted_payloads_under_right_checksums_are_damaged(tiny_model, small, change):
    payload = container.unpack(small[0]).tiles[0].payload
    with pytest.raises(DamagedFile, match="does not decode|ends in a zero"):
        decompress(forged(small[0], change(payload)), tiny_model)


def test_a_forged_variant_decodes_to_other_pixels(tiny_model, small):
    for variant in set(range(8)) - {container.unpack(small[0]).header.variant}:
        with pytest.raises(DamagedFile):
            decompress(forged(small[0], variant=variant), tiny_model)


@pytest.mark.parametrize("effort", EFFORTS)
def test_a_forged_method_decodes_to_other_pixels(tiny_model, effort):
    data = compress(image(11, 13), tiny_model, effort=effort).data
    parsed = container.unpack(data)
    for code in METHODS:
        tiles = [replace(parsed.tiles[0], method=code)]
        if code == parsed.tiles[0].method:
            assert same(decompress(container.pack(parsed.header, tiles), tiny_model), image(11, 13))
        else:
            with pytest.raises(DamagedFile):
                decompress(container.pack(parsed.header, tiles), tiny_model)


def test_the_effort_is_a_remark(tiny_model):
    """Of the encoder's: decoding follows the methods."""
    data = compress(image(11, 13), tiny_model, effort=5).data
    for effort in range(10):
        assert same(decompress(forged(data, effort=effort), tiny_model), image(11, 13))


@pytest.mark.parametrize(("size", "variant"), [((1, 6), 0), ((6, 1), 4), ((1, 6), 3), ((6, 1), 7)])
def test_single_rows_in_every_sensible_variant(tiny_model, size, variant):
    data = compress(image(*size), tiny_model, order=f"wavefront:{4 * (size[1] == 1)}").data
    if container.unpack(data).header.variant == variant:
        assert same(decompress(data, tiny_model), image(*size))
    else:
        with pytest.raises(DamagedFile):
            decompress(forged(data, variant=variant), tiny_model)


@pytest.mark.parametrize(("size", "variant"), [((1, 6), 4), ((6, 1), 0)])
def test_a_single_column_is_damaged_too(tiny_model, size, variant):
    """Forged: the picture was laid the other way."""
    data = compress(image(*size), tiny_model, order=f"wavefront:{4 - variant}").data
    with pytest.raises(DamagedFile):
        decompress(forged(data, variant=variant), tiny_model)


def test_a_forged_alpha_plane_is_damaged(tiny_model, small):
    parsed = container.unpack(small[0])
    for plane in (b"", b"\0" * 40, parsed.alpha[:-1], parsed.alpha + b"\0", b"\xff" * 100):
        with pytest.raises(DamagedFile):
            decompress(container.pack(parsed.header, parsed.tiles, plane), tiny_model)


def test_a_wrong_checksum_of_pixels_is_damaged(tiny_model, small):
    parsed = container.unpack(small[0])
    tiles = [replace(parsed.tiles[0], pixels_crc=parsed.tiles[0].pixels_crc ^ 1)]
    with pytest.raises(DamagedFile, match="tile at row 0, column 0 does not decode to the pixels that were coded"):
        decompress(container.pack(parsed.header, tiles, parsed.alpha), tiny_model)


def soft_disc(height, width) -> Image:
    """A photograph cut out by a disc with a soft edge: the alpha plane is worth more than LZMA."""
    row, column = np.ogrid[:height, :width]
    distance = np.hypot(row - height / 2, column - width / 2)
    alpha = (255 * np.clip((min(height, width) / 2 - distance) / 6, 0, 1)).astype(np.uint8)
    return Image(np.dstack([photograph(height, width).transpose(1, 2, 0), alpha]), "RGBA")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(60, 90), (90, 60)], ids=str)
def test_an_alpha_plane_of_shapes_is_coded_as_tiles(tiny_model, tiles_of_16, size, threads):
    picture, model = soft_disc(*size), replace(tiny_model, threads=threads)
    simple, learned = (container.unpack(compress(picture, model, effort=effort).data) for effort in (1, 5))
    assert simple.alpha[0] == 0 and alpha.unpack(simple.alpha, simple.header.tile_count) is None
    if len(learned.alpha) >= len(simple.alpha):                 # many tiny tiles: LZMA is smaller, and is kept
        assert learned.alpha == simple.alpha
    assert same(decompress(container.pack(learned.header, learned.tiles, learned.alpha), model), picture)


def test_alpha_tiles_are_smaller_and_checked(tiny_model):
    picture = soft_disc(120, 150)
    parsed = container.unpack(compress(picture, tiny_model).data)
    (tile,) = alpha.unpack(parsed.alpha, 1)
    assert METHODS[tile.method] == Method(Learning.LIGHT, colours=True, network=False)
    assert len(parsed.alpha) < 0.8 * len(alpha.encode(picture.pixels[..., 3]))
    assert same(decompress(container.pack(parsed.header, parsed.tiles, parsed.alpha), tiny_model), picture)
    wrong = alpha.pack([replace(tile, pixels_crc=tile.pixels_crc ^ 1)])
    with pytest.raises(DamagedFile, match="does not decode to the pixels"):
        decompress(container.pack(parsed.header, parsed.tiles, wrong), tiny_model)
