"""Altered crops: kinds of photographs that a pack of shrunken ones lacks.

Full-size pictures are softer than shrunken ones and often were a JPEG once; others are noisy, or of another light. Four
kinds in turn: enlarged, enlarged and noisy, noisy, other gains and gamma; half of the enlarged ones then pass through
JPEG. Every crop is drawn from (seed, its number) alone.
"""

import io

import numpy as np
from PIL import Image

ENLARGED = (1.1, 1.7)  # times
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR)
QUALITIES = (88, 99)  # of JPEG, from and below
NOISE = (0.3, 3.0)  # standard deviation of the noise in grey levels, before what brightness adds
GAINS, GAMMAS, OFFSETS = (0.85, 1.1), (0.8, 1.25), (-4.0, 4.0)


def altered(crops: np.ndarray, seed: int = 1) -> np.ndarray:
    """uint8 [N, 3, S, S] -> as many altered ones."""
    made = np.empty_like(crops)
    for number, crop in enumerate(crops):
        rng, picture = np.random.default_rng([seed, number]), crop.transpose(1, 2, 0)
        kind = number % 4
        if kind in (0, 1):
            picture = _enlarged(picture, rng)
        if kind in (1, 2):
            picture = _noisy(picture, rng)
        if kind == 3:
            picture = _lit(picture, rng)
        if kind in (0, 1) and rng.random() < 0.5:
            picture = _jpeg(picture, rng)
        made[number] = picture.transpose(2, 0, 1)
    return made


def _enlarged(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window of the picture's size out of the picture at 1.1 to 1.7 times its size."""
    side = picture.shape[0]
    larger = round(side * rng.uniform(*ENLARGED))
    resized = np.asarray(Image.fromarray(picture).resize((larger, larger), FILTERS[rng.integers(len(FILTERS))]))
    row, column = rng.integers(0, larger - side + 1, 2)
    return resized[row : row + side, column : column + side]


def _noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sensor's noise: variance a + b * level; the channels may share some, neighbours too (demosaicing)."""
    deviation = rng.uniform(*NOISE)
    variance = deviation**2 * rng.uniform(0.2, 1) + rng.uniform(0, 0.02) * deviation**2 * picture
    noise = rng.normal(size=picture.shape)
    if rng.random() < 0.5:
        noise = 0.8 * noise + 0.6 * rng.normal(size=picture.shape[:2])[..., None]
    if rng.random() < 0.5:
        share = rng.uniform(0, 0.35)
        noise += share * (np.roll(noise, 1, 0) + np.roll(noise, 1, 1))
        noise /= np.sqrt(1 + 2 * share**2)
    return _levels(picture + np.sqrt(variance) * noise)


def _lit(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another gamma, other gains and offsets of the channels, rounded with dither so that no level is left out."""
    level = 255 * (picture / 255) ** rng.uniform(*GAMMAS)
    level = level * rng.uniform(*GAINS, (1, 1, 3)) + rng.uniform(*OFFSETS, (1, 1, 3))
    return _levels(level + rng.uniform(-0.5, 0.5, picture.shape))


def _jpeg(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """There and back through JPEG, with any subsampling of the chroma."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(
        stream, "JPEG", quality=int(rng.integers(*QUALITIES)), subsampling=int(rng.integers(0, 3))
    )
    return np.asarray(Image.open(stream).convert("RGB"))


def _levels(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
