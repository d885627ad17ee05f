"""The level loop in both directions: threads, tiles, progress, interrupts, and files that are not what they say."""
import threading
from dataclasses import replace

import numpy as np
import pytest

import runtime
from codec import codec, container
from codec.codec import code_tile, compress, decompress
from codec.coder import Decoder, Encoder
from codec.container import Header, Tile
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.images import Image
from tests import bundles
from tests.pictures import noise, photograph

EFFORTS = (1, 5)             # the network alone, and with all that is learned from the picture

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
    assert Header(40, 33, "RGB", bytes(16)).tile_count == 9


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


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_one_loop_serves_both_directions(tiny_model, channels, effort):
    planes = photograph(14, 17)[:channels]
    encoder = Encoder()
    bits, coded = code_tile(tiny_model, encoder, planes, effort)
    np.testing.assert_array_equal(coded, planes)
    payload = encoder.finish()
    anything = np.broadcast_to(np.uint8(7), planes.shape)
    again, decoded = code_tile(tiny_model, Decoder(payload), anything, effort)
    np.testing.assert_array_equal(decoded, planes)
    assert again == bits and bits <= 8 * len(payload) <= 1.001 * bits + 64


def test_grey_is_colour_whose_other_planes_are_copies(tiny_model):
    """The same predictions and parameters, and not a decision for the copies."""
    plane = photograph(9, 12)[:1]
    colour, grey = Encoder(), Encoder()
    colour_bits, _ = code_tile(tiny_model, colour, np.repeat(plane, 3, 0))
    grey_bits, _ = code_tile(tiny_model, grey, plane)
    assert 0 < grey_bits < colour_bits and len(grey.finish()) < len(colour.finish())


def test_a_true_picture_is_not_looked_at_when_decoding(tiny_model):
    planes = photograph(8, 9)
    encoder = Encoder()
    code_tile(tiny_model, encoder, planes)
    payload = encoder.finish()
    for known in (planes, 255 - planes, noise(8, 9)):
        np.testing.assert_array_equal(code_tile(tiny_model, Decoder(payload), known)[1], planes)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(33, 40), (40, 33), (16, 49), (17, 16), (1, 50), (50, 1)], ids=str)
def test_tiles(tiny_model, tiles_of_16, size, mode):
    picture = image(*size, mode)
    coded = [compress(picture, replace(tiny_model, threads=threads)) for threads in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    assert len(container.unpack(coded[0].data).tiles) == -(-size[0] // 16) * -(-size[1] // 16)
    for threads in (1, 2):
        assert same(decompress(coded[0].data, replace(tiny_model, threads=threads)), picture)


def test_tiles_do_not_depend_on_each_other(tiny_model, tiles_of_16):
    """A tile's payload is that of the tile alone as a picture."""
    picture = image(32, 48)
    tiles = container.unpack(compress(picture, tiny_model).data).tiles
    box = Header(48, 32, "RGB", bytes(16)).boxes[4]
    part = Image(picture.pixels[box.row:box.row + box.height, box.col:box.col + box.width], "RGB")
    assert container.unpack(compress(part, tiny_model).data).tiles == (tiles[4],)


def test_a_damaged_tile_is_named(tiny_model, tiles_of_16):
    data = compress(image(32, 48), tiny_model).data
    parsed = container.unpack(data)
    tiles = list(parsed.tiles)
    tiles[4] = replace(tiles[4], payload=tiles[3].payload)
    for threads in (1, 2):
        before = threading.active_count()
        with pytest.raises(DamagedFile, match="tile at row 16, column 16 does not decode|a payload does not decode"):
            decompress(container.pack(parsed.header, tiles), replace(tiny_model, threads=threads))
        assert threading.active_count() == before


def check_progress(calls, pixels, threads) -> None:
    assert {total for _, total in calls} == {pixels}
    assert max(done for done, _ in calls) == pixels
    if threads == 1:
        assert calls == sorted(set(calls))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (33, 40)], ids=str)
def test_progress_reaches_the_number_of_pixels(tiny_model, tiles_of_16, size, threads):
    model, coding, decoding = replace(tiny_model, threads=threads), [], []
    data = compress(image(*size, "RGBA"), model, progress=lambda *call: coding.append(call)).data
    decompress(data, model, progress=lambda *call: decoding.append(call))
    for calls in (coding, decoding):
        check_progress(calls, size[0] * size[1], threads)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", [(12, 14), (33, 40)], ids=["one tile", "tiles"])
def test_an_interrupt_ends_every_thread(tiny_model, tiles_of_16, size, threads, error):
    model, picture = replace(tiny_model, threads=threads), image(*size)
    data, before, calls = compress(picture, tiny_model).data, threading.active_count(), []

    def interrupt(done, total):
        calls.append(done)
        if len(calls) == 20:
            raise error
    for work, source in ((compress, picture), (decompress, data)):
        calls.clear()
        with pytest.raises(error):
            work(source, model, progress=interrupt)
        assert threading.active_count() == before
        assert len(calls) < 200                                       # 9 tiles have 414 levels: most were never coded
    assert same(decompress(data, model), picture)               # and the model is none the worse for it


def test_two_pictures_at_once_with_one_model(tiny_model):
    """Sessions, tables and schedules are shared; states are not."""
    from concurrent.futures import ThreadPoolExecutor
    pictures = [image(20 + 3 * i, 31 - 2 * i, seed=i) for i in range(6)]
    alone = [compress(picture, tiny_model).data for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [coded.data for coded in pool.map(lambda picture: compress(picture, tiny_model), pictures)] == alone
        assert all(map(same, pool.map(lambda data: decompress(data, tiny_model), alone), pictures))


def test_the_header(tiny_model):
    for size, variant, effort in (((5, 9), 0, 1), ((9, 5), 4, 3), ((7, 7), 0, 9)):
        header = container.unpack(compress(image(*size), tiny_model, effort=effort).data).header
        assert (header.height, header.width, header.variant, header.effort) == (*size, variant, effort)
        assert header.tile == 1024
        assert header.model_id == bytes.fromhex(tiny_model.manifest.model_id)[:16]


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
    enormous = small[0][:8] + (2**31).to_bytes(4, "little") * 2 + small[0][16:]
    with pytest.raises(ImageTooLarge, match="2147483648 x 2147483648"):
        decompress(enormous, tiny_model)


@pytest.fixture
def never_decoded(monkeypatch):
    """Checksums must refuse altered bytes: decoding them would take long and could do anything."""
    def decoded(*arguments):
        raise AssertionError("an altered file was decoded")
    monkeypatch.setattr(codec, "code_tile", decoded)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_every_altered_byte_is_refused(tiny_model, mode, request):
    data = compress(image(4, 5, mode), tiny_model).data
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


@pytest.mark.parametrize("data", [b"", b"\x89", b"\x89LMC", b"a text file\n" * 20, b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_other_files_are_refused(tiny_model, data):
    with pytest.raises(CodecError):
        decompress(data, tiny_model)


def garbage():
    rng = np.random.default_rng(0)
    yield from (b"", bytes(4), bytes(400), b"\xff" * 4, b"\xff" * 8, b"\xff" * 400)
    yield from (rng.bytes(4 * n) for n in (1, 2, 3, 10, 50, 500) for _ in range(5))


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("threads", [1, 2])
def test_words_that_are_garbage_under_right_checksums_are_damaged(tiny_model, threads, effort):
    model = replace(tiny_model, threads=threads)
    data = compress(image(11, 13), tiny_model, effort=effort).data
    messages = set()
    for payload in garbage():
        with pytest.raises(DamagedFile) as caught:
            decompress(forged(data, payload), model)
        messages.add(str(caught.value).split(":")[0].split(" at ")[0])
    assert len(messages) == 2                   # some do not decode, some decode to other pixels: both were met


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p[1:], lambda p: p + b"\0"], ids=["-1", "1:", "+1"])
def test_broken_words_under_right_checksums_are_damaged(tiny_model, small, change):
    payload = container.unpack(small[0]).tiles[0].payload
    with pytest.raises(DamagedFile, match="is not a whole number of 32-bit words"):
        decompress(forged(small[0], change(payload)), tiny_model)


@pytest.mark.parametrize("variant", range(1, 8))
def test_a_forged_variant_decodes_to_other_pixels(tiny_model, small, variant):
    with pytest.raises(DamagedFile):
        decompress(forged(small[0], variant=variant), tiny_model)


@pytest.mark.parametrize(("made", "claimed"), [EFFORTS, EFFORTS[::-1]])
def test_a_forged_effort_decodes_to_other_pixels(tiny_model, made, claimed):
    data = compress(image(11, 13), tiny_model, effort=made).data
    assert same(decompress(data, tiny_model), image(11, 13))
    with pytest.raises(DamagedFile):
        decompress(forged(data, effort=claimed), tiny_model)


@pytest.mark.parametrize(("size", "variant"), [((1, 6), 0), ((6, 1), 4), ((1, 6), 3), ((6, 1), 7)])
def test_single_rows_in_every_sensible_variant(tiny_model, size, variant):
    data = compress(image(*size), tiny_model).data
    if container.unpack(data).header.variant == variant:
        assert same(decompress(data, tiny_model), image(*size))
    else:
        with pytest.raises(DamagedFile):
            decompress(forged(data, variant=variant), tiny_model)


@pytest.mark.parametrize(("size", "variant"), [((1, 6), 4), ((6, 1), 0)])
def test_a_single_column_is_damaged_too(tiny_model, size, variant):
    """No encoder of ours lays a picture so, but a forger may."""
    data = compress(image(*size), tiny_model).data
    with pytest.raises(DamagedFile):
        decompress(forged(data, variant=variant), tiny_model)


def test_a_forged_alpha_plane_is_damaged(tiny_model, small):
    parsed = container.unpack(small[0])
    for plane in (b"", b"\0" * 40, parsed.alpha[:-1], parsed.alpha + b"\0", b"\xff" * 100):
        with pytest.raises(DamagedFile):
            decompress(container.pack(parsed.header, parsed.tiles, plane), tiny_model)


def test_a_wrong_checksum_of_pixels_is_damaged(tiny_model, small):
    parsed = container.unpack(small[0])
    tiles = [Tile(parsed.tiles[0].payload, parsed.tiles[0].pixels_crc ^ 1)]
    with pytest.raises(DamagedFile, match="tile at row 0, column 0 does not decode to the pixels that were coded"):
        decompress(container.pack(parsed.header, tiles, parsed.alpha), tiny_model)
