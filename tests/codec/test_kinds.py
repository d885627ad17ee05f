"""Kinds and depths of pictures, palettes, tiles of one value: all come back, and what a header forges is damaged."""

from dataclasses import replace

import numpy as np
import pytest

from codec import compress, decompress
from codec.entropy.range_coder import Decoder, Encoder
from codec.errors import DamagedFile
from codec.format import container
from codec.format.container import Contents
from codec.format.method import METHODS, NEEDS_JPEG, Independent
from codec.format.packed import pack
from codec.format.picture import AS_THEY_ARE, COLOURS, KINDS, RANKS, Group, Header, Picture, Tile, short_id
from codec.images.samples import Samples
from codec.tile_coders import How
from codec.tile_coders.independent import IndependentCoder
from tests.pictures import noise, photograph, screen


def of_kind(kind: str, depth: int, height: int, width: int, seed: int = 0) -> Samples:
    """Slopes with noise in all channels."""
    rng, channels = np.random.default_rng(seed), KINDS[kind].channels
    rows, cols, planes = np.ogrid[:height, :width, :channels]
    slopes = (rows * 5 + cols * 3 + planes * 40 + rng.integers(0, 4, (height, width, channels))) % 256
    palette = rng.permutation(256)[:, None] ^ np.array([[0, 77, 205]]) if kind.startswith("palette") else None
    if depth > 8:
        values = (slopes << depth - 8 | rng.integers(0, 1 << depth - 8, slopes.shape)).astype(np.uint16)
    else:
        values = (slopes >> 8 - depth).astype(np.uint8)
    return Samples(values, depth, kind, None if palette is None else palette.astype(np.uint8)[: 1 << depth])


def same(found: Samples, expected: Samples) -> bool:
    alike = found.palette is None if expected.palette is None else np.array_equal(found.palette, expected.palette)
    return found.difference(expected) is None and found.values.dtype == expected.values.dtype and alike


@pytest.mark.parametrize("effort", ["fast", "normal"])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 9, 12, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_and_depth(tiny_model, kind, depth, effort):
    """Each further channel is a group of its own."""
    for size in ((9, 14), (1, 1), (1, 9)):
        picture = of_kind(kind, depth, *size)
        coded = compress(picture, tiny_model, effort=effort)
        found = decompress(coded.data, tiny_model)
        assert same(found, picture) and (found.kind, found.depth) == (kind, depth)
        held = container.read(coded.data).picture
        assert (held.header.kind, held.header.depth) == (kind, depth)
        groups = {"cmyk": 2}.get(kind.removesuffix("+alpha"), 1) + kind.endswith("+alpha")
        assert len(held.groups) == groups and sum(coded.methods.values()) == groups


@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_several_tiles(tiny_model, kind, depth):
    picture = of_kind(kind, depth, 4, 1100)
    for threads in (1, 3):
        model = replace(tiny_model, threads=threads)
        assert same(decompress(compress(picture, model, effort="fast").data, model), picture)


def test_black_is_coded_apart_from_colours_and_like_grey(tiny_model):
    picture, files = of_kind("cmyk", 8, 20, 30), {}
    for kind, channels in (("cmyk", slice(0, 4)), ("rgb", slice(0, 3)), ("grey", slice(3, 4))):
        part = Samples(np.ascontiguousarray(picture.values[..., channels]), 8, kind)
        files[kind] = container.read(compress(part, tiny_model).data).picture.groups
    assert files["cmyk"] == (*files["rgb"], *files["grey"])


# Palettes


@pytest.mark.parametrize(
    ("colours", "form"),
    [
        ([[9, 9, 9], [0, 0, 1], [7, 200, 3], [255, 255, 255]], COLOURS),
        ([[9, 9, 9], [0, 0, 1], [9, 9, 9], [255, 255, 255]], AS_THEY_ARE),  # a colour that comes twice
        ([[9, 9, 9], [0, 0, 1]], AS_THEY_ARE),  # and indices beyond the palette
        ([], AS_THEY_ARE),
        ([[i, 7, 2] for i in range(9)], COLOURS),  # more than two bits say
    ],
    ids=["different", "repeated", "beyond", "none", "many"],
)
@pytest.mark.parametrize("depth", [2, 8])
def test_indices_come_back_whatever_the_palette(tiny_model, colours, form, depth):
    palette = np.array(colours, np.uint8).reshape(-1, 3)
    for make in (screen, noise):
        values = np.ascontiguousarray(make(20, 30)[2:].transpose(1, 2, 0) >> 6)
        values[0, :4, 0] = range(4)
        picture = Samples(values, depth, "palette", palette)
        data = compress(picture, tiny_model).data
        assert same(decompress(data, tiny_model), picture)
        assert container.read(data).picture.groups[0].form == form


def test_a_photograph_of_indices_is_coded_as_what_people_see(tiny_model):
    """In fewer bytes than as indices, whose order says nothing."""
    planes, rng = photograph(90, 110) & 0xC0, np.random.default_rng(0)
    colours, indices = np.unique(planes.reshape(3, -1).T, axis=0, return_inverse=True)
    shuffled = rng.permutation(len(colours))
    values = shuffled[indices].reshape(90, 110, 1).astype(np.uint8)
    palette = np.empty_like(colours)
    palette[shuffled] = colours
    picture = Samples(values, 8, "palette", palette)
    data = compress(picture, tiny_model).data
    assert same(decompress(data, tiny_model), picture)
    assert len(data) - 3 * len(palette) < len(compress(Samples(values, 8, "grey"), tiny_model).data)


def test_a_forged_form_or_palette_is_damaged(tiny_model):
    picture = of_kind("palette", 4, 9, 14)
    contents = container.read(compress(picture, tiny_model).data)
    held, colours = contents.picture, contents.picture.header.palette
    (group,) = held.groups
    assert group.form == COLOURS
    as_indices = replace(held, groups=(replace(group, form=AS_THEY_ARE),))
    ranked = replace(held, groups=(Group(group.tiles, RANKS, pack(b"\xff\xff")),))
    others = [replace(held, header=replace(held.header, palette=wrong)) for wrong in (b"", colours[:3], colours[::-1])]
    for wrong in (as_indices, ranked, *others):
        with pytest.raises(DamagedFile):
            decompress(container.pack(Contents(wrong)), tiny_model)


# Depths


@pytest.mark.parametrize("depth", [1, 4])
def test_samples_deeper_than_the_file_says_are_damaged(tiny_model, depth):
    contents = container.read(compress(of_kind("grey", 8, 9, 14), tiny_model).data)
    header = replace(contents.picture.header, depth=depth)
    with pytest.raises(DamagedFile, match=f"a sample has more than {depth} bits|does not decode"):
        decompress(container.pack(replace(contents, held=replace(contents.picture, header=header))), tiny_model)


@pytest.mark.parametrize("depth", [9, 12, 16])
@pytest.mark.parametrize("kind", ["grey", "rgb", "cmyk+alpha"])
def test_deep_samples_of_few_values_are_coded_by_their_ranks(tiny_model, kind, depth):
    """Of at most 8 bits; those that stay deeper have tests of their own."""
    shallow = of_kind(kind, 8, 60, 70).values.astype(np.uint16) // 2
    picture = Samples(shallow * (((1 << depth) - 1) // 128) + 1, depth, kind)
    data = compress(picture, tiny_model, effort="fast").data
    assert {group.form for group in container.read(data).picture.groups} == {RANKS}
    assert same(decompress(data, tiny_model), picture)


@pytest.mark.parametrize("code", sorted(set(METHODS) - {33, 35}))
def test_methods_that_are_not_for_deep_samples_are_refused(tiny_model, code):
    """Before they could write more than there is room for."""
    header = Header(5, 4, "rgb", 16, short_id(tiny_model.manifest.model_id))
    held = Picture(header, (Group((Tile(b"" if code == 192 else b"\1", 0, code),)),))
    jpeg = b"\0\0\x50\0" if METHODS[code] in NEEDS_JPEG else None
    with pytest.raises(DamagedFile, match="of 16 bits is coded by|that of a JPEG, but of other planes"):
        decompress(container.pack(Contents(held, jpeg)), tiny_model)


@pytest.mark.parametrize("code", sorted(method.code for method in NEEDS_JPEG))
def test_a_jpeg_of_one_component_makes_no_colours_of_a_palette(tiny_model, code):
    """A tile of a group of three planes would look for two that there are not."""
    header = Header(5, 4, "palette", 8, short_id(tiny_model.manifest.model_id), palette=bytes(range(9)))
    held = Picture(header, (Group((Tile(b"" if code == 192 else b"\1", 0, code),), COLOURS),))
    with pytest.raises(DamagedFile, match="that of a JPEG, but of other planes"):
        decompress(container.pack(Contents(held, b"\0\4\x50\0")), tiny_model)


@pytest.mark.parametrize("depth", [1, 8])
def test_the_method_for_deep_samples_is_for_no_others(tiny_model, depth):
    held = Picture(Header(5, 4, "rgb", depth), (Group((Tile(b"\1", 0, 35),)),))
    with pytest.raises(DamagedFile, match=f"a tile of {depth} bits is coded by deep"):
        decompress(container.pack(Contents(held)), tiny_model)


# Tiles of one value


@pytest.mark.parametrize("kind", ["grey", "rgb", "cmyk+alpha", "palette"])
def test_tiles_of_one_value_need_no_model(tiny_model, kind):
    channels = KINDS[kind].channels
    palette = np.arange(90, dtype=np.uint8).reshape(30, 3) if kind == "palette" else None
    values = np.tile(np.arange(7, 7 + channels, dtype=np.uint8), (50, 1100, 1))
    picture = Samples(values, 8, kind, palette)
    coded = compress(picture, tiny_model)
    assert set(coded.methods) == {Independent.CONSTANT}
    held = container.read(coded.data).picture
    assert held.header.model_id is None and max(len(tile.payload) for tile in held.tiles) <= 3
    assert same(decompress(coded.data), picture) and same(decompress(coded.data, tiny_model), picture)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_one_value_is_written_bit_by_bit(depth):
    """The highest first, each as likely as not: the payload is the number itself, as nearly as the coder's range."""
    dtype = np.uint8 if depth <= 8 else np.uint16
    for value in (0, 1, (1 << depth) - 1, 1 << depth - 1):
        planes = np.full((1, 3, 5), value, dtype)
        encoder, found, counts = Encoder(), np.zeros((1, 3, 5), dtype), []
        how = How(1, counts.append, depth=depth)
        IndependentCoder().code(encoder, planes, Independent.CONSTANT, how)
        payload = encoder.finish()
        assert len(payload) <= -(-depth // 8) and encoder.bits == pytest.approx(depth)
        assert int.from_bytes(payload.ljust(4, b"\0"), "big") >> 32 - depth == value
        IndependentCoder().code(Decoder(payload), found, Independent.CONSTANT, how)
        np.testing.assert_array_equal(found, planes)
        assert counts == [15, 15]


def test_a_tile_of_one_value_beside_others(tiny_model):
    planes = np.concatenate([np.full((3, 8, 600), 90, np.uint8), photograph(8, 600)], 2)
    picture = Samples.of(np.ascontiguousarray(planes.transpose(1, 2, 0)))
    coded = compress(picture, tiny_model, order="wavefront")
    assert coded.methods[Independent.CONSTANT] == 1 and sum(coded.methods.values()) == 2
    assert same(decompress(coded.data, tiny_model), picture)
