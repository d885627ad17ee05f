"""Tiles of exact colours alone, row by row: for drawings, screens, scans and icons, where no model is worth its time.

A row may be the one above; where everything around is of one colour, one decision covers a stretch of it; any other
position is asked for its candidates, and a colour that is none of them is coded by its values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from codec.entropy.range_coder import Coder, spend_on
from codec.modelling import new_colours as values
from codec.modelling import stretches as long
from codec.modelling.exact_colours import memory, question
from codec.modelling.exact_colours.memory import NOWHERE, colour_of
from codec.modelling.exact_colours.question import ExactColours, ask, exact_colours, take_over
from codec.modelling.flat_start import start
from codec.modelling.new_colours import NewColours, code_colour, new_colours
from codec.modelling.stretches import (
    SHORTEST,
    Stretches,
    code_same_row,
    code_stretch,
    copied_until,
    flat_until,
    stretches,
)
from codec.tile_coders import Report
from runtime.kept import Kept
from runtime.kernels import inlined, kernel

_MOST_DECISIONS = question.MOST_DECISIONS + values.DECISIONS + long.DECISIONS
_AT_ONCE = 1 << 13  # positions of a call, or a row


class Flat(NamedTuple):
    """State of a tile. pixels: uint8 [C, H, W], the true ones when encoding, else to be filled."""

    pixels: np.ndarray
    colours: ExactColours
    new: NewColours
    stretches: Stretches


def code_flat(coder: Coder, planes: np.ndarray, report: Report) -> None:
    """Runs a tile, uint8 [C, H, W] of 1 or 3 channels, through a coder: an Encoder is told the planes, a Decoder's
    decisions are written into them. Raises DamagedFile for what no encoder can have written."""
    run(coder, flat(planes), report)


def flat(planes: np.ndarray, learned: bool = True) -> Flat:
    """What starts a tile: what was learned from drawings, or, where that is to be learned, nothing."""
    channels, height, width = planes.shape
    parts = exact_colours(channels, height, width, in_rows=True), new_colours(height * width), stretches()
    if learned:
        start(*parts)
    return Flat(planes, *parts)


def run(coder: Coder, start: Flat, report: Report) -> None:
    """`code_flat` from a given state, which learns."""
    _, height, width = start.pixels.shape
    state = Kept(start)
    rows = max(_AT_ONCE // width, 1)
    for first in range(0, height, rows):
        end = min(first + rows, height)
        coder.reserve((end - first) * (width * _MOST_DECISIONS + 1))
        _code_rows(first, end, state, coder.coding)
        coder.check()
        report((end - first) * width)


@kernel
def _code_rows(first, end, flat, coding):
    """Codes some rows."""
    channels, height, width = flat.pixels.shape
    for row in range(first, end):
        spend_on(coding, (channels * height + row) * width)
        same = np.int64(coding.encodes and row > 0 and _like_above(flat.pixels, row))
        if row > 0 and code_same_row(same, flat.stretches, coding):
            for c in range(width):
                _pass_over(row, c, _expected(row, c, np.int64(0), flat), np.int64(0), flat)
        else:
            _code_row(row, flat, coding)


@inlined
def _like_above(pixels, row):
    for k in range(len(pixels)):
        for c in range(pixels.shape[2]):
            if pixels[k, row, c] != pixels[k, row - 1, c]:
                return False
    return True


@inlined
def _code_row(row, flat, coding):
    """Codes a row: stretches where they can be expected, single positions elsewhere."""
    channels, height, width = flat.pixels.shape
    state, c, end = flat.colours.memory, np.int64(0), np.int64(0)
    while c < width:
        spend_on(coding, (channels * height + row) * width + c)
        place, until, refused = np.int64(0), c, np.int64(NOWHERE)
        if row > 0:
            until = flat_until(row, c, end, state)
            end = max(end, until)
        if until - c < SHORTEST:
            place, until = copied_until(row, c, state)
        if until - c >= SHORTEST:
            count = _as_expected(row, c, until, place, flat) if coding.encodes else np.int64(0)
            count = code_stretch(row, c, until - c, place > 0, count, (state, flat.stretches, coding))
            for i in range(c, c + count):
                _pass_over(row, i, _expected(row, i, place, flat), place, flat)
                place += place > 0
            c += count
            if c == until:
                continue
            refused = _expected(row, c, place, flat)
            spend_on(coding, (channels * height + row) * width + c)
        truth = colour_of(flat.pixels, row, c)
        colour = ask(row, c, truth, flat.colours, coding, refused)
        if colour < 0:
            colour = code_colour(row, c, truth, state, flat.new, coding)
        _write(row, c, colour, flat.pixels)
        take_over(row, c, colour, flat.colours)
        c += 1


@inlined
def _expected(row, c, place, flat):
    """The colour that is expected at a position: that at a place of the memory, or above where there is none."""
    state = flat.colours.memory
    return np.int64(state.pixels[place if place > 0 else memory.place_of(state, row - 1, c)])


@inlined
def _as_expected(row, c, until, place, flat):
    """How many positions from c on have the colours that are expected of them."""
    count = np.int64(0)
    while c + count < until:
        if colour_of(flat.pixels, row, c + count) != _expected(row, c + count, place, flat):
            break
        count += 1
        place += place > 0
    return count


@inlined
def _pass_over(row, c, colour, place, flat):
    _write(row, c, colour, flat.pixels)
    memory.pass_over(row, c, colour, place, flat.colours.memory)


@inlined
def _write(row, c, colour, pixels):
    channels = len(pixels)
    for k in range(channels):
        pixels[k, row, c] = colour >> (8 * (channels - 1 - k)) & 255
