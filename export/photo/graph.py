"""The photo network as a step graph in ONNX.

Inputs: inputs uint8 [n, F], slots int64 [n, 1] (where the positions' own features go), taps int64 [n, T] (slots that
the blocks read), cache_i uint8 [S, C] (block i's input features by slot). Outputs: parameters int32 [n, 10 K] and the
new caches. A full pass over a known picture is the same graph with all positions in one step.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.exact.graph import Graph
from export.exact.integers import IntegerLayer
from export.photo.network import IntegerPhoto


def step_graph(network: IntegerPhoto, products: str) -> onnx.ModelProto:
    """Builds and checks the graph. Raises onnx.checker.ValidationError if it is not valid ONNX."""
    g = _Step(network, products)
    parameters = network.run(g)
    channels, taps = network.head.weight.shape[0], len(network.offsets)
    info = helper.make_tensor_value_info
    inputs = [
        info("inputs", TensorProto.UINT8, ["n", network.first.weight.shape[0]]),
        info("slots", TensorProto.INT64, ["n", 1]),
        info("taps", TensorProto.INT64, ["n", taps]),
    ]
    blocks = range(len(network.wide))
    inputs += [info(f"cache_{i}", TensorProto.UINT8, ["slots", channels]) for i in blocks]
    outputs = [info(parameters, TensorProto.INT32, ["n", network.out.weight.shape[1]])]
    outputs += [info(f"new_cache_{i}", TensorProto.UINT8, ["slots", channels]) for i in blocks]
    return g.model(inputs, outputs)


class _Step(Graph):
    """The machine of IntegerPhoto.run that writes nodes; values are their names."""

    inputs = "inputs"

    def __init__(self, network: IntegerPhoto, products: str) -> None:
        super().__init__(products)
        self.constant("zero", np.array(0, np.uint8))
        self.constant("patch", np.array([-1, len(network.offsets) * network.head.weight.shape[0]], np.int64))

    def patches(self, x: str, block: int) -> str:
        cache = self.node("ScatterND", [f"cache_{block}", "slots", x], f"new_cache_{block}")
        x = self.node("Gather", [cache, "taps"], f"blocks.{block}.taps")
        return self.node("Reshape", [x, "patch"], f"blocks.{block}.patches")

    def add(self, h: str, x: str, name: str) -> str:
        return self.node("Add", [h, x], name)

    def result(self, x: str, layer: IntegerLayer) -> str:
        floor = self.node("Floor", [self.value(x, layer)], "out.floor")
        return self.node("Cast", [floor], "parameters", to=TensorProto.INT32)
