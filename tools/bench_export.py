"""A checkpoint in every format and precision: size of the file, and time of passes beside PyTorch's own.

    python tools/bench_export.py CHECKPOINT PICTURES [--batch 1,16] [--tiles 1,16,64] [--json FILE]

Full passes take whole known images: `eager` and `compile` are PyTorch with the checkpoint itself, the others the
exported files; the bundle's are exact integers by both kinds of product. Step passes are what a decoder does: all steps
of tiles of the first order, in lockstep. On the CPU with --threads threads, but bundles, whose steps run on one; and on
CUDA, where PyTorch or onnxruntime have it. Times are medians over the repetitions, which are taken in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from bench_report import Machine, this_machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402

import runtime  # noqa: E402
from export.bundle import export_bundle  # noqa: E402
from export.floats.baked import DTYPES  # noqa: E402
from export.floats.file import export_float, random_inputs, target  # noqa: E402
from export.pixelcnn.bundle import read_levels  # noqa: E402
from lmconv import orders  # noqa: E402
from lmconv.checkpoints import checkpoint as checkpoints  # noqa: E402
from lmconv.checkpoints.checkpoint import Checkpoint  # noqa: E402
from lmconv.config import PhotoConfig  # noqa: E402
from lmconv.data.crops import crops  # noqa: E402
from lmconv.networks.distributions import centred  # noqa: E402
from lmconv.networks.pixelcnn import order_masks  # noqa: E402
from runtime.network import PRODUCTS  # noqa: E402

FULL, STEP = "full pass", "steps"
Arrays = tuple[torch.Tensor, ...]
Pass = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One way of running the model: bytes of its file, None for the checkpoint itself; seconds of each repetition."""

    form: str
    precision: str
    device: str
    kind: str
    images: int
    bytes: int | None
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    network: str
    height: int
    width: int
    order: str
    threads: int
    machine: Machine
    rows: list[Row]


class Bench:
    """The ways to run a checkpoint, exported into a folder."""

    def __init__(self, source: Checkpoint, pictures: Path, folder: Path, threads: int):
        self.source, self.folder, self.threads = source, folder, threads
        self.order, self.size = target(source, None, None)
        self.devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
        self.providers = ["cpu"] + ["cuda"] * ("CUDAExecutionProvider" in onnxruntime.get_available_providers())
        photo = isinstance(source.network, PhotoConfig)
        known = crops(pictures, self.size[0])[:8] if photo else read_levels(source, pictures, self.size, 16)
        self.files = {"bundle": folder / "model.lmconv"}
        export_bundle(source, self.files["bundle"], "model", known)
        for form in ("onnx", "torchscript", "pt2"):
            for precision in DTYPES:
                path = self.files[form, precision] = folder / f"{precision}.{form}"
                export_float(source, path, form, precision=precision)

    def passes(self, batches: list[int], tiles: list[int]) -> Iterator[tuple[Row, Pass]]:
        for batch in batches:
            inputs = random_inputs(self.source.network, self.size, batch)
            for device in self.devices:
                yield from self._torch(device, inputs)
            for provider in self.providers:
                yield from self._onnx(provider, inputs)
        for provider in self.providers:
            yield from self._bundle(provider, batches, tiles)

    def _torch(self, device: str, inputs: Arrays) -> Iterator[tuple[Row, Pass]]:
        on_device = tuple(array.to(device) for array in inputs)
        forward = self._network(device)
        row = partial(Row, device=device, kind=FULL, images=len(inputs[0]))
        yield row("eager", "fp32", bytes=None), partial(forward, *on_device)
        try:
            compiled = torch.compile(forward)
            compiled(*on_device)
            yield row("compile", "fp32", bytes=None), partial(compiled, *on_device)
        except Exception as error:  # whatever the compiler misses here
            print(f"torch.compile does not run here: {str(error).splitlines()[0]}", file=sys.stderr)
        for precision in DTYPES:
            for form, opened in (("torchscript", torch.jit.load), ("pt2", _load_pt2)):
                path = self.files[form, precision]
                module = opened(str(path)).to(device)
                yield row(form, precision, bytes=path.stat().st_size), partial(module, *on_device)

    def _network(self, device: str) -> Callable[..., torch.Tensor]:
        network, net = self.source.network, self.source.net().to(device)
        if isinstance(network, PhotoConfig):
            return net
        if network.two_stream:
            return lambda levels: net(centred(levels, network.bits))
        masks = order_masks(orders.make(self.order, *self.size), network).to(device)
        return lambda levels: net(centred(levels, network.bits), masks)

    def _onnx(self, provider: str, inputs: Arrays) -> Iterator[tuple[Row, Pass]]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        for precision in DTYPES:
            path = self.files["onnx", precision]
            session = onnxruntime.InferenceSession(path, options, providers=[runtime.network.PROVIDERS[provider]])
            binding = session.io_binding()  # inputs and outputs stay on the device
            for node, array in zip(session.get_inputs(), inputs):
                value = onnxruntime.OrtValue.ortvalue_from_numpy(array.numpy(), provider)
                binding.bind_ortvalue_input(node.name, value)
            binding.bind_output("parameters", provider)
            row = Row("onnx", precision, provider, FULL, len(inputs[0]), path.stat().st_size)
            yield row, partial(session.run_with_iobinding, binding)

    def _bundle(self, provider: str, batches: list[int], tiles: list[int]) -> Iterator[tuple[Row, Pass]]:
        path = self.files["bundle"]
        for products in PRODUCTS if provider == "cpu" else ("float32",):
            model = runtime.load(path, provider, threads=1, products=products)
            row = partial(Row, "bundle", f"exact, {products}", provider, bytes=path.stat().st_size)
            for batch in batches:
                pixels = random_inputs(self.source.network, self.size, batch)[0].numpy()
                yield row(kind=FULL, images=batch), partial(model.parameters, pixels)
            for count in tiles:
                yield row(kind=STEP, images=count), partial(_steps, model, self.size, count)


def _load_pt2(path: str) -> torch.nn.Module:
    return torch.export.load(path).module()


def _steps(model: runtime.Model, size: tuple[int, int], tiles: int) -> None:
    """All steps of tiles in lockstep, on inputs of zeros: the network's part of decoding."""
    photo = model.manifest.kind == "photo"
    plan = model.schedule(*size) if photo else model.schedule(0, *size)
    walk = model.network.start(plan, tiles, None if photo else model.layout.sorts)
    features = model.network.session.get_inputs()[0].shape[1]
    for step in range(plan.steps):
        rows = tiles * (plan.starts[step + 1] - plan.starts[step])
        walk.step(step, np.zeros((rows, features), np.uint8))


@torch.no_grad()
def measure(cases: list[tuple[Row, Pass]], repetitions: int, warm: int = 1) -> None:
    for repetition in range(-warm, repetitions):
        for row, run in cases:
            start = time.perf_counter()
            run()
            if row.device == "cuda" and torch.cuda.is_available():
                torch.cuda.synchronize()
            if repetition >= 0:
                row.seconds.append(time.perf_counter() - start)


def markdown(report: Report) -> str:
    lines = [
        f"{report.network}, {report.height}x{report.width}, order {report.order}, {report.threads} "
        f"thread{'s' if report.threads > 1 else ''}",
        "",
        "| pass | images | as | precision | on | file bytes | ms | images/s | speed of eager |",
        "|---|---:|---|---|---|---:|---:|---:|---:|",
    ]
    eager = {(row.device, row.images): statistics.median(row.seconds) for row in report.rows if row.form == "eager"}
    for row in sorted(report.rows, key=lambda row: (row.kind != FULL, row.device, row.images)):
        seconds = statistics.median(row.seconds)
        base = eager.get((row.device, row.images)) if row.kind == FULL else None
        ratio = f"{base / seconds:.2f} x" if base else ""
        size = "" if row.bytes is None else str(row.bytes)
        lines.append(
            f"| {row.kind} | {row.images} | {row.form} | {row.precision} | {row.device} | {size} "
            f"| {1000 * seconds:.2f} | {row.images / seconds:.1f} | {ratio} |"
        )
    machine = report.machine
    return "\n".join([*lines, "", f"{machine.cpu}, Python {machine.python}, {machine.date}."])


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("pictures", type=Path, help="a data set that calibrates the bundle")
    parser.add_argument("--batch", type=numbers, default=[1, 16], help="images of the full passes")
    parser.add_argument("--tiles", type=numbers, default=[1, 16, 64], help="tiles in lockstep of the step passes")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    source = checkpoints.load(arguments.checkpoint)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        bench = Bench(source, arguments.pictures, Path(folder), arguments.threads)
        cases = list(bench.passes(arguments.batch, arguments.tiles))
        measure(cases, arguments.repeat)
    report = Report(
        arguments.checkpoint.stem,
        *bench.size,
        bench.order,
        arguments.threads,
        this_machine(1),
        [row for row, _ in cases],
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(report), indent=1))
    print(markdown(report))


if __name__ == "__main__":
    main()
