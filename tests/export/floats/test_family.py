"""Float files of the family's networks: all that have parameters of pixels, from one walk for all."""

import numpy as np
import onnxruntime
import pytest

from export.bundle import export_bundle
from export.errors import ExportError
from export.floats.file import export_float, random_inputs, reference
from lmconv import orders
from lmconv.checkpoints.checkpoint import Checkpoint
from tests.lmconv.family.test_family import EXACT, config, network, shape

SIZE = 4, 6
WALKS = ("eonade", "convnade")  # a pass for each pixel
ONE_PASS = [name for name in EXACT if name not in WALKS]


def checkpoint_of(name: str) -> Checkpoint:
    settings = config(name, *SIZE)
    weights = {key: each.float() / 2 for key, each in network(settings).state_dict().items()}
    height, width = shape(name, *SIZE)
    order = "multiscale=32" if name == "multiscale" else "raster"
    training = {"order": order, "variants": [0], "height": height, "width": width}
    return Checkpoint(settings, weights, weights, {}, training)


@pytest.mark.parametrize("name", ONE_PASS)
def test_onnx(name, tmp_path):
    checkpoint, path = checkpoint_of(name), tmp_path / "net.onnx"
    export_float(checkpoint, path)
    size = shape(name, *SIZE)
    inputs = tuple(x.flip(0) for x in random_inputs(checkpoint.network, size, 5))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {"levels": inputs[0].numpy()})[0]
    expected = reference(checkpoint, orders.make(checkpoint.training["order"], *size), inputs)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()), rtol=0)


@pytest.mark.parametrize("form", ["torchscript", "pt2"])
@pytest.mark.parametrize("name", ["made", "masked_pixelcnn", "diagonal_bilstm"])
def test_other_formats(name, form, tmp_path):
    report = export_float(checkpoint_of(name), tmp_path / "net", form)
    assert [parity.batch for parity in report.parity] == [1, 3]


@pytest.mark.parametrize("name", [*WALKS, "pixel_vae", "parallel_wavenet"])
def test_what_has_no_pass_for_all_pixels_is_refused(name, tmp_path):
    with pytest.raises(ExportError, match=f"a {name} network has no pass"):
        export_float(checkpoint_of(name), tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())


def test_bundles_are_of_other_networks(tmp_path):
    pictures = np.zeros((4, 1, *SIZE), np.uint8)
    with pytest.raises(ExportError, match="not of made: choose a float --format"):
        export_bundle(checkpoint_of("made"), tmp_path / "a.lmconv", "a", pictures)
    assert not list(tmp_path.iterdir())
