"""Checkpoints that come with the package, found by name: slim ones (checkpoint.Checkpoint.slim) in lmconv/models."""

from pathlib import Path

MODELS = Path(__file__).parents[1] / "models"
SUFFIX = ".safetensors"


def shipped() -> dict[str, Path]:
    """All of them by name."""
    return {path.stem: path for path in sorted(MODELS.glob(f"*{SUFFIX}"))}


def resolve(name_or_path: str | Path) -> Path:
    """The checkpoint of a name, else the path itself, whether or not something is there."""
    return shipped().get(str(name_or_path), Path(name_or_path))
