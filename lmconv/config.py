"""What a network is and how it is trained: settings, free of heavy imports so that the command line can show them."""
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lmconv.errors import LmconvError

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

    def __post_init__(self):
        for name, value in vars(self).items():
            if not isinstance(value, int) or not 1 <= value <= 4096:
                raise LmconvError(f"a network's {name} is a whole number from 1 to 4096, not {value!r}")
        for kernel in (self.first_kernel, self.kernel):
            if kernel % 2 == 0 or kernel > 31:
                raise LmconvError(f"a network's kernels are odd, 31 at most, not {kernel}")


@dataclass(frozen=True)
class TrainConfig:
    """One run. The shipped model is of these settings (codec/bundles/photo.md)."""
    steps: int = 5500
    batch: int = 8
    window: int = 64                    # side of the square windows cut from the crops
    crop: int = 192                     # side of the crops that the predictor sees as whole pictures
    variants: tuple[int, ...] = (0, 4, 3, 7)
    altered: float = 0.2                # share of the windows cut from altered crops
    rate: float = 2e-3                  # Adam's: first and last layer, biases
    matrix_rate: float = 3e-3           # Muon's: hidden layers
    betas: tuple[float, float] = (0.9, 0.98)
    warmup: int = 200
    cooldown: float = 0.5
    clip: float = 1.0
    ema: float = 0.999
    holdout: int = 32                   # crops kept for evaluation
    evaluate_every: int = 500
    save_minutes: float = 5.0
    seed: int = 0


@dataclass(frozen=True)
class Machine:
    """Where and how a run computes; changes nothing but speed and rounding."""
    device: str = "auto"                # auto, cpu, cuda, cuda:1, ...
    precision: str = "auto"             # auto, fp32, bf16
    threads: int = 0                    # 0: PyTorch's choice
    minutes: float = math.inf           # stop (resumable) after so long
    progress: bool = True

    def resolved_device(self) -> "torch.device":
        import torch
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    def bf16(self) -> bool:
        import torch
        if self.precision != "auto":
            return self.precision == "bf16"
        if self.resolved_device().type == "cuda":
            return torch.cuda.is_bf16_supported()
        # Processors with AVX-512 only run bf16 slower than fp32 (measured); those with AMX should gain.
        return getattr(torch.cpu, "_is_amx_tile_supported", bool)()
