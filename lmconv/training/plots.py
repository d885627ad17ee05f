"""Curves of runs: what was held out, and what was trained on, by steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmconv.checkpoints import checkpoint as checkpoints
from lmconv.errors import LmconvError
from runtime.files import whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAST = "last.safetensors"
_SMOOTHED = 20  # scalars of which a training curve shows the mean
_SIZE, _DOTS = (8, 5), 120  # inches, and dots in one


def draw(runs: Sequence[Path], output: Path) -> None:
    """Draws the curves of runs into one PNG. Raises LmconvError for a run without curves, or runs of several units, and
    what checkpoint.load raises."""
    figure = _figure(runs)
    with whole(output) as file:
        figure.savefig(file, dpi=_DOTS, format="png")


def _figure(runs: Sequence[Path]) -> "Figure":
    from matplotlib.figure import Figure

    figure, units, drawn = Figure(_SIZE, layout="constrained"), set(), False
    axes = figure.add_subplot()
    for index, run in enumerate(runs):
        state = checkpoints.load(run / LAST)
        units.add(state.training.get("unit", "bits per subpixel"))
        colour, name = f"C{index}", run.resolve().name
        trained = _trained(run / "tensorboard")
        if trained:
            axes.plot(*zip(*trained), color=colour, alpha=0.4, linewidth=1, label=f"{name}, training")
        if state.curve:
            axes.plot(*zip(*state.curve), color=colour, marker=".", label=f"{name}, held out: {state.curve[-1][1]:.4f}")
        drawn = drawn or bool(trained or state.curve)
    if len(units) > 1:
        raise LmconvError(f"runs of {' and '.join(sorted(units))} do not share a picture")
    if not drawn:
        raise LmconvError(f"{', '.join(map(str, runs))}: nothing was evaluated yet")
    axes.set(xlabel="step", ylabel=units.pop())
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _trained(folder: Path) -> list[tuple[float, float]]:
    """(step, loss) of what TensorBoard's scalars have, each the mean of several."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    if not folder.is_dir():
        return []
    events = EventAccumulator(str(folder))
    events.Reload()
    if "loss" not in events.Tags()["scalars"]:
        return []
    scalars = events.Scalars("loss")
    parts = [scalars[at : at + _SMOOTHED] for at in range(0, len(scalars), _SMOOTHED)]
    return [(part[-1].step, sum(each.value for each in part) / len(part)) for part in parts]
