"""The photo network as a step graph in ONNX.

Inputs: inputs uint8 [n, F], slots int64 [n, 1] (where the positions' own features go), taps int64 [n, T] (slots that
the blocks read), cache_i uint8 [S, C] (block i's input features by slot). Outputs: parameters int32 [n, 10 K] and the
new caches. A full pass over a known picture is the same graph with all positions in one step.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.exact.graph import Graph
from export.exact.integers import PART_BITS, IntegerLayer
from export.photo.quantise import IntegerPhoto


def step_graph(network: IntegerPhoto, products: str) -> onnx.ModelProto:
    """Builds and checks the graph. Raises onnx.checker.ValidationError if it is not valid ONNX."""
    g = Graph(products)
    channels, taps = network.head.weight.shape[0], len(network.offsets)
    g.constant("zero", np.array(0, np.uint8))
    if products == "integer":
        g.constant("radix", np.array(1 << PART_BITS, np.int32))
    g.constant("patch", np.array([-1, taps * channels], np.int64))
    h = g.value("inputs", network.first)
    caches = []
    for i, (wide, narrow) in enumerate(zip(network.wide, network.narrow)):
        x = g.activation(h, f"blocks.{i}.features", network.exponents[i])
        caches.append(g.node("ScatterND", [f"cache_{i}", "slots", x], f"new_cache_{i}"))
        x = g.node(
            "Reshape", [g.node("Gather", [caches[-1], "taps"], f"blocks.{i}.taps"), "patch"], f"blocks.{i}.patches"
        )
        x = g.activation(g.value(x, wide), f"blocks.{i}.hidden")
        h = g.node("Add", [h, g.value(x, narrow)], f"blocks.{i}.stream")
    x = g.activation(h, "head.features", network.exponents[-1])
    x = g.activation(g.value(x, network.head), "out.features")
    parameters = _parameters(g, g.sums(x, network.out), network.out)
    info = helper.make_tensor_value_info
    inputs = [
        info("inputs", TensorProto.UINT8, ["n", network.first.weight.shape[0]]),
        info("slots", TensorProto.INT64, ["n", 1]),
        info("taps", TensorProto.INT64, ["n", taps]),
    ]
    inputs += [info(f"cache_{i}", TensorProto.UINT8, ["slots", channels]) for i in range(len(caches))]
    outputs = [info(parameters, TensorProto.INT32, ["n", network.out.weight.shape[1]])]
    outputs += [info(name, TensorProto.UINT8, ["slots", channels]) for name in caches]
    return g.model(inputs, outputs)


def _parameters(g: Graph, total: str, layer: IntegerLayer) -> str:
    """floor((sum + bias) * 2^-shift) as int32."""
    if g.products == "integer":
        total = g.node("Cast", [total], "out.sum_float", to=TensorProto.FLOAT)
    total = g.node("Add", [total, g.constant("out.bias", layer.bias.astype(np.float32))], "out.whole")
    scale = g.constant("out.scale", (2.0**-layer.shift).astype(np.float32))
    floor = g.node("Floor", [g.node("Mul", [total, scale], "out.scaled")], "out.floor")
    return g.node("Cast", [floor], "parameters", to=TensorProto.INT32)
