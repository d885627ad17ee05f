"""Step graphs in ONNX, written node by node: weights and masks are constants, nothing of this machine is in it.

`integer` products are uint8 x int8 -> int32, one for each part of wide weights, scaled to float32 by the same node:
onnxruntime's MatMulIntegerToFloat, in place of three or four standard ones (steps take a quarter less). `float32` ones
multiply the same integers in float32, wide weights whole, by standard operators alone.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.exact.integers import PART_BITS, IntegerLayer

OPSET = 21
IR_VERSION = 10
FUSED, ONNXRUNTIME = "MatMulIntegerToFloat", "com.microsoft"  # operator and domain


class Graph:
    """Nodes and constants in the making; every method returns the name of its result."""

    def __init__(self, products: str) -> None:
        self.products = products
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.fused: list[onnx.ValueInfoProto] = []  # results whose types the ONNX standard does not tell

    def constant(self, name: str, array: np.ndarray) -> str:
        """Adds a constant of that name."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node of one output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def value(self, x: str, layer: IntegerLayer) -> str:
        """(sum + bias) * 2^-shift in float32, exact."""
        scale, bias = 2.0**-layer.shift, layer.bias * 2.0**-layer.shift
        product = self._integer_products if self.products == "integer" else self._float_products
        return product(x, layer, scale, bias)

    def _float_products(self, x: str, layer: IntegerLayer, scale: np.ndarray, bias: np.ndarray) -> str:
        name = layer.name
        x = self.node("Cast", [x], f"{name}.input", to=TensorProto.FLOAT)
        weight = self.node(
            "Cast", [self.constant(f"{name}.weight", layer.weight)], f"{name}.float", to=TensorProto.FLOAT
        )
        total = self.node("MatMul", [x, weight], f"{name}.sum")
        total = self.node("Mul", [total, self.constant(f"{name}.scale", scale.astype(np.float32))], f"{name}.scaled")
        return self.node("Add", [total, self.constant(f"{name}.bias", bias.astype(np.float32))], f"{name}.value")

    def _integer_products(self, x: str, layer: IntegerLayer, scale: np.ndarray, bias: np.ndarray) -> str:
        """One product for each part of the weights. Added up from the highest on they stay exact: what is added last
        is a whole number of steps below 2^24, what was before it a multiple of 2^6 steps below 2^25."""
        parts, name, whole = layer.parts(), f"{layer.name}.value", bias.astype(np.float32)
        if len(parts) == 1:
            return self._product(x, layer.name, parts[0], scale, name, self.constant(f"{layer.name}.bias", whole))
        total = ""
        for i, part in enumerate(parts):
            raised = scale * 2.0 ** (PART_BITS * (len(parts) - 1 - i))
            part_name = f"{layer.name}.{i}" if i else layer.name
            product = self._product(x, part_name, part, raised, f"{part_name}.product")
            total = self.node("Add", [total, product], f"{part_name}.total") if i else product
        return self.node("Add", [total, self.constant(f"{layer.name}.bias", whole)], name)

    def _product(self, x: str, name: str, weight: np.ndarray, scale: np.ndarray, output: str, bias: str = "") -> str:
        """x @ weight * scale + bias, in one node."""
        if not self.fused:
            self.constant("whole", np.array(1, np.float32))
        self.fused.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", weight.shape[1]]))
        weights = self.constant(f"{name}.weight", weight), self.constant(f"{name}.scale", scale.astype(np.float32))
        inputs = [x, weights[0], "whole", weights[1], *(["", "", bias] if bias else [])]
        return self.node(FUSED, inputs, output, domain=ONNXRUNTIME)

    def activation(self, x: str, name: str, exponent: int = 0) -> str:
        """clip(round half even(x * 2^-exponent), 0, 255) as uint8."""
        scale = self.constant(f"{name}.step", np.array(2.0**exponent, np.float32))
        return self.node("QuantizeLinear", [x, scale, "zero"], name)

    def model(self, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """The whole, checked. Raises onnx.checker.ValidationError if it is not valid ONNX."""
        graph = helper.make_graph(
            self.nodes, f"step_{self.products}", inputs, outputs, self.constants, value_info=self.fused
        )
        opsets = [helper.make_opsetid("", OPSET)] + [helper.make_opsetid(ONNXRUNTIME, 1)] * bool(self.fused)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lmconv")
        onnx.checker.check_model(model, full_check=True)
        return model
