"""Step graphs in ONNX, written node by node: weights and masks are constants, nothing of this machine is in it.

`integer` products are uint8 x int8 -> int32 (MatMulInteger), one for each part of wide weights; `float32` ones multiply
the same integers in float32, wide weights whole.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.exact.integers import IntegerLayer

OPSET = 21
IR_VERSION = 10


class Graph:
    """Nodes and constants in the making; every method returns the name of its result."""

    def __init__(self, products: str) -> None:
        self.products = products
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, array: np.ndarray) -> str:
        """Adds a constant of that name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node of one output."""
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
        """clip(round half even(x * 2^-exponent), 0, 255) as uint8."""
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
