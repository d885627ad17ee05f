"""The simple predictors: a list, best first.

Each is a linear form of a few known pixels. Letters name pixels of the plane that is coded by where they are: W, N, NW,
NE, NN = two above and so on. A and B are the two things known at the position itself: for blue the green and red value;
for green the red value and what the blend predicts; for red what the blend and the network predict. `form | a A` is the
form plus a times what A is above the same form of A, so that `W | A` is W + A - A.W. A form in brackets is held within
W, N, NW and NE.
"""

import re
from fractions import Fraction

LIST = """
W | A; N | A; 2W-WW+2N-NN-2NW+NNWW; W; W+WW-WWW | A; N+NN-NNN | A; W+N-NW | A; W+1/2NNE-1/2NE; NE | A; W+N-NW; A;
W | 1/2 A, 1/2 B; WW | B; [W+N-NW]; 2W-WW | A; N | 1/2 A, 1/2 B; 2NW-NNWW | A; W+NE-NNE; 2W-WW; N+NE-NNE | A;
[3W-3WW+WWW]; W+WW-WWW | B; [3N-3NN+NNN]; 2W-WW | B; WWW; WW | A; NN | B; B; 1/2W+1/2NE; 2N-NN | B; NNE; W+N-NW | B;
NNN; NE+W-NN; N+NN-NNN | B; NN | A; 2NE-4/3NNEE+1/3NNNE; 2NW-NNWW | B; W | 1/2 B; 2NW-NNWW; NN; 2NE-NNEE | A;
NE | 1/2 A, 1/2 B; W+NE-N | B; WW; W | B; NW | 1/2 A, 1/2 B; N; N | 5/4 A; 2NE-NNEE | B; 1/2W+1/2N | A; W | 5/4 A;
W | 1/2 A; N+NE-NNE | B; 1/2W+1/2N-1/4NW+1/4NE | A; NE | B; N | 1/2 B; NE | 1/2 A; N | 1/2 A; NW;
W+N-NW | 1/2 A, 1/2 B; N | B; 2N-NN | A; NN+W-NNW; W+NE-N; 2W+NW-WW-2NWW+NWWW; 1/2W+1/2N; NE | 1/2 B; NE+NW-NN | B;
1/2W+1/2N | B; NE+NW-NN | A; W | 3/4 A; N+NE-NNE; NW | A; NW+W-NWW | A; W+1/2NE-1/2N; 2N-NN; N+W-NN;
3/4N+3/4W-1/4NN-1/4WW; NE; W+NE-N | A; 1/4W+1/4N+1/4NE+1/4NW | A; NW | 1/2 A; 2NE-NNEE; N+NW-NNW | A; N | 3/4 A;
W+NNE-NN; NW+W-NWW; N+NW-NNW; 5/2W-5/2WW+5/4WWW-1/4WWWW; NE+NW-NN; NW | B; 2N-NN | 1/2 A, 1/2 B; NW | 1/2 B
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
