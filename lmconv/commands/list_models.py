"""lmconv models."""

import json
from dataclasses import asdict, dataclass

import click


@dataclass(frozen=True)
class Listing:
    """A line of `models`; heldout is the loss of the training's last evaluation, None where it is not known."""

    name: str
    path: str
    size: str
    orders: list[str]
    parameters: int
    bytes: int
    step: int
    heldout: float | None
    unit: str


@click.command("models")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_models(as_json: bool) -> None:
    """List the checkpoints that come with the package: wherever a CHECKPOINT is asked for, their names do.

    Of the codec's photo networks `lmconv-codec models` lists the bundles.
    """
    from lmconv.checkpoints import checkpoint, shipped
    from lmconv.checkpoints.trained import trained

    for name, path in shipped.shipped().items():
        state = checkpoint.load(path)
        known = trained(state.network, state.training)
        row = Listing(
            name=name,
            path=str(path),
            size=f"{known.height}x{known.width}",
            orders=list(known.orders),
            parameters=sum(tensor.numel() for tensor in state.ema.values()),
            bytes=path.stat().st_size,
            step=state.step,
            heldout=state.curve[-1][1] if state.curve else None,
            unit=state.training.get("unit", "bits per subpixel"),
        )
        click.echo(json.dumps(asdict(row)) if as_json else _line(row))


def _line(row: Listing) -> str:
    told = "not evaluated" if row.heldout is None else f"{row.heldout:.4f} {row.unit} held out"
    return f"{row.name:<12} {row.size:<8} {row.parameters:>9} parameters {row.bytes:>9} bytes  step {row.step}, {told}"
