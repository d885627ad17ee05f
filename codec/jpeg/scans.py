"""Entropy-coded scans: from their bytes to quantised coefficients, and back to the same bytes.

A scan is written as libjpeg writes it. Whoever takes one apart writes it again and compares, so that files of other
habits are noticed. (ITU-T T.81, annexes F and G.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from codec.jpeg.segments import ZIGZAG, OddJpeg, Scan
from runtime.kernels import inlined, kernel

_ZEROS, _LAST_RUN = 0xF0, 0x7FFF  # the symbol for 16 zeros; the longest run of blocks without more
_MOST_CORRECTIONS = 937  # bits that libjpeg's encoder holds back before it writes a run of blocks
_LARGEST = (1 << 15) - 1  # of a coefficient
_BLOCK = 64 * 4 * 2  # bytes that a block takes at most

_BITS, _COUNT, _AT, _BEYOND, _RUN, _LEFT, _RESTART, _PAD, _CORRECTIONS, _WRONG = range(10)  # of a state


class _Plan(NamedTuple):
    """What kernels know of a scan. places: int64 [n, 5], of each block of an MCU its component, the component's first
    block, its stride, and how far the block is from the MCU's first, across and down; steps: across and down, blocks
    from one MCU to the next, by component."""

    kind: int  # as in _kind
    places: np.ndarray
    steps: np.ndarray
    dc: (
        np.ndarray
    )  # uint32 [n, 2^16] to read: length and symbol by the next 16 bits; [n, 256] to write: length and code
    ac: np.ndarray
    low: int
    high: int
    shift: int
    interval: int
    columns: int
    rows: int


_SEQUENTIAL, _DC_FIRST, _DC_MORE, _AC_FIRST, _AC_MORE = range(5)


def _kind(scan: Scan) -> int:
    if not scan.frame.progressive:
        return _SEQUENTIAL
    if scan.low == 0:
        return _DC_MORE if scan.before else _DC_FIRST
    return _AC_MORE if scan.before else _AC_FIRST


def read_scan(data: np.ndarray, at: int, scan: Scan, coefficients: np.ndarray) -> tuple[int, int]:
    """Reads a scan from a place in a file, uint8 [n], into coefficients, int16 [blocks, 64] of all components.

    Returns where its bytes end, and the bit that fills its last bytes, 1 where none is left. Raises OddJpeg.
    """
    plan, state, dc = _plan(scan, _readable), np.zeros(10, np.int64), np.zeros(4, np.int64)
    state[_AT], state[_PAD], state[_LEFT] = at, -1, scan.interval
    _read(data, plan, coefficients, dc, state)
    if state[_WRONG]:
        raise OddJpeg("a scan is damaged, cut off or followed by what does not belong to it")
    return int(state[_AT]), int(state[_PAD] != 0)


def write_scan(scan: Scan, pad: int, coefficients: np.ndarray) -> bytes:
    """The bytes of a scan. pad: the bit that fills last bytes. Raises OddJpeg where a table lacks a code."""
    plan, state, dc = _plan(scan, _writable), np.zeros(10, np.int64), np.zeros(4, np.int64)
    state[_PAD], state[_LEFT] = pad, scan.interval
    held = np.zeros(_MOST_CORRECTIONS + 64 + 1, np.uint8)
    room, parts = np.empty(plan.columns * (len(plan.places) * _BLOCK + 4) + 2048, np.uint8), []
    for row in range(plan.rows):
        state[_AT] = 0
        _write(row, plan, coefficients, dc, held, room, state)
        parts.append(room[: state[_AT]].tobytes())
    if state[_WRONG]:
        raise OddJpeg("a Huffman table lacks a code that its scan needs")
    return b"".join(parts)


def _plan(scan: Scan, table: Callable[[bytes], np.ndarray]) -> _Plan:
    frame, places, steps = scan.frame, [], np.ones((4, 2), np.int64)
    starts = np.cumsum([0, *(c.blocks for c in frame.components)])
    for place in scan.components:
        c = frame.components[place]
        whole = len(scan.components) > 1
        if whole:
            steps[place] = c.horizontal, c.vertical
        inside = [(i, j) for j in range(c.vertical) for i in range(c.horizontal)] if whole else [(0, 0)]
        places += [(place, starts[place], c.stride, i, j) for i, j in inside]
    columns, rows = frame.mcus if len(scan.components) > 1 else (c.width, c.height)
    tables = [[table(b"")] * 4 for _ in range(2)]
    for found, given in zip(tables, (scan.dc, scan.ac)):
        for place, told in zip(scan.components, given):
            found[place] = table(told)
    dc, ac = (np.stack(found) for found in tables)
    kind, numbers = _kind(scan), (scan.low, scan.high, scan.shift, scan.interval, columns, rows)
    return _Plan(kind, np.array(places, np.int64), steps, dc, ac, *numbers)


def _codes(table: bytes) -> list[tuple[int, int, int]]:
    """Length, code and symbol of a Huffman table, in the order of their codes."""
    found, code, at = [], 0, 16
    for length in range(1, 17):
        for symbol in table[at : at + table[length - 1]]:
            found.append((length, code, symbol))
            code += 1
        at += table[length - 1]
        code <<= 1
    return found


@lru_cache(maxsize=16)
def _readable(table: bytes) -> np.ndarray:
    found = np.zeros(1 << 16, np.uint32)
    for length, code, symbol in _codes(table) if table else ():
        found[code << (16 - length) : (code + 1) << (16 - length)] = length << 8 | symbol
    return found


@lru_cache(maxsize=16)
def _writable(table: bytes) -> np.ndarray:
    found = np.zeros(256, np.uint32)
    for length, code, symbol in _codes(table) if table else ():
        found[symbol] = length << 16 | code
    return found


# Reading


@kernel
def _read(data, plan, coefficients, dc, state):
    for row in range(plan.rows):
        for column in range(plan.columns):
            if plan.interval and state[_LEFT] == 0:
                _end_segment(data, state)
                _read_restart(data, plan, dc, state)
            state[_LEFT] -= 1
            for i in range(len(plan.places)):
                component, block = _block(i, row, column, plan)
                _read_block(data, component, coefficients[block], plan, dc, state)
            if state[_WRONG]:
                return
    state[_WRONG] |= state[_RUN] > 0
    _end_segment(data, state)


@inlined
def _block(i, row, column, plan):
    """Component and number of an MCU's block."""
    component, first, stride, across, down = plan.places[i]
    column = column * plan.steps[component, 0] + across
    return component, first + (row * plan.steps[component, 1] + down) * stride + column


@inlined
def _end_segment(data, state):
    """Skips the bits that fill the last byte; notes which they are."""
    left = state[_COUNT] - state[_BEYOND]
    if left < 0 or left > 7:
        state[_WRONG] = 1
    elif left:
        filling, ones = (state[_BITS] >> state[_BEYOND]) & ((1 << left) - 1), (1 << left) - 1
        found = np.int64(filling == ones)
        if (filling and filling != ones) or (state[_PAD] >= 0 and state[_PAD] != found):
            state[_WRONG] = 1
        state[_PAD] = found


@inlined
def _read_restart(data, plan, dc, state):
    at = state[_AT]
    if at + 1 >= len(data) or data[at] != 0xFF or data[at + 1] != 0xD0 + state[_RESTART] or state[_RUN]:
        state[_WRONG] = 1
    state[_AT], state[_RESTART], state[_LEFT] = at + 2, (state[_RESTART] + 1) % 8, plan.interval
    state[_BITS] = state[_COUNT] = state[_BEYOND] = 0
    for i in range(4):
        dc[i] = 0


@inlined
def _fill(data, state):
    """Has 32 bits at least, zeros behind the segment's end."""
    while state[_COUNT] < 32:
        at, byte = state[_AT], np.int64(0)
        if at + 1 < len(data) and (data[at] != 0xFF or data[at + 1] == 0):
            byte = np.int64(data[at])
            state[_AT] += 2 if byte == 0xFF else 1
        else:
            state[_BEYOND] += 8
            if state[_BEYOND] > 4096:
                state[_WRONG] = 1
        state[_BITS] = (state[_BITS] << 8 | byte) & 0xFFFFFFFFFF
        state[_COUNT] += 8


@inlined
def _symbol(data, table, state):
    _fill(data, state)
    found = np.int64(table[(state[_BITS] >> (state[_COUNT] - 16)) & 0xFFFF])
    if found == 0:
        state[_WRONG] = 1
    state[_COUNT] -= found >> 8
    return found & 0xFF


@inlined
def _take(data, count, state):
    _fill(data, state)
    state[_COUNT] -= count
    return (state[_BITS] >> state[_COUNT]) & ((1 << count) - 1)


@inlined
def _signed(bits, count):
    """A value of so many bits, negative where the first one is 0."""
    return bits if count == 0 or bits >> (count - 1) else bits - (1 << count) + 1


@inlined
def _read_block(data, component, block, plan, dc, state):
    kind, low, high, shift = plan.kind, plan.low, plan.high, plan.shift
    if kind == _DC_MORE:
        block[0] |= _take(data, 1, state) << shift
    elif kind == _AC_MORE:
        _read_more(data, plan.ac[component], block, low, high, shift, state)
    else:
        if low == 0:
            size = min(_symbol(data, plan.dc[component], state), 15)
            dc[component] += _signed(_take(data, size, state), size)
            _put(block, 0, dc[component] << shift, state)
        if kind != _DC_FIRST:
            _read_ac(data, plan.ac[component], block, max(low, 1), high, shift, state)


@inlined
def _put(block, place, value, state):
    if abs(value) > _LARGEST:
        state[_WRONG] = 1
    else:
        block[place] = value


@inlined
def _read_ac(data, table, block, k, high, shift, state):
    if state[_RUN]:
        state[_RUN] -= 1
        return
    while k <= high:
        symbol = _symbol(data, table, state)
        zeros, size = symbol >> 4, symbol & 15
        if size == 0 and zeros < 15:
            state[_RUN] = (1 << zeros) + _take(data, zeros, state) - 1
            return
        k += zeros
        value = _signed(_take(data, size, state), size)
        if k > high:
            state[_WRONG] = 1
            return
        if size:
            _put(block, ZIGZAG[k], value << shift, state)
        k += 1


@inlined
def _read_more(data, table, block, k, high, shift, state):
    """Refines the coefficients of a block by one bit."""
    while k <= high and state[_RUN] == 0:
        symbol = _symbol(data, table, state)
        zeros, size = symbol >> 4, symbol & 15
        value = np.int64(0)
        if size:
            if size > 1:
                state[_WRONG] = 1
            value = 1 << shift if _take(data, 1, state) else -(1 << shift)
        elif zeros < 15:
            state[_RUN] = (1 << zeros) + _take(data, zeros, state)
            break
        while k <= high:
            place = ZIGZAG[k]
            k += 1
            if block[place]:
                _correct(data, block, place, shift, state)
            elif zeros == 0:
                if size:
                    block[place] = value
                break
            else:
                zeros -= 1
    if state[_RUN]:
        while k <= high:
            if block[ZIGZAG[k]]:
                _correct(data, block, ZIGZAG[k], shift, state)
            k += 1
        state[_RUN] -= 1


@inlined
def _correct(data, block, place, shift, state):
    if _take(data, 1, state) and not (abs(block[place]) >> shift) & 1:
        block[place] += 1 << shift if block[place] > 0 else -(1 << shift)


# Writing


@kernel
def _write(row, plan, coefficients, dc, held, out, state):
    for column in range(plan.columns):
        if plan.interval and state[_LEFT] == 0:
            _write_end(plan, held, out, state)
            out[state[_AT]], out[state[_AT] + 1] = 0xFF, 0xD0 + state[_RESTART]
            state[_AT] += 2
            state[_RESTART], state[_LEFT] = (state[_RESTART] + 1) % 8, plan.interval
            for i in range(4):
                dc[i] = 0
        state[_LEFT] -= 1
        for i in range(len(plan.places)):
            component, block = _block(i, row, column, plan)
            _write_block(component, coefficients[block], plan, dc, held, out, state)
    if row == plan.rows - 1:
        _write_end(plan, held, out, state)


@inlined
def _write_end(plan, held, out, state):
    """Writes what is held back and fills the last byte."""
    _write_run(plan.ac[plan.places[0, 0]], held, out, state)
    left = -state[_COUNT] % 8
    _give(state[_PAD] * ((1 << left) - 1), left, out, state)


@inlined
def _give(bits, count, out, state):
    """Writes bits, at most 32."""
    state[_BITS] = (state[_BITS] << count | bits) & 0xFFFFFFFFFF
    state[_COUNT] += count
    while state[_COUNT] >= 8:
        state[_COUNT] -= 8
        byte = (state[_BITS] >> state[_COUNT]) & 0xFF
        out[state[_AT]] = byte
        state[_AT] += 1
        if byte == 0xFF:
            out[state[_AT]] = 0
            state[_AT] += 1


@inlined
def _give_symbol(symbol, table, out, state):
    entry = np.int64(table[symbol])
    if entry == 0:
        state[_WRONG] = 1
    _give(entry & 0xFFFF, entry >> 16, out, state)


@inlined
def _size(value):
    """How many bits a positive value has."""
    count = np.int64(0)
    while value >> count:
        count += 1
    return count


@inlined
def _give_value(value, size, out, state):
    _give(value if value >= 0 else value + (1 << size) - 1, size, out, state)


@inlined
def _write_run(table, held, out, state):
    """Writes the run of blocks without more, and the corrections in them."""
    if state[_RUN]:
        size = _size(state[_RUN]) - 1
        _give_symbol(size << 4, table, out, state)
        _give(state[_RUN] & ((1 << size) - 1), size, out, state)
        state[_RUN] = 0
        _give_held(held, 0, state[_CORRECTIONS], out, state)
        state[_CORRECTIONS] = 0


@inlined
def _give_held(held, first, end, out, state):
    for i in range(first, end):
        _give(np.int64(held[i]), 1, out, state)


@inlined
def _write_block(component, block, plan, dc, held, out, state):
    kind, low, high, shift = plan.kind, plan.low, plan.high, plan.shift
    if kind == _DC_MORE:
        _give((np.int64(block[0]) >> shift) & 1, 1, out, state)
    elif kind == _AC_MORE:
        _write_more(plan.ac[component], block, (low, high, shift), held, out, state)
    else:
        if low == 0:
            value = np.int64(block[0]) >> shift
            change = value - dc[component]
            dc[component] = value
            size = _size(abs(change))
            _give_symbol(size, plan.dc[component], out, state)
            _give_value(change, size, out, state)
        if kind != _DC_FIRST:
            _write_ac(plan.ac[component], block, (max(low, 1), high, shift), kind, held, out, state)


@inlined
def _write_ac(table, block, band, kind, held, out, state):
    low, high, shift = band
    zeros = np.int64(0)
    for k in range(low, high + 1):
        value = np.int64(block[ZIGZAG[k]])
        value = value >> shift if value >= 0 else -(-value >> shift)
        if value == 0:
            zeros += 1
            continue
        _write_run(table, held, out, state)
        while zeros > 15:
            _give_symbol(_ZEROS, table, out, state)
            zeros -= 16
        size = _size(abs(value))
        _give_symbol(zeros << 4 | size, table, out, state)
        _give_value(value, size, out, state)
        zeros = 0
    if zeros:
        state[_RUN] += 1
        if kind == _SEQUENTIAL or state[_RUN] == _LAST_RUN:
            _write_run(table, held, out, state)


@inlined
def _write_more(table, block, band, held, out, state):
    low, high, shift = band
    last = low - 1  # the last coefficient that is new
    for k in range(low, high + 1):
        if abs(np.int64(block[ZIGZAG[k]])) >> shift == 1:
            last = k
    zeros, first = np.int64(0), state[_CORRECTIONS]  # corrections of this block are held behind those of the run
    count = first
    for k in range(low, high + 1):
        value = np.int64(block[ZIGZAG[k]])
        size = abs(value) >> shift
        if size == 0:
            zeros += 1
            continue
        while zeros > 15 and k <= last:
            _write_run(table, held, out, state)
            _give_symbol(_ZEROS, table, out, state)
            zeros -= 16
            _give_held(held, first, count, out, state)
            first = count = 0
        if size > 1:
            held[count] = size & 1
            count += 1
            continue
        _write_run(table, held, out, state)
        _give_symbol(zeros << 4 | 1, table, out, state)
        _give(np.int64(value > 0), 1, out, state)
        _give_held(held, first, count, out, state)
        first = count = 0
        zeros = 0
    if zeros or count > first:
        state[_RUN] += 1
        state[_CORRECTIONS] = count
        if state[_RUN] == _LAST_RUN or count > _MOST_CORRECTIONS:
            _write_run(table, held, out, state)
