"""Exact colours, for pictures that are no photographs: is the pixel one of a few colours seen in such a place before?

Contexts of known pixels, long to short, remember the colours that followed them; these, a matching place and the
neighbours give candidates, and each candidate one decision, yes or no. A further decision, the gate, tells whether one
of the recent colours it is; if not, the pixel escapes to the network's path. A colour is an integer, R 2^16 + G 2^8 + B
or the grey value. All positions of a level get their probabilities from one state, which learns after every round
(probabilities, weights) and after the level (colours). Integers throughout; both directions do the same.
"""

import numpy as np

from runtime.kernels import kernel
from runtime.predictor import rows_of

from .coder import ONE
from .tables import SQUASH, STRETCH

_OUTSIDE = 1 << 24  # what stands for a colour where there is none
_TOP, _SIDE = 4, 6
_NEAR = (
    ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2), (0, -3), (-2, -2))
    + ((-2, 3), (-3, 0), (-3, 1), (-1, -3), (-3, -1), (-3, 2), (0, -4), (-3, 3), (-3, -2), (-2, -3), (-3, 4), (-4, 0))
    + ((-4, 1), (-1, -4), (-4, 2), (-4, -1))
)
_REACH = len(_NEAR)
_ORDERS = np.array([2, 4, 6, 10, 16, 28])  # neighbours in each plain context
_PLAIN = len(_ORDERS)
_CONTEXTS = _PLAIN + 2
_SLOT_BITS, _WAYS = 15, 3
_SLOTS = 1 << _SLOT_BITS
_COUNT_LIMIT = 255
_CANDIDATES, _RECENT = 8, 32
_UNLIKELY = ONE >> 6


def _classes(thresholds: tuple[int, ...], size: int) -> np.ndarray:
    return np.searchsorted(thresholds, np.arange(size), side="right")


_MINE = _classes((1, 2, 3, 4, 6, 9, 16, 32, 64, 128, 255), 256)  # 12 classes
_REST = _classes((1, 2, 3, 4, 7, 13, 31), 3 * 256)  # 8
_BREAKS = _classes((1, 2, 3, 5, 9, 17, 33), 256)  # 8

# Inputs of a decision and where their adaptive probabilities lie.
_PATTERNS = np.array([8, 14, 22])  # neighbours in each pattern
_SHAPES = len(_PATTERNS)
_LABELS = 8
_INPUTS = _CONTEXTS + 6 + _SHAPES
_BIAS, _VISITS = _INPUTS, _INPUTS + 1  # further columns of a weight vector
_CONSTANT = 77  # 0.3
_PHASES = 4  # first candidate, second, later, recent colour
_STATES = 192
_AT_STATE = 0
_AT_GATE = _AT_STATE + _CONTEXTS * _PHASES * _STATES
_AT_MASK = _AT_GATE + _CONTEXTS * 32
_AT_GRID = _AT_MASK + _PHASES * 64
_AT_RUN = _AT_GRID + _PHASES * 64 * 64
_AT_MATCH = _AT_RUN + 2 * 16 * 256
_AT_COUNT = _AT_MATCH + _PHASES * 2 * 16 * 16
_AT_AROUND = _AT_COUNT + 64
_AT_PAIR = _AT_AROUND + 81
_PAIRS = 1 << 16
_AT_SHAPE = _AT_PAIR + 2 * _PAIRS
_CHANCES = _AT_SHAPE + _SHAPES * _PAIRS
_CHANCE_LIMIT = 250
_RECIPROCAL = np.array([65536 * 2 // (2 * n + 3) for n in range(_CHANCE_LIMIT + 1)])

_SETS = 3
_SET_0, _SET_1, _SET_2 = 161, 7 * 32 + 1, 81 * 5
_LIMIT = 2047
_WEIGHT_LIMIT = 1 << 20
_FINAL_RATE = 131
_RATES = np.array([max(262, 163840 // (n + 50)) for n in range(1024)])
_FINE = 33
_FINE_CONTEXTS = 5 * _STATES

# Columns of a row's desk.
_W, _N, _NW, _NE, _WW, _NN, _COLUMN_BREAKS, _ROW_BREAKS, _RUN_W, _RUN_N, _AROUND, _FROM, _LENGTH, _STREAK, _COPY = range(15)
_LISTED, _ALL, _TRIED, _GATE, _TRIAL, _RESULT, _TRUTH, _WHICH, _MIXED, _LONG = range(15, 25)
_SLOT = 25
_CHECK = _SLOT + _CONTEXTS
_SEEN = _CHECK + _CONTEXTS
_LINE = _SEEN + _CONTEXTS * _WAYS
_SCORE = _LINE + _CANDIDATES + _RECENT
_ADDRESS = _SCORE + _CANDIDATES
_X = _ADDRESS + _INPUTS
_CHOSEN = _X + _INPUTS + 1
_PART = _CHOSEN + _SETS
_APM = _PART + _SETS
_SHAPE = _APM + 4
_LABEL = _SHAPE + _SHAPES
_KINDS = _LABEL + _LABELS
_DESK = _KINDS + 1

# Columns of a row's and a column's memory
_RUN, _BEFORE, _BREAK, _RING = range(4)  # ring of four columns: match position, streak, outcome


class Colours:
    def __init__(self, height: int, width: int, rows: int, channels: int):
        self._height, self._width, self._channels = height, width, channels
        stride = width + 2 * _SIDE
        self._offsets = np.array([dr * stride + dc for dr, dc in _NEAR])
        self._pixels = np.full((height + _TOP) * stride, _OUTSIDE, np.int32)
        self._buckets = np.zeros((_CONTEXTS * _SLOTS, 1 + _WAYS), np.uint32)
        self._chances = np.zeros((_CHANCES, 2), np.int32)
        self._chances[:, 0] = 1 << 21
        self._weights = np.zeros((_SET_0 + _SET_1 + _SET_2, _INPUTS + 2), np.int32)
        self._weights[:, :_INPUTS] = 13107
        self._final = np.full((5, _SETS), 65536 // _SETS, np.int32)
        self._apm = np.zeros((2 * _FINE_CONTEXTS, _FINE), np.int32)
        self._apm[:] = [int(SQUASH[min(max((j - 16) * 128, -_LIMIT), _LIMIT) + _LIMIT]) << 8 for j in range(_FINE)]
        self._recent = np.full(_RECENT, _OUTSIDE, np.int32)
        self._rows = np.zeros((height + 1, 3 + 12), np.int32)
        self._columns = np.zeros((width, 3), np.int32)
        self._last = np.zeros(1 << 16, np.int32)
        self._desk = np.zeros((rows, _DESK), np.int64)
        self._active = np.zeros(rows, np.int64)
        self._frequencies, self._symbols = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        self.bits = np.zeros(rows)

    def open(self, level, known):
        first, _ = rows_of(level, self._height, self._width)
        self._n = known.shape[1]
        n = _open(level, first, self._n, known, self._width, self._offsets, self._pixels, self._buckets, self._chances,
                  self._rows, self._columns, self._last, self._desk, self._active)
        n = _next(n, *self._decision())
        return self._frequencies[:n], self._symbols[:n]

    def decide(self, count, known):
        n = _decide(count, self.bits, *self._decision())
        return self._frequencies[:n], self._symbols[:n]

    def found(self):
        result = self._desk[: self._n, _RESULT]
        v = np.stack([result >> s & 255 for s in ((16, 8, 0) if self._channels == 3 else (0,))]).astype(np.uint8)
        return result >= 0, v

    def learn(self, level, values):
        first, _ = rows_of(level, self._height, self._width)
        _learn(level, first, values, self._width, self._pixels, self._buckets, self._recent, self._rows,
               self._columns, self._last, self._desk)

    def _decision(self):
        return (self._chances, self._weights, self._final, self._apm, self._recent, self._desk, self._active,
                self._frequencies, self._symbols)


@kernel
def _colour(values, i):
    if len(values) == 1:
        return np.int64(values[0, i])
    return (np.int64(values[0, i]) << 16) | (np.int64(values[1, i]) << 8) | np.int64(values[2, i])


@kernel
def _hash(h, v):
    """32 bits; the product stays below 2^63."""
    h = ((h ^ v) * 0x2C1B3C6D) & 0xFFFFFFFF
    return h ^ (h >> 15)


@kernel
def _add(desk, row, colour):
    """Appends a candidate unless it is listed."""
    number = desk[row, _LISTED]
    if colour == _OUTSIDE or number >= _CANDIDATES:
        return
    for j in range(number):
        if desk[row, _LINE + j] == colour:
            return
    desk[row, _LINE + number] = colour
    desk[row, _LISTED] = number + 1


@kernel
def _open(level, first, n, known, width, offsets, pixels, buckets, chances, rows, columns, last, desk, active):
    stride = width + 2 * _SIDE
    for row in range(n):
        r = first + row
        c = level - 2 * r
        here = (r + _TOP) * stride + c + _SIDE
        desk[row, _TRUTH] = _colour(known, row)
        _look(row, r, c, here, stride, pixels, rows, columns, desk)
        _contexts(row, r, c, here, offsets, pixels, rows, columns, desk)
        _patterns(row, here, offsets, pixels, desk)
        _match(row, r, c, here, stride, offsets, pixels, rows, last, desk)
        _gather(row, buckets, desk)
        if desk[row, _LISTED] > 1:
            for j in range(desk[row, _LISTED]):
                total = 0
                for k in range(_CONTEXTS):
                    total += STRETCH[chances[_state(desk, row, k, 0, desk[row, _LINE + j]), 0] >> 10]
                desk[row, _SCORE + j] = total
        active[row] = row
    return n


@kernel
def _look(row, r, c, here, stride, pixels, rows, columns, desk):
    desk[row, _W], desk[row, _N] = pixels[here - 1], pixels[here - stride]
    desk[row, _NW], desk[row, _NE] = pixels[here - stride - 1], pixels[here - stride + 1]
    desk[row, _WW], desk[row, _NN] = pixels[here - 2], pixels[here - 2 * stride]
    desk[row, _COLUMN_BREAKS], desk[row, _ROW_BREAKS] = _BREAKS[columns[c, _BREAK]], _BREAKS[rows[r + 1, _BREAK]]
    desk[row, _RUN_W], desk[row, _RUN_N] = rows[r + 1, _RUN], columns[c, _RUN]
    west, north = rows[r + 1, _RING + 8 + ((c - 1) & 3)], rows[r, _RING + 8 + (c & 3)]
    desk[row, _AROUND] = (west * 27 + north * 9 + rows[r, _RING + 8 + ((c - 1) & 3)] * 3
                          + rows[r, _RING + 8 + ((c + 1) & 3)])
    desk[row, _TRIED], desk[row, _GATE], desk[row, _LISTED], desk[row, _RESULT] = 0, 0, 0, -1


@kernel
def _contexts(row, r, c, here, offsets, pixels, rows, columns, desk):
    """Slot and check number of every context."""
    h, j, four = np.int64(0x1E3779B1), 0, np.int64(0)
    for k in range(_PLAIN):
        while j < _ORDERS[k]:
            h = _hash(h, pixels[here + offsets[j]])
            j += 1
        desk[row, _SLOT + k] = h
    four = desk[row, _SLOT + 1]
    desk[row, _LONG] = h & 0xFFFF
    desk[row, _SLOT + _PLAIN] = _hash(_hash(four, min(desk[row, _RUN_W], 63)), min(desk[row, _RUN_N], 63))
    breaks = desk[row, _COLUMN_BREAKS] * 8 + desk[row, _ROW_BREAKS]
    desk[row, _SLOT + _PLAIN + 1] = _hash(_hash(_hash(four, breaks), rows[r + 1, _BEFORE]), columns[c, _BEFORE])
    for k in range(_CONTEXTS):
        h = desk[row, _SLOT + k]
        desk[row, _SLOT + k] = k * _SLOTS + (h & (_SLOTS - 1))
        desk[row, _CHECK + k] = h >> _SLOT_BITS


@kernel
def _patterns(row, here, offsets, pixels, desk):
    """Which neighbours are equal, whatever their colours: labels in order of appearance."""
    h, j, labels = np.int64(0x1E3779B1), 0, 0
    for m in range(_SHAPES):
        while j < _PATTERNS[m]:
            colour = np.int64(pixels[here + offsets[j]])
            label = 0
            while label < labels and desk[row, _LABEL + label] != colour:
                label += 1
            if label == labels and labels < _LABELS:
                desk[row, _LABEL + label] = colour
                labels += 1
            h = _hash(h, label)
            j += 1
        desk[row, _SHAPE + m] = h
    desk[row, _KINDS] = labels


@kernel
def _match(row, r, c, here, stride, offsets, pixels, rows, last, desk):
    """The known place most like this one: after the west's match, below the north's, or the last of the same hash."""
    best, agreed, streak = np.int64(0), np.int64(0), np.int64(-1)
    for source in range(3):
        run = np.int64(0)
        if source == 0:
            at, run = np.int64(rows[r + 1, _RING + ((c - 1) & 3)]) + 1, np.int64(rows[r + 1, _RING + 4 + ((c - 1) & 3)])
        elif source == 1:
            at, run = np.int64(rows[r, _RING + (c & 3)]) + stride, np.int64(rows[r, _RING + 4 + (c & 3)])
        else:
            at = np.int64(last[desk[row, _LONG]])
        if at <= stride or at == best or pixels[at] == _OUTSIDE:
            continue
        same = 0
        while same < _REACH and pixels[at + offsets[same]] == pixels[here + offsets[same]]:
            same += 1
        if same > agreed or (same == agreed and run > streak):
            best, agreed, streak = at, np.int64(same), run
    desk[row, _FROM], desk[row, _LENGTH], desk[row, _STREAK] = best, agreed, max(streak, 0)
    desk[row, _COPY] = pixels[best]


@kernel
def _gather(row, buckets, desk):
    """Candidates: the match, then what the contexts remember, long ones first, then the neighbours."""
    _add(desk, row, desk[row, _COPY])
    for k in range(_CONTEXTS - 1, -1, -1):
        slot, seen = desk[row, _SLOT + k], _SEEN + k * _WAYS
        if buckets[slot, 0] != desk[row, _CHECK + k]:
            for i in range(_WAYS):
                desk[row, seen + i] = 0
            continue
        for i in range(_WAYS):
            entry = np.int64(buckets[slot, 1 + i])
            desk[row, seen + i] = entry
            if entry > 0:
                _add(desk, row, entry & 0xFFFFFF)
    for j in range(4):
        _add(desk, row, desk[row, _W + j])
    desk[row, _ALL] = desk[row, _LISTED]


@kernel
def _state(desk, row, k, phase, colour):
    """Where the probability of a colour lies by what context k remembers of it."""
    mine, rest, newest = 0, 0, 0
    for i in range(_WAYS):
        entry = desk[row, _SEEN + k * _WAYS + i]
        if (entry & 0xFFFFFF) == colour and entry > 0:
            mine = entry >> 24
            newest = i == 0
        else:
            rest += entry >> 24
    return _AT_STATE + ((k * _PHASES + phase) * 24 + _MINE[mine] * 2 + newest) * 8 + _REST[rest]


@kernel
def _next(n, chances, weights, final, apm, recent, desk, active, frequencies, symbols):
    """The next question of each of n open rows; rows without one are left out."""
    few, left = recent[_RECENT - 1] == _OUTSIDE, 0
    for i in range(n):
        row = active[i]
        while desk[row, _GATE] or desk[row, _TRIED] < desk[row, _LISTED] or few:
            desk[row, _TRIAL] = _choose(row, desk)
            if desk[row, _TRIAL] >= 0:
                _ask(row, desk)
                symbols[left] = desk[row, _TRUTH] == desk[row, _TRIAL]
            else:
                symbols[left] = _ask_gate(row, recent, desk)
            frequencies[left] = _estimate(row, chances, weights, final, apm, desk)
            if few or frequencies[left] >= _UNLIKELY:
                active[left] = row
                left += 1
                break
            _refuse(row, desk[row, _TRIAL], desk)
    return left


@kernel
def _choose(row, desk):
    """The colour asked for: the best candidate left, then the gate (-1), then recent colours."""
    rank = desk[row, _TRIED]
    if desk[row, _GATE] == 0:
        if rank == desk[row, _LISTED]:
            return np.int64(-1)
        best = rank
        for j in range(rank + 1, desk[row, _LISTED]):
            if desk[row, _SCORE + j] > desk[row, _SCORE + best]:
                best = j
        if best != rank:
            for base in (_LINE, _SCORE):
                other = desk[row, base + best]
                desk[row, base + best] = desk[row, base + rank]
                desk[row, base + rank] = other
    return desk[row, _LINE + rank]


@kernel
def _ask(row, desk):
    """Addresses, weight vectors of the question for a colour."""
    colour, rank = desk[row, _TRIAL], desk[row, _TRIED]
    phase = 3 if desk[row, _GATE] else min(rank, 2)
    longest = 0
    for k in range(_CONTEXTS):
        at = _state(desk, row, k, phase, colour)
        desk[row, _ADDRESS + k] = at
        if k < _PLAIN and at - _AT_STATE - (k * _PHASES + phase) * _STATES >= 16:
            longest = k + 1
    mask = 0
    for j in range(6):
        mask += (colour == desk[row, _W + j]) << j
    near, copied = mask & 15, np.int64(colour == desk[row, _COPY])
    grid = desk[row, _COLUMN_BREAKS] * 8 + desk[row, _ROW_BREAKS]
    runs = min(desk[row, _RUN_W], 15) * 16 + min(desk[row, _RUN_N], 15)
    a = _ADDRESS + _CONTEXTS
    desk[row, a] = _AT_MASK + phase * 64 + mask
    desk[row, a + 1] = _AT_GRID + (phase * 64 + mask) * 64 + grid
    desk[row, a + 2] = _AT_RUN + ((rank > 0) * 16 + near) * 256 + runs
    matched = min(desk[row, _LENGTH], 30) // 2 * 16 + min(desk[row, _STREAK], 15)
    desk[row, a + 3] = _AT_MATCH + (phase * 2 + copied) * 256 + matched
    h = _hash(_hash(0x1234 + phase, colour), desk[row, _W])
    desk[row, a + 4] = _AT_PAIR + (h & (_PAIRS - 1))
    desk[row, a + 5] = _AT_PAIR + _PAIRS + (_hash(h, desk[row, _N]) & (_PAIRS - 1))

    label = 0
    while label < desk[row, _KINDS] and desk[row, _LABEL + label] != colour:
        label += 1
    if label == desk[row, _KINDS]:
        label = 15
    for m in range(_SHAPES):
        h = _hash(desk[row, _SHAPE + m], phase * 16 + label)
        desk[row, a + 6 + m] = _AT_SHAPE + m * _PAIRS + (h & (_PAIRS - 1))
    single = 0
    if longest > 0:
        single = (desk[row, _ADDRESS + longest - 1] & 7) == 0
    kind = 128 + min(rank - desk[row, _LISTED], 31) if phase == 3 else min(rank, 7) * 16 + near
    desk[row, _CHOSEN] = kind
    desk[row, _CHOSEN + 1] = _SET_0 + (longest * 4 + phase) * 8 + single * 4 + copied * 2 + (desk[row, _LENGTH] >= 16)
    desk[row, _CHOSEN + 2] = _SET_0 + _SET_1 + desk[row, _AROUND] * 5 + phase
    desk[row, _WHICH] = phase
    desk[row, _APM] = phase * _STATES + desk[row, _ADDRESS + 1] % _STATES
    desk[row, _APM + 1] = _FINE_CONTEXTS + phase * _STATES + grid + 64 * (desk[row, _LENGTH] == _REACH)


@kernel
def _ask_gate(row, recent, desk):
    """The same for the gate; lists the recent colours and returns whether the true one is among them."""
    listed, answer = desk[row, _LISTED], 0
    number = listed
    for q in range(_RECENT):
        if recent[q] == _OUTSIDE:
            break
        known = False
        for j in range(listed):
            known |= desk[row, _LINE + j] == recent[q]
        if not known:
            desk[row, _LINE + number] = recent[q]
            answer |= recent[q] == desk[row, _TRUTH]
            number += 1
    desk[row, _GATE], desk[row, _ALL] = 1, number
    for k in range(_CONTEXTS):
        total, ways = 0, 0
        for j in range(_WAYS):
            entry = desk[row, _SEEN + k * _WAYS + j]
            total += entry >> 24
            ways += entry > 0
        desk[row, _ADDRESS + k] = _AT_GATE + k * 32 + _REST[total] * 4 + ways
    for j in range(_CONTEXTS, _INPUTS):
        desk[row, _ADDRESS + j] = _AT_AROUND + desk[row, _AROUND]
    desk[row, _ADDRESS + _CONTEXTS] = _AT_COUNT + min(number - listed, 31)
    desk[row, _ADDRESS + _CONTEXTS + 1] = _AT_COUNT + 32 + min(listed, 15)
    desk[row, _CHOSEN] = 160
    desk[row, _CHOSEN + 1] = _SET_0 + 7 * 32
    desk[row, _CHOSEN + 2] = _SET_0 + _SET_1 + desk[row, _AROUND] * 5 + 4
    desk[row, _WHICH] = 4
    desk[row, _APM] = 4 * _STATES + desk[row, _AROUND]
    desk[row, _APM + 1] = _FINE_CONTEXTS + 4 * _STATES
    return answer


@kernel
def _estimate(row, chances, weights, final, apm, desk):
    """Probability of yes out of 2^24."""
    for j in range(_INPUTS):
        desk[row, _X + j] = STRETCH[chances[desk[row, _ADDRESS + j], 0] >> 10]
    desk[row, _X + _BIAS] = _CONSTANT
    total = 0
    for m in range(_SETS):
        vector, dot = desk[row, _CHOSEN + m], 0
        for j in range(_INPUTS + 1):
            dot += weights[vector, j] * desk[row, _X + j]
        part = min(max((dot + 32768) >> 16, -_LIMIT), _LIMIT)
        desk[row, _PART + m] = part
        total += final[desk[row, _WHICH], m] * part
    logit = min(max((total + 32768) >> 16, -_LIMIT), _LIMIT)
    mixed = np.int64(SQUASH[logit + _LIMIT])
    desk[row, _MIXED] = mixed
    j, share = (logit + 2048) >> 7, (logit + 2048) & 127
    fine = 0
    for m in range(2):
        context = desk[row, _APM + m]
        fine += (apm[context, j] * (128 - share) + apm[context, j + 1] * share) >> 7
        desk[row, _APM + 2 + m] = j + (share >= 64)
    frequency = fine >> 1 if abs(logit) == _LIMIT else ((mixed << 9) + fine * 3) >> 3
    return min(max(frequency, 16), ONE - 16)


@kernel
def _decide(n, bits, chances, weights, final, apm, recent, desk, active, frequencies, symbols):
    left = 0
    for i in range(n):
        row, yes = active[i], np.int64(symbols[i])
        bits[row] -= np.log2((frequencies[i] if yes else ONE - frequencies[i]) / ONE)
        _adapt(row, yes, chances, weights, final, apm, desk)
        if _follow(row, yes, desk):
            active[left] = row
            left += 1
    return _next(left, chances, weights, final, apm, recent, desk, active, frequencies, symbols)


@kernel
def _adapt(row, yes, chances, weights, final, apm, desk):
    error = ((yes << 16) - desk[row, _MIXED]) * _FINAL_RATE
    which = desk[row, _WHICH]
    for m in range(_SETS):
        weight = final[which, m] + ((error * desk[row, _PART + m] + (1 << 23)) >> 24)
        final[which, m] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
        error_m = (yes << 16) - SQUASH[desk[row, _PART + m] + _LIMIT]
        vector = desk[row, _CHOSEN + m]
        visits = weights[vector, _VISITS]
        error_m *= _RATES[min(visits, 1023)]
        weights[vector, _VISITS] = visits + 1
        for j in range(_INPUTS + 1):
            weight = weights[vector, j] + ((error_m * desk[row, _X + j] + (1 << 23)) >> 24)
            weights[vector, j] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
    for m in range(2):
        context, j = desk[row, _APM + m], desk[row, _APM + 2 + m]
        apm[context, j] += ((yes << 24) - apm[context, j]) >> 6
    for j in range(_INPUTS):
        at = desk[row, _ADDRESS + j]
        count = chances[at, 1]
        chances[at, 0] += (((yes << 22) - yes - chances[at, 0]) * _RECIPROCAL[count]) >> 16
        chances[at, 1] = min(count + 1, _CHANCE_LIMIT)


@kernel
def _follow(row, yes, desk):
    """Takes over an answer; True while the row has another question."""
    listed, colour = desk[row, _LISTED], desk[row, _TRIAL]
    if colour < 0:
        if not yes:
            return False
        desk[row, _TRIED] = listed
        if desk[row, _ALL] == listed + 1:
            desk[row, _RESULT] = desk[row, _LINE + listed]
            return False
        return True
    if yes:
        desk[row, _RESULT] = colour
        return False
    _refuse(row, colour, desk)
    if desk[row, _GATE] and desk[row, _TRIED] == desk[row, _ALL] - 1:
        desk[row, _RESULT] = desk[row, _LINE + desk[row, _TRIED]]
        return False
    return True


@kernel
def _refuse(row, colour, desk):
    """Forgets a colour that it is not, or hardly can be."""
    desk[row, _TRIED] += 1
    for j in range(_SEEN, _SEEN + _CONTEXTS * _WAYS):
        if (desk[row, j] & 0xFFFFFF) == colour:
            desk[row, j] = 0


@kernel
def _learn(level, first, values, width, pixels, buckets, recent, rows, columns, last, desk):
    stride = width + 2 * _SIDE
    for row in range(values.shape[1]):
        r = first + row
        c = level - 2 * r
        here = (r + _TOP) * stride + c + _SIDE
        colour, west, north = _colour(values, row), desk[row, _W], desk[row, _N]
        pixels[here] = colour
        for k in range(_CONTEXTS):
            _remember(buckets, desk[row, _SLOT + k], desk[row, _CHECK + k], colour)
        _extend(rows, r + 1, colour, west, north)
        _extend(columns, c, colour, north, west)
        ring = _RING + (c & 3)
        good = colour == desk[row, _COPY]
        rows[r + 1, ring] = desk[row, _FROM]
        rows[r + 1, ring + 4] = min(desk[row, _STREAK] + 1, 255) if good else 0
        rows[r + 1, ring + 8] = 2 if desk[row, _RESULT] < 0 else desk[row, _TRIED] > 0
        last[desk[row, _LONG]] = here
        if colour != west:
            j = 0
            while j < _RECENT - 1 and recent[j] != colour:
                j += 1
            while j > 0:
                recent[j] = recent[j - 1]
                j -= 1
            recent[0] = colour


@kernel
def _extend(lines, line, colour, along, across):
    """A row's or column's run of one colour, the colour before it, and how often it differed from its neighbour."""
    if colour == along:
        lines[line, _RUN] = min(lines[line, _RUN] + 1, 255)
    else:
        lines[line, _RUN], lines[line, _BEFORE] = 1, along
    if colour != across and across != _OUTSIDE:
        lines[line, _BREAK] = min(lines[line, _BREAK] + 1, 255)


@kernel
def _remember(buckets, slot, check, colour):
    """Moves a colour to a bucket's front; the others' counts fade."""
    if buckets[slot, 0] != check:
        buckets[slot, 0] = check
        for i in range(_WAYS):
            buckets[slot, 1 + i] = 0
    count, moved = np.int64(1), np.int64(0)
    for i in range(_WAYS):
        entry = np.int64(buckets[slot, 1 + i])
        buckets[slot, 1 + i] = moved
        if entry == 0:
            break
        if (entry & 0xFFFFFF) == colour:
            count = min((entry >> 24) + 1, _COUNT_LIMIT)
            moved = np.int64(0)
            for rest in range(i + 1, _WAYS):
                buckets[slot, 1 + rest] = _faded(np.int64(buckets[slot, 1 + rest]))
            break
        moved = _faded(entry)
    buckets[slot, 1] = (count << 24) | colour


@kernel
def _faded(entry):
    count = entry >> 24
    if count > 2:
        count = (count + 2) >> 1
    return (count << 24) | (entry & 0xFFFFFF)
