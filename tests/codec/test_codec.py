"""Images and files: threads, tiles, progress, interrupts, memory, and files that are not what they say."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import runtime
from codec import compress, decompress
from codec.entropy.range_coder import Encoder
from codec.errors import CodecError, DamagedFile, ImageTooLarge, WrongModel
from codec.format import container
from codec.format.chunks import PICTURE, pack_chunks
from codec.format.container import Contents
from codec.format.method import INDEXED, METHODS, Independent, Learning, Method
from codec.format.numbers import varint
from codec.format.picture import KINDS as FORMAT_KINDS
from codec.format.picture import Group, Header, Picture, pack_picture, short_id
from codec.format.tiles import Box
from codec.images.samples import Samples
from codec.models import EFFORTS
from codec.tile_coders import AUTO, How, tile_coder
from codec.tile_coders.independent import IndependentCoder
from tests import bundles
from tests.pictures import KINDS, noise, photograph, screen
from tests.small_tiles import tiled


def image(height: int, width: int, kind: str = "rgb", seed: int = 0, make=photograph) -> Samples:
    planes = np.concatenate([make(height, width, seed), noise(height, width, seed)[:1] | 3])
    channels = {"grey": [1], "rgb": [0, 1, 2], "rgb+alpha": [0, 1, 2, 3]}[kind]
    return Samples.of(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)))


def same(found: Samples, expected: Samples) -> bool:
    return found.difference(expected) is None and found.values.dtype == np.uint8


@pytest.fixture(scope="module")
def small(tiny_model):
    """A file of one small tile of colours and one of alpha, and its picture."""
    picture = image(5, 6, "rgb+alpha")
    return compress(picture, tiny_model).data, picture


@pytest.fixture
def name_alone(tiny_model):
    """A model of the tiny one's name that nothing can be decoded with: to see that nothing was."""
    return replace(tiny_model, network=None, tables={})


def forged(data, group: int = 0, tile: dict | None = None, **header) -> bytes:
    """The file with other header fields, or other fields of a group's tiles, and all checksums of chunks right."""
    contents = container.read(data)
    picture, groups = contents.picture, list(contents.picture.groups)
    tiles = tuple(replace(each, **tile or {}) for each in groups[group].tiles)
    groups[group] = replace(groups[group], tiles=tiles)
    held = Picture(replace(picture.header, **header), tuple(groups), picture.digest)
    return container.pack(replace(contents, held=held))


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("kind", ["grey", "rgb"])
@pytest.mark.parametrize("make", [photograph, screen, noise], ids=lambda make: make.__name__)
def test_a_file_is_as_long_as_its_likelihood(tiny_model, make, kind, effort):
    picture = image(40, 52, kind, make=make)
    coded = compress(picture, tiny_model, effort=effort)
    assert coded.nll_bits < 8 * len(coded.data) <= 1.001 * coded.nll_bits + 8 * 29
    assert same(decompress(coded.data, tiny_model), picture)


@pytest.mark.parametrize("make", [*KINDS.values(), screen], ids=[*KINDS, "screen"])
def test_small_pictures_are_hardly_ever_larger_than_by_the_network_alone(tiny_model, make):
    picture = Samples.of(np.ascontiguousarray(make(64, 64).transpose(1, 2, 0)))
    alone = len(compress(picture, tiny_model, effort="fast").data)
    for effort in EFFORTS[1:]:
        assert len(compress(picture, tiny_model, effort=effort).data) <= alone + 8


@pytest.mark.parametrize("make", [screen, photograph, noise], ids=lambda make: make.__name__)
def test_the_smallest_of_the_candidates_is_taken(tiny_model, make):
    planes, lengths, coders = make(33, 40), {}, (IndependentCoder(), tile_coder(tiny_model))  # of equals, the first
    for coder, methods in zip(coders, (coders[0].candidates(planes, 8), coders[1].candidates(planes, "normal", AUTO))):
        for method in methods:
            encoder = Encoder()
            coder.code(encoder, planes.copy(), method, How(1, lambda pixels: None))
            lengths[method] = len(encoder.finish())
    assert len(lengths) > 1
    if 8 * lengths.get(Independent.FLAT, planes.size) <= 0.05 * planes[0].size:  # no other is worth the time
        lengths = {Independent.FLAT: lengths[Independent.FLAT]}
    coded = compress(Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0))), tiny_model, order="wavefront")
    (tile,), best = container.read(coded.data).picture.tiles, min(lengths, key=lengths.get)
    assert len(tile.payload) == lengths[best] == lengths[tile.method] and coded.methods == {tile.method: 1}


@pytest.mark.parametrize(
    ("kind", "effort", "size"),
    [
        ("grey", "best", (2, 1100)),
        ("rgb", "normal", (1100, 5)),
        ("rgb+alpha", "normal", (3, 2100)),
        ("rgb", "fast", (5, 1100)),
    ],
)
def test_tiles_on_any_number_of_threads(tiny_model, kind, effort, size):
    picture = image(*size, kind)
    coded = [compress(picture, replace(tiny_model, threads=threads), effort=effort) for threads in (1, 2, 3)]
    assert coded[0] == coded[1] == coded[2]
    groups = container.read(coded[0].data).picture.groups
    assert [len(group.tiles) for group in groups] == [-(-max(size) // 1024)] * (2 if kind == "rgb+alpha" else 1)
    for threads in (1, 2):
        assert same(decompress(coded[0].data, replace(tiny_model, threads=threads)), picture)


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgb+alpha"])
@pytest.mark.parametrize("size", [(40, 33), (16, 49), (17, 16), (1, 50), (50, 1)], ids=str)
def test_tiles_in_rows_and_columns(tiny_model, kind, size):
    picture = image(*size, kind)
    data = tiled(picture, tiny_model, Method())
    count = -(-size[0] // 16) * -(-size[1] // 16)
    assert {len(group.tiles) for group in container.read(data).picture.groups} == {count}
    for threads in (1, 2, 3):
        assert same(decompress(data, replace(tiny_model, threads=threads)), picture)


def test_tiles_do_not_depend_on_each_other(tiny_model):
    """A tile's payload is that of the tile alone as a picture."""
    picture = image(6, 1100)
    coded = [compress(picture, tiny_model, order="wavefront:3").data]
    for box in container.read(coded[0]).picture.header.boxes:
        part = Samples.of(picture.values[:, box.col : box.col + box.width])
        coded.append(compress(part, tiny_model, order="wavefront:3").data)
    whole, *parts = (container.read(data).picture.tiles for data in coded)
    assert whole == [*parts[0], *parts[1]]


def test_every_tile_has_a_method_of_its_own(tiny_model):
    """Half a photograph, half a screen."""
    planes = np.concatenate([photograph(8, 600), screen(8, 600)], 2)
    picture = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    coded = compress(picture, replace(tiny_model, threads=2))
    assert len(coded.methods) == 2 and sum(coded.methods.values()) == 2
    assert {tile.method for tile in container.read(coded.data).picture.tiles} == set(coded.methods)
    assert same(decompress(coded.data, tiny_model), picture)


def test_memory_does_not_grow_with_the_number_of_tiles(tiny_model):
    """Beside the picture, which is the caller's: one tile's state, no second copy of the pixels."""
    rows, cols, planes = np.ogrid[:40, :5000, :3]  # a slope, so that the file itself is small
    slope, peaks = (3 * rows + cols // 30 + 9 * planes).astype(np.uint8), []
    pictures = [Samples.of(np.ascontiguousarray(slope[:, : 1000 * tiles])) for tiles in (1, 1, 5)]
    for picture in pictures:  # the first warms up
        tracemalloc.start()
        compress(picture, tiny_model, effort="fast", order="wavefront")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] - peaks[1] < (pictures[2].values.nbytes - pictures[1].values.nbytes) / 2


@pytest.mark.parametrize("method", [Method(), Method(network=False, colours=True)], ids=str)
def test_a_damaged_tile_is_named(tiny_model, method):
    picture = container.read(tiled(image(32, 48), tiny_model, method)).picture
    tiles = list(picture.tiles)
    tiles[4] = replace(tiles[4], payload=tiles[3].payload)
    data = container.pack(Contents(replace(picture, groups=(Group(tuple(tiles)),))))
    for threads in (1, 2):
        before = threading.active_count()
        with pytest.raises(DamagedFile, match="tile at row 16, column 16 does not decode|a payload does not decode"):
            decompress(data, replace(tiny_model, threads=threads))
        assert threading.active_count() == before


def progress_of(work) -> list[tuple[int, int]]:
    calls = []
    work(progress=lambda *call: calls.append(call))
    return calls


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("threads", [1, 2])
def test_progress_reaches_the_number_of_pixels(tiny_model, threads, effort):
    model = replace(tiny_model, threads=threads)
    for picture in (image(1, 1), image(9, 14, "rgb+alpha"), image(1, 1100, make=screen)):
        total = picture.width * picture.height * len(FORMAT_KINDS[picture.kind].groups)
        files = [compress(picture, model, effort=effort).data, tiled(picture, tiny_model, Method(), side=256)]
        for work in (partial(compress, picture, model, effort=effort), *(partial(decompress, f, model) for f in files)):
            calls = progress_of(work)
            assert calls == sorted(calls) and calls[-1] == (total, total)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("size", "effort"), [((12, 14), "fast"), ((12, 14), "normal"), ((1, 1100), "normal")], ids=str)
def test_an_interrupt_ends_every_thread(tiny_model, size, threads, error, effort):
    model, picture = replace(tiny_model, threads=threads), image(*size)
    data = tiled(picture, tiny_model, *tile_methods(effort), side=1024)
    before, calls = threading.active_count(), []

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


@pytest.mark.parametrize(("size", "variant"), [((65, 70), 0), ((70, 65), 4), ((66, 66), 3)])
def test_the_header(tiny_model, size, variant):
    data = compress(image(*size), tiny_model, order=f"wavefront:{variant}").data
    header = container.read(data).picture.header
    model_id = bytes.fromhex(tiny_model.manifest.model_id)[:6]
    assert header == Header(size[1], size[0], "rgb", 8, model_id, variant, 1024)


def test_an_effort_that_there_is_not(tiny_model):
    for effort in ("5", "slow", 9):
        with pytest.raises(ValueError, match=f"effort is {effort!r}, not one of fast, normal, best"):
            compress(image(2, 2), tiny_model, effort=effort)


@pytest.mark.parametrize("kind", ["grey", "rgb", "rgb+alpha"])
def test_samples_may_lie_in_memory_in_any_way(tiny_model, kind):
    picture = image(9, 13, kind)
    expected = compress(picture, tiny_model, effort="best").data
    fortran, reversed_twice = np.asfortranarray(picture.values), picture.values[::-1, ::-1].copy()[::-1, ::-1]
    read_only = picture.values.copy()
    read_only.flags.writeable = False
    for pixels in (fortran, reversed_twice, read_only):
        assert compress(Samples.of(pixels), tiny_model, effort="best").data == expected
        np.testing.assert_array_equal(pixels, picture.values)


def test_another_models_file_is_refused(tiny_model, tiny_bundle, tmp_path, small):
    other = runtime.load(bundles.altered_weights(tmp_path / "another.lmconv", tiny_bundle), threads=1)
    with pytest.raises(WrongModel, match=f"needs model {tiny_model.manifest.model_id[:12]}, not another"):
        decompress(small[0], other)


def test_too_many_pixels_are_refused_before_anything_is_decoded(name_alone, small):
    with pytest.raises(ImageTooLarge):
        decompress(small[0], name_alone, max_pixels=29)
    body = pack_picture(container.read(small[0]).picture)
    assert body[9:11] == b"\6\5"
    enormous = pack_chunks({PICTURE: body[:9] + varint(2**32 - 1) * 2 + body[11:]})
    for lost in (None, []):
        with pytest.raises(ImageTooLarge, match="4294967295 x 4294967295"):
            decompress(enormous, name_alone, lost=lost)


def test_altered_bytes_are_refused_those_of_headers_before_anything_is_decoded(tiny_model, name_alone, small):
    data = small[0]
    sizes = [len(tile.payload) for tile in container.read(data).picture.tiles]
    start = len(data) - sum(sizes)
    ends = {start + sizes[0] - 1, len(data) - 1}
    for at in range(len(data)):
        altered = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        if at < start:
            with pytest.raises(CodecError):
                decompress(altered, name_alone)
        elif at not in ends:  # a payload's last byte may have bits that nothing hangs on
            with pytest.raises(CodecError):
                decompress(altered, tiny_model)
        else:
            assert lost_or_same(altered, tiny_model, small[1])
        with pytest.raises(CodecError):
            decompress(data[:at], name_alone)
    for more in (b"\0", b"\xff", bytes(4), data):
        with pytest.raises(CodecError):
            decompress(data + more, name_alone)


def lost_or_same(data: bytes, model, expected: Samples) -> bool:
    """Whether what a file has lost is told, and all else is exact."""
    lost = []
    found = decompress(data, model, lost=lost)
    values = expected.values.copy()
    for tile in lost:
        values[..., tile.channels] = 0
    return same(found, replace(expected, values=values))


def garbage():
    rng = np.random.default_rng(0)
    yield from (b"", b"\1", bytes(400) + b"\1", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\xff" * 400)
    yield from (rng.bytes(n) + b"\1" for n in (1, 2, 7, 10, 40, 201, 2000) for _ in range(3))


@pytest.mark.parametrize("code", [code for code in METHODS if code < 64], ids=lambda code: str(METHODS[code]))
@pytest.mark.parametrize("threads", [1, 2])
def test_payloads_that_are_garbage_under_right_checksums_are_damaged(tiny_model, threads, code):
    data, messages = compress(image(11, 13), tiny_model, order="wavefront").data, set()
    for payload in garbage():
        with pytest.raises(DamagedFile) as caught:
            model_id = short_id(tiny_model.manifest.model_id)  # not there, if exact colours alone are smallest
            wrong = forged(data, tile={"payload": payload, "code": code}, model_id=model_id)
            decompress(wrong, replace(tiny_model, threads=threads))
        messages.add(str(caught.value).split(":")[0].split(" at ")[0])
    method = METHODS[code]  # some do not decode, some decode to other pixels, or no list; one is for other pictures
    assert len(messages) == {INDEXED: 3, Independent.DEEP: 1}.get(method, 2)


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: p[1:], lambda p: p + b"\0"], ids=["-1", "1:", "+1"])
def test_shifted_payloads_under_right_checksums_are_damaged(tiny_model, small, change):
    for group in (0, 1):
        payload = bytes(container.read(small[0]).picture.groups[group].tiles[0].payload)
        with pytest.raises(DamagedFile, match="does not decode|ends in a zero"):
            decompress(forged(small[0], group, {"payload": change(payload)}), tiny_model)


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
    contents = container.read(tiled(image(11, 13), tiny_model, *tile_methods(effort), side=1024))
    (group,) = contents.picture.groups
    for code in set(METHODS) - {group.tiles[0].code}:
        held = replace(contents.picture, groups=(Group((replace(group.tiles[0], code=code),)),))
        with pytest.raises(DamagedFile):
            decompress(container.pack(Contents(held)), tiny_model)


def tile_methods(effort: str) -> list[Method]:
    """What a photograph is coded by."""
    learning = EFFORTS.index(effort)
    return [Method(learning=Learning(learning), tables=learning == Learning.FULL)]


@pytest.mark.parametrize(("kind", "other"), [("grey", "rgb"), ("rgb", "grey")])
def test_a_forged_kind_decodes_to_other_samples(tiny_model, kind, other):
    data = compress(image(11, 13, kind), tiny_model).data
    with pytest.raises(DamagedFile):
        decompress(forged(data, kind=other), tiny_model)


def test_a_wrong_checksum_of_samples_is_damaged(tiny_model, small):
    for number, group in enumerate(container.read(small[0]).picture.groups):
        wrong = forged(small[0], number, {"crc": group.tiles[0].crc ^ 1})
        with pytest.raises(DamagedFile, match="tile at row 0, column 0 does not decode to the pixels that were coded"):
            decompress(wrong, tiny_model)


def test_a_wrong_digest_is_damaged(tiny_model, small):
    """As of tiles of another file, whose checksums are all right. A part of the picture has no digest."""
    contents = container.read(small[0])
    digest = bytes([contents.picture.digest[0] ^ 1]) + contents.picture.digest[1:]
    wrong = container.pack(replace(contents, held=replace(contents.picture, digest=digest)))
    with pytest.raises(DamagedFile, match="does not decode to the samples that were coded"):
        decompress(wrong, tiny_model)
    assert decompress(wrong, tiny_model, crop=Box(0, 0, 4, 6)).height == 4


def soft_disc(height: int, width: int) -> Samples:
    """A photograph cut out by a disc with a soft edge: its alpha plane takes many bytes."""
    row, column = np.ogrid[:height, :width]
    distance = np.hypot(row - height / 2, column - width / 2)
    plane = (255 * np.clip((min(height, width) / 2 - distance) / 6, 0, 1)).astype(np.uint8)
    return Samples.of(np.dstack([photograph(height, width).transpose(1, 2, 0), plane]))


@pytest.mark.parametrize("payload", [b"", b"\0" * 40, b"\1", b"\2", b"\xff" * 100])
@pytest.mark.parametrize("code", [code for code in METHODS if code < 64 or code == 131])
def test_a_forged_tile_of_alpha_is_damaged(tiny_model, small, payload, code):
    with pytest.raises(DamagedFile):
        decompress(forged(small[0], 1, {"payload": payload, "code": code}), tiny_model)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(110, 140), (140, 110)], ids=str)
def test_an_alpha_plane_of_shapes_is_a_group_of_its_own(tiny_model, size, threads):
    """Of exact colours alone at fast effort, learned at others where that is smaller."""
    picture, model = soft_disc(*size), replace(tiny_model, threads=threads)
    files = {effort: compress(picture, model, effort=effort).data for effort in ("fast", "normal")}
    (fast,), (learned,) = (container.read(data).picture.groups[1].tiles for data in files.values())
    assert fast.method == Independent.FLAT and learned.method == Method(network=False, colours=True)
    assert len(learned.payload) < len(fast.payload)
    for data in files.values():
        assert same(decompress(data, model), picture)
    colours = Samples.of(np.ascontiguousarray(picture.values[..., :3]))
    alone = container.read(compress(colours, model).data).picture.tiles
    assert container.read(files["normal"]).picture.groups[0].tiles == tuple(alone)
    with pytest.raises(DamagedFile, match="does not decode to the pixels"):
        decompress(forged(files["normal"], 1, {"crc": learned.crc ^ 1}), model)


def test_an_opaque_plane_costs_little(tiny_model):
    picture = image(60, 70)
    opaque = Samples.of(np.dstack([picture.values, np.full((60, 70), 255, np.uint8)]))
    coded, colours = (compress(each, tiny_model) for each in (opaque, picture))
    assert len(coded.data) <= len(colours.data) + 16  # its place in the index, a byte, and the digest
    assert coded.methods[Independent.CONSTANT] == 1 and same(decompress(coded.data, tiny_model), opaque)


def test_contents_that_have_been_read_are_decoded(tiny_model, small):
    assert same(decompress(container.read(small[0]), tiny_model), small[1])
    assert same(decompress(memoryview(small[0]), tiny_model), small[1])
