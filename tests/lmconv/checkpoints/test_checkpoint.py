"""Checkpoints: what goes in comes out, and any other file is refused in a clear sentence."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, safe_open, save_file

from lmconv.checkpoints import checkpoint
from lmconv.checkpoints.checkpoint import Checkpoint, CheckpointError
from lmconv.config import PhotoConfig
from lmconv.networks.kinds import KINDS, build, kind, shapes
from lmconv.networks.photo import PhotoNet
from lmconv.networks.pixelcnn import PixelCnn
from lmconv.networks.two_stream import TwoStreamPixelCnn
from tests.lmconv.tiny import BINARY, COLOUR

TINY = PhotoConfig(channels=4, blocks=1, components=1, first_kernel=3)
TWO_STREAM = replace(COLOUR, norm="weight_norm", two_stream=True)


def example():
    torch.manual_seed(0)
    model, ema = PhotoNet(TINY).state_dict(), PhotoNet(TINY).state_dict()
    optimiser = {"step/out.bias": torch.tensor(7.0), "exp_avg/out.bias": torch.randn(10)}
    return Checkpoint(TINY, model, ema, optimiser, {"data": "d" * 64, "variants": [0, 3]}, 7, [[5, 3.25]])


@pytest.fixture
def path(tmp_path):
    checkpoint.save(tmp_path / "c.safetensors", example())
    return tmp_path / "c.safetensors"


def rewrite(path, change_header=lambda header: header, change_tensors=lambda tensors: tensors):
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["lmconv"])
    save_file(change_tensors(load_file(path)), path, metadata={"lmconv": json.dumps(change_header(header))})


def test_round_trip(path):
    before, after = example(), checkpoint.load(path)
    assert asdict(before).keys() == asdict(after).keys()
    for group in ("model", "ema", "optimiser"):
        assert getattr(before, group).keys() == getattr(after, group).keys()
        assert all(torch.equal(tensor, getattr(after, group)[name]) for name, tensor in getattr(before, group).items())
    for name in ("network", "training", "step", "curve"):
        assert getattr(before, name) == getattr(after, name)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_others_may_read_it_as_any_new_file(path):
    other = path.with_name("other")
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


def test_names_in_the_file(path):
    """The format others rely on."""
    names = load_file(path).keys()
    assert {
        "model/first.weight",
        "ema/blocks.0.wide.weight",
        "ema/blocks.0.narrow.bias",
        "ema/current.weight",
        "ema/head.weight",
        "ema/out.bias",
        "ema/codes",
        "optimiser/exp_avg/out.bias",
    } <= names
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["lmconv"])["format"] == "lmconv checkpoint 1"


def test_net_has_the_averaged_weights(path):
    state = checkpoint.load(path)
    net = state.net()
    assert not net.training
    assert all(torch.equal(tensor, state.ema[name]) for name, tensor in net.state_dict().items())
    assert not torch.equal(net.first.weight, state.model["first.weight"])


@pytest.mark.parametrize(
    ("network", "cls"),
    [
        (TINY, PhotoNet),
        (COLOUR, PixelCnn),
        (BINARY, PixelCnn),
        (replace(COLOUR, norm="weight_norm"), PixelCnn),
        (TWO_STREAM, TwoStreamPixelCnn),
    ],
    ids=str,
)
def test_every_kind_of_network(tmp_path, network, cls):
    weights = build(network).state_dict()
    assert {name: tensor.shape for name, tensor in weights.items()} == shapes(network)
    checkpoint.save(tmp_path / "c.safetensors", Checkpoint(network, weights, weights, {}, {}))
    state = checkpoint.load(tmp_path / "c.safetensors")
    net = state.net()
    assert state.network == network and type(net) is cls and not net.training
    assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())


def test_the_kind_is_in_the_header(path, tmp_path):
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["lmconv"])["kind"] == "photo" == kind(TINY)
    assert kind(COLOUR) == "pixelcnn" and {"photo", "pixelcnn"} < set(KINDS)
    for wrong in ("pixelcnn", "transformer", 3, ["photo"], None):
        rewrite(path, change_header=lambda header, wrong=wrong: header | {"kind": wrong})
        with pytest.raises(CheckpointError, match="is not an LMConv checkpoint"):
            checkpoint.load(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint .*nothing"):
        checkpoint.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"hello, this is a text file",
        b"PK\3\4" + bytes(100),
        b"\xff" * 64,
        (2**40).to_bytes(8, "little") + b"{}",
        b"\2\0\0\0\0\0\0\0{}",
    ],
)
def test_foreign_files(tmp_path, content):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="foreign.safetensors is not an LMConv checkpoint: "):
        checkpoint.load(path)
    with pytest.raises(CheckpointError, match="is not an LMConv checkpoint"):
        checkpoint.load(tmp_path)


def test_another_programs_safetensors(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="is not an LMConv checkpoint: format None"):
        checkpoint.load(tmp_path / "other.safetensors")


@settings(max_examples=40)
@given(st.data())
def test_truncated_files(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "truncated.safetensors"
    checkpoint.save(path, example())
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(CheckpointError, match="is not an LMConv checkpoint"):
        checkpoint.load(path)


def test_every_byte_of_the_head(path):
    """Damage is refused, or falls where the format has room (names of settings, white space) and changes a value."""
    whole = path.read_bytes()
    for position in range(0, 8 + int.from_bytes(whole[:8], "little"), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x15]) + whole[position + 1 :])
        try:
            checkpoint.load(path)
        except CheckpointError as error:
            assert "\n" not in str(error)


def without(name):
    return lambda mapping: {key: value for key, value in mapping.items() if key != name}


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header | {"format": "lmconv checkpoint 2"},
        lambda header: [],
        lambda header: None,
        lambda header: header | {"network": {"channels": 4, "colour": "blue"}},
        lambda header: header | {"network": 3},
        lambda header: header | {"network": asdict(TINY) | {"channels": -4}},
        lambda header: header | {"network": asdict(TINY) | {"kernel": 4}},
        lambda header: header | {"network": asdict(TINY) | {"blocks": 10**12}},
        lambda header: header | {"step": "many"},
        lambda header: header | {"training": 5},
        lambda header: header | {"curve": 5},
        without("kind"),
        without("network"),
        without("training"),
        without("step"),
        without("curve"),
    ],
)
def test_headers_that_are_wrong(path, change):
    rewrite(path, change_header=change)
    with pytest.raises(CheckpointError, match="is not an LMConv checkpoint"):
        checkpoint.load(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (without("ema/out.bias"), "out.bias"),
        (without("model/head.weight"), "head.weight"),
        (lambda tensors: tensors | {"ema/out.bias": torch.zeros(11)}, "out.bias"),
        (lambda tensors: tensors | {"model/extra": torch.zeros(1)}, "extra"),
    ],
)
def test_tensors_that_do_not_fit(path, change, named):
    rewrite(path, change_tensors=change)
    with pytest.raises(CheckpointError, match=f"does not fit its own configuration: {named}"):
        checkpoint.load(path)


def test_a_large_networks_header_on_a_small_file(tmp_path):
    """Refused without memory for its weights: 46 GB."""
    weights = build(COLOUR).state_dict()
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, Checkpoint(COLOUR, weights, weights, {}, {}))
    rewrite(path, change_header=lambda header: header | {"network": asdict(COLOUR) | {"filters": 4096, "resnets": 5}})
    with pytest.raises(CheckpointError, match="does not fit its own configuration"):
        checkpoint.load(path)
    rewrite(path, change_header=lambda header: header | {"network": asdict(COLOUR) | {"resnets": 0}})
    with pytest.raises(CheckpointError, match="a network's resnets is a whole number from 1 to 64, not 0"):
        checkpoint.load(path)


@pytest.mark.parametrize("lie", [{"channels": 4096}, {"blocks": 4000}, {"channels": 8}, {"first_kernel": 31}])
def test_networks_that_the_file_cannot_hold(path, lie):
    """Refused without building them."""
    rewrite(path, change_header=lambda header: header | {"network": asdict(TINY) | lie})
    with pytest.raises(CheckpointError, match="does not fit its own configuration"):
        checkpoint.load(path)


def test_tensors_of_an_unknown_group(path):
    rewrite(path, change_tensors=lambda tensors: tensors | {"other/x": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="is not an LMConv checkpoint: 'other'"):
        checkpoint.load(path)


def test_a_save_that_fails_leaves_the_old_file(path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, example())
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


# Averages


def test_the_average_of_checkpoints(tmp_path):
    states, paths = [], []
    for index in range(3):
        torch.manual_seed(index)
        model, ema = build(COLOUR).state_dict(), build(COLOUR).state_dict()
        optimiser = {"step/head.bias": torch.ones(())}
        state = Checkpoint(COLOUR, model, ema, optimiser, {"rate": index}, 10 * index, [[5, 1.0]])
        states.append(state)
        paths.append(tmp_path / f"{index}.safetensors")
        checkpoint.save(paths[-1], state)
    mean = checkpoint.average(paths)
    for group in ("model", "ema"):
        for name, tensor in getattr(mean, group).items():
            expected = sum(getattr(state, group)[name].double() for state in states) / 3
            assert torch.equal(tensor, expected.float())
    assert (mean.step, mean.optimiser, mean.curve) == (20, {}, [])
    assert mean.training == {"rate": 2, "averaged": [0, 10, 20]}
    checkpoint.save(tmp_path / "mean.safetensors", mean)
    assert checkpoint.load(tmp_path / "mean.safetensors").network == COLOUR
    (alone,) = [checkpoint.average(paths[:1])]
    assert all(torch.equal(tensor, states[0].ema[name]) for name, tensor in alone.ema.items())


def test_tables_of_integers_are_kept_in_averages(path):
    mean = checkpoint.average([path, path])
    assert mean.ema["codes"].dtype == torch.uint8 and torch.equal(mean.ema["codes"], example().ema["codes"])


def test_averages_that_are_none(path, tmp_path):
    other = replace(TINY, components=2)
    weights = build(other).state_dict()
    checkpoint.save(tmp_path / "other.safetensors", Checkpoint(other, weights, weights, {}, {}))
    with pytest.raises(CheckpointError, match="other.safetensors is of another network than .*c.safetensors: PhotoCon"):
        checkpoint.average([path, tmp_path / "other.safetensors"])
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoint.average([path, tmp_path / "missing"])
