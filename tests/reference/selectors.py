"""Section 8.6: what the mixer's weight sets select their vectors by."""

from __future__ import annotations

from collections.abc import Callable

from tests.reference.numbers import error_class, passed

LADDER = (26, 64, 128, 256, 512, 896, 1600)
SIGNED = (-320, -128, -48, -16, 15, 47, 127, 319)
SIGNS = (-160, -48, -12, 11, 47, 159)
APART = (-192, -96, -40, -12, 11, 39, 95, 191)
JUMPS = (-1000, -400, -160, -40, 39, 159, 399, 999)
ACTIVITY = (3, 6, 10, 16, 26, 42, 80)
SPREAD = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1400, 2000, 3000)

PARTS = {"none": 1, "stage": 4, "step": 12, "step and side": 36, "kind": 65}  # and how many of each
SETS = {  # contexts a plane, and the part of a decision
    "deviation": (5, "kind"),
    "deviation, network's error": (40, "step"),
    "errors of the planes before": (8, "step and side"),
    "steps of A at W and N": (81, "none"),
    "best predictor nearby": (128, "none"),
    "cost nearby": (16, "none"),
    "errors of the other planes": (81, "none"),
    "best predictor before": (128, "none"),
    "high bits": (64, "none"),
    "errors at W and N": (49, "none"),
    "comparisons": (64, "none"),
    "edge": (32, "none"),
    "experts apart": (81, "none"),
    "spread of the experts": (24, "stage"),
    "network's deviation": (24, "stage"),
    "steps at W and N": (81, "none"),
    "steps of A at NE and NW": (81, "none"),
    "steps of B at W and N": (81, "none"),
    "stage": (1, "stage"),
}


def pair(a: int, b: int, limits: tuple) -> int:
    return passed(limits, a) * (len(limits) + 1) + passed(limits, b)


def parts(kind: int, step: int, side: int) -> dict[str, int]:
    """Of a decision."""
    stage = 0 if step == 0 else 1 if step < 3 else 2 if step < 9 else 3
    return {"none": 0, "stage": stage, "step": step, "step and side": 3 * step + side, "kind": kind}


def vector_number(sets: tuple[str, ...], vector: tuple[str, int, int, int]) -> int:
    """Where a model keeps the weights of (set, plane, context, part)."""
    name, k, context, part = vector
    sizes = {each: 3 * SETS[each][0] * PARTS[SETS[each][1]] for each in sets}
    first = sum(sizes[each] for each in sets[: sets.index(name)])
    return first + (k * SETS[name][0] + context) * PARTS[SETS[name][1]] + part


def contexts(
    k: int,
    pixel: Callable[[int, int, int], int],
    error: Callable[[int, int, int, int], int],
    best: Callable[[int, int, int], int],
    seen: dict,
) -> dict[str, int]:
    """By set. pixel(plane, dr, dc), error(i, plane, dr, dc): 64 x - m_i, best(plane, dr, dc): as around the position.

    seen: members (m_0 .. m_4), class (of the decisions), spread (of the mixture), cost (class), near (of the simple
    predictions) and network (near of the mixture's mean)."""
    m = seen["members"]
    w, n, nw, ne, nn, ww = (pixel(k, *at) for at in ((0, -1), (-1, 0), (-1, -1), (-1, 1), (-2, 0), (0, -2)))

    def steps(a: int, plane: int, one: tuple[int, int], two: tuple[int, int]) -> int:
        """How a, in 1/64 grey level, differs from two pixels."""
        return pair(a - 64 * pixel(plane, *one), a - 64 * pixel(plane, *two), JUMPS)

    def above_and_left(plane: int) -> int:
        return (error(0, plane, -1, 0) + error(0, plane, 0, -1)) >> 1

    def missed(plane: int, dr: int, dc: int) -> int:
        return abs(error(4, plane, dr, dc))

    west_north = (0, -1), (-1, 0)
    if k == 0:
        cross = sum(missed(plane, *at) for plane in (1, 2) for at in west_north) >> 2
        others = above_and_left(1), above_and_left(2)
        a, b, c = (
            steps(m[0], 0, *west_north),
            steps(m[4], 0, *west_north),
            steps(m[0], 0, (-1, 1), (-1, -1)),
        )
        before, high = best(0, 0, -1), (w, n)
    else:
        here = 64 * pixel(k - 1, 0, 0)
        a, b = steps(here, k - 1, *west_north), steps(here, k - 1, (-1, 1), (-1, -1))
        before = best(k - 1, 0, 0)
        if k == 1:
            cross = missed(0, 0, 0)
            others = error(0, 0, 0, 0), above_and_left(2)
            c, high = steps(m[0], 1, *west_north), (pixel(0, 0, 0), w)
        else:
            cross = missed(1, 0, 0) + (missed(0, 0, 0) >> 1)
            others = error(0, 1, 0, 0), error(0, 0, 0, 0)
            c, high = steps(64 * pixel(0, 0, 0), 0, *west_north), (pixel(1, 0, 0), pixel(0, 0, 0))
    own = error_class(seen["network"])
    return {
        "deviation": seen["class"],
        "deviation, network's error": 8 * seen["class"] + min(max(own - 4, 0) >> 1, 7),
        "errors of the planes before": passed(LADDER, cross),
        "steps of A at W and N": a,
        "best predictor nearby": seen["near"].index(min(seen["near"])),
        "cost nearby": seen["cost"],
        "errors of the other planes": pair(*others, SIGNED),
        "best predictor before": before,
        "high bits": 8 * (high[0] >> 5) + (high[1] >> 5),
        "errors at W and N": pair(error(0, k, 0, -1), error(0, k, -1, 0), SIGNS),
        "comparisons": (n > nw) + 2 * (n > ne) + 4 * (w > n) + 8 * (w > nw) + 16 * (n > nn) + 32 * (w > ww),
        "edge": edge(lambda dr, dc: pixel(k, dr, dc)),
        "experts apart": pair(m[0] - m[4], m[1] - m[3], APART),
        "spread of the experts": passed(SPREAD, max(m) - min(m)),
        "network's deviation": error_class(seen["spread"]),
        "steps at W and N": pair(64 * (w - nw), 64 * (n - nw), JUMPS),
        "steps of A at NE and NW": b,
        "steps of B at W and N": c,
        "stage": 0,
    }


EDGES = (  # pairs of pixels that one direction compares
    (((-1, 0), (-2, 0)), ((0, -1), (-1, -1)), ((-1, 1), (-2, 1))),
    (((0, -1), (0, -2)), ((-1, 0), (-1, -1)), ((-1, 1), (-1, 0))),
    (((0, -1), (-1, -2)), ((-1, 0), (-2, -1)), ((-1, 1), (-2, 0))),
    (((0, -1), (-1, 0)), ((-1, 0), (-2, 1)), ((-1, -1), (-2, 0))),
)


def edge(pixel: Callable[[int, int], int]) -> int:
    """Which direction changes least, the first of several, and how little."""
    changes = [sum(abs(pixel(*one) - pixel(*two)) for one, two in pairs) for pairs in EDGES]
    return 8 * changes.index(min(changes)) + passed(ACTIVITY, min(changes))
