"""The step graph in ONNX, written node by node: weights and masks are constants, nothing of this machine is in it.

Inputs: inputs uint8 [n, F], slots int64 [n, 1] (where the positions' own features go), taps int64 [n, T] (slots that
the blocks read), cache_i uint8 [S, C] (block i's input features by slot). Outputs: parameters int32 [n, 10 K] and the
new caches. A full pass over a known picture is the same graph with all positions in one step.
`integer` products are uint8 x int8 -> int32 (MatMulInteger), one for each part of wide weights; `float32` ones multiply
the same integers in float32, wide weights whole.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.integers import PART_BITS, IntegerLayer
from export.quantise import IntegerPhoto

OPSET = 21
IR_VERSION = 10


class Graph:
    """Nodes and constants in the making; every method returns the name of its result."""

    def __init__(self, products: str):
        self.products, self.nodes, self.constants = products, [], []

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def sums(self, x: str, layer: IntegerLayer) -> str:
        """Exact integer products, as float32 or int32 by the kind of product."""
        if self.products == "integer":
            return self.integer_sums(x, layer)
        weight = self.constant(f"{layer.name}.weight", layer.weight)
        x = self.node("Cast", [x], f"{layer.name}.input", to=TensorProto.FLOAT)
        weight = self.node("Cast", [weight], f"{layer.name}.weight_float", to=TensorProto.FLOAT)
        return self.node("MatMul", [x, weight], f"{layer.name}.sum")

    def integer_sums(self, x: str, layer: IntegerLayer) -> str:
        """The parts' sums by Horner's rule. int32 holds them: lower parts add less than 2^13 an input to the whole."""
        total = ""
        for i, part in enumerate(layer.parts()):
            name = f"{layer.name}.{i}" if i else layer.name
            product = self.node("MatMulInteger", [x, self.constant(f"{name}.weight", part)], f"{name}.sum")
            if i:
                total = self.node("Mul", [total, "radix"], f"{name}.raised")
            total = self.node("Add", [total, product], f"{name}.total") if i else product
        return total

    def value(self, x: str, layer: IntegerLayer) -> str:
        """(sum + bias) * 2^-shift in float32, exact."""
        total = self.sums(x, layer)
        if self.products == "integer":
            total = self.node("Cast", [total], f"{layer.name}.sum_float", to=TensorProto.FLOAT)
        scale = self.constant(f"{layer.name}.scale", (2.0**-layer.shift).astype(np.float32))
        bias = self.constant(f"{layer.name}.bias", (layer.bias * 2.0**-layer.shift).astype(np.float32))
        return self.node("Add", [self.node("Mul", [total, scale], f"{layer.name}.scaled"), bias], f"{layer.name}.value")

    def activation(self, x: str, name: str, exponent: int = 0) -> str:
        scale = self.constant(f"{name}.step", np.array(2.0**exponent, np.float32))
        return self.node("QuantizeLinear", [x, scale, "zero"], name)

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The whole, checked. Raises onnx.checker.ValidationError if it is not valid ONNX."""
        graph = helper.make_graph(self.nodes, f"step_{self.products}", inputs, outputs, self.constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="lmconv"
        )
        onnx.checker.check_model(model, full_check=True)
        return model


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
