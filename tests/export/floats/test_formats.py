"""Float files: run by what others have, alike whatever runs them, described inside, whole or not there at all."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.errors import ExportError
from export.exact.graph import OPSET
from export.floats import file as floats
from export.floats import formats
from export.floats.file import export_float, random_inputs, reference
from export.floats.formats import METADATA
from lmconv import orders
from lmconv.errors import LmconvError
from lmconv.orders import OrderError
from tests import tolerance
from tests.export.checkpoints import (
    BINARY,
    COLOUR,
    GREY,
    PHOTO,
    TRAINING,
    TWO_STREAM,
    assert_alike,
    checkpoint_of,
    difference,
)
from tests.pictures import photographs

ROOT = Path(__file__).parents[3]
SIZE = TRAINING["height"], TRAINING["width"]
CARD = {"licence": "CC0-1.0", "bits_per_dim": 3.25, "data": "made up"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("floats")


@pytest.fixture(scope="module")
def colour():
    return checkpoint_of(COLOUR)


@pytest.fixture(scope="module")
def photo():
    return checkpoint_of(PHOTO, {"crop": 7})


@pytest.fixture(scope="module")
def files(colour, folder):
    """(path, report) of the colour network, by format."""
    paths = {"onnx": folder / "colour.onnx", "torchscript": folder / "colour.pt", "pt2": folder / "colour.pt2"}
    return {form: (path, export_float(colour, path, form, card=CARD)) for form, path in paths.items()}


@pytest.fixture(scope="module")
def photo_onnx(photo, folder):
    path = folder / "photo.onnx"
    return path, export_float(photo, path, precision="fp16", pictures=photographs(2, 7, 7))


def expected(checkpoint, batch: int) -> tuple[tuple[torch.Tensor, ...], np.ndarray]:
    """Inputs of another seed than those that the export tried, and PyTorch's parameters."""
    inputs = tuple(x.flip(0) for x in random_inputs(checkpoint.network, SIZE, batch))
    return inputs, reference(checkpoint, orders.make("s_curve:3", *SIZE), inputs)


def test_onnxruntime_runs_it(files, colour):
    session = onnxruntime.InferenceSession(str(files["onnx"][0]), providers=["CPUExecutionProvider"])
    for batch in (1, 2, 7):
        (levels,), wanted = expected(colour, batch)
        assert_alike(session.run(["parameters"], {"levels": levels.numpy()})[0], wanted, colour)


def test_onnx_says_what_it_takes_and_gives(files):
    model = onnx.load(str(files["onnx"][0]), load_external_data=False)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", OPSET)]
    assert model.producer_name == "lmconv" and not model.functions
    assert {node.domain for node in model.graph.node} == {""}
    assert not any(each.data_location == onnx.TensorProto.EXTERNAL for each in model.graph.initializer)
    shapes = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
        )
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "levels": (onnx.TensorProto.UINT8, ["batch", 3, *SIZE]),
        "parameters": (onnx.TensorProto.FLOAT, ["batch", 20, *SIZE]),
    }
    onnx.checker.check_model(model, full_check=True)


def test_onnx_holds_each_mask_once(files):
    model = onnx.load(str(files["onnx"][0]))
    planes = [onnx.numpy_helper.to_array(each) for each in model.graph.initializer if list(each.dims) == list(SIZE)]
    assert 2 <= len(planes) == len({plane.tobytes() for plane in planes})
    assert {value for plane in planes for value in plane.flat} == {0, 1}


def test_onnx_tells_nothing_of_the_machine(files, photo_onnx):
    for path, _ in (files["onnx"], photo_onnx):
        data = path.read_bytes()
        for told in (b".py", b"site-packages", b"/home", b"/root", b"/tmp", b"torch.nn", b"pkg.", str(ROOT).encode()):
            assert told not in data
        model = onnx.load_from_string(data)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_archives_tell_nothing_of_the_machine(files):
    for form in ("torchscript", "pt2"):
        data = files[form][0].read_bytes()
        for told in (b"site-packages", b"/home", b"/root", b"/tmp", sys.prefix.encode(), str(ROOT).encode()):
            assert told not in data, form


PLAIN = """
import json, sys
for room in ("lmconv", "export", "runtime", "codec"):
    sys.modules[room] = None
import numpy as np, torch
cases = np.load("cases.npz")
for name, load in (("colour.pt", torch.jit.load), ("colour.pt2", lambda *a, **k: torch.export.load(*a, **k).module())):
    files = {"lmconv.json": ""}
    module = load(name, **{"_extra_files" if name.endswith("pt") else "extra_files": files})
    assert json.loads(files["lmconv.json"])["order"] == "s_curve:3"
    for batch in ("1", "4"):
        found = module(torch.from_numpy(cases["levels" + batch])).numpy()
        assert found.dtype == np.float32
        wanted = cases["parameters" + batch]
        print(name, batch, np.abs(found - wanted).max() / np.abs(wanted).max())
"""


def test_plain_torch_runs_the_archives(files, colour, folder):
    cases = {}
    for batch in (1, 4):
        (levels,), wanted = expected(colour, batch)
        cases |= {f"levels{batch}": levels.numpy(), f"parameters{batch}": wanted}
    np.savez(folder / "cases.npz", **cases)
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", PLAIN],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    files = ("colour.pt", "colour.pt2")
    assert [row[:2] for row in rows] == [[file, batch] for file in files for batch in ("1", "4")]
    most = tolerance.bound(tolerance.depth(colour.net()), "float32")
    assert max(float(row[2]) for row in rows) < most


def test_onnxruntime_runs_the_photo_network(photo_onnx, photo):
    path, report = photo_onnx
    pixels, bases = random_inputs(PHOTO, (7, 7), 5)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(["parameters"], {"pixels": pixels.numpy(), "bases": bases.numpy()})[0]
    wanted = reference(photo, orders.make("wavefront", 7, 7), (pixels, bases))
    assert difference(found, wanted) < report.tolerance
    assert (report.order, report.size, report.precision) == ("wavefront:0", "7x7", "fp16")
    assert [(each.inputs, each.batch) for each in report.parity] == [("random 1", 1), ("random 3", 3), ("pictures", 2)]


@pytest.mark.parametrize(
    "network, order, size",
    [
        (GREY, "gilbert:6", (4, 6)),
        (BINARY, "raster", (3, 3)),
        (TWO_STREAM, "raster", (8, 4)),
        (PHOTO, None, (9, 5)),
        (replace(GREY, bits=3, categorical=True), "s_curve@centre:1", (4, 6)),
        (replace(COLOUR, planes=2, classes=3), "s_curve", (5, 6)),
    ],
    ids=["grey", "binary", "two-stream", "photo", "categories", "given"],
)
def test_every_network_becomes_torchscript(network, order, size, tmp_path):
    path, checkpoint = tmp_path / "file.pt", checkpoint_of(network, {})
    report = export_float(checkpoint, path, "torchscript", order, size)
    assert [each.batch for each in report.parity] == [1, 3] and report.bytes == path.stat().st_size
    inputs = random_inputs(network, size, 4)
    wanted = reference(checkpoint, orders.make(order or "wavefront", *size), inputs)
    assert_alike(torch.jit.load(path)(*inputs).numpy(), wanted, checkpoint)


def test_all_formats_say_the_same(files):
    model = onnx.load(str(files["onnx"][0]))
    told = {prop.key: prop.value for prop in model.metadata_props}
    for load, form in ((torch.jit.load, "torchscript"), (torch.export.load, "pt2")):
        extra = {METADATA: ""}
        load(files[form][0], **{"_extra_files" if form == "torchscript" else "extra_files": extra})
        assert json.loads(extra[METADATA]) == told
    assert told["order"] == "s_curve:3" and told["size"] == "5x6" and told["licence"] == "CC0-1.0"
    assert {report.model_id for _, report in files.values()} == {told["model_id"]}


def test_pictures_are_tried_too(photo, tmp_path):
    pictures = photographs(4, 7, 7)
    report = export_float(photo, tmp_path / "a.pt", "torchscript", pictures=pictures)
    assert [(each.inputs, each.batch) for each in report.parity][2:] == [("pictures", 4)]
    for wrong, message in (
        (pictures[:, :1], r"uint8 \[N, 3, 7, 7\], not uint8 \[4, 1, 7, 7\]"),
        (pictures.astype(float), "not float64"),
        (pictures[:0], r"\[0, 3, 7, 7\]"),
    ):
        with pytest.raises(ExportError, match=message):
            export_float(photo, tmp_path / "b.pt", "torchscript", pictures=wrong)
    with pytest.raises(ExportError, match="levels 0 to 31, not"):
        export_float(checkpoint_of(GREY), tmp_path / "b.pt", "torchscript", size=(7, 7), pictures=pictures[:, :1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


@pytest.mark.parametrize("off", [0.01, np.nan])
def test_a_failed_parity_leaves_what_was_there(photo, tmp_path, monkeypatch, off):
    path = tmp_path / "a.pt"
    path.write_text("before")
    monkeypatch.setattr(floats, "reference", lambda *inputs: reference(*inputs) + np.float32(off))
    with pytest.raises(ExportError, match=r"on random 1 the export differs from PyTorch by .* over 1e-04"):
        export_float(photo, path, "torchscript")
    assert path.read_text() == "before" and [each.name for each in tmp_path.iterdir()] == ["a.pt"]


def test_half_precision_has_its_own_tolerance(photo, tmp_path, monkeypatch):
    report = export_float(photo, tmp_path / "a.pt", "torchscript", precision="fp16")
    assert max(each.difference for each in report.parity) < report.tolerance
    monkeypatch.setitem(floats.TOLERANCE, "fp16", 1e-5)
    with pytest.raises(ExportError, match="differs"):
        export_float(photo, tmp_path / "b.pt", "torchscript", precision="fp16")
    assert not (tmp_path / "b.pt").exists()


def test_an_interrupted_write_leaves_no_file(photo, tmp_path, monkeypatch):
    def interrupt(*paths):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_float(photo, tmp_path / "a.pt", "torchscript")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "network, order, size, error, message",
    [
        (COLOUR, "zigzag", None, OrderError, "no order 'zigzag:?0?'"),
        (COLOUR, "hilbert", (5, 6), OrderError, "square whose side is a power of two, not 5x6"),
        (COLOUR, "s_curve:9", None, OrderError, "variant 9"),
        (PHOTO, "s_curve", None, ExportError, "a photo network knows the order wavefront alone, not s_curve"),
        (PHOTO, "wavefront:1", None, ExportError, "not wavefront:1"),
        (TWO_STREAM, "s_curve:3", (8, 4), ExportError, "a two-stream network knows the order raster alone"),
        (TWO_STREAM, "raster", (5, 6), LmconvError, "multiples of 4 as height and width, not 5x6"),
    ],
)
def test_orders_and_sizes_that_cannot_be(network, order, size, error, message, tmp_path):
    with pytest.raises(error, match=message):
        export_float(checkpoint_of(network), tmp_path / "a.pt", "torchscript", order, size)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form, package", [("onnx", "onnxscript"), ("onnx", "onnxruntime")])
def test_a_missing_package_is_named(colour, tmp_path, monkeypatch, form, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(formats.torch.onnx, "export", lambda *a, **k: pytest.fail("went on without onnxscript"))
    run = formats.run_onnx if package == "onnxruntime" else (lambda data: export_float(colour, tmp_path / "a.onnx"))
    with pytest.raises(ExportError, match=f"{package}.*pip install 'lmconv"):
        run(b"")
    assert list(tmp_path.iterdir()) == []
