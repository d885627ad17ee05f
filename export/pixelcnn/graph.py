"""The paper's network as a step graph in ONNX: one graph for every order, which enters by slots and taps alone.

Inputs: inputs uint8 [n, T1 (C + 1)], the first layer's patches of codes (pixelcnn.py) at the kernel's taps but the
centre, row-major, planes innermost; slots int64 [n, 1], where the positions' own features go; taps and dilated_taps
int64 [n, k k], the slots that layers read at all the kernel's taps, row-major: 0 where one is closed, the own slot at
the centre; cache_i uint8 [S, C_i], the inputs of masked layer i by slot, with IntegerPixelCnn.padding in slot 0.
Outputs: parameters int32 [n, P] and the new caches. A full pass over known images is the same graph with all
positions in one step. Values are whole numbers in float32; norms compute in float64.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.exact.graph import Graph
from export.pixelcnn.network import REST_UNIT, REST_ZERO, SIGMOID_RANGE, SIGMOID_UNIT, IntegerPixelCnn, Product, Which
from runtime.pixelcnn import INSIDE


def step_graph_pixelcnn(network: IntegerPixelCnn, products: str) -> onnx.ModelProto:
    """Builds and checks the graph, products as in graph.py. Raises onnx.checker.ValidationError if it is not valid."""
    g = _Steps(network, products)
    parameters = network.run(g)
    info, taps = helper.make_tensor_value_info, network.config.kernel**2
    inputs = [
        info("inputs", TensorProto.UINT8, ["n", len(network.first.layer.weight)]),
        info("slots", TensorProto.INT64, ["n", 1]),
        info("taps", TensorProto.INT64, ["n", taps]),
        info("dilated_taps", TensorProto.INT64, ["n", taps]),
    ]
    outputs = [info(parameters, TensorProto.INT32, ["n", network.outputs])]
    for i, row in enumerate(network.padding()):
        inputs.append(info(f"cache_{i}", TensorProto.UINT8, ["slots", len(row)]))
        outputs.append(info(f"new_cache_{i}", TensorProto.UINT8, ["slots", len(row)]))
    return g.model(inputs, outputs)


class _Steps(Graph):
    """The machine of IntegerPixelCnn.run that writes nodes; values are their names."""

    def __init__(self, network: IntegerPixelCnn, products: str) -> None:
        super().__init__(products)
        self.network, self.caches = network, 0
        self.made: set[str] = set()
        self.constant("zero", np.array(0, np.uint8))
        self.constant("elu", network.elu.astype(np.float32))
        self.constant("sigmoid", (network.sigmoid * 2.0**-network.sigmoid_bits).astype(np.float32))

    def first(self, product: Product) -> str:
        return self._rounded("inputs", product)

    def convolve(self, x: str, product: Product, which: Which) -> str:
        name, cache, taps = product.layer.name, self.caches, {"plain": "taps", "dilated": "dilated_taps"}[which]
        self.caches += 1
        x = self._codes(x, product)
        x = self.node("ScatterND", [f"cache_{cache}", "slots", x], f"new_cache_{cache}")
        x = self.node("Gather", [x, taps], f"{name}.taps")
        size = self.network.config.kernel**2 * len(product.entry().zero)
        x = self.node("Reshape", [x, self._shared(f"patch_{size}", [-1, size], np.int64)], f"{name}.patches")
        if self.network.config.mask_weight:
            codes = self._shared("inside", INSIDE, np.uint8)
            opens = self._once("Where", [self._open(taps), codes, "zero"], f"{taps}.codes")
            x = self.node("Concat", [x, opens], f"{name}.inputs", axis=1)
        return self._rounded(x, product)

    def norm(self, x: str, product: Product, which: Which) -> str:
        kind, name = self.network.config.norm, product.layer.name
        x = self._clipped(x, product.limit, f"{name}.clipped")
        if kind == "pono":
            return self._pono(x, product)
        if kind == "order_rescale":
            x = self.node("Cast", [x], f"{name}.wide", to=TensorProto.DOUBLE)
            x = self.node("Div", [x, self._count("dilated_taps" if which == "dilated" else "taps")], f"{name}.divided")
            x = self.node("Cast", [self.node("Round", [x], f"{name}.whole")], f"{name}.normed", to=TensorProto.FLOAT)
            x = self._clipped(x, self.network.limit, f"{name}.within")
        return x

    def concat_elu(self, x: str) -> str:
        minus = self._once("Neg", [x], f"{x}.minus")
        return self._elu(self._once("Concat", [x, minus], f"{x}.both", axis=1))

    def add_skip(self, x: str, skip: str, product: Product) -> str:
        name, limit = product.layer.name, self.network.limit
        skip = self._clipped(self._rounded(self._codes(skip, product), product), limit, f"{name}.clipped")
        return self._clipped(self.node("Add", [x, skip], f"{name}.added"), limit, f"{name}.stream")

    def gate(self, h: str, x: str, product: Product, which: Which) -> str:
        name, ends = product.layer.name, SIGMOID_RANGE * SIGMOID_UNIT
        halves = [f"{name}.a", f"{name}.b"]
        self.nodes.append(helper.make_node("Split", [x], halves, name=f"{name}.halves", axis=1, num_outputs=2))
        b = self._clipped(halves[1], ends, f"{name}.b_clipped")
        index = self.node("Cast", [b], f"{name}.index", to=TensorProto.INT32)
        b = self.node("Gather", ["sigmoid", index], f"{name}.sigmoid")
        a = self.node("Mul", [self.norm(halves[0], product, which), b], f"{name}.gated")
        h = self.node("Add", [h, self.node("Round", [a], f"{name}.gated_whole")], f"{name}.added")
        return self._clipped(h, self.network.limit, f"{name}.stream")

    def result(self, h: str, product: Product) -> str:
        n = self.network
        codes = self._codes(self._elu(h), product)
        whole = self.node("Cast", [codes], "head.codes_whole", to=TensorProto.FLOAT)
        step = self.constant("head.rest_step", np.array(1 / REST_UNIT, np.float32))
        zero = self.constant("head.rest_zero", np.array(REST_ZERO, np.uint8))
        rest = self.node("Sub", ["head.moved_in", whole], "head.rest")
        rest = self.node("QuantizeLinear", [rest, step, zero], "head.rest_codes")
        x = self.node("Concat", [codes, rest], "head.inputs", axis=1)
        x = self.node("Floor", [self.value(x, product.layer)], "head.floor")
        x = self.node("Max", [x, self.constant("lowest", n.lowest.astype(np.float32))], "head.above")
        x = self.node("Min", [x, self.constant("highest", n.highest.astype(np.float32))], "head.within")
        if not n.couplings:
            return self.node("Cast", [x], "parameters", to=TensorProto.INT32)
        x = self.node("Cast", [x], "head.whole", to=TensorProto.INT32)
        sizes = self.constant("head.sizes", np.array([n.outputs - n.couplings, n.couplings], np.int64))
        parts = ["head.plain", "head.index"]
        self.nodes.append(helper.make_node("Split", [x, sizes], parts, name="head.parts", axis=1))
        tanh = self.constant("tanh", n.tanh.astype(np.int32))
        return self.node("Concat", [parts[0], self.node("Gather", [tanh, parts[1]], "head.tanh")], "parameters", axis=1)

    def _pono(self, x: str, product: Product) -> str:
        """In float64: sums of whole numbers, and then a division, an addition, a root and a division, each rounded."""
        name, (divisor, epsilon) = product.layer.name, self.network.variance(product)
        filters = self._shared("filters", self.network.config.filters, np.float64)
        x = self.node("Cast", [x], f"{name}.wide", to=TensorProto.DOUBLE)
        axis = self._shared("axis", [1], np.int64)
        total = self.node("ReduceSum", [x, axis], f"{name}.total")
        x = self.node("Sub", [self.node("Mul", [x, filters], f"{name}.raised"), total], f"{name}.distance")
        square = self.node("Mul", [x, x], f"{name}.square")
        variance = self.node("ReduceSum", [square, axis], f"{name}.squares")
        variance = self.node("Div", [variance, self._shared("divisor", divisor, np.float64)], f"{name}.variance")
        variance = self.node("Add", [variance, self.constant(f"{name}.epsilon", np.array(epsilon))], f"{name}.padded")
        x = self.node("Div", [x, self.node("Sqrt", [variance], f"{name}.deviation")], f"{name}.divided")
        return self.node("Cast", [self.node("Round", [x], f"{name}.whole")], f"{name}.normed", to=TensorProto.FLOAT)

    def _rounded(self, x: str, product: Product) -> str:
        return self.node("Round", [self.value(x, product.layer)], f"{product.layer.name}.rounded")

    def _codes(self, x: str, product: Product) -> str:
        name, codes = product.layer.name, product.entry()
        x = self.node("Mul", [x, self.constant(f"{name}.scale_in", codes.scale)], f"{name}.scaled_in")
        x = self.node("Add", [x, self.constant(f"{name}.zero_in", codes.zero.astype(np.float32))], f"{name}.moved_in")
        return self.node("QuantizeLinear", [x, self._shared("one", 1, np.float32), "zero"], f"{name}.codes")

    def _elu(self, x: str) -> str:
        """x where it is positive, and the table where it is negative and the larger of the two."""
        ends = [self._shared(f"elu_{i}", i, np.float32) for i in (1 - len(self.network.elu), 0)]
        negative = self._once("Clip", [x, *ends], f"{x}.negative")
        index = self._once("Cast", [negative], f"{x}.index", to=TensorProto.INT32)
        return self._once("Max", [x, self._once("Gather", ["elu", index], f"{x}.table")], f"{x}.elu")

    def _clipped(self, x: str, limit: int, name: str) -> str:
        return self.node("Clip", [x, *(self._shared(f"limit_{end}", end, np.float32) for end in (-limit, limit))], name)

    def _open(self, taps: str) -> str:
        return self._once("Cast", [taps], f"{taps}.open", to=TensorProto.BOOL)

    def _count(self, taps: str) -> str:
        each = self._once("Cast", [self._open(taps)], f"{taps}.ones", to=TensorProto.DOUBLE)
        return self._once("ReduceSum", [each, self._shared("axis", [1], np.int64)], f"{taps}.count")

    def _once(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node that several layers share."""
        if output not in self.made:
            self.made.add(self.node(kind, inputs, output, **attributes))
        return output

    def _shared(self, name: str, value: float | list[int], dtype: type) -> str:
        """A constant that several nodes share."""
        if name not in self.made:
            self.made.add(self.constant(name, np.array(value, dtype)))
        return name
