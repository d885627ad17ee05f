"""Settings of the family's networks, free of heavy imports. Every field has the help that the command line shows."""

from dataclasses import Field, dataclass, field, fields
from typing import Any

from lmconv.config import ImageConfig, Preset
from lmconv.errors import LmconvError


def said(default: Any, text: str) -> Any:
    """A field with its help."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class FamilyConfig(ImageConfig):
    """A network of the family. Raises LmconvError with the failing value."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in own(type(self), self).items():
            if isinstance(value, bool):
                continue
            values = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(each, int) and 1 <= each <= 1 << 16 for each in values) or not values:
                raise LmconvError(f"a network's {name} is a whole number from 1 to 65536, not {value!r}")
            if name == "kernel" and value % 2 == 0:
                raise LmconvError(f"a network's kernel is odd, not {value}")


@dataclass(frozen=True)
class FlatConfig(FamilyConfig):
    """A network of a vector: for images of one size."""

    height: int = 28
    width: int = 28

    @property
    def positions(self) -> int:
        """Pixels of an image."""
        return self.height * self.width


@dataclass(frozen=True)
class FvsbnConfig(FlatConfig):
    """Fully visible sigmoid belief network: a logistic regression of each pixel on those before it."""


@dataclass(frozen=True)
class BengioConfig(FlatConfig):
    """The same with a hidden layer of its own for each pixel."""

    hidden: int = said(8, "Hidden units of each pixel.")


@dataclass(frozen=True)
class NadeConfig(FlatConfig):
    """Neural autoregressive distribution estimator."""

    hidden: int = said(500, "Hidden units.")


@dataclass(frozen=True)
class RnadeConfig(NadeConfig):
    """Real-valued NADE: mixtures of Gaussians, of levels or, with --density, of real values."""

    density: bool = said(False, "Learn densities of levels and uniform noise, not the levels' probabilities.")

    @property
    def gaussian(self) -> bool:
        """Gaussians in place of logistics."""
        return True


@dataclass(frozen=True)
class MadeConfig(FlatConfig):
    """Masked autoencoder for distribution estimation."""

    hidden: tuple[int, ...] = said((2000,), "Units of the hidden layers.")


@dataclass(frozen=True)
class EonadeConfig(FlatConfig):
    """Deep NADE, trained for all orders at once."""

    hidden: tuple[int, ...] = said((500, 500), "Units of the hidden layers.")


@dataclass(frozen=True)
class ConvnadeConfig(FamilyConfig):
    """Convolutional NADE, trained for all orders at once."""

    filters: int = said(32, "Features a position.")
    layers: int = said(6, "Hidden layers.")
    kernel: int = said(5, "Side of the kernels.")


@dataclass(frozen=True)
class RasterConfig(FamilyConfig):
    """A network that knows the order raster alone."""

    @property
    def raster_only(self) -> bool:
        """It is."""
        return True


@dataclass(frozen=True)
class MaskedPixelCnnConfig(RasterConfig):
    """PixelCNN of masked convolutions, with its blind spot."""

    filters: int = said(32, "Features a position; inside residual blocks half of them.")
    blocks: int = said(7, "Residual blocks.")
    kernel: int = said(7, "Side of the first kernel.")


@dataclass(frozen=True)
class GatedPixelCnnConfig(RasterConfig):
    """Gated PixelCNN of two stacks, without a blind spot; labels with --classes."""

    filters: int = said(24, "Features a position in each stack.")
    layers: int = said(5, "Gated layers.")
    kernel: int = said(5, "Side of the kernels.")


@dataclass(frozen=True)
class RowLstmConfig(RasterConfig):
    """PixelRNN with row LSTMs."""

    hidden: int = said(16, "State of an LSTM; features a position are twice as many.")
    layers: int = said(4, "LSTMs.")
    kernel: int = said(7, "Side of the first kernel.")


@dataclass(frozen=True)
class DiagonalBilstmConfig(RowLstmConfig):
    """PixelRNN with diagonal LSTMs from both sides."""

    layers: int = said(2, "Pairs of LSTMs.")


@dataclass(frozen=True)
class MultiscaleConfig(FamilyConfig):
    """Parallel multiscale: all pixels of a level at once, each level by a network of its own."""

    filters: int = said(24, "Features a position.")
    blocks: int = said(3, "Residual blocks of each level's network.")
    levels: int = said(15, "Levels after the first: 3 for each halving of the order's step.")


@dataclass(frozen=True)
class PixelVaeConfig(RasterConfig):
    """PixelCNN with latent numbers that say what is in the image as a whole."""

    latents: int = said(32, "Latent numbers of an image.")
    filters: int = said(32, "Features a position.")
    blocks: int = said(3, "Masked residual blocks of the decoder.")
    kernel: int = said(5, "Side of the decoder's first kernel.")


@dataclass(frozen=True)
class VideoPixelConfig(RasterConfig):
    """Video pixel network: an image is the frames of a video, one below the other."""

    frames: int = said(8, "Frames of a video: images are so many times as high.")
    filters: int = said(32, "Features a position.")
    blocks: int = said(3, "Residual blocks of the encoder of a frame, and masked ones of the decoder.")
    kernel: int = said(5, "Side of the decoder's first kernel.")


@dataclass(frozen=True)
class WavenetConfig(RasterConfig):
    """WaveNet, on rows of samples: images of one row; labels with --classes, local conditions with --planes."""

    filters: int = said(32, "Residual channels.")
    skip: int = said(64, "Skip channels.")
    layers: int = said(8, "Dilated layers of a cycle, of dilations 1, 2, 4, ...")
    cycles: int = said(2, "Cycles.")


@dataclass(frozen=True)
class ParallelWavenetConfig(WavenetConfig):
    """Parallel WaveNet, a student of a WaveNet of a mixture of logistics."""

    flows: int = said(2, "Flows, one after the other.")
    cycles: int = said(1, "Cycles of each flow.")


def own(config: type, of: Any = None) -> dict[str, Any]:
    """The fields that a config has beyond images and size, with their values in `of`."""
    found: dict[str, Field] = {each.name: each for each in fields(config) if "help" in each.metadata}
    return {name: each if of is None else getattr(of, name) for name, each in found.items()}


_MNIST: dict[str, Any] = dict(channels=1, bits=1, binary=True)
_THIRTY_TWO = ",".join(f"random={seed}" for seed in range(32))
CONFIGS: dict[str, type[FamilyConfig]] = {
    "fvsbn": FvsbnConfig,
    "bengio": BengioConfig,
    "nade": NadeConfig,
    "rnade": RnadeConfig,
    "made": MadeConfig,
    "eonade": EonadeConfig,
    "convnade": ConvnadeConfig,
    "masked_pixelcnn": MaskedPixelCnnConfig,
    "gated_pixelcnn": GatedPixelCnnConfig,
    "row_lstm": RowLstmConfig,
    "diagonal_bilstm": DiagonalBilstmConfig,
    "multiscale": MultiscaleConfig,
    "pixel_vae": PixelVaeConfig,
    "video_pixel": VideoPixelConfig,
    "wavenet": WavenetConfig,
    "parallel_wavenet": ParallelWavenetConfig,
}
# Rates of bits are for short runs: the best of a few in two minutes each, and somewhat less.
_RASTER: dict[str, Any] = dict(order="raster", variants=(0,), rate=1e-3)
_BITS: dict[str, Any] = _RASTER | dict(rate=6e-3)
_SOUNDS: dict[str, Any] = _RASTER | dict(batch=8)
_MANY: dict[str, Any] = _RASTER | dict(order=_THIRTY_TWO, rate=2e-3)
FAMILY = {
    "fvsbn": Preset(FvsbnConfig(**_MNIST), 28, 28, **_BITS),
    "bengio": Preset(BengioConfig(**_MNIST), 28, 28, **_BITS),
    "nade": Preset(NadeConfig(**_MNIST), 28, 28, **_BITS | dict(rate=1e-2)),
    "rnade": Preset(RnadeConfig(channels=1, height=8, width=8), 8, 8, **_RASTER),
    "made": Preset(MadeConfig(**_MNIST), 28, 28, **_BITS | dict(batch=128)),
    "eonade": Preset(EonadeConfig(**_MNIST), 28, 28, **_MANY | dict(batch=128)),
    "convnade": Preset(ConvnadeConfig(**_MNIST), 28, 28, **_MANY),
    "masked_pixelcnn": Preset(MaskedPixelCnnConfig(**_MNIST), 28, 28, **_BITS),
    "gated_pixelcnn": Preset(GatedPixelCnnConfig(**_MNIST), 28, 28, **_BITS),
    "row_lstm": Preset(RowLstmConfig(**_MNIST), 28, 28, **_BITS),
    "diagonal_bilstm": Preset(DiagonalBilstmConfig(**_MNIST), 28, 28, **_BITS),
    "multiscale": Preset(MultiscaleConfig(**_MNIST), 28, 28, **_BITS | dict(order="multiscale=32")),
    "pixel_vae": Preset(PixelVaeConfig(**_MNIST), 28, 28, **_BITS),
    "video_pixel": Preset(VideoPixelConfig(**_MNIST), 8 * 32, 32, **_BITS | dict(batch=8)),
    "wavenet": Preset(WavenetConfig(channels=1, categorical=True), 1, 4000, **_SOUNDS),
    "parallel_wavenet": Preset(ParallelWavenetConfig(channels=1), 1, 4000, **_SOUNDS),
}
