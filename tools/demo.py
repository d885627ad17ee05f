"""Compresses and restores the photograph that the package carries, with the installed command, and compares the pixels.

    make demo        or, in any environment with lmconv[cpu]:  python tools/demo.py [PHOTO]

At every effort, beside PNG and lossless WebP. Exits with 1 when anything fails or a single pixel differs.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

import codec
from codec.models import EFFORTS

PHOTO = Path(codec.__file__).parent / "demo" / "photo.png"
COMMAND = Path(sys.executable).with_name("lmconv-codec")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?", default=PHOTO, help="default: the package's own")
    photo = parser.parse_args().photo
    print(f"{photo}, PyTorch is {'installed' if find_spec('torch') else 'not installed'}")
    original, ours, times = codec.read(photo), {}, []
    with tempfile.TemporaryDirectory(prefix="lmconv-demo-") as folder:
        for effort in EFFORTS:
            packed, restored = Path(folder, f"{effort}.lmc"), Path(folder, f"{effort}.png")
            made = run("compress", photo, "-o", packed, "--effort", effort, "--json")
            back = run("decompress", packed, "-o", restored, "--json")
            difference = original.difference(codec.read(restored))
            if difference:
                print(f"FAILED: {difference}", file=sys.stderr)
                return 1
            ours[f"lmconv {effort}"] = packed.stat().st_size
            times.append(f"  {effort}: {made['seconds']:.1f} s there, {back['seconds']:.1f} s back, {made['model']}")
    subpixels = original.values.size
    print(f"\n{original.description}, {subpixels} subpixels")
    for name, size in (("raw", subpixels), *peers(photo).items(), *ours.items()):
        print(f"  {name:<13} {size:>9} bytes  {8 * size / subpixels:6.3f} bits per subpixel")
    print(*times, "restored: every pixel is the same", sep="\n")
    return 0


def run(*arguments: object) -> dict:
    """Runs lmconv-codec on one input; returns its JSON row. Exits when it fails."""
    words = [str(argument) for argument in arguments]
    print(f"$ {COMMAND.name} {' '.join(words)}", flush=True)
    done = subprocess.run([COMMAND, *words], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"FAILED: {COMMAND.name} exited with {done.returncode}")
    return json.loads(done.stdout)[0]


def peers(photo: Path) -> dict[str, int]:
    """Bytes of the same pixels as PNG and lossless WebP, as small as Pillow makes them."""
    options = {"PNG": dict(optimize=True), "WebP": dict(lossless=True, quality=100, method=6, exact=True)}
    sizes = {}
    with Image.open(photo) as picture:
        bare = Image.new(picture.mode, picture.size)
        bare.paste(picture)
    for name, settings in options.items():
        stream = io.BytesIO()
        bare.save(stream, name, **settings)
        sizes[name] = len(stream.getvalue())
    return sizes


if __name__ == "__main__":
    sys.exit(main())
