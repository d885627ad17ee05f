"""The ONNX step graphs: valid, reproducible, made of exact operators alone, and silent about where they were made."""

import getpass
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.descriptor import FieldDescriptor

from export.exact.graph import FUSED, ONNXRUNTIME, Graph
from export.exact.integers import BOUND, WIDE_LIMIT, IntegerLayer
from export.photo.graph import step_graph
from runtime.network import PRODUCTS

EXACT = {"Add", "Cast", "Floor", "Gather", "QuantizeLinear", "Reshape", "ScatterND"}
TYPES = {
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT8,
    onnx.TensorProto.INT16,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
    onnx.TensorProto.FLOAT,
}
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", params=PRODUCTS)
def graph(request, tiny_integers):
    return step_graph(tiny_integers, request.param)


def texts(message):
    """Every string and every bytes field of a message and of those in it, but for the raw numbers of tensors."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                yield from texts(item)
            elif field.type == FieldDescriptor.TYPE_STRING:
                yield item
            elif field.type == FieldDescriptor.TYPE_BYTES and field.name != "raw_data":
                yield item.decode("latin-1")


def user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""


def test_the_checker_passes_it(graph):
    onnx.checker.check_model(graph, full_check=True)
    onnx.checker.check_model(onnx.load_from_string(graph.SerializeToString(deterministic=True)), full_check=True)


def test_only_exact_operators(graph):
    kind = graph.graph.name.removeprefix("step_")
    found = {node.op_type for node in graph.graph.node}
    assert found == EXACT | ({FUSED} if kind == "integer" else {"MatMul", "Mul"})
    fused = kind == "integer"  # products alone are onnxruntime's own; the other graph is standard ONNX
    assert {node.op_type for node in graph.graph.node if node.domain} == ({FUSED} if fused else set())
    assert not any(
        attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
        for node in graph.graph.node
        for attribute in node.attribute
    )  # nothing hides in a subgraph
    opsets = [(opset.domain, opset.version) for opset in graph.opset_import]
    assert not graph.functions and opsets == [("", 21)] + [(ONNXRUNTIME, 1)] * fused


def test_no_type_is_inexact(graph):
    """No float16 or bfloat16 anywhere, neither as a constant nor by a cast."""
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    used = {value.type.tensor_type.elem_type for value in values}
    used |= {tensor.data_type for tensor in graph.graph.initializer}
    used |= {attribute.i for node in graph.graph.node if node.op_type == "Cast" for attribute in node.attribute}
    assert used <= TYPES
    assert len(values) >= len(graph.graph.node)  # types of all were inferred


def test_weights_are_constants_and_scales_powers_of_two(graph, tiny_integers):
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for layer in tiny_integers.layers():
        weight = constants[f"{layer.name}.weight"]
        if graph.graph.name == "step_integer":
            lower = constants.get(f"{layer.name}.1.weight")
            parts = [weight] if lower is None else [weight, lower]
            assert {part.dtype for part in parts} == {np.dtype(np.int8)} and np.abs(parts).max() <= 63
            assert (lower is not None) == (layer.name in ("first", "out"))
            weight = weight if lower is None else weight.astype(int) * 64 + lower
        np.testing.assert_array_equal(weight, layer.weight)
    for name, array in constants.items():
        if name.endswith((".scale", ".step")):
            assert (np.frexp(array)[0] == 0.5).all(), name
    assert not any(tensor.external_data or tensor.data_location for tensor in graph.graph.initializer)


def run(layer: IntegerLayer, products: str, inputs: np.ndarray, optimise: bool) -> np.ndarray:
    """One layer's values by onnxruntime, float32 [n, outputs]."""
    g = Graph(products)
    value = g.value("inputs", layer)
    info = onnx.helper.make_tensor_value_info
    model = g.model(
        [info("inputs", onnx.TensorProto.UINT8, ["n", len(layer.weight)])],
        [info(value, onnx.TensorProto.FLOAT, ["n", layer.weight.shape[1]])],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"inputs": inputs})[0]


@pytest.mark.parametrize("optimise", [True, False])
@pytest.mark.parametrize("products", PRODUCTS)
@pytest.mark.parametrize(
    ("inputs", "limit"), [(1, WIDE_LIMIT), (16, WIDE_LIMIT), (168, 390), (168, 63), (2, 32767), (2100, 31), (1037, 63)]
)
def test_a_layer_is_exact_up_to_its_bound(products, optimise, inputs, limit):
    """Weights and inputs at their ends, sums next to 2^24, one to three parts."""
    rng = np.random.default_rng(inputs)
    weight = rng.integers(-limit, limit + 1, (inputs, 12)).astype(np.int8 if limit <= 63 else np.int16)
    weight[:, :4] = limit * np.array([1, -1, 1, -1])
    weight[::2, 2:4] *= -1
    weight[:, 4:6] = weight[:, 4:6].clip(-32, 31)  # the lower part's ends alone
    shift = rng.integers(-3, 20, 12)
    layer = IntegerLayer("small", weight, np.zeros(12, np.int64), shift)
    assert len(layer.parts()) == 1 + (limit > 63) + (limit > WIDE_LIMIT)
    room = BOUND - 1 - layer.bound()
    assert room.min() >= 0
    layer = IntegerLayer("small", weight, room * np.resize([1, -1], 12), shift)
    assert (layer.bound() == BOUND - 1).all()
    x = rng.integers(0, 256, (30, inputs)).astype(np.uint8)
    x[0], x[1] = 0, 255
    x[2:14], x[14:26] = 255 * (weight > 0).T, 255 * (weight < 0).T
    exact = x.astype(np.int64) @ weight.astype(np.int64) + layer.bias
    assert np.abs(exact).max() == BOUND - 1  # some sum gets there
    np.testing.assert_array_equal(run(layer, products, x, optimise), exact * 2.0**-shift)


def test_inputs_and_outputs(graph):
    def described(values):
        return {
            value.name: (
                value.type.tensor_type.elem_type,
                [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
            )
            for value in values
        }

    u8, i32, i64 = onnx.TensorProto.UINT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64
    features = 23 * 7 + 7  # the 23 of 7 x 7 taps that come earlier in the wavefront
    assert described(graph.graph.input) == {
        "inputs": (u8, ["n", features]),
        "slots": (i64, ["n", 1]),
        "taps": (i64, ["n", 5]),
        "cache_0": (u8, ["slots", 8]),
        "cache_1": (u8, ["slots", 8]),
    }
    assert described(graph.graph.output) == {
        "parameters": (i32, ["n", 30]),
        "new_cache_0": (u8, ["slots", 8]),
        "new_cache_1": (u8, ["slots", 8]),
    }


def test_nothing_of_the_machine_is_inside(graph):
    words = list(texts(graph))
    assert len(words) > 100  # it is the names that were looked through
    private = [os.getcwd(), str(ROOT), str(Path.home()), user(), socket.gethostname()]
    private += ["site-packages", ".py", "python", "torch", "Traceback", "/", "\\"]
    for word in words:
        for secret in filter(None, private):  # as words: "root" may be part of one
            assert not re.search(rf"(?<![A-Za-z]){re.escape(secret)}(?![A-Za-z])", word), (word, secret)
    data = graph.SerializeToString(deterministic=True)
    assert not any(secret.encode() in data for secret in private if len(secret) > 5)
    assert graph.producer_name == "lmconv" and not graph.producer_version
    assert not graph.doc_string and not graph.graph.doc_string and not graph.metadata_props
    for node in graph.graph.node:
        assert not node.doc_string and not node.metadata_props
    for value in [*graph.graph.input, *graph.graph.output, *graph.graph.value_info, *graph.graph.initializer]:
        assert not value.doc_string and not value.metadata_props


def test_the_search_would_find_a_path():
    node = onnx.helper.make_node("Add", ["a", "b"], ["c"], doc_string="made in /home/somebody/net.py")
    assert any("/home/somebody/net.py" in word for word in texts(onnx.helper.make_graph([node], "g", [], [])))


def test_the_same_bytes_again(graph, tiny_integers):
    kind = graph.graph.name.removeprefix("step_")
    again = step_graph(tiny_integers, kind).SerializeToString(deterministic=True)
    assert again == graph.SerializeToString(deterministic=True)


EXPORT = """
import hashlib, sys
import numpy as np, torch
from export.photo.graph import step_graph
from runtime.network import PRODUCTS
from export.photo.quantise import quantise
from lmconv.config import PhotoConfig
from lmconv.networks.photo import PhotoNet
torch.set_num_threads(1)
torch.manual_seed(0)
pixels = torch.arange(3 * 6 * 7).view(1, 3, 6, 7).to(torch.uint8)
network = quantise(PhotoNet(PhotoConfig(4, 1, 1)).eval(), pixels, pixels.to(torch.int16) * 64)
for kind in PRODUCTS:
    print(hashlib.sha256(step_graph(network, kind).SerializeToString(deterministic=True)).hexdigest())
"""


def test_the_same_bytes_from_another_process_in_another_folder(tmp_path):
    def run(seed, folder):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", EXPORT],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout.split()

    first, second = run("1", tmp_path), run("2", ROOT)
    assert first == second and len(set(first)) == len(PRODUCTS)
