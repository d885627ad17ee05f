"""Curves of runs: what was held out, and what was trained on, by steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lmconv.checkpoints import checkpoint as checkpoints
from lmconv.errors import LmconvError
from runtime.files import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAST, FOLDER = "last.safetensors", "tensorboard"  # of a run
_SMOOTHED = 20  # scalars of which a training curve shows the mean
_SIZE, _DOTS = (8, 5), 120  # inches, and dots in one


@dataclass(frozen=True)
class Curves:
    """Of a run: (step, loss) held out and in training, in a unit."""

    name: str
    unit: str
    heldout: Sequence[Sequence[float]]
    trained: Sequence[Sequence[float]]


def of_run(run: Path) -> Curves:
    """Of a folder of `lmconv train`. Raises what checkpoint.load raises."""
    state = checkpoints.load(run / LAST)
    unit = state.training.get("unit", "bits per subpixel")
    return Curves(run.resolve().name, unit, state.curve, losses(run))


def draw(runs: Sequence[Curves], output: Path) -> None:
    """Draws the curves of runs into one PNG. Raises LmconvError where there is none, or for runs of several units."""
    figure = _figure(runs)
    with whole(output) as file:
        figure.savefig(file, dpi=_DOTS, format="png")


def _figure(runs: Sequence[Curves]) -> "Figure":
    from matplotlib.figure import Figure

    units = {run.unit for run in runs}
    if len(units) > 1:
        raise LmconvError(f"runs of {' and '.join(sorted(units))} do not share a picture")
    if not any(run.heldout or run.trained for run in runs):
        raise LmconvError(f"{', '.join(run.name for run in runs)}: nothing was evaluated yet")
    figure = Figure(_SIZE, layout="constrained")
    axes = figure.add_subplot()
    for index, run in enumerate(runs):
        colour = f"C{index}"
        if run.trained:
            trained = _means(run.trained)
            axes.plot(*zip(*trained), color=colour, alpha=0.4, linewidth=1, label=f"{run.name}, training")
        if run.heldout:
            told = f"{run.name}, held out: {run.heldout[-1][1]:.4f}"
            axes.plot(*zip(*run.heldout), color=colour, marker=".", label=told)
    axes.set(xlabel="step", ylabel=units.pop())
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _means(scalars: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """(step, loss), each the mean of several."""
    parts = [scalars[at : at + _SMOOTHED] for at in range(0, len(scalars), _SMOOTHED)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def losses(run: Path) -> list[tuple[float, float]]:
    """(step, loss) of a run's training, as TensorBoard's scalars have them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not (run / FOLDER).is_dir():
        return []
    events = EventAccumulator(str(run / FOLDER))
    events.Reload()
    if "loss" not in events.Tags()["scalars"]:
        return []
    return [(each.step, each.value) for each in events.Scalars("loss")]
