"""Trains the family's networks of sounds and videos for the same core minutes each, and says what each came to.

    python tools/sequence_table.py mnist.npz OUT [--minutes 15] [--count 200] [--images 64] [--json]

WaveNet on melodies of tools/make_sequences.py, by codes and by a mixture; Parallel WaveNet, a student of the latter; a
video pixel network on moving digits. OUT/NAME is the run of a network, which goes on where it was stopped, OUT/NAME.wav
what it plays, OUT/video_pixel.png some videos, a column each. --count: melodies; there are twenty times as many videos.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from family_table import CPU, sampled, trained, training  # noqa: E402
from make_sequences import SIDE, make_digits, make_sounds  # noqa: E402

from lmconv.checkpoints import checkpoint as checkpoints  # noqa: E402
from lmconv.checkpoints.checkpoint import Checkpoint  # noqa: E402
from lmconv.config import ImageTraining, Preset  # noqa: E402
from lmconv.data import datasets, sounds  # noqa: E402
from lmconv.data.datasets import ImageSet  # noqa: E402
from lmconv.evaluation import likelihoods  # noqa: E402
from lmconv.family.settings import FAMILY  # noqa: E402
from lmconv.sampling import sheet  # noqa: E402
from lmconv.training.distillation import Distillation  # noqa: E402
from lmconv.training.tasks import ImageTask  # noqa: E402

TEACHER, STUDENT, VIDEO = "wavenet_mixture", "parallel_wavenet", "video_pixel"


@dataclass(frozen=True)
class Row:
    """A network's line. seconds: of one sound or video; likelihoods in words."""

    name: str
    parameters: int
    steps: int
    minutes: float
    test: str
    calls: int
    seconds: float


def presets() -> dict[str, Preset]:
    """The networks by their names in the table, the teacher before its student."""
    wavenet = FAMILY["wavenet"]
    mixture = replace(wavenet, network=replace(wavenet.network, categorical=False))
    return {"wavenet": wavenet, TEACHER: mixture, STUDENT: FAMILY[STUDENT], VIDEO: FAMILY[VIDEO]}


def data(out: Path, mnist: str, count: int) -> dict[str, Path]:
    """What each network learns from, made if it is not there."""
    melodies, videos = out / "melodies", out / "videos.npz"
    if not melodies.exists():
        make_sounds(melodies, count, 4)
    if not videos.exists():
        make_digits(Path(mnist), videos, 20 * count, FAMILY[VIDEO].network.frames)
    return {name: videos if name == VIDEO else melodies for name in presets()}


def measure(name: str, preset: Preset, source: Path, out: Path, minutes: float, count: int) -> Row:
    """Trains or goes on, then tests and draws."""
    images, test = (
        datasets.load(source, split, datasets.grid(preset.network), (preset.height, preset.width))
        for split in ("train", "test")
    )
    test, config = test.first(min(count, len(test))), training(preset, min(count, len(images) // 5))
    state = trained(out / name, config, minutes, lambda config: task_of(name, images, config, preset, out))
    drawn, seconds, calls = sampled(state.net(), "raster", preset, 4)
    if name == VIDEO:
        sheet.write(out / f"{name}.png", sheet.sheet(sheet.tiles(drawn, preset.network.bits), columns=4))
    else:
        sounds.write(out / f"{name}.wav", drawn[:, 0, 0])
    parameters = sum(parameter.numel() for parameter in state.net().parameters())
    return Row(name, parameters, state.step, minutes, tested(name, state, test), calls, seconds / len(drawn))


def task_of(name: str, images: ImageSet, config: ImageTraining, preset: Preset, out: Path) -> ImageTask:
    """The student learns from the teacher's run."""
    if name != STUDENT:
        return ImageTask(images, config, preset.network, CPU)
    teacher = checkpoints.load(out / TEACHER / "last.safetensors")
    return Distillation(images, config, preset.network, CPU, teacher)


def tested(name: str, state: Checkpoint, test: ImageSet) -> str:
    """Bits a sample of sounds; nats a frame of videos, the first one apart, which has no frame before it."""
    network, size = state.network, test.levels.shape[2:]
    if name != VIDEO:
        nats = likelihoods.joint(state.net(), network, test.levels, ["raster"], CPU, batch=64)
        told = f"{nats.mean() / size[1] / math.log(2):.3f} bits a sample"
        if name == STUDENT:
            told += f", {state.curve[-1][1] / size[1] / math.log(2):.3f} from its teacher's distribution"
        return told
    frames = []
    for top in range(0, size[0], SIDE):
        region = np.zeros(size, bool)
        region[top : top + SIDE] = True
        found = likelihoods.joint(state.net(), network, test.levels, ["raster"], CPU, region, batch=8)
        frames.append(float(found.mean()))
    return f"{frames[0]:.1f} nats the first frame, {np.mean(frames[1:]):.1f} each one after"


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [
        "| network | parameters | core minutes | test | calls, seconds for one |",
        "|---|---:|---:|---|---:|",
    ]
    lines += [
        f"| `{row.name}` | {row.parameters:,} | {row.minutes:g} | {row.test} | {row.calls:,}, {row.seconds:.3g} |"
        for row in rows
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", help="mnist.npz")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--count", type=int, default=200, help="melodies")
    parser.add_argument("--images", type=int, default=64, help="sounds or videos of the test set, and held out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    sources, rows = data(arguments.out, arguments.mnist, arguments.count), []
    for name, preset in presets().items():
        line = arguments.out / f"{name}.json"
        if not line.exists():
            row = measure(name, preset, sources[name], arguments.out, arguments.minutes, arguments.images)
            line.write_text(json.dumps(asdict(row)))
        rows.append(Row(**json.loads(line.read_text())))
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows))


if __name__ == "__main__":
    main()
