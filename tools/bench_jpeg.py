"""Sizes and speed of JPEG files kept byte for byte, beside JPEG XL's transcoding of them.

    python tools/bench_jpeg.py make PICTURES FOLDER [--limit N]
    python tools/bench_jpeg.py run FOLDER [--json FILE]
    python tools/bench_jpeg.py found PICTURES [--limit N] [--json FILE]
    python tools/bench_jpeg.py never PICTURES

`make` writes the pictures of a folder as JPEGs of many settings, by Pillow and, where it is installed, by libjpeg's
cjpeg: qualities 50 to 98, chroma whole, halved one way or both, optimised tables or not, progressive, restart markers,
grey, CMYK, EXIF with a thumbnail, an ICC profile in several markers, odd sizes. `run` compresses and restores every
JPEG of a folder, compares all bytes, and prints a table by setting. `found` decodes JPEGs of the pictures of a folder
by Pillow, or where it is installed by libjpeg's djpeg, at some settings, alters some of them, and compresses the pixels
by `normal`, beside WebP, JPEG XL at effort 9 and the walk through pixels without the JPEG. `never` says how many of the
pictures of a folder, which never were JPEGs, are taken for one, and how long it takes to say no: as they are, shrunk by
a third, in grey. Needs the extras cpu and test.
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
from PIL import Image, ImageDraw

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


PEERS: dict[str, dict] = {
    "webp": {"format": "WEBP", "method": 6, "quality": 100},
    "jxl": {"format": "JXL", "effort": 9},
}
FOUND: dict[str, dict] = {
    **{f"420_q{quality}": SETTINGS[f"420_q{quality}"] for quality in (50, 75, 85, 90, 95, 98)},
    **{f"444_q{quality}": SETTINGS[f"444_q{quality}"] for quality in (75, 90, 95)},
    "422_q85": SETTINGS["422_q85"],
    "grey_q85": {"quality": 85},
    "own tables": {"qtables": [[3 + (i % 8 + i // 8) * 2 for i in range(64)], [5 + i % 8 + i // 8 for i in range(64)]]},
    "420_q85, cropped": {"quality": 85, "subsampling": 2},
    "420_q85, corner altered": {"quality": 85, "subsampling": 2},
    "420_q85, logo": {"quality": 85, "subsampling": 2},
    "420_q90 of 420_q75": {"quality": 90, "subsampling": 2},
    "420_q85, not smoothed": {"quality": 85, "subsampling": 2},
}


def decoded(name: str, image: Image.Image, other: Image.Image) -> tuple[Image.Image, int]:
    """The pixels that a JPEG of a picture decodes to, altered as the name says, and the bytes of the JPEG. other: what
    a corner is painted over with."""
    mode, jpeg = "L" if name.startswith("grey") else "RGB", io.BytesIO()
    if name.endswith("of 420_q75"):
        image.save(jpeg, "JPEG", quality=75, subsampling=2)
        image, jpeg = Image.open(jpeg), io.BytesIO()
    image.convert(mode).save(jpeg, "JPEG", **FOUND[name])
    if name.endswith("not smoothed"):
        plain = subprocess.run(["djpeg", "-nosmooth", "-ppm"], input=jpeg.getvalue(), capture_output=True, check=True)
        picture = Image.open(io.BytesIO(plain.stdout))
    else:
        picture = Image.open(jpeg).convert(mode)
    if name.endswith("cropped"):
        picture = picture.crop((13, 7, picture.width - 21, picture.height - 9))
    if name.endswith("altered"):
        picture.paste(other.crop((0, 0, picture.width // 4, picture.height // 4)), (0, 0))
    if name.endswith("logo"):
        ImageDraw.Draw(picture).text((20, 20), "a few words", fill=(250, 240, 230), font_size=40)
    return picture, len(jpeg.getvalue())


def found(pictures: Path, limit: int | None, report: Path | None) -> None:
    import codec
    import runtime
    from codec import models
    from codec.images.samples import Samples
    from codec.jpeg.recovery.recover import recover

    model, rows = runtime.load(models.resolve("photo-small"), threads=1), []
    paths = sorted(pictures.glob("*.png"))
    for place, path in enumerate(paths[:limit]):
        other = Image.open(paths[place - 1]).convert("RGB")
        for name in FOUND:
            if name.endswith("not smoothed") and not shutil.which("djpeg"):
                continue
            picture, jpeg = decoded(name, Image.open(path).convert("RGB"), other)
            pixels, row = np.asarray(picture), {"file": path.stem, "setting": name, "jpeg": jpeg}
            pixels = pixels.reshape(*pixels.shape[:2], -1)
            recover(pixels)  # compiles
            start = time.perf_counter()
            again = recover(pixels)
            row["seconds"], row["exact"] = time.perf_counter() - start, again.exact.mean() if again else 0.0
            image = Samples.of(pixels)
            coded = codec.compress(image, model)
            if image.difference(codec.decompress(coded.data, model)):
                sys.exit(f"{path}: other pixels came back")
            row["bytes"], row["kept"] = len(coded.data), coded.origin is not None
            row["walk"] = len(codec.compress(image, model, order="wavefront").data)
            for key, options in PEERS.items():
                peer = io.BytesIO()
                picture.save(peer, lossless=True, **options)
                row[key] = len(peer.getvalue())
            rows.append(row)
            print(row, file=sys.stderr)
    if report:
        report.write_text(json.dumps(rows, indent=1))
    print("| setting | found | whole | pixels, least | JPEG | WebP | JPEG XL | walk | this | walk to this | s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name in FOUND:
        group = [row for row in rows if row["setting"] == name]
        if not group:
            continue
        kept = [row for row in group if row["kept"]]
        jpeg, webp, jxl, walk, ours = (sum(row[key] for row in kept) for key in ("jpeg", *PEERS, "walk", "bytes"))
        shares = [row["exact"] for row in group]
        whole, share = sum(share == 1 for share in shares), f"{np.mean(shares):.4f}, {min(shares):.4f}"
        ratio, seconds = walk / max(ours, 1), sum(row["seconds"] for row in group) / len(group)
        numbers = f"{jpeg} | {webp} | {jxl} | {walk} | {ours} | {ratio:.2f} x | {seconds:.1f}"
        print(f"| {name} | {len(kept)} of {len(group)} | {whole} | {share} | {numbers} |")


def never(pictures: Path) -> None:
    from codec.jpeg.recovery.recover import recover

    seconds, alarms = [], []
    for path in sorted(pictures.glob("*.png")):
        image = Image.open(path).convert("RGB")
        shrunk = image.resize((2 * image.width // 3, 2 * image.height // 3), Image.Resampling.LANCZOS)
        for name, tried in {"": image, "shrunk": shrunk, "grey": image.convert("L")}.items():
            pixels = np.asarray(tried).reshape(tried.height, tried.width, -1)
            recover(pixels)  # compiles
            start = time.perf_counter()
            alarms += [f"{path.name} {name}"] if recover(pixels) else []
            seconds.append(time.perf_counter() - start)
    middle, most = 1000 * np.median(seconds), 1000 * max(seconds)
    print(f"{len(seconds)} pictures: {len(alarms)} taken for a JPEG {alarms}; {middle:.0f} ms, {most:.0f} at most")


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
    asking = commands.add_parser("never")
    asking.add_argument("pictures", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "found":
        import pillow_jxl  # noqa: F401  Pillow's plugin

        found(arguments.pictures, arguments.limit, arguments.json)
    elif arguments.command == "never":
        never(arguments.pictures)
    elif arguments.command == "make":
        make(arguments.pictures, arguments.folder, arguments.limit)
    else:
        run(arguments.folder, arguments.json)
