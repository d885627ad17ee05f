"""Forms of a group: what is coded gives the samples again, hostile planes are told, and the encoder's choice pays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.errors import CodecError, DamagedFile
from codec.format import forms
from codec.format.forms import AsTheyAre, Colours, Ranks, chosen, form_of
from codec.format.packed import pack
from codec.format.picture import AS_THEY_ARE, COLOURS, RANKS, Group, Header

PALETTE = np.array([[9, 8, 7], [0, 0, 0], [255, 255, 255], [9, 8, 7], [0, 0, 255]], np.uint8)  # 0 and 3 are alike


def samples_of(depth: int, channels: int, seed: int = 0, size: tuple[int, int] = (5, 7)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << depth, (*size, channels)).astype(np.uint8 if depth <= 8 else np.uint16)


def told(form, depth: int, channels: int, palette: np.ndarray | None = None):
    """The form that a file with this one says."""
    kind = {1: "grey", 3: "rgb"}[channels] if palette is None else "palette"
    header = Header(1, 1, kind, depth, palette=None if palette is None else palette.tobytes())
    return form_of(Group((), form.code, form.used), header, channels)


def check(form, samples: np.ndarray, depth: int, palette: np.ndarray | None = None) -> np.ndarray:
    """The planes, of which form and what a file says of it make the samples again."""
    planes = form.planes(samples)
    assert planes.shape == (form.count, *samples.shape[:2]) and int(planes.max()) < 1 << form.depth
    assert planes.dtype == (np.uint8 if form.depth <= 8 else np.uint16)
    read = told(form, depth, samples.shape[2], palette)
    assert (read.code, read.depth, read.count, read.used) == (form.code, form.depth, form.count, form.used)
    for either in (form, read):
        found = either.samples(planes)
        assert found.dtype == samples.dtype
        np.testing.assert_array_equal(found, samples)
    return planes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", range(1, 17))
def test_samples_as_they_are(depth, channels):
    samples = samples_of(depth, channels)
    planes = check(AsTheyAre(depth, channels), samples, depth)
    np.testing.assert_array_equal(planes, samples.transpose(2, 0, 1))
    if depth not in (8, 16):
        planes = planes.copy()
        planes[-1, -1, -1] = 1 << depth
        with pytest.raises(DamagedFile, match=f"a sample has more than {depth} bits"):
            AsTheyAre(depth, channels).samples(planes)


@given(st.integers(1, 16), st.sampled_from([1, 3]), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_ranks_are_places_among_the_values_that_occur(depth, channels, count, seed):
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if depth <= 8 else np.uint16
    kept = [np.unique(rng.integers(0, 1 << depth, count)).astype(dtype) for _ in range(channels)]
    samples = np.stack([rng.choice(values, (4, 6)) for values in kept], 2)
    form = Ranks(tuple(kept), depth)
    assert 2**form.depth >= max(map(len, kept)) > (2 ** (form.depth - 1) if form.depth > 1 else 0)
    planes = check(form, samples, depth)
    for channel, values in enumerate(kept):
        assert [[list(values).index(x) for x in row] for row in samples[..., channel]] == planes[channel].tolist()


def test_ranks_that_there_are_not():
    form = Ranks((np.array([3, 500], np.uint16), np.array([0, 1, 900], np.uint16), np.array([7], np.uint16)), 10)
    assert form.depth == 2
    planes = np.array([1, 2, 0], np.uint8).reshape(3, 1, 1)
    assert form.samples(planes).tolist() == [[[500, 900, 7]]]
    for wrong in ([2, 0, 0], [0, 3, 0], [0, 0, 1], [255, 0, 0]):
        with pytest.raises(DamagedFile, match="a value that does not occur"):
            form.samples(np.array(wrong, np.uint8).reshape(3, 1, 1))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 8, 12, 16])
def test_the_list_of_values_is_a_bit_for_each(depth):
    """The lowest bit of the first byte is value 0's, channel by channel."""
    dtype = np.uint8 if depth <= 8 else np.uint16
    form = Ranks((np.array([0], dtype), np.array([(1 << depth) - 1], dtype), np.array([1], dtype)), depth)
    size = -(-(1 << depth) // 8)
    bits = [1, 1 << ((1 << depth) - 1), 2]
    packed = pack(b"".join(number.to_bytes(size, "little") for number in bits))
    assert form.used == packed
    assert [list(values) for values in told(form, depth, 3).values] == [list(values) for values in form.values]


@pytest.mark.parametrize(
    ("depth", "unpacked"),
    [(2, b""), (2, b"\1\1"), (12, bytes(511)), (12, bytes(511) + b"\1\0"), (16, b"\1"), (2, b"\x10"), (12, bytes(512))],
)
def test_lists_that_no_encoder_writes(depth, unpacked):
    """Of another length, or of no value: bits beyond the last value are none."""
    group = Group((), RANKS, pack(unpacked))
    with pytest.raises(DamagedFile, match="of values that occur|no value occurs|packed bytes"):
        form_of(group, Header(1, 1, "grey", depth), 1)


@given(st.binary(max_size=60), st.integers(1, 16), st.sampled_from([1, 3]))
def test_any_list_is_survived(used, depth, channels):
    kind = {1: "grey", 3: "rgb"}[channels]
    try:
        form = form_of(Group((), RANKS, used), Header(1, 1, kind, depth), channels)
    except CodecError:
        return
    assert form.count == channels and 1 <= form.depth <= depth


def test_indices_become_colours():
    samples = np.array([[0, 1, 2], [4, 0, 1]], np.uint8)[..., None]
    planes = check(Colours(PALETTE, 8), samples, 8, PALETTE)
    assert planes[:, 1, 0].tolist() == [0, 0, 255] and planes[:, 0, 0].tolist() == [9, 8, 7]


def test_a_colour_stands_for_its_first_index():
    form = Colours(PALETTE, 8)
    assert form.samples(np.array([9, 8, 7], np.uint8).reshape(3, 1, 1)).tolist() == [[[0]]]
    for wrong in ([9, 8, 6], [0, 0, 1], [255, 255, 254], [0, 0, 254]):
        with pytest.raises(DamagedFile, match="a colour that the palette has not"):
            form.samples(np.array(wrong, np.uint8).reshape(3, 1, 1))


@pytest.mark.parametrize("depth", [2, 10])
def test_a_large_palette(depth):
    """Of more colours than a byte can say, or than indices reach."""
    colours = np.random.default_rng(1).permutation(1000).astype(np.int64) * 777
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1).astype(np.uint8)
    samples = samples_of(depth, 1)
    samples = np.minimum(samples, samples.dtype.type(min(999, (1 << depth) - 1)))
    form = chosen(samples, depth, palette)
    assert isinstance(form, Colours) and len(form.palette) == min(1000, 1 << depth)
    check(form, samples, depth, palette)
    if depth == 2:
        with pytest.raises(DamagedFile, match="a colour that the palette has not"):
            form.samples(palette[4].reshape(3, 1, 1))


def test_a_palette_without_colours_has_none():
    with pytest.raises(DamagedFile, match="the palette has none"):
        form_of(Group((), COLOURS), Header(1, 1, "palette", palette=b""), 1)
    samples = samples_of(1, 1)
    assert isinstance(chosen(samples, 1, np.zeros((0, 3), np.uint8)), AsTheyAre)


@pytest.mark.parametrize(
    ("indices", "code"),
    [
        ([0, 1, 2, 4], COLOURS),
        ([1, 1, 1], COLOURS),
        ([0, 3], AS_THEY_ARE),  # which are one colour
        ([3, 1], AS_THEY_ARE),  # which is not the first of its colour
        ([0, 5], AS_THEY_ARE),  # which is beyond the palette
        ([0, 255], AS_THEY_ARE),
    ],
)
def test_colours_are_chosen_where_they_tell_indices_apart(indices, code):
    samples = np.array(indices, np.uint8).reshape(1, -1, 1)
    form = chosen(samples, 8, PALETTE)
    assert form.code == code
    check(form, samples, 8, PALETTE)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", range(1, 9))
def test_shallow_samples_stay_as_they_are(depth, channels):
    """The stages that code them see which values do not occur by themselves."""
    samples = samples_of(depth, channels) // 3 * 3
    assert chosen(samples, depth) == AsTheyAre(depth, channels)


def test_ranks_are_chosen_where_few_of_many_values_occur():
    """Twelve bits in samples of sixteen, and eight; not noise, and not a few samples of many values."""
    large = samples_of(12, 3, size=(300, 200))
    form = chosen(large << 4, 16)
    assert form.code == RANKS and form.depth == 12
    np.testing.assert_array_equal(check(form, large << 4, 16), large.transpose(2, 0, 1))
    bytes_alone = samples_of(8, 1, size=(300, 200)).astype(np.uint16)
    form = chosen(bytes_alone * 257, 16)
    assert form.code == RANKS and form.depth == 8
    check(form, bytes_alone * 257, 16)
    assert chosen(samples_of(16, 1, size=(500, 500)), 16).code == AS_THEY_ARE
    assert chosen(samples_of(16, 3, size=(10, 10)), 16).code == AS_THEY_ARE


def test_channels_that_have_nearly_the_same_values_have_one_list():
    """So that what is equal in them stays equal."""
    samples = (samples_of(8, 3, size=(60, 60)).astype(np.uint16)) * 257
    samples[..., 1][samples[..., 1] == 257] = 514
    form = chosen(samples, 16)
    assert form.code == RANKS and len({values.tobytes() for values in form.values}) == 1
    apart = samples.copy()
    apart[..., 2] += 1
    assert len({values.tobytes() for values in chosen(apart, 16).values}) == 3


def test_values_are_looked_at_in_parts(monkeypatch):
    samples = samples_of(12, 1, size=(40, 50))
    whole = forms._occurring(samples[..., 0], 12)
    monkeypatch.setattr(forms, "_BAND", 70)
    np.testing.assert_array_equal(forms._occurring(samples[..., 0], 12), whole)
    np.testing.assert_array_equal(whole, np.unique(samples))
