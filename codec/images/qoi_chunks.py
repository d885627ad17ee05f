"""The chunks of a QOI file: pixels from them, and the chunks that the reference encoder makes of pixels.

A chunk says one pixel, or a run of those that are like the last: as the one that was last seen with a hash, as
differences from the last pixel, or in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from codec.errors import UnreadableImage

MOST_RUN = 62
_STEP = 1 << 16  # chunks, or pixels, looked at together
_LOOK_UP, _DIFFERENCE, _LUMA, _RUN, _RGB, _RGBA = 0x00, 0x40, 0x80, 0xC0, 0xFE, 0xFF
_FIRST = np.array([0, 0, 0, 255], np.uint8)  # the pixel before the first
Pixels = Callable[[int, int], np.ndarray]  # from a first to a last pixel, that one not: [N, 4] uint8


def decode(data: bytes, at: int, total: int) -> Iterator[tuple[np.ndarray, int]]:
    """Pixels, [N, 4] uint8, of the chunks from byte `at` on, some at a time, and the place after those chunks. Raises
    UnreadableImage.
    """
    seen, last, found = [0] * 64, (0, 0, 0, 255), 0
    while found < total:
        chunks = data[at : at + 5 * _STEP] + bytes(5)  # so that the last may be cut short, which is seen afterwards
        pixels, counts, last, length = _decode_some(chunks, seen, last, total - found)
        at += length
        found += sum(counts)
        if found > total:
            raise UnreadableImage(f"the run before byte {at} goes past the last pixel: get the file again")
        if at > len(data):
            raise UnreadableImage(f"the file ends after {len(data)} bytes, before its last pixel: get it again")
        yield np.repeat(np.array(pixels, "<u4").view(np.uint8).reshape(-1, 4), counts, axis=0), at


def _decode_some(
    chunks: bytes, seen: list[int], last: tuple[int, int, int, int], most: int
) -> tuple[list[int], list[int], tuple[int, int, int, int], int]:
    """Pixels of chunks, as words, how many there are of each, the last of them, and the bytes that were read.

    seen: the pixels last seen, by their hashes, which is brought up to date.
    """
    red, green, blue, alpha = last
    pixels, counts, at, end = [], [], 0, len(chunks) - 5
    for _ in range(min(_STEP, most)):
        if most <= 0 or at > end:
            break
        code, count = chunks[at], 1
        at += 1
        if code < _DIFFERENCE:
            word = seen[code]
            red, green, blue, alpha = word & 255, word >> 8 & 255, word >> 16 & 255, word >> 24
        elif code < _LUMA:
            red, green, blue = red + (code >> 4 & 3) - 2, green + (code >> 2 & 3) - 2, blue + (code & 3) - 2
        elif code < _RUN:
            change, both = code - _LUMA - 32, chunks[at]
            red, green, blue = red + change + (both >> 4) - 8, green + change, blue + change + (both & 15) - 8
            at += 1
        elif code < _RGB:
            count = code - _RUN + 1
        else:
            red, green, blue = chunks[at : at + 3]
            at += 3
            if code == _RGBA:
                alpha = chunks[at]
                at += 1
        red, green, blue = red & 255, green & 255, blue & 255
        word = red | green << 8 | blue << 16 | alpha << 24
        seen[(3 * red + 5 * green + 7 * blue + 11 * alpha) & 63] = word
        pixels.append(word)
        counts.append(count)
        most -= count
    return pixels, counts, (red, green, blue, alpha), at


@dataclass
class _State:
    """What the encoder knows between steps: the last pixel, how many before it are like it, and those last seen."""

    last: np.ndarray = field(default_factory=_FIRST.copy)
    run: int = 0
    seen: np.ndarray = field(default_factory=lambda: np.zeros(64, np.uint32))


def encode(pixels: Pixels, total: int) -> Iterator[bytes]:
    """The chunks of a picture's pixels, as the reference encoder makes them."""
    state = _State()
    for first in range(0, total, _STEP):
        last = min(first + _STEP, total)
        yield _encode_some(pixels(first, min(last + 1, total)), last - first, state)


def _encode_some(pixels: np.ndarray, count: int, state: _State) -> bytes:
    """The chunks of the first `count` pixels; one more, where there is one, shows whether a run goes on."""
    here = pixels[:count]
    before = np.concatenate([state.last[None], pixels[:-1]])
    same = (pixels == before[: len(pixels)]).all(axis=1)
    places = np.arange(count)
    starts = np.maximum.accumulate(np.where(same[:count], -1, places))
    runs = np.where(starts < 0, places + 1 + state.run, places - starts)
    goes_on = np.append(same, False)[1 : count + 1]
    is_run = same[:count] & ((runs % MOST_RUN == 0) | ~goes_on)
    lengths, chunks = np.zeros(count, np.int64), np.zeros((count, 5), np.uint8)
    lengths[is_run], chunks[is_run, 0] = 1, _RUN + (runs[is_run] - 1) % MOST_RUN
    new = np.flatnonzero(~same[:count])
    lengths[new], chunks[new] = _single(here[new], before[new], state.seen)
    state.last, state.run = here[-1].copy(), int(runs[-1]) if same[count - 1] else 0
    return chunks[np.arange(5) < lengths[:, None]].tobytes()


def _single(pixels: np.ndarray, before: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The chunk of each pixel that is not like the one before it: its length, [N] int64, and its bytes, [N, 5] uint8.

    seen: the pixels last seen, by their hashes, [64] uint32, which is brought up to date.
    """
    count = len(pixels)
    hashes = (pixels * np.array([3, 5, 7, 11], np.uint8)).sum(axis=1, dtype=np.uint8) & 63
    words = np.ascontiguousarray(pixels).view(np.uint32)[:, 0]
    is_seen = _are_seen(words, hashes, seen)
    changes = pixels - before  # modulo 256, as all that follows
    red, green, blue, alpha = changes.T
    is_small = ((changes[:, :3] + np.uint8(2)) < 4).all(axis=1)
    red_rest, blue_rest = red - green + np.uint8(8), blue - green + np.uint8(8)
    is_luma = (green + np.uint8(32) < 64) & (red_rest < 16) & (blue_rest < 16)
    chunks = np.zeros((count, 5), np.uint8)
    cases = [is_seen, alpha != 0, is_small, is_luma]
    small = (red + np.uint8(2)) << 4 | (green + np.uint8(2)) << 2 | (blue + np.uint8(2))
    firsts = [hashes, np.uint8(_RGBA), small | _DIFFERENCE, (green + np.uint8(32)) | np.uint8(_LUMA)]
    chunks[:, 1:] = pixels
    chunks[:, 0] = np.select(cases, firsts, np.uint8(_RGB))
    lengths = np.select(cases, [1, 5, 1, 2], 4)
    chunks[:, 1] = np.where(lengths == 2, red_rest << 4 | blue_rest & 15, chunks[:, 1])
    return lengths, chunks


def _are_seen(words: np.ndarray, hashes: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Whether each pixel, [N] uint32, is the last before it that has its hash."""
    order = np.argsort(hashes, kind="stable")
    sorted_words, sorted_hashes = words[order], hashes[order]
    is_first = np.append(True, sorted_hashes[1:] != sorted_hashes[:-1])[: len(words)]
    earlier = np.where(is_first, seen[sorted_hashes], np.roll(sorted_words, 1))
    found = np.empty(len(words), bool)
    found[order] = earlier == sorted_words
    seen[hashes] = words  # of several with one hash, the last one stays
    return found
