"""Exact colours, for pictures that are no photographs: is the pixel one of a few colours seen in such a place before?

Contexts of known neighbours, long to short, remember the colours that followed them; these, the copy of a place like
this one and the nearest neighbours are candidates, and each is one decision, yes or no. While the picture has had few
colours a further decision, the gate, opens the list of them all. A position that no candidate solves escapes to the
network's path. A colour is one integer, R 2^16 + G 2^8 + B or the grey value. All positions of a level get their
probabilities from one state; probabilities and weights learn after every round, the memory of colours after the level.
Integers throughout; both directions do the same.
"""

import numpy as np

from runtime.kernels import kernel
from runtime.predictor import rows_of

from .coder import ONE
from .tables import SQUASH, STRETCH

_NOWHERE = 1 << 24  # the colour of what lies outside the tile
_TOP, _SIDE = 4, 6  # rows and columns of it that neighbours reach
_NEAR = (  # neighbours (row, column), all of levels before; the nearest first
    ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0), (-2, 1), (-2, -1), (-1, -2), (-2, 2))
    + ((0, -3), (-2, -2), (-2, 3), (-3, 0), (-3, 1), (-1, -3), (-3, -1), (-3, 2), (0, -4), (-3, 3))
    + ((-3, -2), (-2, -3), (-3, 4), (-4, 0), (-4, 1), (-1, -4), (-4, 2), (-4, -1))
)
_REACH = len(_NEAR)
_CANDIDATES, _RECENT = 8, 32
_UNLIKELY = ONE >> 7  # a candidate below it is not asked for once the picture has had many colours
_SMALLEST = 16  # of 2^24
_SEED = 0x1E3779B1

# Memory: a bucket of the latest colours for each context.
_ORDERS = np.array([2, 4, 6, 10, 16, 28])  # neighbours in a plain context; two more take runs and breaks
_PLAIN = len(_ORDERS)
_CONTEXTS = _PLAIN + 2
_SLOT_BITS, _WAYS = 15, 3
_SLOTS = 1 << _SLOT_BITS
_PLACES = 1 << 16  # of the longest context, where it last came
_LONGEST_COUNT = 255
_LONGEST_RUN = 63


def _classes(thresholds: tuple[int, ...], size: int) -> np.ndarray:
    """How many thresholds each of 0 .. size - 1 reaches."""
    return np.searchsorted(thresholds, np.arange(size), side="right")


_MINE = _classes((1, 2, 3, 4, 6, 9, 16, 32, 64, 128, 255), _LONGEST_COUNT + 1)
_OTHERS = _classes((1, 2, 3, 4, 7, 13, 31), _WAYS * _LONGEST_COUNT + 1)
_BREAKS = _classes((1, 2, 3, 5, 9, 17, 33), 256)

# Inputs of a decision: contexts, then mask, grid, runs and copy, then patterns; and where their probabilities lie.
_PATTERNS = np.array([8, 14, 22])  # neighbours in a pattern
_SHAPES = len(_PATTERNS)
_LABELS = 8
_INPUTS = _CONTEXTS + 4 + _SHAPES
_BIAS, _VISITS = _INPUTS, _INPUTS + 1  # further columns of a weight vector
_CONSTANT = 77  # 0.3
_PHASES = 4  # the first candidate, the second, a later one, one of the list
_STATES = 192
_SHAPE_SLOTS = 1 << 16
_AT_GATE = _CONTEXTS * _PHASES * _STATES
_AT_MASK = _AT_GATE + _CONTEXTS * 32
_AT_GRID = _AT_MASK + _PHASES * 64
_AT_RUNS = _AT_GRID + _PHASES * 64 * 64
_AT_COPY = _AT_RUNS + 2 * 16 * 256
_AT_NUMBER = _AT_COPY + _PHASES * 2 * 256
_AT_AROUND = _AT_NUMBER + 32 + 16
_AT_SHAPE = _AT_AROUND + 81
_CHANCES = _AT_SHAPE + _SHAPES * _SHAPE_SLOTS
_COUNTED = 250  # a probability's rate falls as 1 / (visits + 1.5) until then
_RECIPROCAL = np.array([131072 // (2 * visits + 3) for visits in range(_COUNTED + 1)])

# Mixing: three weight vectors a decision, their sums mixed once more, then refined by what came of such sums.
_SETS = 3
_RANKS, _AGREEMENTS, _SURROUNDINGS = 161, 225, 81 * 5
_LIMIT = 2047  # logits / 256
_WEIGHT_LIMIT = 1 << 20  # weights stay within +-16
_RATES = np.array([max(262, 163840 // (visits + 50)) for visits in range(1024)])
_FINAL_RATE = 131
_KNOTS = 33
_REFINED = 5 * _STATES  # contexts in each of the two refinements
_REFINE_SHIFT = 6

# Columns of a row's desk: what is known of the position at hand.
_W, _N, _NW, _NE, _WW, _NN, _COLUMN_BREAKS, _ROW_BREAKS, _RUN_W, _RUN_N, _AROUND = range(11)
_FROM, _LENGTH, _STREAK, _COPY, _PLACE, _TRUTH = range(11, 17)
_LISTED, _ALL, _TRIED, _GATE, _TRIAL, _RESULT, _WHICH, _MIXED, _KINDS = range(17, 26)
_SLOT = 26
_CHECK = _SLOT + _CONTEXTS
_SEEN = _CHECK + _CONTEXTS
_LINE = _SEEN + _CONTEXTS * _WAYS
_SCORE = _LINE + _CANDIDATES + _RECENT
_LABEL = _SCORE + _CANDIDATES
_SHAPE = _LABEL + _LABELS
_ADDRESS = _SHAPE + _SHAPES
_INPUT = _ADDRESS + _INPUTS
_VECTOR = _INPUT + _INPUTS + 1
_PART = _VECTOR + _SETS
_REFINE = _PART + _SETS
_KNOT = _REFINE + 2
_DESK = _KNOT + 2

# Columns of a row's or column's line; a row has three rings of its last four positions, too.
_RUN, _BREAK, _CAME_FROM, _CAME_LONG, _OUTCOME = 0, 1, 2, 6, 10
_ROW_LINE, _COLUMN_LINE = 14, 2


class Colours:
    """The exact colours of a tile. For each level from 0: `open`, `decide` till empty, `found`, `learn`."""

    def __init__(self, height: int, width: int, rows: int, channels: int):
        self._height, self._width, self._channels = height, width, channels
        self._stride = width + 2 * _SIDE
        self._offsets = np.array([dr * self._stride + dc for dr, dc in _NEAR])
        self._pixels = np.full((_TOP + height + 1) * self._stride, _NOWHERE, np.int32)
        self._buckets = np.zeros((_CONTEXTS * _SLOTS, 1 + _WAYS), np.uint32)  # check, then count 2^24 + colour
        self._chances = np.zeros((_CHANCES, 2), np.int32)  # probability out of 2^22, visits
        self._chances[:, 0] = 1 << 21
        self._weights = np.zeros((_RANKS + _AGREEMENTS + _SURROUNDINGS, _INPUTS + 2), np.int32)
        self._weights[:, :_INPUTS] = 13107  # 0.2
        self._final = np.full((_PHASES + 1, _SETS), 65536 // _SETS, np.int32)
        knots = [int(SQUASH[min(max(128 * (j - 16), -_LIMIT), _LIMIT) + _LIMIT]) << 8 for j in range(_KNOTS)]
        self._refined = np.tile(np.array(knots, np.int32), (2 * _REFINED, 1))
        self._recent = np.full(_RECENT, _NOWHERE, np.int32)
        self._rows = np.zeros((height + 1, _ROW_LINE), np.int32)  # the first stands above the tile
        self._columns = np.zeros((width, _COLUMN_LINE), np.int32)
        self._places = np.zeros(_PLACES, np.int32)
        self._desk = np.zeros((rows, _DESK), np.int64)
        self._active = np.zeros(rows, np.int64)
        self._frequencies, self._symbols = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
        self._count = 0
        self.bits = np.zeros(rows)  # -log2 of the probabilities used in each row so far, summed over levels

    def open(self, level: int, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First decisions of a level: views of frequencies and symbols int32, one for each position that has any.
        known uint8 [channels, n]: true values when encoding (symbols then hold the answers), anything when decoding."""
        self._count = known.shape[1]
        first, _ = rows_of(level, self._height, self._width)
        _open(level, first, known, self._stride, self._offsets, *self._memory(), self._chances, self._desk)
        self._active[: self._count] = np.arange(self._count)
        return self._views(_next(self._count, *self._decisions()))

    def decide(self, count: int, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Takes over `count` coded symbols and gives the next frequencies and symbols; empty when there are none."""
        return self._views(_decide(count, self.bits, *self._decisions()))

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """After the rounds: which positions are solved, bool [n], and their values, uint8 [channels, n]."""
        result = self._desk[: self._count, _RESULT]
        shifts = (16, 8, 0) if self._channels == 3 else (0,)
        return result >= 0, np.stack([result >> shift & 255 for shift in shifts]).astype(np.uint8)

    def learn(self, level: int, values: np.ndarray) -> None:
        """Ends a level: takes over all its values uint8 [channels, n], solved or escaped."""
        first, _ = rows_of(level, self._height, self._width)
        _learn(level, first, values, self._stride, *self._memory(), self._recent, self._desk)

    def _memory(self) -> tuple[np.ndarray, ...]:
        return self._pixels, self._buckets, self._rows, self._columns, self._places

    def _decisions(self) -> tuple[np.ndarray, ...]:
        learned = self._chances, self._weights, self._final, self._refined, self._recent
        return *learned, self._desk, self._active, self._frequencies, self._symbols

    def _views(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        return self._frequencies[:n], self._symbols[:n]


@kernel
def _colour(values, i):
    if len(values) == 1:
        return np.int64(values[0, i])
    return (np.int64(values[0, i]) << 16) | (np.int64(values[1, i]) << 8) | np.int64(values[2, i])


@kernel
def _hash(h, v):
    """32 bits of h and v; the product stays below 2^62."""
    h = ((h ^ v) * 0x2C1B3C6D) & 0xFFFFFFFF
    return h ^ (h >> 15)


@kernel
def _open(level, first, known, stride, offsets, pixels, buckets, rows, columns, places, chances, desk):
    """Lays out every position of a level: surroundings, contexts, candidates and their scores."""
    for row in range(known.shape[1]):
        r = first + row
        c = level - 2 * r
        here = (r + _TOP) * stride + c + _SIDE
        desk[row, _TRUTH] = _colour(known, row)
        _look(row, r, c, here, stride, pixels, rows, columns, desk)
        _find_contexts(row, here, offsets, pixels, desk)
        _find_patterns(row, here, offsets, pixels, desk)
        _find_copy(row, r, c, here, stride, offsets, pixels, rows, places, desk)
        _gather(row, buckets, desk)
        for j in range(desk[row, _LISTED]):
            score = 0
            for k in range(_CONTEXTS):
                score += STRETCH[chances[_state(desk, row, k, 0, desk[row, _LINE + j]), 0] >> 10]
            desk[row, _SCORE + j] = score


@kernel
def _look(row, r, c, here, stride, pixels, rows, columns, desk):
    """The nearest neighbours, and what their rows and columns tell."""
    desk[row, _W], desk[row, _N] = pixels[here - 1], pixels[here - stride]
    desk[row, _NW], desk[row, _NE] = pixels[here - stride - 1], pixels[here - stride + 1]
    desk[row, _WW], desk[row, _NN] = pixels[here - 2], pixels[here - 2 * stride]
    desk[row, _COLUMN_BREAKS], desk[row, _ROW_BREAKS] = _BREAKS[columns[c, _BREAK]], _BREAKS[rows[r + 1, _BREAK]]
    desk[row, _RUN_W], desk[row, _RUN_N] = rows[r + 1, _RUN], columns[c, _RUN]
    west, north = rows[r + 1, _OUTCOME + ((c - 1) & 3)], rows[r, _OUTCOME + (c & 3)]
    north_west, north_east = rows[r, _OUTCOME + ((c - 1) & 3)], rows[r, _OUTCOME + ((c + 1) & 3)]
    if c + 1 == len(columns):
        north_east = 0
    desk[row, _AROUND] = west * 27 + north * 9 + north_west * 3 + north_east
    desk[row, _LISTED], desk[row, _TRIED], desk[row, _GATE], desk[row, _RESULT] = 0, 0, 0, -1


@kernel
def _find_contexts(row, here, offsets, pixels, desk):
    """Slot and check of every context, and the place of the longest."""
    h, j = np.int64(_SEED), 0
    for k in range(_PLAIN):
        while j < _ORDERS[k]:
            h = _hash(h, pixels[here + offsets[j]])
            j += 1
        _set_context(row, k, h, desk)
        if k == 1:
            breaks = desk[row, _COLUMN_BREAKS] * 8 + desk[row, _ROW_BREAKS]
            _set_context(row, _PLAIN, _hash(_hash(h, desk[row, _RUN_W]), desk[row, _RUN_N]), desk)
            _set_context(row, _PLAIN + 1, _hash(h, breaks), desk)
    desk[row, _PLACE] = h & (_PLACES - 1)


@kernel
def _set_context(row, k, h, desk):
    desk[row, _SLOT + k] = k * _SLOTS + (h & (_SLOTS - 1))
    desk[row, _CHECK + k] = h >> _SLOT_BITS


@kernel
def _find_patterns(row, here, offsets, pixels, desk):
    """Which neighbours are alike, whatever their colours: labels in order of appearance."""
    h, j, labels = np.int64(_SEED), 0, 0
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
def _find_copy(row, r, c, here, stride, offsets, pixels, rows, places, desk):
    """The known place most like this one: right of the west's, below the north's, or the last of the same context.
    Position 0, outside the tile, is none."""
    best, longest, longest_streak = np.int64(0), np.int64(0), np.int64(0)
    west, north = rows[r + 1], rows[r]
    for source in range(3):
        streak = np.int64(0)
        if source == 0:
            at, streak = np.int64(west[_CAME_FROM + ((c - 1) & 3)]) + 1, np.int64(west[_CAME_LONG + ((c - 1) & 3)])
        elif source == 1:
            at, streak = np.int64(north[_CAME_FROM + (c & 3)]) + stride, np.int64(north[_CAME_LONG + (c & 3)])
        else:
            at = np.int64(places[desk[row, _PLACE]])
        if pixels[at] == _NOWHERE:
            continue
        length = 0
        while length < _REACH and pixels[at + offsets[length]] == pixels[here + offsets[length]]:
            length += 1
        if length > longest or (length == longest and streak > longest_streak):
            best, longest, longest_streak = at, np.int64(length), streak
    desk[row, _FROM], desk[row, _LENGTH], desk[row, _STREAK] = best, longest, longest_streak
    desk[row, _COPY] = pixels[best]


@kernel
def _gather(row, buckets, desk):
    """Candidates: the copy, what the contexts remember from the last to the shortest, the neighbours."""
    _add(desk, row, desk[row, _COPY])
    for k in range(_CONTEXTS - 1, -1, -1):
        slot, seen = desk[row, _SLOT + k], _SEEN + k * _WAYS
        mine = buckets[slot, 0] == desk[row, _CHECK + k]
        for i in range(_WAYS):
            desk[row, seen + i] = np.int64(buckets[slot, 1 + i]) if mine else 0
            if desk[row, seen + i] > 0:
                _add(desk, row, desk[row, seen + i] & 0xFFFFFF)
    for j in range(4):
        _add(desk, row, desk[row, _W + j])


@kernel
def _add(desk, row, colour):
    """Lists a candidate, unless it is listed or the list is full."""
    listed = desk[row, _LISTED]
    if colour == _NOWHERE or listed == _CANDIDATES:
        return
    for j in range(listed):
        if desk[row, _LINE + j] == colour:
            return
    desk[row, _LINE + listed] = colour
    desk[row, _LISTED] = listed + 1


@kernel
def _state(desk, row, k, phase, colour):
    """Where the probability of a colour lies by what context k remembers: its count, whether it was last, others."""
    mine, others, last = 0, 0, 0
    for i in range(_WAYS):
        entry = desk[row, _SEEN + k * _WAYS + i]
        if entry > 0 and (entry & 0xFFFFFF) == colour:
            mine, last = entry >> 24, i == 0
        else:
            others += entry >> 24
    return ((k * _PHASES + phase) * 24 + _MINE[mine] * 2 + last) * 8 + _OTHERS[others]


@kernel
def _next(n, chances, weights, final, refined, recent, desk, active, frequencies, symbols):
    """The next decision of each of n open rows; returns how many have one."""
    few, left = recent[_RECENT - 1] == _NOWHERE, 0
    for i in range(n):
        row = active[i]
        while _choose(row, few, recent, desk):
            if desk[row, _TRIAL] >= 0:
                _ask(row, desk)
            else:
                _ask_gate(row, desk)
            frequency = _estimate(row, chances, weights, final, refined, desk)
            if few or frequency >= _UNLIKELY:
                active[left], frequencies[left], symbols[left] = row, frequency, _answer(row, desk)
                left += 1
                break
            _refuse(row, desk)
    return left


@kernel
def _choose(row, few, recent, desk):
    """Sets what is asked for: the candidate of the best score, at last the gate (-1), behind it the list as it is.
    False if nothing is left."""
    tried, listed = desk[row, _TRIED], desk[row, _LISTED]
    if desk[row, _GATE] == 0 and tried == listed:
        desk[row, _TRIAL] = -1
        return few and _list_recent(row, recent, desk)
    if desk[row, _GATE] == 0:
        best = tried
        for j in range(tried + 1, listed):
            if desk[row, _SCORE + j] > desk[row, _SCORE + best]:
                best = j
        for start in (_LINE, _SCORE):
            first = desk[row, start + best]
            for j in range(best, tried, -1):
                desk[row, start + j] = desk[row, start + j - 1]
            desk[row, start + tried] = first
    desk[row, _TRIAL] = desk[row, _LINE + tried]
    return True


@kernel
def _list_recent(row, recent, desk):
    """Lists the picture's colours that were not candidates; False if there are none."""
    number = desk[row, _LISTED]
    for q in range(_RECENT):
        if recent[q] == _NOWHERE:
            break
        known = False
        for j in range(desk[row, _LISTED]):
            known |= desk[row, _LINE + j] == recent[q]
        if not known:
            desk[row, _LINE + number] = recent[q]
            number += 1
    desk[row, _ALL] = number
    return number > desk[row, _LISTED]


@kernel
def _answer(row, desk):
    """The true answer to what is asked."""
    if desk[row, _TRIAL] >= 0:
        return np.int64(desk[row, _TRUTH] == desk[row, _TRIAL])
    for j in range(desk[row, _LISTED], desk[row, _ALL]):
        if desk[row, _LINE + j] == desk[row, _TRUTH]:
            return np.int64(1)
    return np.int64(0)


@kernel
def _ask(row, desk):
    """Where the inputs, weights and refinements of the question for a colour lie."""
    colour, tried = desk[row, _TRIAL], desk[row, _TRIED]
    phase = 3 if desk[row, _GATE] else min(tried, 2)
    supported, alone = 0, 0
    for k in range(_CONTEXTS):
        at = _state(desk, row, k, phase, colour)
        desk[row, _ADDRESS + k] = at
        if k < _PLAIN and at % _STATES >= 16:
            supported, alone = k + 1, np.int64(at % 8 == 0)
    mask = 0
    for j in range(6):
        mask += np.int64(colour == desk[row, _W + j]) << j
    near, copied = mask & 15, np.int64(colour == desk[row, _COPY])
    breaks = desk[row, _COLUMN_BREAKS] * 8 + desk[row, _ROW_BREAKS]
    runs = min(desk[row, _RUN_W], 15) * 16 + min(desk[row, _RUN_N], 15)
    likeness = min(desk[row, _LENGTH], 30) // 2 * 16 + min(desk[row, _STREAK], 15)
    a = _ADDRESS + _CONTEXTS
    desk[row, a] = _AT_MASK + phase * 64 + mask
    desk[row, a + 1] = _AT_GRID + (phase * 64 + mask) * 64 + breaks
    desk[row, a + 2] = _AT_RUNS + (np.int64(tried > 0) * 16 + near) * 256 + runs
    desk[row, a + 3] = _AT_COPY + (phase * 2 + copied) * 256 + likeness
    label = 0
    while label < desk[row, _KINDS] and desk[row, _LABEL + label] != colour:
        label += 1
    if label == desk[row, _KINDS]:
        label = 15
    for m in range(_SHAPES):
        h = _hash(desk[row, _SHAPE + m], phase * 16 + label)
        desk[row, a + 4 + m] = _AT_SHAPE + m * _SHAPE_SLOTS + (h & (_SHAPE_SLOTS - 1))
    rank = 128 + min(tried - desk[row, _LISTED], 31) if phase == 3 else min(tried, 7) * 16 + near
    alike = np.int64(desk[row, _LENGTH] >= 16)
    desk[row, _VECTOR] = rank
    desk[row, _VECTOR + 1] = _RANKS + (supported * 4 + phase) * 8 + alone * 4 + copied * 2 + alike
    desk[row, _VECTOR + 2] = _RANKS + _AGREEMENTS + desk[row, _AROUND] * 5 + phase
    desk[row, _WHICH] = phase
    desk[row, _REFINE] = phase * _STATES + desk[row, _ADDRESS + 1] % _STATES
    desk[row, _REFINE + 1] = _REFINED + phase * _STATES + breaks + 64 * np.int64(desk[row, _LENGTH] == _REACH)


@kernel
def _ask_gate(row, desk):
    """The same for the gate."""
    around = desk[row, _AROUND]
    for k in range(_CONTEXTS):
        total, ways = 0, 0
        for i in range(_WAYS):
            entry = desk[row, _SEEN + k * _WAYS + i]
            total += entry >> 24
            ways += entry > 0
        desk[row, _ADDRESS + k] = _AT_GATE + k * 32 + _OTHERS[total] * 4 + ways
    desk[row, _ADDRESS + _CONTEXTS] = _AT_NUMBER + min(desk[row, _ALL] - desk[row, _LISTED], 31)
    desk[row, _ADDRESS + _CONTEXTS + 1] = _AT_NUMBER + 32 + desk[row, _LISTED]
    for j in range(_CONTEXTS + 2, _INPUTS):
        desk[row, _ADDRESS + j] = _AT_AROUND + around
    desk[row, _VECTOR] = _RANKS - 1
    desk[row, _VECTOR + 1] = _RANKS + _AGREEMENTS - 1
    desk[row, _VECTOR + 2] = _RANKS + _AGREEMENTS + around * 5 + 4
    desk[row, _WHICH] = 4
    desk[row, _REFINE] = 4 * _STATES + around
    desk[row, _REFINE + 1] = _REFINED + 4 * _STATES


@kernel
def _estimate(row, chances, weights, final, refined, desk):
    """Probability of yes out of 2^24. A vector's sum of products stays below 2^36, the refinements below 2^31."""
    for j in range(_INPUTS):
        desk[row, _INPUT + j] = STRETCH[chances[desk[row, _ADDRESS + j], 0] >> 10]
    desk[row, _INPUT + _BIAS] = _CONSTANT
    total = 0
    for m in range(_SETS):
        vector, dot = desk[row, _VECTOR + m], 0
        for j in range(_INPUTS + 1):
            dot += weights[vector, j] * desk[row, _INPUT + j]
        desk[row, _PART + m] = min(max((dot + 32768) >> 16, -_LIMIT), _LIMIT)
        total += final[desk[row, _WHICH], m] * desk[row, _PART + m]
    logit = min(max((total + 32768) >> 16, -_LIMIT), _LIMIT)
    mixed = np.int64(SQUASH[logit + _LIMIT])
    desk[row, _MIXED] = mixed
    knot, share, fine = (logit + 2048) >> 7, (logit + 2048) & 127, 0
    for m in range(2):
        context = desk[row, _REFINE + m]
        low, high = np.int64(refined[context, knot]), np.int64(refined[context, knot + 1])
        fine += (low * (128 - share) + high * share) >> 7
        desk[row, _KNOT + m] = knot + np.int64(share >= 64)
    frequency = fine >> 1 if abs(logit) == _LIMIT else ((mixed << 9) + 3 * fine) >> 3
    return min(max(frequency, _SMALLEST), ONE - _SMALLEST)


@kernel
def _decide(n, bits, chances, weights, final, refined, recent, desk, active, frequencies, symbols):
    """Learns from n coded answers, in order, and asks on."""
    left = 0
    for i in range(n):
        row, yes = active[i], np.int64(symbols[i])
        bits[row] -= np.log2((frequencies[i] if yes else ONE - frequencies[i]) / ONE)
        _adapt(row, yes, chances, weights, final, refined, desk)
        if _follow(row, yes, desk):
            active[left] = row
            left += 1
    return _next(left, chances, weights, final, refined, recent, desk, active, frequencies, symbols)


@kernel
def _adapt(row, yes, chances, weights, final, refined, desk):
    """Moves weights, refinements and probabilities towards the answer."""
    which, error = desk[row, _WHICH], ((yes << 16) - desk[row, _MIXED]) * _FINAL_RATE
    for m in range(_SETS):
        part, vector = desk[row, _PART + m], desk[row, _VECTOR + m]
        weight = final[which, m] + ((error * part + (1 << 23)) >> 24)
        final[which, m] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
        visits = weights[vector, _VISITS]
        step = ((yes << 16) - SQUASH[part + _LIMIT]) * _RATES[min(visits, len(_RATES) - 1)]
        weights[vector, _VISITS] = visits + 1
        for j in range(_INPUTS + 1):
            weight = weights[vector, j] + ((step * desk[row, _INPUT + j] + (1 << 23)) >> 24)
            weights[vector, j] = min(max(weight, -_WEIGHT_LIMIT), _WEIGHT_LIMIT)
    for m in range(2):
        context, knot = desk[row, _REFINE + m], desk[row, _KNOT + m]
        refined[context, knot] += ((yes << 24) - refined[context, knot]) >> _REFINE_SHIFT
    for j in range(_INPUTS):
        at = desk[row, _ADDRESS + j]
        visits = chances[at, 1]
        chances[at, 0] += (((yes << 22) - yes - chances[at, 0]) * _RECIPROCAL[visits]) >> 16
        chances[at, 1] = min(visits + 1, _COUNTED)


@kernel
def _follow(row, yes, desk):
    """Takes over an answer; True while the row may be asked on. The last of the list needs no question."""
    if desk[row, _TRIAL] < 0:
        desk[row, _GATE] = 1
        if not yes:
            return False
    elif yes:
        desk[row, _RESULT] = desk[row, _TRIAL]
        return False
    else:
        _refuse(row, desk)
    if desk[row, _GATE] and desk[row, _TRIED] + 1 == desk[row, _ALL]:
        desk[row, _RESULT] = desk[row, _LINE + desk[row, _TRIED]]
        return False
    return True


@kernel
def _refuse(row, desk):
    """Strikes the colour asked for out of what the contexts remember."""
    desk[row, _TRIED] += 1
    for j in range(_SEEN, _SEEN + _CONTEXTS * _WAYS):
        if (desk[row, j] & 0xFFFFFF) == desk[row, _TRIAL]:
            desk[row, j] = 0


@kernel
def _learn(level, first, values, stride, pixels, buckets, rows, columns, places, recent, desk):
    """Takes over the colours of a level, in order."""
    for row in range(values.shape[1]):
        r = first + row
        c = level - 2 * r
        here = (r + _TOP) * stride + c + _SIDE
        colour, west, north = _colour(values, row), desk[row, _W], desk[row, _N]
        pixels[here] = colour
        for k in range(_CONTEXTS):
            _remember(buckets[desk[row, _SLOT + k]], desk[row, _CHECK + k], colour)
        _extend(rows[r + 1], colour, west, north)
        _extend(columns[c], colour, north, west)
        ring, copied = c & 3, colour == desk[row, _COPY]
        rows[r + 1, _CAME_FROM + ring] = desk[row, _FROM]
        rows[r + 1, _CAME_LONG + ring] = min(desk[row, _STREAK] + 1, 15) if copied else 0
        rows[r + 1, _OUTCOME + ring] = 2 if desk[row, _RESULT] < 0 else desk[row, _TRIED] > 0
        places[desk[row, _PLACE]] = here
        if colour != west:
            _bring_forward(recent, colour)


@kernel
def _remember(bucket, check, colour):
    """Brings a colour to the front of a context's bucket, one up; the others' counts halve while above 2."""
    if bucket[0] != check:
        bucket[0] = check
        bucket[1:] = 0
    count, moved = np.int64(1), np.int64(0)
    for i in range(1, 1 + _WAYS):
        entry = np.int64(bucket[i])
        if entry > 0 and (entry & 0xFFFFFF) == colour:
            count = min((entry >> 24) + 1, _LONGEST_COUNT)
            bucket[i] = moved
            for rest in range(i + 1, 1 + _WAYS):
                bucket[rest] = _faded(np.int64(bucket[rest]))
            break
        bucket[i], moved = moved, _faded(entry)
    bucket[1] = (count << 24) | colour


@kernel
def _faded(entry):
    count = entry >> 24
    return ((count + 2) >> 1 << 24) | (entry & 0xFFFFFF) if count > 2 else entry


@kernel
def _extend(line, colour, along, across):
    """A row's or column's present run of one colour, and how often its colours differed from those beside it."""
    line[_RUN] = min(line[_RUN] + 1, _LONGEST_RUN) if colour == along else 1
    if colour != across and across != _NOWHERE:
        line[_BREAK] = min(line[_BREAK] + 1, 255)


@kernel
def _bring_forward(recent, colour):
    """Moves a colour to the front of the recent ones; the last goes if it was not among them."""
    j = 0
    while j < _RECENT - 1 and recent[j] != colour:
        j += 1
    while j > 0:
        recent[j] = recent[j - 1]
        j -= 1
    recent[0] = colour
