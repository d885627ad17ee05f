"""What a quarter of an hour of a GPU is worth most for, in one command, each part within its share of the time.

    python tools/gpu_day.py PACK PICTURES OUT [--minutes 8] [--init CHECKPOINT] [--provider cuda]

PACK: a zip or folder of photographs to train on; PICTURES: of pictures of any size. Into OUT:

exact.json     every bundle's integers by the provider beside the CPU's, picture by picture, and files coded by both;
export.json    tools/bench_export.py of the checkpoint, with onnxruntime's inputs and outputs kept on the device;
photo/         the photo network trained for the rest of the time: begun with --init, or gone on with if it is there.

A part that fails says so in OUT/report.json, and the others go on. Exits with 1 if one did.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import codec  # noqa: E402
import runtime  # noqa: E402
from codec import models  # noqa: E402
from codec.images.samples import Samples  # noqa: E402

_EXPORT, _EXACT = 0.2, 0.3  # shares of the time, at most
_FILES = 5  # of the pictures that are coded to files too


def exact(pictures: Path, provider: str, count: int, deadline: float) -> dict:
    """How many pictures' parameters, and files, are the same by both providers, for every bundle. Raises
    AssertionError where one is not."""
    found = {}
    for bundle in models.available():
        cpu, other = (runtime.load(bundle.path, each, threads=1) for each in ("cpu", provider))
        compared, coded = 0, 0
        for samples in cuts(pictures, bundle.manifest, count):
            planes = np.ascontiguousarray(samples.values.transpose(2, 0, 1))[None]
            same = np.array_equal(cpu.parameters(planes), other.parameters(planes))
            assert same, f"{bundle.name}: other integers for picture {compared}"
            compared += 1
            if coded < _FILES:
                files = [codec.compress(samples, model, effort="fast").data for model in (cpu, other)]
                assert files[0] == files[1], f"{bundle.name}: another file of picture {coded}"
                assert codec.decompress(files[0], other).same(samples), f"{bundle.name}: other samples of {coded}"
                coded += 1
            if time.monotonic() > deadline:
                break
        found[bundle.name] = {"pictures": compared, "files": coded}
    return found


def cuts(folder: Path, manifest: runtime.Manifest, count: int) -> Iterator[Samples]:
    """Parts of pictures as a bundle takes them, one of each: at most 256 x 256 colours, or a tile of its own kind."""
    layout, done = manifest.layout, 0
    height, width = (getattr(layout, side, 256) for side in ("height", "width"))
    channels, binary = getattr(layout, "channels", 3), getattr(layout, "binary", False)
    for path in sorted(folder.iterdir()):
        samples = codec.read(path)
        if samples.depth > 8 or samples.values.shape[2] < channels:
            continue
        values = samples.values[:height, :width, :channels]
        yield Samples.of(255 * (values > 127).astype(np.uint8) if binary else np.ascontiguousarray(values))
        done += 1
        if done == count:
            return


def tool(*words: object, minutes: float) -> None:
    """Runs a program of this project for so long at most. Raises CalledProcessError or TimeoutExpired."""
    line = [sys.executable, *map(str, words)]
    print(f"$ {' '.join(line[1:])}", flush=True)
    subprocess.run(line, cwd=ROOT, check=True, timeout=60 * minutes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=8, help="of everything (default 8)")
    parser.add_argument("--init", type=Path, help="a photo network's checkpoint to begin with")
    parser.add_argument("--checkpoint", type=Path, help="what is exported and timed (default: the trained one)")
    parser.add_argument("--provider", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--count", type=int, default=50, help="pictures for each bundle (default 50)")
    parser.add_argument("--train", default="", help="more options of lmconv train photo")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    begun, report = time.monotonic(), dict[str, dict]()

    def left() -> float:
        return given.minutes - (time.monotonic() - begun) / 60

    def part(name: str, work: Callable[[], object]) -> None:
        start = time.monotonic()
        try:
            found: object = work()
            report[name] = {"failed": None, "found": found}
        except Exception as error:  # whatever a machine that nobody knows does
            traceback.print_exc()
            report[name] = {"failed": f"{type(error).__name__}: {error}", "found": None}
        report[name]["seconds"] = round(time.monotonic() - start, 1)
        (given.out / "report.json").write_text(json.dumps(report, indent=1))
        print(f"{name}: {report[name]}", flush=True)

    run = given.out / "photo"

    def train() -> None:
        on_gpu = ["--device", "cuda", "--precision", "bf16", "--compile", "--batch", 64]
        usual = on_gpu if given.provider == "cuda" else ["--device", "cpu"]
        begin = ["--init", given.init] if given.init else []
        words = ["train", "photo", "--data", given.pack, "-o", run, "--resume", "auto", *begin, *usual]
        minutes = max(left() - (0 if given.checkpoint else _EXPORT * given.minutes), 0.1)
        tool("-m", "lmconv", *words, "--minutes", minutes, *given.train.split(), minutes=minutes + 2)

    def export() -> None:
        source, target = given.checkpoint or run / "last.safetensors", given.out / "export.json"
        few = ["--batch", "1,16", "--tiles", "1,16", "--repeat", 3]
        tool("tools/bench_export.py", source, given.pack, "--json", target, *few, minutes=max(left(), 1))

    deadline = begun + 60 * _EXACT * given.minutes
    part("exact", lambda: exact(given.pictures, given.provider, given.count, deadline))
    part("train", train)
    part("export", export)
    return int(any(each["failed"] for each in report.values()))


if __name__ == "__main__":
    sys.exit(main())
