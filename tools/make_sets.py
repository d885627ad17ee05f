"""Makes sets of pictures of one kind from photographs, the same ones wherever it runs with the same Pillow.

    python tools/make_sets.py palette SOURCE FOLDER [--limit N] [--drawings N] [--size WIDTHxHEIGHT]
    python tools/make_sets.py born_jpeg SOURCE FOLDER [--limit N]
    python tools/make_sets.py deep SOURCE FOLDER [--limit N]
    python tools/make_sets.py thumbnails SOURCE FOLDER [--limit N] [--beside DATA.npz]

SOURCE is a folder or a zip of pictures. `palette`: each of the first N photographs, and as many drawings made here, of
antialiased shapes on gradients, are reduced to 16, 64 and 256 colours by Pillow's median cut, without dither and with
Floyd and Steinberg's, and written as PNG: NAME_COLOURS_none.png and NAME_COLOURS_fs.png, six files a picture.
`born_jpeg`: each of the first N photographs, as large as it is, through JPEG of chroma subsampling 4:2:0 at qualities
75, 85, 90, 95 and 98, and through YCbCr of eight bits: NAME_q75.png .. NAME_q98.png and NAME_ycc.png. `deep`: each of
the first N photographs in PNGs of sixteen bits, of half its size, since averages of 2 x 2 dithered values have more
bits than a byte: NAME_gamma.png as it is, NAME_linear.png in linear light, NAME_sensor12.png likewise with the noise of
a sensor, 4095 values in the upper twelve bits. `thumbnails`: one file, thumbnails.npz: its train_images are squares of
192, 96 and 64 pixels of the first N photographs, shrunk to 32 x 32 by a box, bicubic or Lanczos filter, in random
order, with the training images of DATA among them; the last 500 are thumbnails and the last ones of DATA in equal
parts, to be held out, and its test_images are these in random order.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from codec.images import png  # noqa: E402
from codec.images.samples import Samples  # noqa: E402

SUFFIXES = (".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
COLOURS = (16, 64, 256)
DITHERS = {"none": Image.Dither.NONE, "fs": Image.Dither.FLOYDSTEINBERG}
OVERSAMPLING = 4  # of the drawings, in each direction
SHAPES = 24
QUALITIES = (75, 85, 90, 95, 98)
THUMBNAIL, SQUARES = 32, (192, 96, 64)  # sides
FILTERS = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
HELD_OUT = 500


def photographs(source: Path, limit: int) -> Iterator[tuple[str, Image.Image]]:
    """The first pictures of a folder or a zip, by name, in RGB."""
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in sorted(name for name in archive.namelist() if name.lower().endswith(SUFFIXES))[:limit]:
                yield Path(name).stem, Image.open(io.BytesIO(archive.read(name))).convert("RGB")
        return
    for path in sorted(path for path in source.glob("*") if path.suffix.lower() in SUFFIXES)[:limit]:
        yield path.stem, Image.open(path).convert("RGB")


def drawing(number: int, size: tuple[int, int]) -> Image.Image:
    """Antialiased ellipses, polygons and lines, plain or with gradients, on a gradient; from the number alone."""
    rng, scaled = np.random.default_rng(number), (size[0] * OVERSAMPLING, size[1] * OVERSAMPLING)
    picture = _gradient(rng, scaled)
    for shape in range(SHAPES):
        mask = Image.new("L", scaled)
        pen, corners = ImageDraw.Draw(mask), [tuple(corner) for corner in rng.integers(0, scaled, (4, 2)).tolist()]
        if shape % 3 == 0:
            radius = int(rng.integers(scaled[1] // 32, scaled[1] // 5))
            (x, y), lower = corners[0], (corners[0][0] + 2 * radius, corners[0][1] + radius)
            pen.ellipse((x, y, *lower), fill=255)
        elif shape % 3 == 1:
            near = [
                (corners[0][0] + (x - corners[0][0]) // 3, corners[0][1] + (y - corners[0][1]) // 3) for x, y in corners
            ]
            pen.polygon(near, fill=255)
        else:
            pen.line(corners[:2], fill=255, width=int(rng.integers(2, 5 * OVERSAMPLING)))
        plain = Image.new("RGB", scaled, tuple(rng.integers(0, 256, 3).tolist()))
        picture.paste(_gradient(rng, scaled) if shape % 4 == 0 else plain, mask=mask)
    return picture.resize(size, Image.Resampling.BOX)


def _gradient(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """From one colour to another, along any direction."""
    first, last = rng.integers(0, 256, (2, 3))
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    along = (along - along.min()) / (along.max() - along.min())
    return Image.fromarray((first + along[..., None] * (last - first) + 0.5).astype(np.uint8))


def reduced(picture: Image.Image, colours: int, dither: Image.Dither) -> Image.Image:
    """A picture in so many colours at most, in RGB."""
    palette = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return picture.quantize(palette=palette, dither=dither).convert("RGB")


def make_palette(source: Path, folder: Path, limit: int, drawings: int, size: tuple[int, int]) -> None:
    """Writes the set `palette` into a folder."""
    drawn = ((f"drawing{number:02}", drawing(number, size)) for number in range(drawings))
    for pictures in (photographs(source, limit), drawn):
        for name, picture in pictures:
            for colours in COLOURS:
                for dither, how in DITHERS.items():
                    reduced(picture, colours, how).save(folder / f"{name}_{colours:03}_{dither}.png")


def through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """A picture as it is after JPEG with chroma of half the width and height."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


def make_born_jpeg(source: Path, folder: Path, limit: int) -> None:
    """Writes the set `born_jpeg` into a folder."""
    for name, picture in photographs(source, limit):
        for quality in QUALITIES:
            through_jpeg(picture, quality).save(folder / f"{name}_q{quality}.png")
        picture.convert("YCbCr").convert("RGB").save(folder / f"{name}_ycc.png")


def make_deep(source: Path, folder: Path, limit: int) -> None:
    """Writes the set `deep` into a folder."""
    for number, (name, picture) in enumerate(photographs(source, limit)):
        rng, bytes_ = np.random.default_rng(number), np.asarray(picture).astype(np.float64)
        height, width = bytes_.shape[0] // 2, bytes_.shape[1] // 2
        dithered = (bytes_ + rng.uniform(-0.5, 0.5, bytes_.shape))[: 2 * height, : 2 * width]
        shrunk = dithered.reshape(height, 2, width, 2, 3).mean((1, 3)).clip(0, 255) / 255
        linear = shrunk**2.2
        noisy = linear + rng.normal(0, 1, linear.shape) * np.sqrt(linear / 4000 + 1e-6)
        for kind, values in (
            ("gamma", 65535 * shrunk),
            ("linear", 65535 * linear),
            ("sensor12", 16 * (4095 * noisy.clip(0, 1)).round()),
        ):
            samples = Samples.of(values.round().astype(np.uint16))
            with open(folder / f"{name}_{kind}.png", "wb") as stream:
                stream.writelines(png.put_together(samples, png.compose(samples)))


def thumbnails(picture: Image.Image, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All squares of a picture, each shrunk by a filter that is drawn: uint8 [32, 32, 3]."""
    for side in SQUARES:
        for top in range(0, picture.height - side + 1, side):
            for left in range(0, picture.width - side + 1, side):
                square = picture.crop((left, top, left + side, top + side))
                yield np.asarray(square.resize((THUMBNAIL, THUMBNAIL), FILTERS[rng.integers(len(FILTERS))]))


def make_thumbnails(source: Path, folder: Path, limit: int, beside: Path | None) -> None:
    """Writes the set `thumbnails` into a folder."""
    rng = np.random.default_rng(0)
    found = np.stack([each for _, picture in photographs(source, limit) for each in thumbnails(picture, rng)])
    sets = [rng.permutation(found)] + ([np.load(beside)["train_images"]] if beside else [])
    last = HELD_OUT // len(sets)
    seen, held_out = (np.concatenate([each[part] for each in sets]) for part in (slice(-last), slice(-last, None)))
    train = np.concatenate([rng.permutation(seen), held_out])
    np.savez_compressed(folder / "thumbnails.npz", train_images=train, test_images=rng.permutation(held_out))


def _size(text: str) -> tuple[int, int]:
    width, height = map(int, text.split("x"))
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=["palette", "born_jpeg", "deep", "thumbnails"])
    parser.add_argument("source", type=Path, help="a folder or a zip of pictures")
    parser.add_argument("folder", type=Path, help="where the set is written; made if it is not there")
    parser.add_argument("--limit", type=int, default=4, metavar="N", help="photographs, by name; default: %(default)s")
    parser.add_argument("--drawings", type=int, default=2, metavar="N", help="default: %(default)s")
    parser.add_argument("--size", type=_size, default="768x512", help="of the drawings; default: %(default)s")
    parser.add_argument("--beside", type=Path, metavar="DATA", help="a .npz of images of 32 x 32, for thumbnails")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.set == "palette":
        make_palette(given.source, given.folder, given.limit, given.drawings, given.size)
    elif given.set == "thumbnails":
        make_thumbnails(given.source, given.folder, given.limit, given.beside)
    elif given.set == "deep":
        make_deep(given.source, given.folder, given.limit)
    else:
        make_born_jpeg(given.source, given.folder, given.limit)


if __name__ == "__main__":
    main()
