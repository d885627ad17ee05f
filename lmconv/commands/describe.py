"""lmconv describe: what a network is made of, and what a checkpoint holds."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from lmconv.checkpoints.trained import trained
from lmconv.commands import settings as table
from lmconv.config import PRESETS, PhotoConfig, image_training, preset
from lmconv.errors import LmconvError

if TYPE_CHECKING:
    from lmconv.checkpoints.checkpoint import Checkpoint


@dataclass(frozen=True)
class Description:
    """What `describe` prints. A preset has no step, curve and result, a checkpoint none before its first evaluation.

    `multiply_adds_per_pixel` are those that the order's masks leave open, away from the border.
    """

    name: str
    step: int | None
    heldout: float | None
    unit: str
    parameters: int
    parameters_used: int
    multiply_adds_per_pixel: int
    multiply_adds_whole_kernels: int
    layers: list
    order: str
    height: int
    width: int
    levels: int
    receptive_field: dict | None
    network: dict
    training: dict
    curve: list


@click.command()
@click.argument("network", metavar="CHECKPOINT|CONFIG")
@click.option("--order", metavar="SPEC", help="Instead of the first one trained on; `lmconv orders` knows them.")
@click.option("--height", type=table.COUNT, metavar="N", help="Rows of the image, by default as in training.")
@click.option("--width", type=table.COUNT, metavar="N", help="Columns of the image, by default as in training.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON, the curve too.")
def describe(network: str, order: str | None, height: int | None, width: int | None, as_json: bool) -> None:
    """Say what a network is made of, what a position of an image sees, and in how many steps images are drawn.

    Of a CHECKPOINT also its result and how it was trained. CONFIG is photo or a name of `lmconv train`.
    """
    row = description(network, order, height, width)
    click.echo(json.dumps(asdict(row), indent=2) if as_json else _text(row))


def description(
    name: str, order: str | None = None, height: int | None = None, width: int | None = None
) -> Description:
    """Raises what checkpoint.load raises, OrderError, and LmconvError for a name that is neither preset nor file."""
    from lmconv.networks.anatomy import anatomy

    state = _state(name)
    known = trained(state.network, state.training)
    found = anatomy(state.network, order or known.orders[0], height or known.height, width or known.width)
    saved = bool(state.model)
    return Description(
        name=name,
        step=state.step if saved else None,
        heldout=state.curve[-1][1] if state.curve else None,
        unit=state.training.get("unit", "bits per subpixel"),
        parameters=found.parameters,
        parameters_used=found.used,
        multiply_adds_per_pixel=found.open,
        multiply_adds_whole_kernels=found.multiply_adds,
        layers=[asdict(each) for each in found.layers],
        order=found.order,
        height=found.height,
        width=found.width,
        levels=found.steps,
        receptive_field=asdict(found.sight) if found.sight else None,
        network=asdict(state.network),
        training=state.training,
        curve=state.curve,
    )


def _state(name: str) -> "Checkpoint":
    """The checkpoint of that name, or one without weights for a preset."""
    from lmconv.checkpoints import checkpoint, shipped

    if shipped.resolve(name).exists():
        return checkpoint.load(shipped.resolve(name))
    if name == "photo":
        return checkpoint.Checkpoint(PhotoConfig(), {}, {}, {}, {})
    if name in PRESETS:
        of = preset(name)
        training = asdict(image_training(of)) | {"unit": "nats" if of.network.binary else "bits/dim"}
        return checkpoint.Checkpoint(of.network, {}, {}, {}, training)
    raise LmconvError(f"no checkpoint {name}, and no configuration of that name: known are photo, {', '.join(PRESETS)}")


def _text(row: Description) -> str:
    lines, positions = [], row.height * row.width
    if row.step is not None:
        result = "not evaluated yet"
        if row.heldout is not None:
            result = f"{row.heldout:.4f} {row.unit} held out at step {row.curve[-1][0]}"
        lines.append(f"step        {row.step} of {row.training.get('steps', 'unknown')}, {result}")
    lines += [
        f"parameters  {row.parameters}, {row.parameters_used} of them used by the order",
        f"per pixel   {row.multiply_adds_per_pixel} multiply-adds where masks are open, "
        f"{row.multiply_adds_whole_kernels} with whole kernels",
        f"order       {row.order}, {row.height} x {row.width}: {row.levels} steps for {positions} positions",
    ]
    if sight := row.receptive_field:
        lines.append(
            f"sees        position ({sight['row']}, {sight['column']}): {sight['seen']} of the "
            f"{sight['before']} before it, {sight['above']} rows above and {sight['below']} below, "
            f"{sight['left']} columns left and {sight['right']} right"
        )
    lines.append("layers      count  window        channels  parameters   multiply-adds")
    for each in row.layers:
        window = f"{each['window']} {each['kind']}" + (f" /{each['dilation']}" if each["dilation"] > 1 else "")
        channels = f"{each['inputs']} -> {each['outputs']}"
        lines.append(f"{each['count']:>17}  {window:<8}{channels:>14}{each['parameters']:>12}{each['open']:>16.0f}")
    for title, values in (("network", row.network), ("training", row.training)):
        if values:
            lines.append(f"{title:<12}" + ", ".join(f"{name} {_plain(value)}" for name, value in values.items()))
    return "\n".join(lines)


def _plain(value: object) -> str:
    return "(" + " ".join(map(str, value)) + ")" if isinstance(value, list | tuple) else str(value)
