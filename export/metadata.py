"""What a float file says of itself: whose weights it has, for which order and size, and what its numbers mean.

Keys and values are strings; a value that has parts is JSON (docs/export.md lists them).
"""

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np

from export.floats.baked import Precision
from lmconv import orders
from lmconv.checkpoints.checkpoint import Checkpoint
from lmconv.config import PhotoConfig
from lmconv.networks import kinds

FORMAT = "lmconv export 1"
COLOURS = "RGB"
COUPLINGS = ("R on G", "R on B", "G on B")


def metadata(
    checkpoint: Checkpoint, order: str, rank: np.ndarray, precision: Precision, name: str, card: dict
) -> dict[str, str]:
    """`rank` [H, W] is that of the order; `card` is what a user tells, with `licence` and `bits_per_dim` if known."""
    height, width = rank.shape
    bits = card.get("bits_per_dim", _held_out(checkpoint, rank.size))
    about = {
        "format": FORMAT,
        "name": name,
        "model_id": model_id(checkpoint, rank),
        "order": shown(order),
        "size": f"{height}x{width}",
        "precision": precision,
        "distribution": json.dumps(distribution_layout(checkpoint.network)),
        "network": json.dumps({"kind": kinds.kind(checkpoint.network)} | asdict(checkpoint.network)),
        "training": json.dumps({"steps": checkpoint.step} | checkpoint.training),
        "licence": str(card.get("licence", "")),
        "bits_per_dim": "" if bits is None else f"{bits:.5f}",
        "card": json.dumps(card) if card else "",
    }
    return {key: value for key, value in about.items() if value}


def model_id(checkpoint: Checkpoint, rank: np.ndarray) -> str:
    """SHA-256 of the averaged weights as they were trained, the network's configuration, and the order at its size."""
    network = {"kind": kinds.kind(checkpoint.network)} | asdict(checkpoint.network)
    digest = hashlib.sha256(json.dumps([FORMAT, network, rank.shape], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(rank, "<i4").tobytes())
    for name, tensor in sorted(checkpoint.ema.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def distribution_layout(network: kinds.Network) -> dict:
    """The distribution by name, its sizes, and `parts`: names and counts of the parameters in their order."""
    if isinstance(network, PhotoConfig):
        kinds = ["logits", *(f"{part} {c}" for part in ("shifts", "log-scales") for c in COLOURS)]
        parts = [[kind, network.components] for kind in (*kinds, *(f"couplings {pair}" for pair in COUPLINGS))]
        name, channels, bits = "mixture of logistics relative to bases", 3, 8
    elif network.binary:
        parts = [["logit of 0", 1], ["logit of 1", 1]]
        name, channels, bits = "bits", 1, 1
    elif network.categorical:
        parts = [["logits of the levels", 2**network.bits]]
        name, channels, bits = "categories", 1, network.bits
    else:
        kinds = ["logits"]
        for c, pair in zip(COLOURS if network.channels == 3 else [""], COUPLINGS):
            kinds += [f"means {c}".strip(), f"log-scales {c}".strip(), *([f"couplings {pair}"] if c else [])]
        parts = [[kind, network.components] for kind in kinds]
        name, channels, bits = "mixture of logistics", network.channels, network.bits
    return {"name": name, "channels": channels, "bits": bits, "parts": parts}


def shown(order: str) -> str:
    """An order's name without the folder of a file that holds it."""
    base, variant = orders.parse_variant(order)
    kind, _, argument = base.partition("=")
    return f"file={Path(argument).name}:{variant}" if kind == "file" else f"{base}:{variant}"


def _held_out(checkpoint: Checkpoint, positions: int) -> float | None:
    """Bits/dim of these very weights on the images held out of the training, if they were measured."""
    if not checkpoint.curve or checkpoint.curve[-1][0] != checkpoint.step:
        return None
    loss = checkpoint.curve[-1][1]
    return loss / (positions * math.log(2)) if checkpoint.training.get("unit") == "nats" else loss
