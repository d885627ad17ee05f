"""What flat tiles start from: probabilities and weights learned once, from drawings (tools/learn_flat.py).

flat_start.npz is part of the format. Weights are 256 times its numbers, those of second layers 32 times; a probability
is squash(16 x) for the number x, with as many visits as START_VISITS says, and -128 stands for one that is left alone.
"""

from functools import cache
from pathlib import Path

import numpy as np

from codec.modelling.adaptive import Adaptive
from codec.modelling.exact_colours.question import ExactColours
from codec.modelling.logistic import LIMIT, SQUASH
from codec.modelling.mixer import Mixer
from codec.modelling.new_colours import NewColours
from codec.modelling.stretches import Stretches

FILE = Path(__file__).with_name("flat_start.npz")
UNKNOWN = -128  # of a probability's number
START_VISITS = 5  # so that the picture soon says more
_MIXERS, _PROBABILITIES = ("colours", "values", "stretches"), ("colours", "values", "stretches", "rows")


def mixers(colours: ExactColours, new: NewColours, stretches: Stretches) -> list[tuple[str, Mixer]]:
    """A tile's mixers by their names in the file."""
    return list(zip(_MIXERS, (colours.mixer, new.mixer, stretches.mixer)))


def probabilities(colours: ExactColours, new: NewColours, stretches: Stretches) -> list[tuple[str, Adaptive]]:
    """A tile's probabilities by their names in the file."""
    return list(zip(_PROBABILITIES, (colours.probabilities, new.tree, stretches.probabilities, stretches.rows)))


def start(colours: ExactColours, new: NewColours, stretches: Stretches) -> None:
    """Sets what a new tile has to what was learned."""
    numbers = _numbers()
    for name, mixer in mixers(colours, new, stretches):
        mixer.weights[:] = numbers[f"{name}.weights"].astype(np.int16) << 8
        mixer.final[:] = numbers[f"{name}.final"].astype(np.int32) << 5
    for name, adaptive in probabilities(colours, new, stretches):
        logits = numbers[f"{name}.logits"].astype(np.int32)
        known = logits != UNKNOWN
        adaptive.probabilities[known] = SQUASH[np.clip(logits[known] * 16, -LIMIT, LIMIT) + LIMIT] << 6
        adaptive.visits[known] = START_VISITS
    new.errors[:] = numbers["errors"]


@cache
def _numbers() -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as numbers:
        return {name: numbers[name] for name in numbers.files}
