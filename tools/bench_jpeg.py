"""Sizes and speed of JPEG files kept byte for byte, beside JPEG XL's transcoding of them.

    python tools/bench_jpeg.py make PICTURES FOLDER [--limit N]
    python tools/bench_jpeg.py run FOLDER [--json FILE]
    python tools/bench_jpeg.py found PICTURES [--limit N] [--json FILE]

`make` writes the pictures of a folder as JPEGs of many settings, by Pillow and, where it is installed, by libjpeg's
cjpeg: qualities 50 to 98, chroma whole, halved one way or both, optimised tables or not, progressive, restart markers,
grey, CMYK, EXIF with a thumbnail, an ICC profile in several markers, odd sizes. `run` compresses and restores every
JPEG of a folder, compares all bytes, and prints a table by setting. `found` decodes JPEGs of the pictures of a folder
by Pillow, at some settings, and keeps the pixels as the JPEG found again in them, beside JPEG XL at effort 9 and the
walk through the pixels (`normal`). Needs the extras cpu and test.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

SETTINGS: dict[str, dict] = {
    **{f"420_q{quality}": {"quality": quality, "subsampling": 2} for quality in (50, 75, 85, 90, 95, 98)},
    **{f"444_q{quality}": {"quality": quality, "subsampling": 0} for quality in (75, 90, 95)},
    "422_q85": {"quality": 85, "subsampling": 1},
    "420_q85_optimised": {"quality": 85, "subsampling": 2, "optimize": True},
    "420_q85_progressive": {"quality": 85, "subsampling": 2, "progressive": True},
    "444_q95_progressive": {"quality": 95, "subsampling": 0, "progressive": True},
    "420_q80_restarts": {"quality": 80, "subsampling": 2, "restart_marker_rows": 1},
    "grey_q85": {"quality": 85},
    "cmyk_q85": {"quality": 85},
}
CJPEG = {
    "cjpeg_q75": ["-quality", "75"],
    "cjpeg_q90_progressive_restarts": ["-quality", "90", "-progressive", "-restart", "8B"],
    "cjpeg_q85_1x2": ["-quality", "85", "-sample", "1x2"],
}
SIZES = [(1, 1), (7, 9), (16, 16), (17, 33)]


def make(pictures: Path, folder: Path, limit: int | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(pictures.glob("*.png"))[:limit]:
        image = Image.open(path).convert("RGB")
        for name, options in SETTINGS.items():
            mode = {"grey": "L", "cmyk": "CMYK"}.get(name.split("_")[0], "RGB")
            image.convert(mode).save(folder / f"{path.stem}__{name}.jpg", **options)
        if shutil.which("cjpeg"):
            plain = io.BytesIO()
            image.save(plain, "PPM")
            for name, options in CJPEG.items():
                done = subprocess.run(["cjpeg", *options], input=plain.getvalue(), capture_output=True, check=True)
                (folder / f"{path.stem}__{name}.jpg").write_bytes(done.stdout)
    make_odd(image, folder)


def make_odd(image: Image.Image, folder: Path) -> None:
    """One of each, of the last picture."""
    for width, height in SIZES:
        image.crop((0, 0, width, height)).save(folder / f"odd__{width}x{height}.jpg", quality=90)
    thumbnail, exif = io.BytesIO(), Image.Exif()
    image.resize((96, 64)).save(thumbnail, "JPEG", quality=75)
    exif[270] = "a picture"
    profile = np.random.default_rng(0).bytes(150_000)
    image.save(folder / "odd__exif.jpg", quality=85, exif=exif.tobytes() + thumbnail.getvalue())
    image.save(folder / "odd__icc.jpg", quality=85, icc_profile=profile)


def transcoded(data: bytes) -> int | None:
    """Bytes that JPEG XL's transcoding takes at effort 9, None where it refuses."""
    from pillow_jxl import Encoder  # type: ignore[import-not-found]

    with Image.open(io.BytesIO(data)) as image:
        options = {"mode": "RGB", "lossless": True, "quality": 100, "decoding_speed": 0, "effort": 9}
        rest = {"use_container": True, "use_original_profile": False, "num_threads": 1}
        encoder, size = Encoder(**options, **rest), image.size
    try:
        return len(encoder(data, *size, jpeg_encode=True))
    except Exception:
        return None


def measure(path: Path) -> dict:
    """A file there and back, each the faster of two."""
    from codec.format import container
    from codec.jpeg.keep import keep, restore

    data, seconds = path.read_bytes(), [[], []]
    for _ in range(2):
        start = time.perf_counter()
        found = keep(data)
        seconds[0].append(time.perf_counter() - start)
        start = time.perf_counter()
        again = restore(found.kept)
        seconds[1].append(time.perf_counter() - start)
        if again != data:
            sys.exit(f"{path}: other bytes came back")
    setting = re.sub(r"^.*__", "", path.stem)
    size = len(container.pack_kept(found.kept))
    row = {"file": path.name, "setting": setting, "jpeg": len(data), "bytes": size, "jxl": transcoded(data)}
    return row | {"reason": found.reason, "encode": min(seconds[0]), "decode": min(seconds[1])}


def run(folder: Path, report: Path | None) -> None:
    from codec.jpeg.keep import keep

    keep(next(iter(folder.glob("*.jpg"))).read_bytes())  # compiles, and learns what every file starts with
    rows = [measure(path) for path in sorted(folder.glob("*.jpg"))]
    if report:
        report.write_text(json.dumps(rows, indent=1))
    by = defaultdict(list)
    for row in rows:
        by["odd" if row["file"].startswith("odd") else row["setting"]].append(row)
    print("| setting | files | JPEG | JPEG XL | this | JPEG XL | this | MB/s there | back |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, group in by.items():
        jpeg, ours = (sum(row[key] for row in group) for key in ("jpeg", "bytes"))
        there, back = (jpeg / sum(row[key] for row in group) / 1e6 for key in ("encode", "decode"))
        known = all(row["jxl"] for row in group)
        other = sum(row["jxl"] for row in group) if known else 0
        peer = (str(other), f"{100 * other / jpeg - 100:.1f} %") if known else ("", "")
        shares = f"{peer[1]} | {100 * ours / jpeg - 100:.1f} %"
        print(f"| {name} | {len(group)} | {jpeg} | {peer[0]} | {ours} | {shares} | {there:.2f} | {back:.2f} |")
    stored = sum(row["reason"] is not None for row in rows)
    print(f"\nEvery byte of {len(rows)} files came back; {stored} are stored without their coefficients.")


FOUND = ["420_q75", "420_q90", "420_q95", "444_q75", "444_q90", "422_q85"]


def found(pictures: Path, limit: int | None, report: Path | None) -> None:
    import runtime
    from codec import codec, images, models
    from codec.format import container
    from codec.jpeg.born import keep_pixels, pixels_of
    from codec.jpeg.recovery.recover import recover

    model, rows = runtime.load(models.resolve("photo-small"), threads=1), []
    for path in sorted(pictures.glob("*.png"))[:limit]:
        for name in FOUND:
            jpeg = io.BytesIO()
            Image.open(path).convert("RGB").save(jpeg, "JPEG", **SETTINGS[name])
            picture = Image.open(jpeg).convert("RGB")
            pixels, row = np.asarray(picture), {"file": path.stem, "setting": name, "jpeg": len(jpeg.getvalue())}
            recover(pixels)  # compiles
            start = time.perf_counter()
            again = recover(pixels)
            row["seconds"], row["exact"] = time.perf_counter() - start, again.exact.mean() if again else 0.0
            kept = keep_pixels(pixels)
            if kept and (pixels_of(kept, pixels.size) != pixels).any():
                sys.exit(f"{path}: other pixels came back")
            row["bytes"] = len(container.pack_kept(kept)) if kept else 0
            row["walk"] = len(codec.compress(images.Image(pixels, "RGB"), model).data)
            peer = io.BytesIO()
            picture.save(peer, "JXL", lossless=True, effort=9)
            rows.append(row | {"jxl": len(peer.getvalue())})
            print(rows[-1], file=sys.stderr)
    if report:
        report.write_text(json.dumps(rows, indent=1))
    print("| setting | found | whole | least pixels | JPEG | JPEG XL | walk | this | JPEG XL to this | s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in FOUND:
        group = [row for row in rows if row["setting"] == name]
        kept = [row for row in group if row["bytes"]]
        jpeg, jxl, walk, ours = (sum(row[key] for row in kept) for key in ("jpeg", "jxl", "walk", "bytes"))
        whole, least = sum(row["exact"] == 1 for row in group), min(row["exact"] for row in group)
        ratio, seconds = jxl / max(ours, 1), sum(row["seconds"] for row in group) / len(group)
        numbers = f"{jpeg} | {jxl} | {walk} | {ours} | {ratio:.2f} x | {seconds:.1f}"
        print(f"| {name} | {len(kept)} of {len(group)} | {whole} | {least:.4f} | {numbers} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("pictures", type=Path)
    making.add_argument("folder", type=Path)
    making.add_argument("--limit", type=int, metavar="N")
    running = commands.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("--json", type=Path, metavar="FILE")
    finding = commands.add_parser("found")
    finding.add_argument("pictures", type=Path)
    finding.add_argument("--limit", type=int, metavar="N")
    finding.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.command == "found":
        import pillow_jxl  # noqa: F401  Pillow's plugin

        found(arguments.pictures, arguments.limit, arguments.json)
    elif arguments.command == "make":
        make(arguments.pictures, arguments.folder, arguments.limit)
    else:
        run(arguments.folder, arguments.json)
