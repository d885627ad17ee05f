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
import pytest
from google.protobuf.descriptor import FieldDescriptor

from export.graph import PRODUCTS, step_graph

EXACT = {"Add", "Cast", "Floor", "Gather", "Mul", "QuantizeLinear", "Reshape", "ScatterND"}
PRODUCT = {"integer": "MatMulInteger", "float32": "MatMul"}
TYPES = {onnx.TensorProto.UINT8, onnx.TensorProto.INT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64,
         onnx.TensorProto.FLOAT}
ROOT = Path(__file__).resolve().parents[2]


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
    except (OSError, KeyError):                             # a container's user may have no name
        return ""


def test_the_checker_passes_it(graph):
    onnx.checker.check_model(graph, full_check=True)
    onnx.checker.check_model(onnx.load_from_string(graph.SerializeToString(deterministic=True)), full_check=True)


def test_only_exact_operators(graph):
    kind = graph.graph.name.removeprefix("step_")
    found = {node.op_type for node in graph.graph.node}
    assert found == EXACT | {PRODUCT[kind]}
    assert {node.domain for node in graph.graph.node} == {""}
    assert not any(attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS)
                   for node in graph.graph.node for attribute in node.attribute)      # nothing hides in a subgraph
    assert not graph.functions and [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 21)]


def test_no_type_is_inexact(graph):
    """No float16 or bfloat16 anywhere, neither as a constant nor by a cast."""
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph
    values = [*inferred.input, *inferred.output, *inferred.value_info]
    used = {value.type.tensor_type.elem_type for value in values}
    used |= {tensor.data_type for tensor in graph.graph.initializer}
    used |= {attribute.i for node in graph.graph.node if node.op_type == "Cast" for attribute in node.attribute}
    assert used <= TYPES
    assert len(values) >= len(graph.graph.node)             # types of all were inferred


def test_weights_are_constants_and_scales_powers_of_two(graph, tiny_integers):
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for layer in tiny_integers.layers():
        np.testing.assert_array_equal(constants[f"{layer.name}.weight"], layer.weight)
    for name, array in constants.items():
        if name.endswith((".scale", ".step")):
            assert (np.frexp(array)[0] == 0.5).all(), name
    assert not any(tensor.external_data or tensor.data_location for tensor in graph.graph.initializer)


def test_inputs_and_outputs(graph):
    def described(values):
        return {value.name: (value.type.tensor_type.elem_type,
                             [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim])
                for value in values}
    u8, i32, i64 = onnx.TensorProto.UINT8, onnx.TensorProto.INT32, onnx.TensorProto.INT64
    features = 23 * 7 + 7                                   # the 23 of 7 x 7 taps that come earlier in the wavefront
    assert described(graph.graph.input) == {"inputs": (u8, ["n", features]), "slots": (i64, ["n", 1]),
                                            "taps": (i64, ["n", 5]), "cache_0": (u8, ["slots", 8]),
                                            "cache_1": (u8, ["slots", 8])}
    assert described(graph.graph.output) == {"parameters": (i32, ["n", 30]), "new_cache_0": (u8, ["slots", 8]),
                                             "new_cache_1": (u8, ["slots", 8])}


def test_nothing_of_the_machine_is_inside(graph):
    words = list(texts(graph))
    assert len(words) > 100                                 # it is the names that were looked through
    private = [os.getcwd(), str(ROOT), str(Path.home()), user(), socket.gethostname()]
    private += ["site-packages", ".py", "python", "torch", "Traceback", "/", "\\"]
    for word in words:
        for secret in filter(None, private):                # as words: "root" may be part of one
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
from export.graph import PRODUCTS, step_graph
from export.quantise import quantise
from lmconv.config import PhotoConfig
from lmconv.photo import PhotoNet
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
        done = subprocess.run([sys.executable, "-c", EXPORT], cwd=folder, env=environment, capture_output=True,
                              text=True, check=True, timeout=120)
        return done.stdout.split()

    first, second = run("1", tmp_path), run("2", ROOT)
    assert first == second and len(set(first)) == len(PRODUCTS)
