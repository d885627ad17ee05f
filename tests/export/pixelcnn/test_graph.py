"""The paper's network as a step graph: the same integers as PyTorch's, in any order, however it is run."""

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.exact.graph import FUSED
from export.pixelcnn.graph import step_graph_pixelcnn
from export.pixelcnn.pytorch import IntegerPixelCnnNet
from lmconv import orders
from runtime.network import PRODUCTS
from tests.export.photo.test_graph import TYPES, texts
from tests.export.pixelcnn import steps as pixelcnn_steps
from tests.export.pixelcnn.networks import NETWORKS, hostile, images, quantised, rank

ORDERS = ("raster", "s_curve:5", "gilbert:3", "wavefront:2", "random=1")
EXACT = {
    "Add",
    "Cast",
    "Clip",
    "Concat",
    "Floor",
    "Gather",
    "Max",
    "Min",
    "Mul",
    "Neg",
    "QuantizeLinear",
    "Reshape",
    "Round",
    "ScatterND",
    "Split",
    "Sub",
}
OF_NORMS = {"pono": {"ReduceSum", "Div", "Sqrt"}, "order_rescale": {"ReduceSum", "Div"}}
PRODUCT = {"integer": FUSED, "float32": "MatMul"}
KNOWN = {}


def expected(network, where, levels):
    """PyTorch's integers, after a look that float32 and float64 agree; computed once for all that asks."""
    key = id(network), where.tobytes(), where.shape, levels.tobytes()
    if key not in KNOWN:
        KNOWN[key] = computed(network, where, levels)
    return KNOWN[key]


def computed(network, where, levels):
    found = [
        IntegerPixelCnnNet(network, where, dtype)(torch.from_numpy(levels)) for dtype in (torch.float32, torch.float64)
    ]
    assert found[0].dtype == torch.int32 and torch.equal(*found)
    return found[0].numpy()


@cache
def made(name: str, kind: str) -> onnx.ModelProto:
    return step_graph_pixelcnn(quantised(name)[1], kind)


@pytest.fixture(scope="module", params=[(name, kind) for name in NETWORKS for kind in PRODUCTS], ids="-".join)
def graph(request):
    return request.param[0], made(*request.param)


@pytest.fixture(scope="module")
def session(graph):
    return pixelcnn_steps.session(graph[1])


@pytest.fixture(params=PRODUCTS)
def graphs(request):
    """(name, graph) of every network, with one kind of product."""
    return [(name, made(name, request.param)) for name in NETWORKS]


def test_every_way_gives_equal_integers(graph, session):
    _, network = quantised(graph[0])
    levels = images(network.config)
    for order in ORDERS:
        right = expected(network, rank(order), levels)
        for at_once in (True, False):
            found = pixelcnn_steps.parameters(session, network, rank(order), levels, at_once)
            np.testing.assert_array_equal(found, right, f"{order}, {at_once}")
    assert (np.unique(right[0], axis=1).size > 20) and (right.std((0, 2, 3)) > 0).any()  # there was much to compare


def test_hostile_images(graph, session):
    _, network = quantised(graph[0])
    levels, where = hostile(network.config), rank("s_curve:7")
    right = expected(network, where, levels)
    np.testing.assert_array_equal(pixelcnn_steps.parameters(session, network, where, levels), right)


def test_tiles_in_lockstep_equal_each_alone(graph, session):
    _, network = quantised(graph[0])
    levels, where = images(network.config, seed=2), rank("s_curve:2")
    together = pixelcnn_steps.parameters(session, network, where, levels)
    np.testing.assert_array_equal(together, expected(network, where, levels))
    alone = [pixelcnn_steps.parameters(session, network, where, image[None])[0] for image in levels]
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("name", ["colour", "binary, order rescale, mask weights", "grey, weight norm"])
@pytest.mark.parametrize("kind", PRODUCTS)
def test_optimisation_and_threads_change_nothing(kind, name):
    _, network = quantised(name)
    graph, levels, where = made(name, kind), images(network.config), rank("s_curve:4")
    right = expected(network, where, levels)
    for name, optimisation in onnxruntime.GraphOptimizationLevel.__members__.items():
        session = pixelcnn_steps.session(graph, optimisation, threads=2 if name == "ORT_ENABLE_ALL" else 1)
        for at_once in (True, False):
            found = pixelcnn_steps.parameters(session, network, where, levels, at_once)
            np.testing.assert_array_equal(found, right, f"{name}, {at_once}")
    session = pixelcnn_steps.session(graph, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL, threads=2)
    np.testing.assert_array_equal(pixelcnn_steps.parameters(session, network, where, levels, True), right)


@pytest.mark.parametrize(
    ("order", "size"),
    [("hilbert:6", (8, 8)), ("s_curve", (1, 7)), ("s_curve:4", (7, 1)), ("gilbert", (9, 4)), ("raster", (1, 1))],
)
def test_other_orders_and_sizes_than_it_was_made_for(order, size):
    """The same graph: an order is nothing but slots and taps."""
    _, network = quantised("colour")
    where = orders.make(order, *size)
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, *size)).astype(np.uint8)
    session = pixelcnn_steps.session(made("colour", "integer"))
    found = pixelcnn_steps.parameters(session, network, where, levels)
    np.testing.assert_array_equal(found, expected(network, where, levels))


def test_the_checker_passes_it_and_there_is_nothing_useless(graphs):
    for name, model in graphs:
        onnx.checker.check_model(onnx.load_from_string(model.SerializeToString(deterministic=True)), full_check=True)
        read = {name for node in model.graph.node for name in node.input} | {out.name for out in model.graph.output}
        given = [name for node in model.graph.node for name in node.output]
        given += [tensor.name for tensor in model.graph.initializer]
        assert set(given) <= read and len(set(given)) == len(given), name


def test_only_exact_operators(graphs):
    for name, model in graphs:
        config, kind = NETWORKS[name], model.graph.name.removeprefix("step_")
        wanted = EXACT | {PRODUCT[kind]} | OF_NORMS.get(config.norm, set())
        wanted |= {"Where"} if config.mask_weight else set()
        assert {node.op_type for node in model.graph.node} == wanted, name
        assert {node.op_type for node in model.graph.node if node.domain} <= {FUSED} and not model.functions, name


def test_no_type_is_inexact(graphs):
    for name, model in graphs:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
        values = [*inferred.input, *inferred.output, *inferred.value_info]
        used = {value.type.tensor_type.elem_type for value in values}
        used |= {tensor.data_type for tensor in model.graph.initializer}
        assert used <= TYPES | {onnx.TensorProto.DOUBLE, onnx.TensorProto.BOOL}, name
        assert len(values) >= len(model.graph.node), name


def test_sums_run_over_whole_numbers_in_float64_alone(graphs):
    """ReduceSum reads squares and values before any division."""
    for name, model in graphs:
        makers = {name: node for node in model.graph.node for name in node.output}
        read = {makers[node.input[0]].op_type for node in model.graph.node if node.op_type == "ReduceSum"}
        assert read <= {"Cast", "Mul"}, name


def test_inputs_and_outputs(graphs):
    u8, i32, i64 = onnx.TensorProto.UINT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64

    def described(values):
        return [
            (
                value.name,
                value.type.tensor_type.elem_type,
                [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
            )
            for value in values
        ]

    for name, model in graphs:
        config, taps = NETWORKS[name], NETWORKS[name].kernel ** 2
        widths = [len(row) for row in quantised(name)[1].padding()]
        assert described(model.graph.input) == [
            ("inputs", u8, ["n", (taps - 1) * (config.channels + 1)]),
            ("slots", i64, ["n", 1]),
            ("taps", i64, ["n", taps]),
            ("dilated_taps", i64, ["n", taps]),
            *((f"cache_{i}", u8, ["slots", w]) for i, w in enumerate(widths)),
        ], name
        assert described(model.graph.output) == [
            ("parameters", i32, ["n", 1 if config.binary else 10 * config.components]),
            *((f"new_cache_{i}", u8, ["slots", w]) for i, w in enumerate(widths)),
        ], name
        blocks = 6 * config.resnets + 2
        assert sorted(widths) == [config.filters] * 4 + [2 * config.filters] * 2 * blocks, name


def test_weights_are_constants_within_their_limits(graphs):
    for name, model in graphs:
        constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        for layer in quantised(name)[1].layers():
            weight = constants[f"{layer.name}.weight"]
            if model.graph.name == "step_integer":
                assert weight.dtype == np.int8 and np.abs(weight.astype(int)).max() <= 63, name
                lower = constants.get(f"{layer.name}.1.weight")
                weight = weight if lower is None else weight.astype(int) * 64 + lower
            np.testing.assert_array_equal(weight, layer.weight, name)
            assert (np.frexp(constants[f"{layer.name}.scale"])[0] == 0.5).all(), name


def test_nothing_of_the_machine_is_inside(graphs):
    for _, model in graphs:
        words = " ".join(texts(model))
        assert len(words) > 1000
        assert not any(secret in words for secret in ("/", "\\", ".py", "site-packages", "Traceback"))
        assert model.producer_name == "lmconv" and not model.producer_version
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_the_same_bytes_again(graphs):
    for name, model in graphs:
        again = step_graph_pixelcnn(quantised(name)[1], model.graph.name.removeprefix("step_"))
        assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True), name
