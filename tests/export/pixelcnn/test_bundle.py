"""Bundles of the paper's network: many ways of running them give PyTorch's integers, and what they refuse."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnxruntime
import pytest
import torch

import runtime
from export.bundle import export_bundle
from export.errors import ExportError, QuantisationError
from export.exact.integers import BOUND
from export.pixelcnn import bundle as pixelcnn_bundle
from export.pixelcnn.pytorch import IntegerPixelCnnNet
from export.pixelcnn.quantise import quantise_pixelcnn
from lmconv import orders
from lmconv.orders import OrderError
from tests import bundles
from tests.export.checkpoints import TWO_STREAM, checkpoint_of
from tests.export.pixelcnn import squares

SIZES = [(8, 8), (1, 1), (3, 8), (8, 5)]
RANKS = [orders.make(order, squares.SIDE, squares.SIDE) for order in squares.ORDERS]


@pytest.fixture(scope="module", params=squares.KINDS)
def kind(request):
    return request.param


@cache
def quantised(kind):
    """The integers, quantised as the export does."""
    return quantise_pixelcnn(squares.checkpoint(kind).net(), RANKS, squares.levels(kind, 8)[:4])


def expected(kind, levels, order=0) -> np.ndarray:
    """PyTorch's integers in one of the orders, in float32 as in float64."""
    return computed(kind, order, levels.shape, levels.tobytes())


@cache
def computed(kind, order, shape, data):
    levels = torch.from_numpy(np.frombuffer(data, np.uint8).reshape(shape).copy())
    rank = RANKS[order][: shape[2], : shape[3]]
    single, double = (
        IntegerPixelCnnNet(quantised(kind), rank, dtype)(levels) for dtype in (torch.float32, torch.float64)
    )
    assert torch.equal(single, double)
    return single.numpy()


@pytest.fixture(
    scope="module", params=[("integer", True), ("integer", False), ("float32", True), ("float32", False)], ids=str
)
def model(request, kind, square_bundles):
    products, optimise = request.param
    return runtime.load(square_bundles[kind], threads=1, products=products, optimise=optimise)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_every_way_gives_equal_integers(model, kind, size):
    levels = squares.levels(kind, 3, 5, *size)
    for order, name in enumerate(squares.ORDERS):
        wanted = expected(kind, levels, order)
        np.testing.assert_array_equal(model.parameters(squares.codes(kind, levels), order), wanted, name)
        np.testing.assert_array_equal(model.parameters_by_levels(squares.codes(kind, levels), order), wanted, name)


def test_every_batch_gives_equal_integers(model, kind, monkeypatch):
    for count in (1, 3, 17):
        levels = squares.levels(kind, 17, 7)[:count]
        codes = squares.codes(kind, levels)
        wanted = np.concatenate([expected(kind, image[None], 1) for image in levels])
        np.testing.assert_array_equal(model.parameters(codes, 1), wanted)
        np.testing.assert_array_equal(model.parameters_by_levels(codes, 1), wanted)
        with monkeypatch.context() as patch:
            patch.setattr("runtime.pixelcnn._POSITIONS", 100)  # in parts: images of 64 positions
            np.testing.assert_array_equal(model.parameters(codes, 1), wanted)


def test_two_threads_give_equal_integers(kind, square_bundles, monkeypatch):
    """A session of two threads, which the runtime itself never opens."""
    options = onnxruntime.SessionOptions

    class Two(options):
        def __setattr__(self, name, value):
            super().__setattr__(name, 2 if name.endswith("_num_threads") else value)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Two)
    levels = squares.levels(kind, 5, 9)
    model = runtime.load(square_bundles[kind])
    assert model.network.session.get_session_options().intra_op_num_threads == 2
    np.testing.assert_array_equal(model.parameters(squares.codes(kind, levels)), expected(kind, levels))


def test_parameters_depend_on_pixels_of_smaller_rank_alone(kind, square_models):
    levels = squares.codes(kind, squares.levels(kind, 1, 3))
    rank, model = RANKS[1], square_models[kind]
    before = model.parameters(levels, 1)[0]
    later = np.where(rank >= 30, 255 - levels, levels)
    after = model.parameters(later, 1)[0]
    np.testing.assert_array_equal(before[:, rank <= 30], after[:, rank <= 30])
    assert (before != after).any()


def test_the_report(kind, tmp_path):
    path = tmp_path / "a.lmconv"
    report = export_bundle(squares.checkpoint(kind), path, "a", squares.levels(kind, 8), {"data": "made up"})
    manifest = runtime.read_manifest(path)
    assert report.orders == manifest.order == "s_curve:0, s_curve:1"  # as it was trained
    assert manifest.model_id == report.model_id and manifest.kind == "pixelcnn"
    assert manifest.bits_per_subpixel == round(report.integer_bits, 5)
    assert [layer.name for layer in report.layers] == [layer.name for layer in quantised(kind).layers()]
    assert all(0 < layer.largest_sum < BOUND for layer in report.layers)
    # The untrained log-scales of colours reach 11, and end where the codec's do, at 6: that is a gain.
    assert (-0.06 if kind == "colour" else -0.02) < report.loss < 0.02
    assert [child.name for child in tmp_path.iterdir()] == ["a.lmconv"]


def test_more_orders_add_their_rank_maps_alone(tmp_path):
    sizes = []
    for count in (1, 3):
        path = tmp_path / f"{count}.lmconv"
        levels = squares.levels("grey", 8)
        export_bundle(squares.checkpoint("grey"), path, "grey", levels, orders=squares.ORDERS[:count])
        sizes.append({name: len(data) for name, data in bundles.members(path).items()})
    one, three = sizes
    assert three.pop(bundles.TABLES) - one.pop(bundles.TABLES) < 2 * (4 * squares.SIDE**2 + 100) and one == three


def test_a_graph_that_differs_from_pytorch_leaves_no_file(tmp_path, monkeypatch):
    prove = pixelcnn_bundle._prove

    def off(model, network, ranks, levels):
        return prove(model, replace(network, highest=network.highest - 5000), ranks, levels)

    monkeypatch.setattr(pixelcnn_bundle, "_prove", off)
    with pytest.raises(ExportError, match=r"integer products: \d+ parameters of order s_curve:0 at once differ"):
        export_bundle(squares.checkpoint("colour"), tmp_path / "a.lmconv", "a", squares.levels("colour", 4) | 128)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change, error, match",
    [
        (
            dict(pictures=squares.levels("colour", 4)[..., :5]),
            ExportError,
            r"uint8 \[3, 8, 8\], not uint8 \[4, 3, 8, 5\]",
        ),
        (dict(pictures=squares.levels("colour", 1)), ExportError, "2 or more"),
        (dict(orders=("zigzag",)), OrderError, "no order 'zigzag'"),
        (dict(checkpoint=checkpoint_of(TWO_STREAM, {"height": 8, "width": 8})), QuantisationError, "one-stream"),
        (
            dict(checkpoint=checkpoint_of(replace(squares.KINDS["colour"], classes=2), {"height": 8, "width": 8})),
            QuantisationError,
            "to which nothing is given",
        ),
        (
            dict(
                checkpoint=checkpoint_of(replace(squares.KINDS["grey"], categorical=True), {"height": 8, "width": 8}),
                pictures=squares.levels("grey", 4),
            ),
            QuantisationError,
            "not for categories",
        ),
        (
            dict(checkpoint=checkpoint_of(replace(squares.KINDS["colour"], bits=5), {"height": 8, "width": 8})),
            QuantisationError,
            "not for 5 bits",
        ),
    ],
)
def test_what_cannot_be_exported_leaves_no_file(tmp_path, change, error, match):
    given = {"checkpoint": squares.checkpoint("colour"), "pictures": squares.levels("colour", 4)} | change
    with pytest.raises(error, match=match):
        export_bundle(path=tmp_path / "a.lmconv", name="a", **given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(orders=squares.ORDERS + ("s_curve:7",)), "table rank.3 is missing"),
        (dict(orders=()), "the number of orders is 0"),
        (dict(height=8.0), "height is 8.0, not an integer"),
        (dict(height=9), r"table rank.0 is int32 \[8, 8\], not int32 \[9, 8\]"),
        (dict(width=7), "table rank.0 is int32"),
        (dict(height=0), "height is 0"),
        (dict(width=True), "width is True"),
        (dict(channels=1), "do not fit together"),
        (dict(channels=2), "channels is 2, not one of 1, 3"),
        (dict(binary=True), "3 channels are binary"),
        (dict(binary=None), "binary is None"),
        (dict(components=3), "do not fit together"),
        (dict(components=-1), "components is -1"),
        (dict(kernel=5), "do not fit together"),
        (dict(kernel=4), "kernel is 4, not one of 3, 5"),
        (dict(kernel=3.0), "kernel is 3.0"),
        (dict(dilation=0), "dilation is 0, not an integer within 1 to 16"),
        (dict(dilation="2"), "dilation is '2'"),
        (dict(resnets=0), "resnets is 0"),
        (dict(norm="batch"), "norm is 'batch'"),
        (dict(mask_weight=2), "mask_weight is 2, not one of False, True"),
    ],
    ids=str,
)
def test_layouts_that_do_not_fit_the_tables_are_refused(square_bundles, tmp_path, change, words):
    path = bundles.forge(tmp_path / "x.lmconv", square_bundles["colour"], {}, **change)
    with pytest.raises(runtime.BundleError, match=words):
        runtime.load(path)


def test_ranks_out_of_range_are_refused(square_bundles, tmp_path):
    tables = bundles.tensors(bundles.members(square_bundles["colour"])[bundles.TABLES])
    tables["rank.1"][3, 4] = -7
    path = bundles.forge(tmp_path / "x.lmconv", square_bundles["colour"], {bundles.TABLES: bundles.packed(tables)})
    with pytest.raises(runtime.BundleError, match="table rank.1 holds -7, which is not within 0 to 1073741824"):
        runtime.load(path)


@pytest.mark.parametrize(
    "name",
    ["rank.1", "probe.inputs", "probe.taps", "probe.dilated_taps", "probe.slots", "probe.cache_0", "probe.parameters"],
)
def test_tables_that_are_missing_or_altered_are_refused(square_bundles, tmp_path, name):
    for change in ("missing", "short"):
        tables = bundles.tensors(bundles.members(square_bundles["colour"])[bundles.TABLES])
        if change == "missing":
            del tables[name]
        else:
            tables[name] = tables[name][:, :-1]
        path = bundles.forge(tmp_path / "x.lmconv", square_bundles["colour"], {bundles.TABLES: bundles.packed(tables)})
        with pytest.raises(runtime.BundleError):
            runtime.load(path)


def test_another_model_in_the_graph_fails_its_probe(square_bundles, tmp_path):
    """A bundle whose graphs are of other weights: consistent in itself, but its integers are others."""
    other = tmp_path / "other.lmconv"
    checkpoint = checkpoint_of(squares.KINDS["colour"], squares.checkpoint("colour").training, seed=1)
    export_bundle(checkpoint, other, "colour", squares.levels("colour", 8), orders=squares.ORDERS)
    graphs = {name: data for name, data in bundles.members(other).items() if name.endswith(".onnx")}
    with pytest.raises(runtime.ProviderError, match="does not reproduce the model's integers"):
        runtime.load(bundles.forge(tmp_path / "x.lmconv", square_bundles["colour"], graphs))
