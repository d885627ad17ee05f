"""Section 14.2: what is said of a picture's JPEG, and the planes that its coefficients make."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.reference.container import Bytes, check

LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMA = (17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66)
CHROMA += (99,) * 38
SAMPLINGS = ((1, 1), (2, 2), (2, 1), (1, 2))  # of luma, across and down


@dataclass(frozen=True)
class Origin:
    """sampling: of luma; (1, 1) of a grey one. steps: of each component."""

    row: int
    column: int
    sampling: tuple[int, int]
    smooth: bool
    steps: list[list[int]]

    def blocks(self, height: int, width: int) -> list[tuple[int, int]]:
        """Rows and columns of blocks, as whole MCUs hold them, of each component."""
        (across, down), components = self.sampling, len(self.steps)
        if components == 1:
            return [(-(-(height + self.row) // 8), -(-(width + self.column) // 8))]
        rows, columns = -(-(height + self.row) // (8 * down)), -(-(width + self.column) // (8 * across))
        return [(rows * down, columns * across), (rows, columns), (rows, columns)]

    def planes(self, coefficients: list[np.ndarray], height: int, width: int) -> np.ndarray:
        """uint8 [C, H, W] from each component's, [rows, columns, 64]."""
        samples = [plane(blocks, steps) for blocks, steps in zip(coefficients, self.steps)]
        if len(samples) == 1:
            return samples[0][None, self.row :, self.column :][:, :height, :width].astype(np.uint8)
        rows, columns, (across, down) = self.row + height, self.column + width, self.sampling
        chroma = [self.upsampled(part[: -(-rows // down), : -(-columns // across)]) for part in samples[1:]]
        y, cb, cr = (part[:rows, :columns] for part in (samples[0], *chroma))
        rgb = converted(y, cb - 128, cr - 128)
        return rgb[:, self.row :, self.column :]

    def upsampled(self, samples: np.ndarray) -> np.ndarray:
        """Of as many samples as the picture has."""
        (across, down), x = self.sampling, samples
        smooth = self.smooth and (across == 1 or x.shape[1] > 2)
        if not smooth:
            return x.repeat(down, 0).repeat(across, 1)
        if (across, down) == (2, 2):
            return doubled(doubled(x, 0, 0, 0, 0).T, 0, 8, 7, 4).T
        if across == 2:
            return doubled(x.T, 0, 1, 2, 2).T
        return doubled(x, 0, 1, 2, 2) if down == 2 else x


def doubled(x: np.ndarray, at: int, first: int, second: int, bits: int) -> np.ndarray:
    """Two rows for each: with its neighbour above, then with that below."""
    above, below = np.vstack([x[:1], x[:-1]]), np.vstack([x[1:], x[-1:]])
    both = np.stack([(3 * x + above + first) >> bits, (3 * x + below + second) >> bits], 1)
    return both.reshape(2 * len(x), -1)


def converted(y: np.ndarray, cb: np.ndarray, cr: np.ndarray) -> np.ndarray:
    grey = 65536 * y + 32768
    rgb = grey + 91881 * cr, grey - 22554 * cb - 46802 * cr, grey + 116130 * cb
    return np.stack([(part >> 16).clip(0, 255) for part in rgb]).astype(np.uint8)


def plane(blocks: np.ndarray, steps: list[int]) -> np.ndarray:
    """Samples, [8 rows, 8 columns], 0 .. 255."""
    rows, columns, _ = blocks.shape
    freq = (blocks.astype(np.int64) * np.array(steps)).reshape(rows, columns, 8, 8)
    half = turned(turned(freq.swapaxes(2, 3), 11).swapaxes(2, 3), 18) + 128
    return half.clip(0, 255).swapaxes(1, 2).reshape(8 * rows, 8 * columns)


def turned(v: np.ndarray, bits: int) -> np.ndarray:
    """The inverse transform of the last axis, 8 numbers, each with `bits` bits fewer in the end."""
    a, b, c, d, e, f, g, h = (v[..., i] for i in range(8))
    z = 4433 * (c + g)
    p, m, low, high = (a + e) << 13, (a - e) << 13, z - 15137 * g, z + 6270 * c
    even = p + high, m + low, m - low, p - high
    all_ = 9633 * (h + d + f + b)
    hb, fd, hd, fb = -7373 * (h + b), -20995 * (f + d), -16069 * (h + d) + all_, -3196 * (f + b) + all_
    odd = 12299 * b + hb + fb, 25172 * d + fd + hd, 16819 * f + fd + fb, 2446 * h + hb + hd
    out = [even[i] + odd[i] for i in range(4)] + [even[i] - odd[i] for i in (3, 2, 1, 0)]
    return np.stack([(x + (1 << (bits - 1))) >> bits for x in out], -1)


def read(source: bytes) -> tuple[Origin, bytes]:
    """What is said, and the coefficients' payload."""
    rest = Bytes(source)
    place, kind, quality, percent = (rest.number(1) for _ in range(4))
    check(kind < 16 and kind & 7 < 5 and quality <= 100 and percent <= 100, "a JPEG with a wrong value")
    grey = kind & 7 == 4
    if quality:
        tables = [standard(table, quality) for table in (LUMA, CHROMA)]
    else:
        tables = [list(rest.take(64)) for _ in range(1 if grey else 2)]
        check(all(map(all, tables)), "a step of 0")
    steps = tables[:1] if grey else [tables[0], tables[1], tables[1]]
    sampling = (1, 1) if grey else SAMPLINGS[kind & 7]
    return Origin(place & 15, place >> 4, sampling, kind < 8, steps), rest.data


def standard(table: tuple[int, ...], quality: int) -> list[int]:
    """libjpeg's steps of a quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return [min(max((step * scale + 50) // 100, 1), 255) for step in table]
