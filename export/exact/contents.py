"""What an export to exact integers hands over, whatever the kind of network: all of a bundle but its packing."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx

from export.exact.reports import LayerReport
from runtime.model import Layout, Model


@dataclass(frozen=True)
class Exact:
    """weights, tables and layout decide the probabilities; graphs, by kind of product, compute them.

    prove: raises ExportError for an opened bundle that does not give PyTorch's integers.
    """

    layout: Layout
    weights: dict[str, np.ndarray]
    tables: dict[str, np.ndarray]
    graphs: dict[str, onnx.ModelProto]
    parameters: int
    layers: list[LayerReport]
    float_bits: float
    integer_bits: float
    prove: Callable[[Model], None]
