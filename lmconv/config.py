"""What a network is and how it is trained: settings, free of heavy imports so that the command line can show them."""

import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmconv.errors import LmconvError
from runtime.rules import NORMS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PhotoConfig:
    """Shape of the photo network; everything else is fixed by the design."""

    channels: int = 96
    blocks: int = 8
    components: int = 3
    first_kernel: int = 7
    kernel: int = 3

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or not 1 <= value <= 4096:
                raise LmconvError(f"a network's {name} is a whole number from 1 to 4096, not {value!r}")
        for kernel in (self.first_kernel, self.kernel):
            if kernel % 2 == 0 or kernel > 31:
                raise LmconvError(f"a network's kernels are odd, 31 at most, not {kernel}")


OPTIMISERS = ("muon", "adam")
SCHEDULES = ("linear", "cosine", "decay", "constant")
BINARISATIONS = ("stochastic", "threshold")
FARTHEST = 128  # dilation
ANY = "random"  # in place of an order: a new one for each batch


@dataclass(frozen=True)
class TrainConfig:
    """How any network is trained. Raises LmconvError with the failing value."""

    steps: int = 15000
    batch: int = 8  # of a step, over all processes
    accumulate: int = 1  # parts in which a process computes its share of a batch: less memory
    optimiser: str = "muon"  # muon: hidden layers by Muon, all else by Adam; adam: all by Adam
    rate: float = 2e-3  # Adam's highest
    matrix_rate: float = 3e-3  # Muon's highest
    betas: tuple[float, float] = (0.9, 0.98)
    schedule: str = "linear"  # linear: falls over the last `cooldown`; cosine; decay: by `decay`; constant
    warmup: int = 200
    cooldown: float = 0.5
    decay: float = 1.0
    decay_every: int = 1  # steps between two decays; the published code's are an epoch
    weight_decay: float = 0.0  # of matrices and kernels, a step, times the rate (Loshchilov and Hutter 2019)
    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.999  # averaging of the weights, a step; 0: none
    evaluate_every: int = 500
    save_minutes: float = 5.0
    keep: int = 0  # numbered checkpoints, one at each evaluation, the last so many
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in {"optimiser": OPTIMISERS, "schedule": SCHEDULES}.items():
            if getattr(self, name) not in known:
                raise LmconvError(f"a training's {name} is one of {', '.join(known)}, not {getattr(self, name)!r}")
        for name in ("steps", "batch", "accumulate", "evaluate_every", "decay_every"):
            if getattr(self, name) < 1:
                raise LmconvError(f"a training's {name} is 1 or more, not {getattr(self, name)}")
        if self.batch % self.accumulate:
            raise LmconvError(f"a batch of {self.batch} cannot be accumulated in {self.accumulate} equal parts")


@dataclass(frozen=True)
class PhotoTraining(TrainConfig):
    """A run of the photo network; the shipped model is of these settings (codec/bundles/photo.md)."""

    window: int = 64  # side of the square windows cut from the crops
    crop: int = 192  # side of the crops that the predictor sees as whole pictures
    variants: tuple[int, ...] = (0, 4, 3, 7)
    altered: float = 0.2  # share of the windows cut from altered crops
    holdout: int = 32  # crops kept for evaluation, the last ones

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window > self.crop:
            raise LmconvError(f"windows of {self.window} do not fit into crops of {self.crop}")


@dataclass(frozen=True)
class ImageTraining(TrainConfig):
    """A run of the paper's network on a data set; `image_training` makes one from a preset."""

    steps: int = 1_000_000
    batch: int = 32
    optimiser: str = "adam"
    rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "decay"
    warmup: int = 0
    decay: float = 0.999995
    ema: float = 0.0
    evaluate_every: int = 1000
    keep: int = 3
    height: int = 32
    width: int = 32
    order: str = "s_curve"  # several between commas, each in all variants; ANY: a new random one for each batch
    variants: tuple[int, ...] = tuple(range(8))  # an order and a variant are drawn for each batch
    sizes: tuple[int, ...] = ()  # heights that batches are resized to, drawn for each; the width in proportion
    binarisation: str = "stochastic"  # of a binary network's images: drawn anew for each batch, or threshold
    holdout: int = 1000  # images kept for evaluation, the last ones of the training split

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(names_of(self.order)):
            raise LmconvError(f"a training's order is a name, or several between commas, not {self.order!r}")
        if self.binarisation not in BINARISATIONS:
            raise LmconvError(f"a binarisation is {' or '.join(BINARISATIONS)}, not {self.binarisation!r}")
        for name, values in {"height": (self.height,), "width": (self.width,), "sizes": self.sizes}.items():
            if any(not 1 <= value <= 4096 for value in values):
                raise LmconvError(f"a training's {name} is from 1 to 4096, not {min(values)} to {max(values)}")

    @property
    def orders(self) -> tuple[str, ...]:
        """Every order and variant that a batch may have, named as in orders.make but for ANY."""
        return orders_of(self.order, self.variants)


def orders_of(order: str, variants: Iterable[int]) -> tuple[str, ...]:
    """The orders that a training's `order` and `variants` name: names between commas in all variants, but for those
    that say their own."""
    return tuple(
        name
        for base in names_of(order)
        for name in ([base] if re.search(r":\d$", base) else [f"{base}:{variant}" for variant in variants])
    )


def names_of(order: str) -> list[str]:
    """A training's `order` at its commas, but for those within a region's numbers."""
    return re.split(r",(?!\d)", order)


def far_of(order: str) -> tuple[int, ...]:
    """The far dilations that a network needs for a training's `order`: for multiscale=STEP half of STEP, a quarter and
    so on, as a level sees pixels nowhere but so far away."""
    steps = [int(step) for name in names_of(order) for step in re.findall(r"^multiscale=(\d{1,3})(?!\d)", name)]
    needed = {2**power for step in steps for power in range(1, 8) if 2**power < step}
    return tuple(sorted(needed))


def fixed(order: str) -> str:
    """One of `orders_of` as orders.make knows it: of the random orders the first."""
    return order.replace(ANY, f"{ANY}=0") if order.startswith(f"{ANY}:") else order


@dataclass(frozen=True)
class Machine:
    """Where and how a run computes; changes nothing but speed and rounding."""

    device: str = "auto"  # auto, cpu, cuda, cuda:1, ...
    precision: str = "auto"  # auto, fp32, tf32, bf16
    threads: int = 0  # 0: PyTorch's choice
    minutes: float = math.inf  # stop (resumable) after so long
    compile: bool = False  # torch.compile: minutes of compiling for faster steps, mostly on a GPU
    log_every: int = 100  # steps between lines where stderr is no terminal
    progress: bool = True

    def resolved_device(self) -> "torch.device":
        """The device itself, `auto` as what is there."""
        import torch

        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and "LOCAL_RANK" in os.environ:  # one of several processes of torchrun
            device = f"cuda:{os.environ['LOCAL_RANK']}"
        return torch.device(device)

    def bf16(self) -> bool:
        """Whether to compute in bf16."""
        import torch

        if self.precision != "auto":
            return self.precision == "bf16"
        if self.resolved_device().type == "cuda":
            return torch.cuda.is_bf16_supported(including_emulation=False)
        # Processors with AVX-512 only run bf16 slower than fp32 (measured); those with AMX should gain.
        return getattr(torch.cpu, "_is_amx_tile_supported", bool)()


@dataclass(frozen=True)
class ImageConfig:
    """The images that a network is for, and what it says of their pixels. Raises LmconvError with the failing value."""

    channels: int = 3  # of the image: 1 or 3
    bits: int = 8  # per value: levels 0 .. 2^bits - 1
    binary: bool = False  # two logits a pixel instead of a mixture of logistics; 1 channel of 1 bit
    categorical: bool = False  # a logit for each level of 1 channel: colours of a palette, labels, codes
    planes: int = 0  # given with every image and seen at once: its grey, a mask, the frame before
    classes: int = 0  # labels 0 .. classes - 1, one given with every image
    components: int = 10  # of the mixture

    def __post_init__(self) -> None:
        self._check({"bits": (1, 8), "planes": (0, 64), "classes": (0, 1024), "components": (1, 256)})
        self._check_choices({"channels": (1, 3), "binary": (False, True), "categorical": (False, True)})
        if self.binary and (self.channels, self.bits) != (1, 1):
            raise LmconvError(
                f"a binary network has 1 channel of 1 bit, not channels = {self.channels} and bits = {self.bits}"
            )
        if self.categorical and (self.binary or self.channels != 1):
            raise LmconvError("a categorical network has 1 channel, and is not called binary, too")

    @property
    def given(self) -> int:
        """How many planes are given with an image: those of its own, and one for each class."""
        return self.planes + self.classes

    @property
    def raster_only(self) -> bool:
        """Whether the network knows no order but raster."""
        return False

    @property
    def gaussian(self) -> bool:
        """Whether mixtures are of Gaussians in place of logistics."""
        return False

    def _check(self, limits: dict[str, tuple[int, int]]) -> None:
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise LmconvError(f"a network's {name} is a whole number from {low} to {high}, not {value!r}")

    def _check_choices(self, choices: dict[str, tuple]) -> None:
        for name, known in choices.items():
            value = getattr(self, name)
            if known == (False, True) and not isinstance(value, bool):
                raise LmconvError(f"a network's {name} is true or false, not {value!r}")
            if value not in known or (isinstance(value, bool) and known != (False, True)):
                raise LmconvError(f"a network's {name} is one of {', '.join(map(str, known))}, not {value!r}")


@dataclass(frozen=True)
class PixelCnnConfig(ImageConfig):
    """Shape of the paper's network (pixelcnn.py) or of the baseline it is compared with (two_stream.py).

    The two-stream baseline has kernels and weight norm of its own, so these settings must say nothing else.
    """

    filters: int = 160
    resnets: int = 5  # in a group: 3 groups up, 3 down, the last two with one more
    kernel: int = 3
    dilation: int = 2  # of the convolutions between the groups
    far: tuple[int, ...] = ()  # further dilations of the first layer and of those between the groups: multiscale orders
    norm: str = "pono"
    dropout: float = 0.0  # of whole channels
    bias: bool = True
    mask_weight: bool = False  # weights on the masks themselves
    checkpointing: bool = False  # recompute gated resnets in the backward pass: less memory, more time
    two_stream: bool = False

    def __post_init__(self) -> None:
        sound = all(type(far) is int and 1 < far <= FARTHEST for far in self.far)
        if not sound or len(set(self.far)) < len(self.far):
            raise LmconvError(
                f"a network's far dilations are different whole numbers from 2 to {FARTHEST}, not "
                f"{', '.join(map(str, self.far))}"
            )
        super().__post_init__()
        self._check({"filters": (1, 4096), "resnets": (1, 64), "dilation": (1, 16)})
        either = dict.fromkeys(("bias", "mask_weight", "checkpointing", "two_stream"), (False, True))
        self._check_choices({"kernel": (3, 5), "norm": NORMS, **either})
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise LmconvError(f"a network's dropout is a number from 0 to below 1, not {self.dropout!r}")
        if self.norm == "pono" and self.filters < 2:
            raise LmconvError(f"pono needs the variance of 2 filters or more, not {self.filters}")
        if self.two_stream:
            fixed = {"norm": "weight_norm", "kernel": 3, "dilation": 2, "bias": True, "mask_weight": False}
            fixed |= {"planes": 0, "classes": 0, "far": ()}
            for name, value in fixed.items():
                if getattr(self, name) != value:
                    raise LmconvError(f"a two-stream network has {name} = {value}, not {getattr(self, name)!r}")

    @property
    def dilations(self) -> tuple[int, ...]:
        """Of the layers side by side between two groups, the dilation first."""
        return self.dilation, *(far for far in self.far if far != self.dilation)

    @property
    def raster_only(self) -> bool:
        """Whether the network knows no order but raster."""
        return self.two_stream


@dataclass(frozen=True)
class Preset:
    """A network, the images it is for, the orders it learns and its training, as published but for the tiny ones.

    One of the order's variants (orders.py) is drawn for each batch. The learning rate is multiplied by `decay` after
    every step (in the published code by mistake after every epoch); a step's gradient, of nats summed over the batch,
    is clipped to the norm `clip`.
    """

    network: ImageConfig
    height: int
    width: int
    order: str = "s_curve"
    variants: tuple[int, ...] = tuple(range(8))
    batch: int = 32
    rate: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    decay: float = 0.999995
    clip: float = 2e6


_TINY: dict[str, Any] = dict(filters=16, resnets=1, components=5)
PRESETS = {
    "cifar10": Preset(PixelCnnConfig(), 32, 32),
    "mnist": Preset(PixelCnnConfig(channels=1), 28, 28, order="gilbert"),
    "mnist_binary": Preset(PixelCnnConfig(channels=1, bits=1, binary=True), 28, 28),
    "celebahq": Preset(PixelCnnConfig(bits=5, filters=320), 64, 64),
    "tiny_cifar10": Preset(PixelCnnConfig(**_TINY), 32, 32, rate=2e-3),
    "tiny_mnist": Preset(PixelCnnConfig(channels=1, **_TINY), 28, 28, rate=2e-3),
    "tiny_mnist_binary": Preset(PixelCnnConfig(channels=1, bits=1, binary=True, **_TINY), 28, 28, rate=2e-3),
    "tiny_celebahq": Preset(PixelCnnConfig(bits=5, **_TINY), 64, 64, batch=8, rate=2e-3),
}


def preset(name: str) -> Preset:
    """The published settings by data set, or their tiny twins for one CPU core. Raises LmconvError for others."""
    if name not in PRESETS:
        raise LmconvError(f"there is no preset {name!r}; known are {', '.join(PRESETS)}")
    return PRESETS[name]


def image_training(preset: Preset) -> ImageTraining:
    """The training of a preset. Losses are means here, bits/dim or a binary image's nats; `clip` is scaled to them."""
    dims = 1 if preset.network.binary else preset.network.channels * preset.height * preset.width * math.log(2)
    return ImageTraining(
        batch=preset.batch,
        rate=preset.rate,
        betas=preset.betas,
        decay=preset.decay,
        clip=preset.clip / (preset.batch * dims),
        height=preset.height,
        width=preset.width,
        order=preset.order,
        variants=preset.variants,
    )
