"""Sounds as images of one row: mu-law codes of mono samples, 8 bits, as WaveNet has them (ITU-T G.711's curve).

A code c stands for f in [-1, 1] by f = 2 c / 255 - 1, and f for the sample sign(f) (256^|f| - 1) / 255.
"""

import wave
from pathlib import Path

import numpy as np

from lmconv.data.pictures import DataError
from runtime.files import whole

SUFFIX = ".wav"
RATE = 8000  # samples a second that are written, where nothing else is asked for
_MU = 255.0


def at(path: Path) -> bool:
    """Whether a path is a .wav file or a folder with some."""
    return path.suffix == SUFFIX and path.is_file() or path.is_dir() and any(path.rglob(f"*{SUFFIX}"))


def encoded(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] -> codes uint8."""
    curve = np.sign(samples) * np.log1p(_MU * np.abs(np.clip(samples, -1, 1))) / np.log1p(_MU)
    return np.round((curve + 1) / 2 * 255).astype(np.uint8)


def decoded(codes: np.ndarray) -> np.ndarray:
    """Codes uint8 -> samples float64 in [-1, 1]."""
    curve = codes / 127.5 - 1
    return np.sign(curve) * np.expm1(np.abs(curve) * np.log1p(_MU)) / _MU


def read(path: Path) -> np.ndarray:
    """The samples of a .wav file, float64 in [-1, 1], the mean of its channels. Raises DataError."""
    try:
        with wave.open(str(path)) as file:
            width, channels = file.getsampwidth(), file.getnchannels()
            data = np.frombuffer(file.readframes(file.getnframes()), np.uint8)
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{path} cannot be read as a sound: {error}") from error
    parts = data[: len(data) // (width * channels) * width * channels].reshape(-1, channels, width).astype(np.int64)
    whole_number = (parts << 8 * np.arange(width)).sum(2)
    if width == 1:  # unsigned
        return ((whole_number - 128) / 128).mean(1)
    top = 1 << 8 * width - 1
    return ((whole_number ^ top) - top).mean(1) / top


def rows(source: Path, length: int) -> np.ndarray:
    """A .wav file, or all of a folder by name, cut into sounds of so many samples: codes uint8 [N, 1, 1, length].
    Raises DataError where there is none."""
    paths = sorted(source.rglob(f"*{SUFFIX}")) if source.is_dir() else [source]
    found = []
    for path in paths:
        codes = encoded(read(path))
        found.append(codes[: len(codes) // length * length].reshape(-1, 1, 1, length))
    if not sum(map(len, found)):
        raise DataError(f"{source} holds no sound of {length} samples")
    return np.concatenate(found)


def write(path: Path, codes: np.ndarray, rate: int = RATE, pause: float = 0.1) -> None:
    """Sounds, codes uint8 [N, T], one after the other, each with so many seconds of silence behind it, as a .wav file
    of 16 bits."""
    silence = np.zeros((len(codes), round(rate * pause)))
    samples = np.concatenate((decoded(codes), silence), 1).ravel()
    with whole(path) as file, wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
