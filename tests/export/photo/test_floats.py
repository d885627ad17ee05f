"""A photo bundle's integers as a float network again: the same but for the rounding of activations."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from export.bundle import export_bundle
from export.errors import ExportError
from export.photo.floats import _balanced, checkpoint_of
from lmconv.checkpoints import checkpoint
from lmconv.networks import likelihood
from runtime.least_squares import UNIT, predict_picture

ROOT = Path(__file__).resolve().parents[3]


def bits(net, pictures) -> float:
    pixels = torch.from_numpy(pictures)
    bases = torch.from_numpy(np.stack([predict_picture(picture) for picture in pictures]))
    with torch.no_grad():
        nats = likelihood.nll(pixels.float(), bases.float() / UNIT, net(pixels, bases))
    return likelihood.bits_per_subpixel(nats).item()


def test_the_floats_of_integers_cost_no_more_than_rounding(tiny_checkpoint, tiny_export, tiny_pictures):
    path, report = tiny_export
    found = checkpoint_of(path)
    assert found.network == tiny_checkpoint.network and found.training == {"bundle": report.model_id}
    half = tiny_pictures[len(tiny_pictures) // 2 :]
    before, after = bits(tiny_checkpoint.net(), half), bits(found.net(), half)
    assert before == pytest.approx(report.float_bits, rel=1e-4)
    assert abs(after / report.integer_bits - 1) < 5e-3 and abs(after / before - 1) < 5e-3


def test_they_export_again(tiny_export, tiny_pictures, tmp_path):
    again = export_bundle(checkpoint_of(tiny_export[0]), tmp_path / "again.lmconv", "again", tiny_pictures)
    assert abs(again.integer_bits / tiny_export[1].integer_bits - 1) < 5e-3


def test_balancing_changes_no_output():
    """Channels of the stream and of a block's inside have other scales, products along the way the same."""
    rng = np.random.default_rng(0)
    shapes = {"first": (7, 4), "blocks.0.wide": (12, 4), "blocks.0.narrow": (4, 4), "head": (4, 4), "out": (4, 3)}
    layers = {
        name: (rng.normal(0, 3.0**i, shape), rng.normal(size=shape[1]))
        for i, (name, shape) in enumerate(shapes.items())
    }
    balanced = _balanced(layers, blocks=1)

    def run(layers, x):
        def layer(name, x):
            return x @ layers[name][0] + layers[name][1]

        h = layer("first", x)
        taps = np.concatenate([np.maximum(h, 0), np.maximum(np.roll(h, 1, 0), 0), np.maximum(np.roll(h, 2, 0), 0)], 1)
        h = h + layer("blocks.0.narrow", np.maximum(layer("blocks.0.wide", taps), 0))
        return layer("out", np.maximum(layer("head", np.maximum(h, 0)), 0))

    x = rng.normal(size=(50, 7))
    np.testing.assert_allclose(run(balanced, x), run(layers, x), rtol=1e-9, atol=1e-9)
    before, after = (sum((weight**2).mean() for weight, _ in each.values()) for each in (layers, balanced))
    assert after < before / 10


def test_other_networks_are_refused(square_bundles):
    with pytest.raises(ExportError, match="of kind pixelcnn: only photo networks"):
        checkpoint_of(next(iter(square_bundles.values())))


def test_the_tool(tiny_bundle, tmp_path):
    line = [sys.executable, "tools/checkpoint_of.py", str(tiny_bundle), "-o", str(tmp_path / "x.safetensors")]
    subprocess.run(line, cwd=ROOT, check=True)
    found = checkpoint.load(tmp_path / "x.safetensors")
    assert all(torch.equal(tensor, found.ema[name]) for name, tensor in checkpoint_of(tiny_bundle).ema.items())
    assert subprocess.run(line, cwd=ROOT, capture_output=True).returncode == 2
