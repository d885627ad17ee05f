"""What an export to exact integers proved and measured."""

from dataclasses import dataclass

import numpy as np

from export.exact.integers import BOUND, IntegerLayer


@dataclass(frozen=True)
class LayerReport:
    """One layer's proof: the largest sum that any input can give, against 2^24, and its outputs' steps 2^-shift."""

    name: str
    inputs: int
    outputs: int
    largest_sum: int
    shifts: tuple[int, int] | None = None  # the smallest and the largest; None for a sum of layers

    @classmethod
    def of(cls, layer: IntegerLayer) -> "LayerReport":
        """The proof of a layer."""
        inputs, outputs = layer.weight.shape
        shifts = int(np.min(layer.shift)), int(np.max(layer.shift))
        return cls(layer.name, inputs, outputs, int(layer.bound().max()), shifts)


@dataclass(frozen=True)
class Report:
    """bits: per subpixel, of the float network and of its integers on the same held-out pictures."""

    layers: list[LayerReport]
    float_bits: float
    integer_bits: float
    orders: str
    model_id: str

    @property
    def loss(self) -> float:
        """Relative loss of rounding."""
        return self.integer_bits / self.float_bits - 1


def describe(report: Report, layers: bool = True) -> str:
    """The report as text: per layer the scales and the proved bound, then the loss of rounding."""
    return "\n".join(_table(report) * layers + _summary(report))


def _table(report: Report) -> list[str]:
    lines = [f"{'layer':<24}{'inputs':>7}{'outputs':>8}{'steps':>16}{'largest sum':>13}   of 2^24"]
    for layer in report.layers:
        steps = f"2^{-layer.shifts[1]} to 2^{-layer.shifts[0]}" if layer.shifts else ""
        sizes = f"{layer.inputs:>7}{layer.outputs:>8}{steps:>16}{layer.largest_sum:>13}"
        lines.append(f"{layer.name:<24}{sizes}   {layer.largest_sum / BOUND:6.1%}")
    return lines


def _summary(report: Report) -> list[str]:
    bits = f"float {report.float_bits:.5f}, integers {report.integer_bits:.5f} ({report.loss:+.3%})"
    return [f"bits per subpixel: {bits}", f"orders: {report.orders}", f"model id {report.model_id}"]
