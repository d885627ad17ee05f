"""The export as a whole: what it reports and leaves behind, and one network in many ways giving equal integers."""

import hashlib
import zipfile

import numpy as np
import pytest
import torch

import runtime
from export.bundle import export_bundle
from export.errors import ExportError, QuantisationError
from export.exact.integers import BOUND
from export.exact.reports import describe
from export.photo import bundle as photo_bundle
from export.photo.pytorch import IntegerPhotoNet
from runtime.least_squares import predict_picture
from runtime.network import PRODUCTS
from runtime.photo import prepare, take_over
from tests.pictures import KINDS, noise, photograph, two_values

SIZES = [(1, 1), (1, 2), (1, 37), (2, 2), (2, 3), (3, 2), (5, 19), (19, 5), (24, 31), (31, 24), (40, 2)]


@pytest.fixture(scope="module", params=[(kind, optimise) for kind in PRODUCTS for optimise in (True, False)], ids=str)
def model(request, tiny_bundle):
    products, optimise = request.param
    return runtime.load(tiny_bundle, threads=1, products=products, optimise=optimise)


@pytest.fixture(scope="module")
def expected(tiny_checkpoint, tiny_integers):
    """PyTorch's integers of a picture, uint8 [3, H, W] -> int32 [P, H, W], computed once per picture in float64."""
    net, integer, known = tiny_checkpoint.net(), IntegerPhotoNet(tiny_integers, torch.float64), {}

    def parameters(picture):
        key = picture.shape, picture.tobytes()
        if key not in known:
            known[key] = integer(*inputs(net, picture))[0].numpy()
        return known[key]

    return parameters


def inputs(net, picture):
    return net.inputs(torch.from_numpy(picture)[None], torch.from_numpy(predict_picture(picture))[None])


def step_by_step(model, pictures) -> np.ndarray:
    """The codec's way: level by level, all pictures in lockstep as tiles; int32 [N, P, H, W]."""
    height, width = pictures[0].shape[1:]
    plan = model.schedule(height, width)
    walk, tiles = model.network.start(plan, len(pictures)), [model.tile(height, width) for _ in pictures]
    found = np.empty((len(pictures), height * width, model.network.outputs), np.int32)
    for level in range(plan.steps):
        at = plan.positions[plan.starts[level] : plan.starts[level + 1]]
        for tile in tiles:
            prepare(level, tile)
        lines = np.concatenate([tile.inputs[: len(at)] for tile in tiles])
        found[:, at] = walk.step(level, lines).reshape(len(tiles), len(at), -1)
        for tile, picture in zip(tiles, pictures):
            take_over(level, picture, tile)
    return found.transpose(0, 2, 1).reshape(len(tiles), -1, height, width)


@pytest.mark.parametrize("kind", [photograph, noise, two_values])
def test_every_way_gives_equal_integers(model, expected, kind):
    for size in SIZES:
        picture = kind(*size)
        np.testing.assert_array_equal(model.parameters(picture[None])[0], expected(picture), str(size))
        np.testing.assert_array_equal(step_by_step(model, [picture])[0], expected(picture), str(size))


def test_every_kind_of_picture_gives_equal_integers(model, expected):
    for kind, make in KINDS.items():
        picture = make(22, 27)
        np.testing.assert_array_equal(model.parameters(picture[None])[0], expected(picture), kind)
        np.testing.assert_array_equal(step_by_step(model, [picture])[0], expected(picture), kind)


def test_tiles_in_lockstep_equal_each_alone(model, expected):
    for size in ((1, 1), (1, 9), (13, 17), (17, 13)):
        pictures = [photograph(*size, seed=3), noise(*size), photograph(*size, seed=4)]
        wanted = [expected(picture) for picture in pictures]
        np.testing.assert_array_equal(step_by_step(model, pictures), wanted, str(size))


def test_a_single_column(model, expected):
    for height in (2, 5):
        picture = photograph(height, 1)
        np.testing.assert_array_equal(model.parameters(picture[None])[0], expected(picture))


def test_float32_equals_float64_in_pytorch(tiny_checkpoint, tiny_integers, expected):
    for kind, make in KINDS.items():
        picture = make(30, 33)
        single = IntegerPhotoNet(tiny_integers, torch.float32)(*inputs(tiny_checkpoint.net(), picture))
        assert single.dtype == torch.int32
        np.testing.assert_array_equal(single[0].numpy(), expected(picture), kind)


def test_the_batch_changes_nothing(tiny_checkpoint, tiny_integers, expected):
    net, integer = tiny_checkpoint.net(), IntegerPhotoNet(tiny_integers)
    pictures = [photograph(20, 30, seed) for seed in range(3)]
    known, current = (torch.cat(parts) for parts in zip(*[inputs(net, picture) for picture in pictures]))
    np.testing.assert_array_equal(integer(known, current).numpy(), [expected(picture) for picture in pictures])


def test_parameters_vary(expected):
    """Otherwise the tests above would compare constants."""
    parameters = expected(photograph(24, 31))
    assert (parameters.std((1, 2)) > 0.5).all() and len(np.unique(parameters)) > 100


def test_the_bundle_holds_the_integers(tiny_bundle, tiny_integers):
    from safetensors.numpy import load

    with zipfile.ZipFile(tiny_bundle) as archive:
        weights = load(archive.read("weights.safetensors"))
    for layer in tiny_integers.layers():
        weight = weights.pop(f"{layer.name}.weight")
        assert weight.dtype == (np.int16 if layer.name in ("first", "out") else np.int8)
        np.testing.assert_array_equal(weight, layer.weight)
        np.testing.assert_array_equal(weights.pop(f"{layer.name}.bias"), layer.bias)
        np.testing.assert_array_equal(weights.pop(f"{layer.name}.shift"), layer.shift)
    assert {name: tensor.tolist() for name, tensor in weights.items()} == {"exponents": list(tiny_integers.exponents)}


def test_the_probe_reaches_the_ends(tiny_model, tiny_bundle):
    """A probe finds saturating kernels only if it has large inputs, and sees anything only if its outputs vary."""
    from safetensors.numpy import load

    with zipfile.ZipFile(tiny_bundle) as archive:
        tables = load(archive.read("tables.safetensors"))
    assert (tables["probe.inputs"] == 255).all(1).any() and (tables["probe.inputs"] == 0).all(1).any()
    assert (tables["probe.cache"] == 255).all(1).any()
    assert (tables["probe.parameters"].std(0) > 0).all()


def test_report_and_manifest(tiny_export, tiny_checkpoint, tiny_integers):
    path, report = tiny_export
    manifest = runtime.read_manifest(path)
    assert manifest.name == "tiny" and manifest.card == {"data": "made up"} and manifest.order == "wavefront"
    assert manifest.model_id == report.model_id and len(bytes.fromhex(report.model_id)) == 32
    assert manifest.bits_per_subpixel == round(report.integer_bits, 5)
    assert (manifest.layout.components, manifest.layout.kernel) == (3, 3)
    assert manifest.parameters == sum(layer.weight.size + layer.bias.size for layer in tiny_integers.layers())
    assert [layer.name for layer in report.layers] == [
        "first",
        "blocks.0.wide",
        "blocks.0.narrow",
        "blocks.1.wide",
        "blocks.1.narrow",
        "head",
        "out",
        "residual stream",
    ]
    assert all(0 < layer.largest_sum < BOUND for layer in report.layers) and report.orders == "wavefront"
    for layer, proved in zip(tiny_integers.layers(), report.layers):
        assert proved.shifts == (layer.shift.min(), layer.shift.max())
    assert abs(report.loss) < 2e-3 and 0.5 < report.float_bits < 8


def test_describe(tiny_export):
    _, report = tiny_export
    lines = describe(report).splitlines()
    assert lines[0].split() == ["layer", "inputs", "outputs", "steps", "largest", "sum", "of", "2^24"]
    for line, layer in zip(lines[1:], report.layers[:-1]):
        share, (low, high) = f"{layer.largest_sum / BOUND:.1%}", layer.shifts
        assert line.split() == [
            layer.name,
            str(layer.inputs),
            str(layer.outputs),
            f"2^{-high}",
            "to",
            f"2^{-low}",
            str(layer.largest_sum),
            share,
        ]
    assert lines[8].split()[:2] == ["residual", "stream"] and str(report.layers[-1].largest_sum) in lines[8]
    assert lines[9] == (
        f"bits per subpixel: float {report.float_bits:.5f}, integers {report.integer_bits:.5f} "
        f"({report.integer_bits / report.float_bits - 1:+.3%})"
    )
    assert lines[10:] == ["orders: wavefront", f"model id {report.model_id}"]
    assert describe(report, layers=False).splitlines() == lines[9:]


def test_exporting_again_gives_the_same_file(tiny_export, tiny_checkpoint, tiny_pictures, tmp_path):
    path, report = tiny_export
    again = export_bundle(tiny_checkpoint, tmp_path / "again.lmconv", "tiny", tiny_pictures, {"data": "made up"})
    assert again == report
    assert (tmp_path / "again.lmconv").read_bytes() == path.read_bytes()
    assert [child.name for child in tmp_path.iterdir()] == ["again.lmconv"]


def export(checkpoint, folder, pictures):
    """Exports over a file that is there; it must survive a failure, with nothing beside it."""
    path = folder / "model.lmconv"
    path.write_text("before")
    try:
        return export_bundle(checkpoint, path, "model", pictures)
    finally:
        assert [child.name for child in folder.iterdir()] == ["model.lmconv"]


def unharmed(folder) -> bool:
    return (folder / "model.lmconv").read_text() == "before"


def test_a_successful_export_replaces_the_file(tiny_checkpoint, tiny_pictures, tmp_path):
    export(tiny_checkpoint, tmp_path, tiny_pictures[:2])
    assert zipfile.is_zipfile(tmp_path / "model.lmconv")


def test_a_network_that_does_not_fit_leaves_no_file(tiny_checkpoint, tiny_pictures, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise QuantisationError("layer head: too large")

    monkeypatch.setattr(photo_bundle, "quantise", refuse)
    with pytest.raises(QuantisationError, match="head"):
        export(tiny_checkpoint, tmp_path, tiny_pictures[:2])
    assert unharmed(tmp_path)


def test_a_graph_that_differs_from_pytorch_leaves_no_file(tiny_checkpoint, tiny_pictures, tmp_path, monkeypatch):
    """One weight of PyTorch's network is off by one: the bundle is consistent in itself, but not what was trained."""

    class Off(IntegerPhotoNet):
        def sums(self, x, layer):
            total = super().sums(x, layer)
            if layer.name == "head":
                total[:, 3] += x[:, 2]
            return total

    monkeypatch.setattr(photo_bundle, "IntegerPhotoNet", Off)
    with pytest.raises(ExportError, match=r"integer products: \d+ parameters differ from PyTorch"):
        export(tiny_checkpoint, tmp_path, tiny_pictures[:2])
    assert unharmed(tmp_path)


def test_a_graph_that_differs_from_its_probe_leaves_no_file(tiny_checkpoint, tiny_pictures, tmp_path, monkeypatch):
    class Off(photo_bundle._ProbedStep):
        def result(self, x, layer):
            return super().result(x, layer) + 1

    monkeypatch.setattr(photo_bundle, "_ProbedStep", Off)
    with pytest.raises(runtime.ProviderError, match="does not reproduce"):
        export(tiny_checkpoint, tmp_path, tiny_pictures[:2])
    assert unharmed(tmp_path)


def test_an_interrupt_leaves_no_file(tiny_checkpoint, tiny_pictures, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_bundle, "_prove", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(tiny_checkpoint, tmp_path, tiny_pictures[:2])
    assert unharmed(tmp_path)


def test_the_members_are_what_the_manifest_says(tiny_bundle):
    manifest = runtime.read_manifest(tiny_bundle)
    with zipfile.ZipFile(tiny_bundle) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        found = {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}
    found.pop("manifest.json")
    assert found == manifest.members
