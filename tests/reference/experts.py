"""Section 8: decisions that are mixed from all that learns the tile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.reference.blend import Blend, Errors
from tests.reference.hashed import Hashed
from tests.reference.histograms import Histograms, cost_class
from tests.reference.lattice import Weighed, possible
from tests.reference.least_squares import Canvas
from tests.reference.mixer import Mixer, falling
from tests.reference.mixture import Mixture, Split, centre_and_class, decoded
from tests.reference.numbers import clip, cost, f32, squash, stretch
from tests.reference.predictors import Simple
from tests.reference.ratio_tables import Counts, Window
from tests.reference.reconstruction import Reconstruction
from tests.reference.selectors import SETS, contexts, parts, vector_number

CONSTANT = 1229
PLAIN = 12000  # weight of the mixture's input where a model brings none
RATE, SECOND_RATE = falling(65536, 197), 20  # of learning
FIRST_COST = 160  # of a value assumed where none is known, 1/32 bit


@dataclass(frozen=True)
class Recipe:
    """How much is mixed: how many predictors, how many of them have two histograms, how many hashed contexts there
    are, and the weight sets. Name: of the model's tensors."""

    name: str
    predictors: int
    twice: int
    contexts: int
    sets: tuple[str, ...]


RECIPES = {  # by the learning that a method names
    1: Recipe("quick", 12, 0, 1, ("deviation", "high bits", "steps of A at W and N", "network's deviation")),
    2: Recipe("full", 96, 24, 4, tuple(SETS)),
}


def place_number(place: tuple) -> int:
    """Where a model keeps a vector of the second layer."""
    k, z, step = place
    return (5 * k + z) * 12 + step


class Experts:
    """What a tile has taught so far."""

    def __init__(
        self,
        canvas: Canvas,
        planes: int,
        tables: dict,
        recipe: Recipe,
        ratio_tables: bool,
        lattice: int = 0,
        made: Reconstruction | None = None,
    ):
        self.canvas, self.tables, self.recipe, self.lattice = canvas, tables, recipe, lattice
        self.blend, self.counts = Blend(canvas, planes), Counts() if ratio_tables else None
        self.simple, self.histograms = Simple(canvas, recipe.predictors, made), Histograms(recipe.twice)
        self.hashed, self.costs = Hashed(recipe.contexts), Errors(FIRST_COST)
        self.mixer = Mixer(self.first_weights, self.first_final, RATE, SECOND_RATE)

    def first_weights(self, vector: tuple) -> list[int]:
        name = f"mixing.{self.recipe.name}.weights"
        if name not in self.tables:
            inputs = 4 + 2 * (self.recipe.predictors + self.recipe.twice + self.recipe.contexts)
            return [PLAIN] + [0] * (inputs - 1)
        return [128 * int(w) for w in self.tables[name][vector_number(self.recipe.sets, vector)]]

    def first_final(self, place: tuple) -> list[int]:
        name = f"mixing.{self.recipe.name}.final"
        if name not in self.tables:
            return [65536 // len(self.recipe.sets)] * len(self.recipe.sets)
        return [32 * int(f) for f in self.tables[name][place_number(place)]]

    def expect(self, mixture: Mixture, k: int, r: int, c: int) -> None:
        """What is known of a plane that is opened, before its first decision."""
        self.at, self.mixture, self.spent = (k, r, c), mixture, 0
        u, self.z = centre_and_class(mixture.mean, mixture.spread)
        self.prediction = self.blend.predict(k, r, c, mixture.base, mixture.mean)
        members, x = self.prediction.members, self.canvas.pixel
        self.simple.predict(k, r, c, members)
        self.cost = cost_class(self.costs.near(k, r, c, self.canvas.width))
        self.histograms.open(k, self.simple.predictions, self.simple.near, self.cost)
        blend, network = ((m + 32) >> 6 for m in (members[0], members[4]))
        about = {"W": x(k, r, c - 1), "N": x(k, r - 1, c), "NW": x(k, r - 1, c - 1), "blend": blend}
        about["A"] = x(k - 1, r, c) if k > 0 else blend
        about["B"] = (network, blend, x(0, r, c) if k == 2 else None)[k]
        self.hashed.open(k, u, about)
        self.contexts = self.selected()

    def selected(self) -> dict[str, int]:
        k, r, c = self.at
        about = {
            "members": self.prediction.members,
            "class": self.z,
            "spread": self.mixture.spread,
            "cost": self.cost,
            "near": self.simple.near,
            "network": self.blend.near(4, k, r, c),
        }
        return contexts(
            k,
            lambda plane, dr, dc: self.canvas.pixel(plane, r + dr, c + dc),
            lambda i, plane, dr, dc: self.blend.errors[i].at(plane, r + dr, c + dc),
            lambda plane, dr, dc: self.simple.best.get((plane, r + dr, c + dc), 0),
            about,
        )

    def decoded(self, before: list[int], decide: Callable[[int], int]) -> int:
        """The value of the plane that was expected; before: of the planes before."""
        self.window = Window(self.counts, self.mixture, self.at[0], before) if self.counts else None
        self.weighed = Weighed(self.mixture, self.lattice, *before) if self.weighs() else None
        x = decoded(self.mixture.mean, self.mixture.spread, lambda at: self.decision(at, decide))
        if self.window:
            self.window.learn(x)
        return x

    def weighs(self) -> bool:
        """Whether the tile has a lattice, blue is coded, and the colours at W and N are on it."""
        k, r, c = self.at
        if not self.lattice or k < 2:
            return False
        near = [tuple(self.canvas.pixel(p, *place) for p in range(3)) for place in ((r, c - 1), (r - 1, c))]
        return all(possible(self.lattice)[colour] for colour in near)

    def decision(self, at: Split, decide: Callable[[int], int]) -> int:
        k, part = self.at[0], parts(at.kind, at.step, at.side)
        vectors = [(name, k, self.contexts[name], part[SETS[name][1]]) for name in self.recipe.sets]
        inputs, moved = self.inputs(at), 0
        if self.weighed:
            moved = (self.stretched(at, *map(self.weighed.mass, (at.low, at.split, at.high))) - inputs[0]) >> 4
        p = squash(self.mixer.mix(inputs, vectors, (k, self.z, at.step), moved))
        answer = decide(256 * p)
        self.mixer.learn(answer)
        self.hashed.learn(answer)
        self.spent += cost((p if answer else 65536 - p) >> 4)
        return answer

    def inputs(self, at: Split) -> list[int]:
        """What everything thinks of decision 1."""
        found = [self.stretched(at, *ends) for ends in zip(*map(self.masses, (at.low, at.split, at.high)))]
        found += [0] * (3 - len(found)) + [CONSTANT]
        found += self.histograms.inputs(at.low, at.split, at.high, at.upper)
        return found + self.hashed.inputs(at.split)

    def masses(self, v: int) -> list[int]:
        """P(v) of the mixture, and of the ratio tables where they are asked."""
        return self.window.masses(v) if self.window else [self.mixture.mass(v) >> 15]

    @staticmethod
    def stretched(at: Split, low: int, split: int, high: int) -> int:
        part = abs(high - split) if at.upper else abs(split - low)
        share = int(f32(part) * f32(65536) / f32(max(high - low, 1)))
        return 16 * stretch(clip(share, 16, 65520) >> 4)

    def learn(self) -> None:
        """The value of the plane that was expected is known."""
        x = self.canvas.x[self.at]
        self.histograms.learn(x)
        self.costs[self.at] = self.spent
        self.simple.learn(*self.at, x)
        self.blend.learn(*self.at, self.prediction)
