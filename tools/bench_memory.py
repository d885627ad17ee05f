"""Peak memory and time of the command on one large picture: compressed (and verified), restored, and compared.

    python tools/bench_memory.py PHOTOGRAPHS [--width 20000] [--height 15000] [--tiles 12] [--suffix .png]

The picture is drawn, row of tiles by row of tiles: `--tiles` squares of 1024 x 1024 laid out of the folder's
photographs, side by side in the middle of it, since that is where the most memory is needed, and bars on paper
elsewhere, so that it does not take hours. What is restored is compared byte for byte with what was drawn. A markdown
table goes to stdout. Needs the extras cpu and test, and three times the picture's size of disk.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from codec.archive import read  # noqa: E402
from codec.format.tiles import TILE, layout  # noqa: E402
from codec.images import png  # noqa: E402
from codec.images.samples import Samples  # noqa: E402

SUFFIXES = (".ppm", ".png")


def photograph(folder: Path, side: int, number: int) -> np.ndarray:
    """A square of photographs, uint8 [side, side, 3], another one for each number."""
    paths = sorted(folder.glob("*.png"))
    square = np.empty((side, side, 3), np.uint8)
    step = 512
    for at, (row, col) in enumerate((row, col) for row in range(0, side, step) for col in range(0, side, step)):
        values = read(paths[(4 * number + at) % len(paths)]).values
        part = np.resize(values, (step, step, 3)) if min(values.shape[:2]) < step else values[:step, :step]
        square[row : row + step, col : col + step] = part[: side - row, : side - col]
    return square


def drawn(height: int, width: int, folder: Path, tiles: int) -> Iterator[np.ndarray]:
    """Rows of the picture, uint8 [h, width, 3], those of one row of tiles at a time."""
    rng = np.random.default_rng(0)
    boxes = layout(height, width)
    across = sum(box.row == 0 for box in boxes)
    first = (len(boxes) // across // 2) * across
    photographs = range(first, min(first + tiles, len(boxes)))
    for start in range(0, len(boxes), across):
        rows = np.full((boxes[start].height, width, 3), 255, np.uint8)
        for number in range(start, start + across):
            box, part = boxes[number], rows[:, boxes[number].col : boxes[number].col + boxes[number].width]
            if number in photographs:
                part[:] = photograph(folder, TILE, number)[: box.height, : box.width]
            else:
                part[:] = (250, 248, 240)
                for top in range(8, box.height - 20, 24):
                    part[top : top + 12, 40 + rng.integers(20) : -40] = (32, 32, 40)
        yield rows


def write(path: Path, height: int, width: int, folder: Path, tiles: int) -> None:
    """The picture as a file."""
    if path.suffix == ".ppm":
        with open(path, "wb") as stream:
            stream.write(f"P6\n{width} {height}\n255\n".encode())
            for rows in drawn(height, width, folder, tiles):
                stream.write(rows.tobytes())
        return
    values = np.empty((height, width, 3), np.uint8)
    at = 0
    for rows in drawn(height, width, folder, tiles):
        values[at : at + len(rows)] = rows
        at += len(rows)
    samples = Samples.of(values)
    with open(path, "wb") as stream:
        stream.writelines(png.put_together(samples, png.compose(samples)))


def measured(*command: str) -> tuple[float, float]:
    """Runs the command; returns seconds, and the largest resident memory of its process in megabytes."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", "from codec.cli import cli; cli()", *command], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit / 1e6


def same(one: Path, other: Path) -> bool:
    with open(one, "rb") as first, open(other, "rb") as second:
        while a := first.read(2**22):
            if a != second.read(len(a)):
                return False
        return not second.read(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photographs, *.png")
    parser.add_argument("--width", type=int, default=20000)
    parser.add_argument("--height", type=int, default=15000)
    parser.add_argument("--tiles", type=int, default=12, help="that are photographs (default: %(default)s)")
    parser.add_argument("--suffix", choices=SUFFIXES, default=SUFFIXES[1])
    parser.add_argument("--effort", default="normal")
    parser.add_argument("--scratch", type=Path, help="folder for the files")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.scratch) as work:
        picture, coded, restored = Path(work, f"a{given.suffix}"), Path(work, "a.lmc"), Path(work, f"b{given.suffix}")
        write(picture, given.height, given.width, given.folder, given.tiles)
        limit = f"--max-pixels={given.width * given.height}"
        there = measured("compress", str(picture), "-o", str(coded), limit, f"--effort={given.effort}")
        back = measured("decompress", str(coded), "-o", str(restored), limit)
        if not same(picture, restored):
            print("FAILED: another file came back", file=sys.stderr)
            return 1
        kind = f"{given.width} x {given.height} {given.suffix}, {given.tiles} tiles of photographs"
        sizes = f"{picture.stat().st_size} -> {coded.stat().st_size} bytes"
        print(f"{kind}, {given.effort}: {sizes}")
        print("\n| | seconds | MB |\n|---|---:|---:|")
        for name, (seconds, megabytes) in (("compress and verify", there), ("decompress", back)):
            print(f"| {name} | {seconds:.0f} | {megabytes:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
