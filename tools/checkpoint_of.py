"""A checkpoint of a photo bundle's network, for training on from it.

    python tools/checkpoint_of.py codec/bundles/photo.lmconv -o photo.safetensors
    lmconv train photo --init photo.safetensors --data PHOTOGRAPHS -o RUN

Its weights are the bundle's integers on scales that training likes; only the rounding of activations is gone.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from export.photo.floats import checkpoint_of  # noqa: E402
from lmconv.checkpoints import checkpoint  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="the checkpoint to write")
    arguments = parser.parse_args()
    if arguments.output.exists():
        parser.error(f"{arguments.output} exists")
    checkpoint.save(arguments.output, checkpoint_of(arguments.bundle))


if __name__ == "__main__":
    main()
