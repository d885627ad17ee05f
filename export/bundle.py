"""Checkpoint -> bundle: quantise, measure the loss of rounding, build both graphs, prove them equal, write it whole."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save as save_tensors

import runtime
from export.graph import PRODUCTS, step_graph
from export.integer_net import IntegerPhotoNet, float_parameters
from export.integers import BOUND
from export.quantise import IntegerPhoto, quantise, stream_bound
from export.tables import distribution_tables
from lmconv import likelihood
from lmconv.checkpoint import Checkpoint
from lmconv.photo import PhotoNet
from runtime import bundle
from runtime.photo import PhotoLayout
from runtime.predictor import Settings, predict_picture


class ExportError(ValueError):
    """An export whose result does not behave like the model it was made from."""


@dataclass(frozen=True)
class LayerReport:
    """One layer's proof: the largest sum that any input can give, against 2^24."""

    name: str
    inputs: int
    outputs: int
    largest_sum: int


@dataclass(frozen=True)
class Report:
    """What an export proved and measured (bits per subpixel on the calibration pictures' held-out half)."""

    layers: list[LayerReport]
    stream: int
    float_bits: float
    integer_bits: float
    model_id: str

    @property
    def loss(self) -> float:
        """Relative loss of rounding."""
        return self.integer_bits / self.float_bits - 1


def export_bundle(
    checkpoint: Checkpoint, path: Path, name: str, pictures: np.ndarray, card: dict | None = None
) -> Report:
    """Writes a bundle and returns the report. pictures uint8 [N, 3, H, W]: half calibrates, half measures.

    Raises QuantisationError if a bound cannot be proved, ExportError if the written bundle does not give the PyTorch
    model's integers; nothing is left at `path` then.
    """
    net = checkpoint.net()
    bases = np.stack([predict_picture(picture) for picture in pictures])
    half = max(1, len(pictures) // 2)
    calibration = torch.from_numpy(pictures[:half]), torch.from_numpy(bases[:half])
    network = quantise(net, *calibration)
    measured = torch.from_numpy(pictures[-half:]), torch.from_numpy(bases[-half:])
    float_bits, integer_bits = _bits(net, network, *measured)
    weights = _packed(_weights(network))
    tables = _packed(
        distribution_tables() | {"codes": net.codes.numpy(), "out_shift": network.out.shift} | _probe(network)
    )
    members = {"weights.safetensors": weights, "tables.safetensors": tables}
    members |= {
        f"step_{kind}.onnx": step_graph(network, kind).SerializeToString(deterministic=True) for kind in PRODUCTS
    }
    manifest = bundle.Manifest(
        name=name,
        model_id="",
        layout=PhotoLayout(net.config.components, net.config.kernel, network.first_offsets, Settings()),
        bits_per_subpixel=round(integer_bits, 5),
        parameters=sum(layer.weight.size + layer.bias.size for layer in network.layers()),
        card=card or {},
        members={member: hashlib.sha256(data).hexdigest() for member, data in members.items()},
    )
    manifest = replace(manifest, model_id=bundle.identity(manifest, weights, tables))
    temporary = Path(f"{path}.unproved")
    try:
        bundle.write(temporary, manifest, members)
        _prove(temporary, net, network, measured)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    layers = [LayerReport(layer.name, *layer.weight.shape, int(layer.bound().max())) for layer in network.layers()]
    return Report(layers, int(stream_bound(list(network.writers())).max()), float_bits, integer_bits, manifest.model_id)


@torch.no_grad()
def _bits(net: PhotoNet, network: IntegerPhoto, pixels: torch.Tensor, bases: torch.Tensor) -> tuple[float, float]:
    """Bits per subpixel of the float network and of its integers."""
    integer = IntegerPhotoNet(network)
    totals = np.zeros(2)
    for x, base in zip(pixels.split(1), bases.split(1)):
        rounded = float_parameters(net, integer(*net.inputs(x, base)))
        for i, parameters in enumerate((net(x, base), rounded)):
            nats = likelihood.nll(x.float(), base.float() / 64, parameters)
            totals[i] += likelihood.bits_per_subpixel(nats).item() / len(pixels)
    return float(totals[0]), float(totals[1])


def _prove(path: Path, net: PhotoNet, network: IntegerPhoto, measured: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The bundle must give PyTorch's integers on a real picture, with both kinds of product."""
    pixels, bases = (part[:1] for part in measured)
    expected = IntegerPhotoNet(network)(*net.inputs(pixels, bases)).numpy()
    for products in PRODUCTS:
        found = runtime.load(path, products=products).parameters(pixels.numpy())
        if not np.array_equal(found, expected):
            raise ExportError(f"{products} products differ from PyTorch at {int((found != expected).sum())} parameters")


def _packed(tensors: dict[str, np.ndarray]) -> bytes:
    """As a safetensors file, which takes an array's memory as it lies: row-major, then."""
    return save_tensors({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})


def _weights(network: IntegerPhoto) -> dict[str, np.ndarray]:
    tensors = {"exponents": np.array(network.exponents, np.int64)}
    for layer in network.layers():
        tensors |= {
            f"{layer.name}.weight": layer.weight,
            f"{layer.name}.bias": layer.bias,
            f"{layer.name}.shift": layer.shift,
        }
    return tensors


def _probe(network: IntegerPhoto, rows: int = 96, slots: int = 33) -> dict[str, np.ndarray]:
    """Random and extreme inputs of a step, and the parameters they give, computed here in int64."""
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 256, (rows, network.first.weight.shape[0])).astype(np.uint8)
    inputs[:8], inputs[8:16] = 255, 0
    shape = (slots, network.head.weight.shape[0])
    sparse = rng.random(shape) < rng.random((slots, 1))  # rows of every density and size, so that all channels are felt
    cache = (rng.integers(0, 256, shape) * sparse >> rng.integers(0, 4, (slots, 1))).astype(np.uint8)
    cache[0], cache[1] = 0, 255
    taps = rng.integers(0, slots, (rows, len(network.offsets)))
    taps[16:24] = 1
    own = np.arange(slots, slots + rows)[:, None]
    taps[:, -1] = own[:, 0]
    cache = np.concatenate([cache, np.zeros((rows, cache.shape[1]), np.uint8)])
    probe = {"inputs": inputs, "cache": cache, "taps": taps, "slots": own}
    return {
        f"probe.{name}": array for name, array in (probe | {"parameters": _reference_step(network, **probe)}).items()
    }


def _reference_step(
    n: IntegerPhoto, inputs: np.ndarray, cache: np.ndarray, taps: np.ndarray, slots: np.ndarray
) -> np.ndarray:
    """One step in float64 on integers: int32 [n, 10 K]. Every block reads the same old cache."""

    def total(x, layer):
        return x.astype(np.int64) @ layer.weight.astype(np.int64) + layer.bias

    def value(x, layer):
        return total(x, layer) * 2.0**-layer.shift

    def activation(x, exponent=0):
        return np.clip(np.round(x * 2.0**-exponent), 0, 255).astype(np.int64)

    h = value(inputs, n.first)
    for wide, narrow, exponent in zip(n.wide, n.narrow, n.exponents):
        features = cache.astype(np.int64)
        features[slots[:, 0]] = activation(h, exponent)
        h = h + value(activation(value(features[taps].reshape(len(taps), -1), wide)), narrow)
    x = activation(value(activation(h, n.exponents[-1]), n.head))
    return np.floor(total(x, n.out) * 2.0**-n.out.shift).astype(np.int32)


def describe(report: Report) -> str:
    """The report as text: per layer the proved bound, then the loss of rounding."""
    lines = [f"{'layer':<18}{'inputs':>7}{'outputs':>8}{'largest sum':>13}   of 2^24"]
    rows = report.layers + [LayerReport("residual stream", 0, report.layers[0].outputs, report.stream)]
    for layer in rows:
        share = f"{layer.largest_sum / BOUND:6.1%}"
        lines.append(f"{layer.name:<18}{layer.inputs:>7}{layer.outputs:>8}{layer.largest_sum:>13}   {share}")
    lines.append(
        f"bits per subpixel: float {report.float_bits:.5f}, integers {report.integer_bits:.5f} ({report.loss:+.3%})"
    )
    lines.append(f"model id {report.model_id}")
    return "\n".join(lines)
