"""Orders: what each one promises, the eight variants, and the sentences of errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmconv import orders
from lmconv.errors import LmconvError
from lmconv.orders import OrderError

sides = st.integers(1, 24)


def path(rank: np.ndarray) -> np.ndarray:
    """Positions (row, col) in the order of their ranks: [H*W, 2]."""
    return np.stack(np.unravel_index(np.argsort(rank, axis=None), rank.shape), axis=1)


def steps(rank: np.ndarray) -> np.ndarray:
    """How far each step of the path goes in rows and columns: [H*W - 1, 2]."""
    return np.abs(np.diff(path(rank), axis=0))


@given(sides, sides, st.sampled_from(["raster", "s_curve", "gilbert", "random=3"]), st.integers(0, 7))
def test_permutations(height, width, base, variant):
    rank = orders.make(f"{base}:{variant}", height, width)
    assert rank.shape == (height, width) and rank.dtype == np.int32 and rank.flags.c_contiguous
    orders.check_permutation(rank)


def test_check_permutation_names_the_rank():
    with pytest.raises(OrderError, match=r"0\.\.3: rank 2 is missing"):
        orders.check_permutation(np.array([[0, 1], [1, 3]]))


@given(sides, sides)
def test_s_curve_moves_to_neighbours(height, width):
    assert (steps(orders.s_curve(height, width)).sum(axis=1) == 1).all()


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16, 32])
def test_hilbert_moves_to_neighbours_and_fills_quadrants(side):
    rank = orders.hilbert(side, side)
    assert (steps(rank).sum(axis=1) == 1).all()
    while side > 1:  # each aligned square of any power of two is visited in one go: this makes it Hilbert's
        blocks = rank.reshape(len(rank) // side, side, -1, side).swapaxes(1, 2).reshape(-1, side * side)
        assert (np.ptp(blocks, axis=1) == side * side - 1).all()
        side //= 2


def test_hilbert_is_the_authors():
    """Their package's first points (column, row), read as the paper's code reads them."""
    assert path(orders.hilbert(2, 2)).tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    first = [[0, 0], [0, 1], [1, 1], [1, 0], [2, 0], [3, 0], [3, 1], [2, 1]]
    assert path(orders.hilbert(4, 4))[:8].tolist() == first
    for side in (2, 4, 8, 16, 32):
        assert path(orders.hilbert(side, side))[-1].tolist() == [0, side - 1]


@given(sides, sides, st.sampled_from(["raster", "s_curve", "gilbert", "random=3", "wavefront"]), st.integers(0, 7))
def test_a_region_comes_last_wherever_the_variant_lies(height, width, base, variant):
    spec = f"{base}@box=0,0,1,1:{variant}"
    region = np.zeros((height, width), bool)
    region[0, 0] = True
    rank = orders.make(spec, height, width)
    np.testing.assert_array_equal(rank, orders.move_last(orders.make(f"{base}:{variant}", height, width), region))
    assert orders.parse_variant(spec) == (f"{base}@box=0,0,1,1", variant)


def test_regions_of_names():
    assert orders.parse_region("s_curve@centre") == ("s_curve", "centre")
    assert orders.parse_region("file=a@b.npy@mask=c@d.png") == ("file=a@b.npy", "mask=c@d.png")
    assert orders.parse_region("file=a@b.npy") == ("file=a@b.npy", None)
    with pytest.raises(OrderError, match="there is no order 's_curve@middle'"):
        orders.make("s_curve@middle", 4, 4)
    with pytest.raises(LmconvError, match="is empty or not inside"):
        orders.make("s_curve@box=3,3,2,2", 4, 4)


@given(st.integers(1, 45), st.integers(1, 45))
def test_gilbert_moves_to_neighbours_but_for_one_diagonal(height, width):
    step = steps(orders.gilbert(height, width))
    assert step.max(initial=0) <= 1
    diagonal = (step.sum(axis=1) == 2).sum()
    assert diagonal <= (max(height, width) % 2 == 1 and min(height, width) % 2 == 0)


def test_gilbert_ends_at_the_next_corner():
    assert path(orders.gilbert(6, 10))[[0, -1]].tolist() == [[0, 0], [0, 9]]
    assert path(orders.gilbert(10, 6))[[0, -1]].tolist() == [[0, 0], [9, 0]]
    assert orders.gilbert(2, 2).tolist() == [[0, 1], [3, 2]]


@given(sides, sides)
def test_wavefront_levels(height, width):
    rank = orders.wavefront(height, width)
    assert all(rank[r, c] == c + 2 * r for r in range(height) for c in range(width))
    levels = np.unique(rank)
    assert levels[-1] == width + 2 * (height - 1) - 1
    if width > 1:
        assert len(levels) == levels[-1] + 1


@given(sides, sides, st.sampled_from([1, 2, 4, 8]))
def test_multiscale_refines_its_own_coarser_image(height, width, step):
    rank = orders.multiscale(height, width, step)
    on_grid = (np.arange(height)[:, None] % step == 0) & (np.arange(width) % step == 0)
    assert ((rank == 0) == on_grid).all()
    assert rank.max() <= 3 * np.log2(step)
    if step > 1:  # every second pixel is the same order with half the step, and comes before the others
        coarse = rank[::2, ::2]
        assert (coarse == orders.multiscale(*coarse.shape, step // 2)).all()
        others = np.ones_like(rank, bool)
        others[::2, ::2] = False
        assert rank[others].min(initial=99) > coarse.max()


def test_multiscale_last_levels_are_right_below_diagonal():
    assert orders.multiscale(2, 4, 2).tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]]


def test_random_is_fixed_by_its_seed():
    assert (orders.random(5, 6, 7) == orders.random(5, 6, 7)).all()
    assert (orders.random(5, 6, 7) != orders.random(5, 6, 8)).any()
    assert (orders.make("random=7", 5, 6) == orders.random(5, 6, 7)).all()


@pytest.mark.parametrize("base", ["raster", "s_curve", "gilbert"])
def test_variants_of_a_square_are_distinct(base):
    variants = {orders.make(f"{base}:{variant}", 8, 8).tobytes() for variant in range(8)}
    assert len(variants) == 8


@given(sides, sides, st.sampled_from(["s_curve", "gilbert", "wavefront", "multiscale=4", "random=1"]))
def test_variants_are_the_flips_and_transposes_of_the_base(height, width, base):
    wide, tall = orders.make(base, height, width), orders.make(base, width, height)
    for variant in range(8):
        rank = orders.make(f"{base}:{variant}", height, width)
        assert rank.shape == (height, width)
        for r in range(height):
            for c in range(width):
                row = height - 1 - r if variant in (1, 3, 5, 7) else r
                col = width - 1 - c if variant in (2, 3, 6, 7) else c
                assert rank[r, c] == (tall[col, row] if variant >= 4 else wide[row, col])


def test_s_curve_variants_end_in_the_known_halves():
    last_half = {v: path(orders.make(f"s_curve:{v}", 4, 4))[8:] for v in range(8)}
    assert {v for v, last in last_half.items() if min(r for r, _ in last) == 2} == {0, 2}  # bottom
    assert {v for v, last in last_half.items() if max(r for r, _ in last) == 1} == {1, 3}  # top
    assert {v for v, last in last_half.items() if min(c for _, c in last) == 2} == {4, 5}  # right
    assert {v for v, last in last_half.items() if max(c for _, c in last) == 1} == {6, 7}  # left


@given(sides, sides, st.sampled_from(["s_curve", "wavefront:3", "multiscale=4", "random=1"]), st.integers(0, 2**32 - 1))
def test_move_last_keeps_both_parts_in_order(height, width, spec, seed):
    rank = orders.make(spec, height, width)
    region = np.random.default_rng(seed).integers(2, size=rank.shape).astype(bool)
    last = orders.move_last(rank, region)
    assert last.dtype == np.int32 and set(last.flat) == set(range(last.max() + 1))
    assert last[~region].max(initial=-1) < last[region].min(initial=height * width)
    for part in (region, ~region):
        np.testing.assert_array_equal(np.argsort(last[part], kind="stable"), np.argsort(rank[part], kind="stable"))
        np.testing.assert_array_equal(np.diff(np.sort(last[part])) == 0, np.diff(np.sort(rank[part])) == 0)


def test_move_last_leaves_an_order_that_ends_in_the_region():
    region = np.arange(30).reshape(6, 5) >= 15
    for spec in ("raster", "s_curve:2"):
        np.testing.assert_array_equal(orders.move_last(orders.make(spec, 6, 5), region), orders.make(spec, 6, 5))
    given_part = np.where(~region, orders.OBSERVED, orders.raster(6, 5))
    np.testing.assert_array_equal(orders.move_last(given_part, region)[region], np.arange(15))
    assert (orders.move_last(given_part, region)[~region] == -1).all()
    with pytest.raises(OrderError, match="rank -1"):
        orders.move_last(given_part, ~region)
    with pytest.raises(OrderError, match=r"\[5, 6\], the order \[6, 5\]"):
        orders.move_last(given_part, region.T)


def test_s_curve_center_quarter_last():
    expected = [[0, 1, 2, 3], [5, 13, 12, 4], [6, 14, 15, 7], [11, 10, 9, 8]]
    assert orders.s_curve_center_quarter_last(4, 4).tolist() == expected
    rank = orders.make("s_curve_center_quarter_last:4", 28, 32)
    assert (rank[7:21, 8:24] >= 28 * 32 * 3 // 4).all()
    np.testing.assert_array_equal(rank, orders.s_curve_center_quarter_last(32, 28).T)


def test_files(tmp_path):
    rank = np.array([[0, 2, 2], [-1, 1, 5]])
    np.save(tmp_path / "order.npy", rank)
    (tmp_path / "order.txt").write_text("0 2 2\n\n-1\t1 5\n")
    for name in ("order.npy", "order.txt"):
        read = orders.from_file(tmp_path / name)
        assert read.dtype == np.int32 and (read == rank).all()
        assert (orders.make(f"file={tmp_path / name}", 2, 3) == rank).all()
        assert (orders.make(f"file={tmp_path / name}:5", 3, 2) == rank.T[::-1]).all()
        with pytest.raises(OrderError, match="2x3, not 3x2"):
            orders.make(f"file={tmp_path / name}:0", 3, 2)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"0 1\n2\n", "cannot read an order"),
        (b"0 1.5\n2 3\n", "cannot read an order.*1.5"),
        (b"\xff\xfe\n", "cannot read an order"),
        (b"", "of shape"),
        (b"0 -2\n", "from -2 to 0"),
        (b"0 4000000000\n", "to 4000000000"),
        (b"0 99999999999999999999999\n", "object"),
        (b"\x93NUMPY\x01\x00", "cannot read an order"),
        (b"\x93NUMPY\x01\x00\x04\x00{(\n\n", "cannot read an order"),
        (
            b"\x93NUMPY\x01\x00\x3e\x00{'descr': ',i4', 'fortran_order': False, 'shape': (1, 1), }  \n",
            "cannot read",
        ),
        (
            b"\x93NUMPY\x01\x00\x3e\x00{'descr': '<i4', b'fortran_order': False, 'shape': (1, 1), } \n",
            "cannot read",
        ),
    ],
)
def test_bad_files(tmp_path, content, message):
    (tmp_path / "bad").write_bytes(content)
    with pytest.raises(OrderError, match=message):
        orders.from_file(tmp_path / "bad")


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 2)), np.zeros(4, int), np.zeros((2, 2, 2), int), np.zeros((0, 3), int), np.array([[None]])],
)
def test_bad_arrays(tmp_path, array):
    np.save(tmp_path / "bad.npy", array)
    with pytest.raises(OrderError, match=r"bad\.npy"):
        orders.from_file(tmp_path / "bad.npy")


def test_npy_that_claims_more_than_it_holds(tmp_path):
    np.save(tmp_path / "short.npy", np.zeros((30, 30), np.int32))
    data = (tmp_path / "short.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(data.replace(b"(30, 30)", b"(99999999, 99999999)"))
    with pytest.raises(OrderError, match=r"short\.npy"):
        orders.from_file(tmp_path / "short.npy")


@pytest.mark.parametrize(
    "spec, size, message",
    [
        ("peano", (4, 4), "no order 'peano'"),
        ("", (4, 4), "no order ''"),
        ("raster:8", (4, 4), "variant 8"),
        ("raster:-1", (4, 4), "variant -1"),
        ("raster:x", (4, 4), "no order 'raster:x'"),
        ("raster=3", (4, 4), "takes no argument"),
        ("multiscale", (4, 4), "whole number"),
        ("multiscale=3", (4, 4), "power of two, not 3"),
        ("multiscale=0", (4, 4), "power of two, not 0"),
        ("random=-1", (4, 4), "whole number"),
        ("hilbert", (4, 8), "not 4x8"),
        ("hilbert", (6, 6), "not 6x6"),
        ("file=/no/such/file", (4, 4), "/no/such/file"),
        ("raster", (0, 4), "0x4"),
        ("gilbert", (4, -1), "4x-1"),
        ("raster", (1 << 16, 1 << 16), "65536x65536"),
    ],
)
def test_bad_specifications(spec, size, message):
    with pytest.raises(OrderError, match=message):
        orders.make(spec, *size)
