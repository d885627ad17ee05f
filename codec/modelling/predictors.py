"""The simple predictors: a list, in the order in which a greedy selection took them.

Each is a linear form of a few known pixels. Letters name pixels of the plane that is coded by where they are: W, N, NW,
NE, NN = two above and so on. A and B are the two things known at the position itself: for blue the green and red value;
for green the red value and what the blend predicts; for red what the blend and the network predict. `form | a A` is the
form plus a times what A is above the same form of A, so that `W | A` is W + A - A.W. A form in brackets is held within
W, N, NW and NE.
"""

import re
from fractions import Fraction

LIST = """
W | A; W+WW-WWW | A; N | 1/2 A, 1/2 B; N+NN-NNN | B; W | 1/2 A, 1/2 B; [W+N-NW]; W+1/2NNE-1/2NE; WW | B; 2NW-NNWW | A;
NE | A; NN | A; N | A; 2NE-NNEE | A; [2W-WW]; N+W-NN; [3N-3NN+NNN]; A; NNE; W+N-NW | B; 1/2W+1/2N | B;
2W-WW+2N-NN-2NW+NNWW; 1/2W+1/2N | A; NN+W-NNW; W; [2N-NN]; N+NN-NNN | A; 2W-WW | A; 2W-WW | B; N+NE-NNE | A; W | 1/2 B;
2NW-NNWW; 2N-NN | 1/2 A, 1/2 B; NE | 1/2 A, 1/2 B; W+NE-N | 1/2 A, 1/2 B; NN | B; W+WW-WWW | B; 3/4W+3/4N-1/2NW;
N | 1/2 B; W | B; N | B; 2NW-NNWW | B; W+1/2N-1/2NW | A; NW | A; W+N-NW; 1/2W+1/2N; W | 1/2 A; W | 3/4 A; NE | B;
2NE-NNEE | B; N+NE-NNE | B; 1/4W+1/4N+1/4NE+1/4NW | A; WWW; NW; 2NE-4/3NNEE+1/3NNNE; 1/2W+1/2NE; NE | 1/2 B;
3/2N-1/2NN | A; N+NW-NNW | A; N+NE-NNE; NE; WW | A; 2N-NN; N+NW-NNW; 1/2W+1/2N | 1/2 A, 1/2 B; NW | 1/2 B; NW | B;
NW | 1/2 A, 1/2 B; W+1/2NE-1/2N; NW+W-NWW | A; 2W+NW-WW-2NWW+NWWW; 3/2W-1/2WW; W | 5/4 A; B; 2N-NN | B; [W+NE-N];
NE+NW-NN | B; W+NE-N | B; NE | 1/2 A; N | 3/4 A; N | 1/2 A; NNN; W+NE-N | A; W+1/2N-1/2NW; NW | 1/2 A; NE+NW-NN; N;
NW+W-NWW; [N+NE-NNE]; W+N-NW | 1/2 A, 1/2 B; W+N-NW | A; N+1/2W-1/2NW | A; 2W-WW | 1/2 A, 1/2 B
"""
_NEEDED = re.compile(r"([+-]?)(\d*)(?:/(\d))? *([NWEAB]+)")
UNIT = 4  # of a coefficient: they are rounded to quarters


def names() -> list[str]:
    """Those of the list, in its order."""
    return [" ".join(name.split()) for name in LIST.split(";")]


def form(name: str) -> dict[str, Fraction]:
    """The coefficients of a predictor by tap, such as `W`, `A` or `A.NW`."""
    own, _, changes = name.partition("|")
    terms = {pixel: _number(*number) for *number, pixel in _NEEDED.findall(own)}
    found = dict(terms)
    for _, over, under, other in _NEEDED.findall(changes):
        share = _number("", over, under)
        found[other] = share
        found |= {f"{other}.{pixel}": -share * factor for pixel, factor in terms.items()}
    return found


def _number(sign: str, over: str, under: str) -> Fraction:
    return Fraction(int(over or 1), int(under or 1)) * (-1 if sign == "-" else 1)


def offset(tap: str) -> tuple[int, int, int]:
    """Which plane, 0 the one that is coded, 1 A, 2 B, and how many rows and columns away."""
    plane, _, pixel = tap.rpartition(".")
    if pixel in "AB":
        plane, pixel = pixel, ""
    return " AB".index(plane or " "), -pixel.count("N"), pixel.count("E") - pixel.count("W")
