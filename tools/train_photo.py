"""Trains the shipped photo model from scratch, or goes on with it, straight from a checkout.

    python tools/train_photo.py PACK.zip RUN [--minutes 10] [--steps N] [--cache DIR]

Run again with the same arguments to resume. The same script on a CPU and on a GPU. Needs torch, numba, pillow,
safetensors, tqdm and tensorboard, nothing installed from this project. `lmconv train` offers every setting.
"""

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lmconv.config import Machine, PhotoConfig, PhotoTraining  # noqa: E402
from lmconv.data import crops  # noqa: E402
from lmconv.training.run import train  # noqa: E402
from lmconv.training.tasks import PhotoTask  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, help="a zip or a folder of photographs of at least 192 x 192 pixels")
    parser.add_argument("run", type=Path, help="folder of the run: checkpoints and TensorBoard scalars")
    parser.add_argument("--cache", type=Path, help="where predictions are kept (default: RUN/prepared)")
    parser.add_argument("--steps", type=int, default=PhotoTraining.steps)
    parser.add_argument("--channels", type=int, default=PhotoConfig.channels)
    parser.add_argument("--blocks", type=int, default=PhotoConfig.blocks)
    parser.add_argument("--batch", type=int, default=PhotoTraining.batch)
    parser.add_argument("--window", type=int, default=PhotoTraining.window)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes; resume later")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    arguments = parser.parse_args()
    config = PhotoTraining(steps=arguments.steps, batch=arguments.batch, window=arguments.window)
    prepared = crops.prepare(
        arguments.pack,
        arguments.cache or arguments.run / "prepared",
        config.crop,
        config.variants,
        altered=config.altered > 0,
    )
    network = PhotoConfig(channels=arguments.channels, blocks=arguments.blocks)
    machine = Machine(arguments.device, arguments.precision, arguments.threads, arguments.minutes)
    task = PhotoTask(prepared, config, network, machine.resolved_device())
    print(train(task, arguments.run, machine, resume="auto"))


if __name__ == "__main__":
    main()
