"""The photo network in exact integers: what its bundle holds, its loss of rounding, and the proof of its graphs."""

import numpy as np
import torch

from export.errors import ExportError
from export.exact.contents import Exact
from export.exact.integers import IntegerLayer
from export.exact.reports import LayerReport
from export.photo.graph import step_graph
from export.photo.network import IntegerPhoto, stream_bound
from export.photo.pytorch import IntegerPhotoNet, float_parameters
from export.photo.quantise import quantise
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.networks import likelihood
from lmconv.networks.photo import PhotoNet
from runtime.least_squares import UNIT, Settings, predict_picture
from runtime.model import Model
from runtime.network import PRODUCTS
from runtime.photo import PhotoLayout, PhotoModel


def exact_photo(checkpoint: Checkpoint, pictures: np.ndarray) -> Exact:
    """pictures uint8 [N, 3, H, W]: half calibrates, half measures. Raises QuantisationError."""
    net = checkpoint.net()
    assert isinstance(net, PhotoNet)
    bases = np.stack([predict_picture(picture) for picture in pictures])
    half = max(1, len(pictures) // 2)
    network = quantise(net, torch.from_numpy(pictures[:half]), torch.from_numpy(bases[:half]))
    measured = torch.from_numpy(pictures[-half:]), torch.from_numpy(bases[-half:])
    float_bits, integer_bits = _bits(net, network, *measured)
    layers, stream = network.layers(), int(stream_bound(list(network.writers())).max())
    return Exact(
        layout=PhotoLayout(net.config.components, net.config.kernel, network.first_offsets, Settings()),
        weights=_weights(network),
        tables={"codes": net.codes.numpy(), "out_shift": network.out.shift} | _probe(network),
        graphs={kind: step_graph(network, kind) for kind in PRODUCTS},
        parameters=sum(layer.weight.size + layer.bias.size for layer in layers),
        layers=[*map(LayerReport.of, layers), LayerReport("residual stream", 0, layers[0].weight.shape[1], stream)],
        float_bits=float_bits,
        integer_bits=integer_bits,
        prove=lambda model: _prove(model, net, network, *(part[:1] for part in measured)),
    )


@torch.no_grad()
def _bits(net: PhotoNet, network: IntegerPhoto, pixels: torch.Tensor, bases: torch.Tensor) -> tuple[float, float]:
    """Bits per subpixel of the float network and of its integers."""
    integer = IntegerPhotoNet(network)
    totals = np.zeros(2)
    for x, base in zip(pixels.split(1), bases.split(1)):
        rounded = float_parameters(net, integer(*net.inputs(x, base)))
        for i, parameters in enumerate((net(x, base), rounded)):
            nats = likelihood.nll(x.float(), base.float() / UNIT, parameters)
            totals[i] += likelihood.bits_per_subpixel(nats).item() / len(pixels)
    return float(totals[0]), float(totals[1])


def _prove(model: Model, net: PhotoNet, network: IntegerPhoto, pixels: torch.Tensor, bases: torch.Tensor) -> None:
    """The bundle must give PyTorch's integers on a real picture."""
    expected = IntegerPhotoNet(network)(*net.inputs(pixels, bases)).numpy()
    assert isinstance(model, PhotoModel)
    found = model.parameters(pixels.numpy())
    if not np.array_equal(found, expected):
        raise ExportError(f"{int((found != expected).sum())} parameters differ from PyTorch's")


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
    probe: dict[str, np.ndarray] = {"inputs": inputs, "cache": cache, "taps": taps, "slots": own}
    probe["parameters"] = network.run(_ProbedStep(**probe))
    return {f"probe.{name}": array for name, array in probe.items()}


class _ProbedStep:
    """The machine of IntegerPhoto.run for one step in int64, on rows; every block reads the same old cache."""

    def __init__(self, inputs: np.ndarray, cache: np.ndarray, taps: np.ndarray, slots: np.ndarray) -> None:
        self.inputs, self.cache, self.taps, self.slots = inputs.astype(np.int64), cache.astype(np.int64), taps, slots

    def value(self, x: np.ndarray, layer: IntegerLayer) -> np.ndarray:
        return (x @ layer.weight.astype(np.int64) + layer.bias) * 2.0**-layer.shift

    def activation(self, x: np.ndarray, name: str, exponent: int = 0) -> np.ndarray:
        return np.clip(np.round(x * 2.0**-exponent), 0, 255).astype(np.int64)

    def patches(self, x: np.ndarray, block: int) -> np.ndarray:
        features = self.cache.copy()
        features[self.slots[:, 0]] = x
        return features[self.taps].reshape(len(x), -1)

    def add(self, h: np.ndarray, x: np.ndarray, name: str) -> np.ndarray:
        return h + x

    def result(self, x: np.ndarray, layer: IntegerLayer) -> np.ndarray:
        return np.floor(self.value(x, layer)).astype(np.int32)
