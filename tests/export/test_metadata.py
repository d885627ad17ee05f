"""What float files say: identities, layouts that are the distributions' own, and what is known of the training."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from export.floats.file import target
from export.metadata import distribution_layout, metadata, model_id
from lmconv import orders
from lmconv.config import PhotoConfig, PixelCnnConfig
from lmconv.networks import likelihood
from lmconv.networks.distributions import distribution
from tests import tolerance
from tests.export.checkpoints import BINARY, COLOUR, GREY, PHOTO, TRAINING, TWO_STREAM, checkpoint_of

RANK = orders.make("s_curve:3", 5, 6)


def parts(network) -> dict[str, slice]:
    """Where each part of the parameters lies, as a reader of the layout finds it."""
    found, start = {}, 0
    for name, count in distribution_layout(network)["parts"]:
        found[name] = slice(start, start + count)
        start += count
    return found | {"all": slice(0, start)}


def test_the_layout_of_colours():
    network, at = PixelCnnConfig(filters=2, components=4), parts(PixelCnnConfig(filters=2, components=4))
    mixture = distribution(network)
    assert at.pop("all") == slice(0, mixture.parameters)
    parameters = torch.randn(1, mixture.parameters, 1, 1)
    means, log_scales, couplings = mixture._logistics(parameters)
    for c, colour in enumerate("RGB"):
        assert torch.equal(means[:, c], parameters[:, at.pop(f"means {colour}")])
        assert torch.equal(log_scales[:, c], parameters[:, at.pop(f"log-scales {colour}")])
    x = torch.randn(1, 3, 1, 1, 1)
    red_green, red_blue, green_blue = (
        torch.tanh(parameters[:, at.pop(f"couplings {pair}")]) for pair in ("R on G", "R on B", "G on B")
    )
    tolerance.assert_close(mixture._mean(1, x, means, couplings), means[:, 1] + red_green * x[:, 0], depth=3)
    blue = means[:, 2] + red_blue * x[:, 0] + green_blue * x[:, 1]
    tolerance.assert_close(mixture._mean(2, x, means, couplings), blue, depth=5)
    assert at == {"logits": slice(0, 4)}


def test_the_layouts_of_grey_and_bits():
    means, log_scales, _ = distribution(GREY)._logistics(torch.arange(6.0).view(1, 6, 1, 1))
    at = parts(GREY)
    assert means.flatten().tolist() == list(range(6))[at["means"]]
    assert log_scales.flatten().tolist() == list(range(6))[at["log-scales"]]
    assert distribution_layout(GREY) | {"parts": 0} == {
        "name": "mixture of logistics",
        "channels": 1,
        "bits": 5,
        "parts": 0,
    }
    parameters = torch.tensor([0.0, 3.0]).view(1, 2, 1, 1)
    assert parts(BINARY)["logit of 1"] == slice(1, 2) and parts(BINARY)["all"] == slice(0, 2)
    assert distribution(BINARY).nll(parameters, torch.ones(1, 1, 1, 1, dtype=torch.uint8)) < 0.1


def test_the_layout_of_the_photo_network():
    network = PhotoConfig(components=2)
    at = parts(network)
    parameters = torch.rand(1, likelihood.PARAMETERS * 2, 1, 1)
    logits, shifts, log_scales, couplings = likelihood.split(parameters)
    assert at.pop("all") == slice(0, 20)
    assert torch.equal(logits, parameters[:, at.pop("logits")])
    for c, colour in enumerate("RGB"):
        assert torch.equal(shifts[:, c], 4 * parameters[:, at.pop(f"shifts {colour}")])
        assert torch.equal(log_scales[:, c], parameters[:, at.pop(f"log-scales {colour}")])
    for c, pair in enumerate(("R on G", "R on B", "G on B")):
        assert torch.equal(couplings[:, c], parameters[:, at.pop(f"couplings {pair}")])
    assert at == {}


def test_an_identity_is_of_weights_network_order_and_size():
    checkpoint = checkpoint_of(COLOUR)
    known = model_id(checkpoint, RANK)
    assert len(bytes.fromhex(known)) == 32
    same = replace(checkpoint, training={}, step=7, curve=[[7, 1.0]], model=checkpoint_of(COLOUR, seed=1).model)
    assert model_id(same, RANK.copy(order="F")) == known
    others = [
        model_id(checkpoint_of(COLOUR, seed=1), RANK),
        model_id(checkpoint, RANK[::-1]),
        model_id(checkpoint, np.arange(30, dtype=np.int32).reshape(6, 5)),
        model_id(replace(checkpoint, network=replace(COLOUR, dilation=1)), RANK),
    ]
    assert len({known, *others}) == 5


def about(checkpoint, card=None, order="s_curve:3"):
    return metadata(checkpoint, order, RANK, "fp32", "model", card or {})


def test_what_is_told():
    told = about(checkpoint_of(COLOUR, step=9), {"licence": "MIT", "data": "ramps"})
    assert told.keys() == {
        "format",
        "name",
        "model_id",
        "order",
        "size",
        "precision",
        "distribution",
        "network",
        "training",
        "licence",
        "card",
    }
    assert json.loads(told["network"]) == {"kind": "pixelcnn"} | vars(COLOUR) | {"far": []}
    assert json.loads(told["training"]) == {"steps": 9} | TRAINING
    assert json.loads(told["card"]) == {"licence": "MIT", "data": "ramps"} and told["licence"] == "MIT"
    assert (told["format"], told["name"], told["size"]) == ("lmconv export 1", "model", "5x6")


@pytest.mark.parametrize(
    "training, curve, card, said",
    [
        ({"unit": "bits/dim"}, [[4, 9.0], [8, 3.5]], {}, "3.50000"),
        ({"unit": "nats"}, [[8, 30 * np.log(2) / 4]], {}, "0.25000"),
        ({"unit": "bits/dim"}, [[4, 3.5]], {}, None),  # of older weights
        ({}, [], {}, None),
        ({}, [[8, 3.5]], {"bits_per_dim": 2.125}, "2.12500"),
    ],
)
def test_bits_per_dim_where_they_are_known(training, curve, card, said):
    assert about(checkpoint_of(BINARY, training, step=8, curve=curve), card).get("bits_per_dim") == said


def test_an_order_from_a_file_is_named_without_its_folder():
    assert about(checkpoint_of(COLOUR), order="file=/home/me/spiral.npy:2")["order"] == "file=spiral.npy:2"
    assert about(checkpoint_of(COLOUR), order="s_curve")["order"] == "s_curve:0"


@pytest.mark.parametrize(
    "network, training, found",
    [
        (COLOUR, TRAINING, ("s_curve:3", (5, 6))),
        (COLOUR, {}, ("s_curve:0", (32, 32))),
        (TWO_STREAM, {"height": 8, "width": 4}, ("raster:0", (8, 4))),
        (PHOTO, {"crop": 96}, ("wavefront:0", (96, 96))),
        (PHOTO, {}, ("wavefront:0", (192, 192))),
    ],
)
def test_what_is_not_asked_for_is_as_in_the_training(network, training, found):
    assert target(checkpoint_of(network, training), None, None) == found


def test_what_is_asked_for_is_taken():
    assert target(checkpoint_of(COLOUR), "gilbert:1", (4, 7)) == ("gilbert:1", (4, 7))
    assert target(checkpoint_of(COLOUR), None, (4, 7)) == ("s_curve:3", (4, 7))
