"""Size and speed of lmconv on a folder of images, beside other lossless codecs measured in the same run.

    python tools/bench_codec.py DIR [--peers png,webp,jxl] [--json FILE] [--threads N] [--limit N] [--sizes]

Every coded image is decoded and compared with the original, the peers' too; any difference exits with 1. Times are
wall clock, array to bytes and back, after one warm-up, without reading files. Small pictures are tried by all models
that `compress` tries. Markdown tables go to stdout, every row
with the data's SHA-256 and the machine to the JSON file. Needs the extras cpu and test, and imagecodecs where JPEG XL
is to be beside samples of more than 8 bits; PNG and WebP are not.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from bench_report import Peak, Report, Row, Used, markdown, this_machine

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import codec  # noqa: E402
from codec import models  # noqa: E402
from codec.errors import CodecError  # noqa: E402
from codec.images.samples import Samples  # noqa: E402
from codec.peers import PEERS, Coder, measure, ours, peers  # noqa: E402
from runtime.variants import orient  # noqa: E402

SUFFIXES = (".png", ".webp", ".bmp", ".ppm", ".pgm", ".tif", ".tiff")
SIZES = (256, 512, 1024, 2048, 4096)
BLOCK = 256  # side of the pieces that the pictures of --sizes are made of


def measured(coder: Coder, name: str, image: Samples) -> Row:
    """Raises PixelsDiffer when the image does not come back."""
    found = measure(coder, image)
    size, subpixels = found.bytes, image.values.size
    rate = 8 * size / subpixels
    seconds = found.encode_seconds, found.decode_seconds
    return Row(coder.name, name, image.width, image.height, subpixels, size, rate, *seconds, found.nll_bits)


def run(coders: list[Coder], pictures: list[tuple[str, Samples]]) -> list[Row]:
    rows = []
    for name, image in pictures:
        for coder in coders:
            row = measured(coder, name, image)
            rows.append(row)
            times = f"{row.encode_seconds:.2f} s there, {row.decode_seconds:.2f} s back"
            print(f"{name}: {coder.name} {row.bytes} bytes, {times}", file=sys.stderr)
    return rows


def warm_up(coders: list[Coder], image: Samples) -> None:
    """Compiles kernels, fills caches and starts threads on a corner of an image."""
    corner = Samples.of(np.ascontiguousarray(image.values[:128, :128]))
    for coder in coders:
        measure(coder, corner)


def mosaics(pictures: list[tuple[str, Samples]]) -> list[tuple[str, Samples]]:
    """Square RGB pictures of SIZES laid out of BLOCK x BLOCK pieces of the given ones, each turned and mirrored; no
    piece comes twice the same way round in a picture."""
    pieces = [
        image.values[row : row + BLOCK, column : column + BLOCK]
        for _, image in pictures
        if image.kind == "rgb"
        for row in range(0, image.height - BLOCK + 1, BLOCK)
        for column in range(0, image.width - BLOCK + 1, BLOCK)
    ]
    blocks = [orient(piece.transpose(2, 0, 1), variant).transpose(1, 2, 0) for variant in range(8) for piece in pieces]
    made = []
    for size in SIZES:
        side = size // BLOCK
        if side * side > len(blocks):
            print(f"{size} x {size} left out: {len(blocks)} pieces, {side * side} needed", file=sys.stderr)
            continue
        lines = [np.hstack(blocks[line * side : (line + 1) * side]) for line in range(side)]
        made.append((f"mosaic {size}", Samples.of(np.vstack(lines))))
    return made


def peaks(path: Path, model: Path, threads: int) -> list[Peak]:
    """Peak memory of compressing and of restoring one file, each in a process of its own.

    Call it before anything large is loaded: on Linux a new process's maximum begins at its parent's size.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        data, compressing = pool.submit(_compress_alone, path, model, threads).result()
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        restoring = pool.submit(_restore_alone, data, model, threads).result()
    return [Peak(path.name, "compress", compressing), Peak(path.name, "decompress", restoring)]


def _compress_alone(path: Path, model: Path, threads: int) -> tuple[bytes, float]:
    return codec.compress(codec.read(path), models.load(model, threads)).data, _peak_megabytes()


def _restore_alone(data: bytes, model: Path, threads: int) -> float:
    codec.decompress(data, models.load(model, threads))
    return _peak_megabytes()


def _peak_megabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def help_seconds() -> float:
    """Median wall clock of `lmconv-codec --help`, interpreter included."""
    command = [sys.executable, "-c", "from codec.cli import cli; cli()", "--help"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="images; not searched recursively")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s; empty for none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row there")
    parser.add_argument("--threads", type=int, default=0, help="of lmconv and JPEG XL; 0: all cores")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N images only")
    parser.add_argument("--sizes", action="store_true", help="time per megapixel from 256 x 256 to 4096 x 4096 too")
    parser.add_argument("--model", help="shipped model's name or bundle file for all efforts; default: as `compress`")
    given = parser.parse_args()
    given.peers = [name for name in given.peers.split(",") if name]
    unknown = sorted(set(given.peers) - set(PEERS))
    if unknown:
        parser.error(f"--peers knows {', '.join(PEERS)}, not {', '.join(unknown)}")
    given.paths = sorted(path for path in given.folder.glob("*") if path.suffix.lower() in SUFFIXES)[: given.limit]
    if not given.paths:
        parser.error(f"no image in {given.folder}")
    return given


def main() -> int:
    given = arguments()
    largest = max(given.paths, key=lambda path: path.stat().st_size)
    memory = peaks(largest, models.of_effort(given.model, models.NORMAL), given.threads)
    load = partial(models.load, threads=given.threads)
    pictures = [(path.stem, codec.read(path)) for path in given.paths]
    efforts = sorted(models.EFFORTS, key=lambda effort: effort != models.NORMAL)
    choices = {effort: models.Choice(given.model, effort, load) for effort in efforts}
    coders = [*(ours(choice, effort) for effort, choice in choices.items()), *peers(given.peers, given.threads)]
    try:
        warm_up(coders, pictures[0][1])
        rows = run(coders, pictures)
        sizes = run(coders[:1], mosaics(pictures)) if given.sizes else []
    except CodecError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    about = {effort: choice.first().manifest for effort, choice in choices.items()}
    used = {effort: Used(each.name, each.model_id, each.parameters) for effort, each in about.items()}
    report = Report(
        folder=given.folder.name,
        data_sha256=sha256(given.paths),
        models=used,
        machine=this_machine(given.threads),
        help_seconds=help_seconds(),
        peaks=memory,
        rows=rows,
        sizes=sizes,
    )
    if given.json:
        report.write(given.json)
    print(markdown(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
