"""lmconv orders: in how many steps an order is computed, what it looks like, what its masks are."""

from pathlib import Path

import click

from lmconv.commands.settings import COUNT, KERNEL


@click.command("orders")
@click.argument("spec")
@click.option("--height", type=COUNT, metavar="N", default=32, show_default=True, help="Rows.")
@click.option("--width", type=COUNT, metavar="N", default=32, show_default=True, help="Columns.")
@click.option("--kernel", type=KERNEL, metavar="N", default=3, show_default=True, help="Side of the layers' kernels.")
@click.option(
    "--dilation",
    type=COUNT,
    metavar="N",
    default=1,
    show_default=True,
    help="Of the widest layers, beside those of 1; the published networks have 2.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="PNG", help="Draw ranks, levels and masks, dark first."
)
def draw_orders(spec: str, height: int, width: int, kernel: int, dilation: int, output: Path | None) -> None:
    """Say in how many steps an order is computed, and draw it.

    SPEC is raster, s_curve, s_curve_center_quarter_last, hilbert, gilbert, wavefront, multiscale=STEP, random=SEED or
    file=PATH; "@REGION" moves a part of the image to its end (top, bottom, left, right, centre,
    box=TOP,LEFT,HEIGHT,WIDTH or mask=PATH), and ":V" picks one of 8 variants, as in s_curve:5 and s_curve@centre:5.
    """
    from lmconv import orders
    from lmconv.orders import drawing
    from lmconv.sampling import sheet
    from runtime.schedule import levels

    rank = orders.make(spec, height, width)
    steps = int(levels(rank, drawing.kernels(kernel, dilation)).max()) + 1
    text = f"{spec} {height} x {width}: {steps} steps for {int((rank >= 0).sum())} positions, kernel {kernel}"
    text += f", dilation {dilation}" if dilation > 1 else ""
    if output is not None:
        sheet.write(output, drawing.page(rank, kernel, dilation, text))
    click.echo(text)
