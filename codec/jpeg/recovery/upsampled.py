"""Coefficients of a plane from the pixels that it was upsampled to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codec.jpeg.pixels import samples_of, upsampled
from codec.jpeg.recovery.blocks import FORWARD, around, in_blocks, rounded, transformed
from codec.jpeg.recovery.interpolation import filled, means, solved
from codec.jpeg.recovery.planes import coefficients_within, settled
from codec.jpeg.recovery.search import repair, settle_spread
from codec.jpeg.segments import Component, Frame

_BEYOND = 2  # by how much samples may lie outside of the pixels that are interpolated from them
_SWEEPS = 8  # over samples that do not make their pixels


@dataclass(frozen=True)
class Upsampled:
    """Ranges of one plane of chroma for each pixel, and how it was sampled."""

    low: np.ndarray
    high: np.ndarray
    of: Frame
    smooth: bool

    @property
    def times(self) -> tuple[int, int]:
        return self.of.sampling

    @property
    def component(self) -> Component:
        return self.of.components[1]

    def upsampled(self, coefficients: np.ndarray, steps: np.ndarray) -> np.ndarray:
        return upsampled(samples_of(coefficients, self.component, steps), self.of, 1, self.smooth)

    @property
    def interpolated(self) -> bool:
        return self.smooth and self.times != (1, 1)

    def of_each_sample(self, pixels: np.ndarray) -> np.ndarray:
        """The pixels that each sample is repeated to, [rows, columns, n]."""
        (rows, columns), (across, down) = self.low.shape, self.times
        groups = pixels.reshape(rows // down, down, columns // across, across).swapaxes(1, 2)
        return groups.reshape(rows // down, columns // across, down * across)

    def ranges_of_samples(self) -> tuple[np.ndarray, np.ndarray]:
        """Of samples that are repeated: what is within the ranges of all of their pixels."""
        low, high = self.of_each_sample(self.low).max(2), self.of_each_sample(self.high).min(2)
        return np.where(low <= high, low, 0).astype(np.int16), np.where(low <= high, high, 255).astype(np.int16)

    def ranges_around(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ranges of samples that have been guessed: themselves where all their pixels are known and come out right."""
        made = upsampled(samples, self.of, 1)
        wrong = around((made < self.low) | (made > self.high), 1)
        sure = ~self.of_each_sample(wrong).any(2) & self.of_each_sample(self.low == self.high).all(2)
        low = np.minimum(samples, self.of_each_sample(self.low).min(2)) - _BEYOND
        high = np.maximum(samples, self.of_each_sample(self.high).max(2)) + _BEYOND
        low, high = np.where(sure, samples, low), np.where(sure, samples, high)
        return low.clip(0, 255).astype(np.int16), high.clip(0, 255).astype(np.int16)

    def right(self, samples: np.ndarray) -> np.ndarray:
        """Of the pixels that are known, which ones are so: bool, flat."""
        return (samples == self.low)[self.low == self.high]

    def bad(self, samples: np.ndarray) -> np.ndarray:
        """Which blocks have a sample out of its range."""
        rows, columns, (across, down) = self.component.rows, self.component.stride, self.times
        wrong = (samples < self.low) | (samples > self.high)
        return wrong.reshape(rows, 8 * down, columns, 8 * across).any((1, 3)).ravel()


def known_samples(plane: Upsampled) -> np.ndarray:
    """Which samples have all their pixels known."""
    known, (across, down) = plane.low == plane.high, plane.times
    return known.reshape(known.shape[0] // down, down, known.shape[1] // across, across).all((1, 3))


def frequencies_of(plane: Upsampled) -> np.ndarray:
    """The transform of the samples that fit the pixels best."""
    known = plane.low == plane.high
    values = filled(plane.low, known).clip(plane.low, plane.high)
    return transformed(in_blocks(solved(values, known, means(values, plane.times), plane.times, plane.smooth)))


def coefficients_of(plane: Upsampled, frequencies: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Coefficients, int16 [n, 64], that make pixels within their ranges, as far as they are found."""
    if not plane.interpolated:
        return coefficients_within(*plane.ranges_of_samples(), steps)
    coefficients = rounded(frequencies, steps)
    bad = plane.bad(plane.upsampled(coefficients, steps))
    if bad.any():
        samples = _samples(plane, frequencies, coefficients, bad, steps)
        low, high, start = (in_blocks(part)[bad] for part in (*plane.ranges_around(samples), samples))
        coefficients[bad] = settled(low, high, start, steps)
    for _ in range(2):
        odd = np.flatnonzero(plane.bad(plane.upsampled(coefficients, steps)))
        made = samples_of(coefficients, plane.component, steps)
        work = np.zeros(64, np.int64), np.zeros(64, np.int64)
        settle_spread(odd, coefficients, frequencies, made, plane.low, plane.high, steps, plane.times, *work)
    return coefficients


def _samples(
    plane: Upsampled, frequencies: np.ndarray, coefficients: np.ndarray, bad: np.ndarray, steps: np.ndarray
) -> np.ndarray:
    """Whole samples whose upsampling is nearly the pixels, int32 [H, W]: of bad blocks they are only rounded."""
    samples = samples_of(coefficients, plane.component, steps)
    rows, columns = plane.component.rows, plane.component.stride
    blocks = samples.reshape(rows, 8, columns, 8).swapaxes(1, 2)
    blocks[bad.reshape(rows, columns)] = np.rint(frequencies[bad] @ FORWARD + 128).clip(0, 255).reshape(-1, 8, 8)
    repair(samples, plane.low, plane.high, plane.times, _SWEEPS)
    return samples
