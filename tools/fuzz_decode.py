"""Fuzzes everything that reads bytes from outside: .lmc files, pictures of every format, JPEGs. Needs atheris.

    python tools/fuzz_decode.py FOLDER --minutes 60        # FOLDER: where what was found interesting is kept

Seeds are small files of every kind, made here. Mutations know the structure: a .lmc file's chunks are taken apart,
altered and given their right checksums, so that what lies behind these is reached; so are PNG's. What is asked of a
file: it is refused with an error of ours, or it is read, and then what is put together again is the same file or says
the same. Any other exception is a finding and ends the run; atheris writes the input beside.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import runtime  # noqa: E402
from codec import decompression  # noqa: E402  kernels, which are not for instruments
from codec.errors import CodecError  # noqa: E402
from codec.format import chunks, container  # noqa: E402
from codec.images import gif_lzw, gif_packing  # noqa: E402, F401  kernels as well
from codec.images.tiff import lzw, packbits  # noqa: E402, F401
from codec.jpeg import born, keep  # noqa: E402, F401

with atheris.instrument_imports(include=["codec"]):
    from codec import images
    from codec.images import bmp, gif, lossy, png, pnm, qoi, tga, tiff, webp  # noqa: F401

from codec import archive  # noqa: E402
from codec.archive import Wishes  # noqa: E402
from tests.codec.test_archive import FILES  # noqa: E402

MOST_PIXELS = 1 << 14
LMC, PNG, JPEG = chunks.MAGIC, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
MODEL = runtime.load(Path(__file__).parents[1] / "tests" / "golden" / "tiny.lmconv", threads=1)


def seeds(folder: Path) -> None:
    """Small files of every kind, and each of them compressed."""
    with tempfile.TemporaryDirectory() as work:
        for name, make in FILES.items():
            path = Path(work, name)
            path.write_bytes(make())
            (folder / name).write_bytes(path.read_bytes())
            found = archive.archive(path, lambda samples: [MODEL], Wishes())
            (folder / f"{name}.lmc").write_bytes(found.data)


def one_input(data: bytes) -> None:
    try:
        if data.startswith(LMC):
            lmc(data)
        elif data.startswith(JPEG):
            kept = keep.keep(data, MOST_PIXELS).kept
            assert keep.restore(kept, MOST_PIXELS) == data, "a JPEG is restored as another"
        elif lossy.kind_of(data) is not None:
            lossy.size(data)
        else:
            picture(data)
    except CodecError:
        pass


def lmc(data: bytes) -> None:
    contents = container.read(data, MOST_PIXELS)
    if contents.kept is not None:
        keep.restore(contents.kept, MOST_PIXELS)
        return
    header = contents.picture.header
    model = MODEL if header.model_id == bytes.fromhex(MODEL.manifest.model_id)[:6] else None
    samples = decompression.decompress(contents, model)
    for _ in archive.pieces_of(contents.source, samples):
        pass
    archive.metadata_of(contents)


def picture(data: bytes) -> None:
    name, parts = images.take_apart(data, MOST_PIXELS)
    module = images.module_of(name)
    made = b"".join(module.put_together(parts.samples, parts.rest))
    if parts.exact:
        assert made == data, f"a {name} is put together to another one"
    else:
        again = module.take_apart(made, MOST_PIXELS)
        assert again.samples.same(parts.samples), f"a {name} has other samples"
        assert module.metadata(again.rest) == module.metadata(parts.rest), f"a {name} says other things"
    stripped = b"".join(module.put_together(parts.samples, module.stripped(parts.rest)))
    assert module.take_apart(stripped, MOST_PIXELS).samples.same(parts.samples), f"a stripped {name} has other samples"


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """One part of a file altered by libFuzzer's mutations, and its checksums made right."""
    chance = random.Random(seed)
    takers: dict[bytes, Callable[[bytes], list[bytes]]] = {LMC: _parts_of_lmc, PNG: _parts_of_png}
    for start, parts_of in takers.items():
        if data.startswith(start) and chance.random() < 0.9:
            parts = parts_of(data)
            at = chance.randrange(len(parts))
            part = atheris.Mutate(parts[at], max(len(parts[at]), 8) + 16)
            return b"".join([*parts[:at], _summed(start, part, at), *parts[at + 1 :]])[:most]
    return atheris.Mutate(data, most)


def _parts_of_lmc(data: bytes) -> list[bytes]:
    """Magic, chunks without their checksums in whole, payloads."""
    from codec.format.numbers import Reader

    reader, parts = Reader(data), [data[:4]]
    reader.take(4)
    try:
        while True:
            start = reader.at
            kind = reader.take(1)
            reader.blob()
            reader.take(4)
            parts.append(data[start : reader.at])
            if kind in (chunks.PICTURE, chunks.KEPT):
                break
    except CodecError:
        pass
    return [*parts, data[reader.at :]]


def _parts_of_png(data: bytes) -> list[bytes]:
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        parts.append(data[at : at + 12 + length])
        at += 12 + length
    return [*parts, data[at:]]


def _summed(start: bytes, part: bytes, at: int) -> bytes:
    """A chunk with its length and checksum made right."""
    if at == 0 or len(part) < 12:
        return part
    if start == PNG:
        body = part[4:-4]
        return struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return part[:-4] + zlib.crc32(part[:-4]).to_bytes(4, "little")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=60)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    seeds(given.folder)
    # Comparisons of arrays leak where atheris watches them, so the process may grow; a single large block is a finding.
    limits = "-timeout=60", "-rss_limit_mb=0", "-malloc_limit_mb=1000"
    options = [f"-max_total_time={round(60 * given.minutes)}", "-max_len=65536", *limits]
    atheris.Setup([sys.argv[0], *options, str(given.folder)], one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
