"""Published checkpoints: made here by their list of names and shapes, and run as the publication describes.

Nothing of lmconv.pixelcnn is used to make them or to compute what they should give.
"""

import argparse
import os
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lmconv import orders
from lmconv.checkpoints.published import PublishedError, _then, load
from lmconv.config import PixelCnnConfig
from lmconv.networks.pixelcnn import PixelCnn, order_masks
from tests import tolerance

FILTERS = 6


@dataclass(frozen=True)
class Settings:
    """What a published network may be, in its own words."""

    channels: int = 3
    outputs: int = 20
    resnets: int = 1
    kernel: int = 3
    dilation: int = 2
    normalization: str = "pono"
    bias: bool = True
    mask_weight: bool = False


def blocks(settings: Settings) -> list[tuple[str, bool]]:
    """Names of all gated resnets and whether they have a skip."""
    n = settings.resnets
    up = [(f"up_layers.{i}.u_stream.{j}", False) for i in range(3) for j in range(n)]
    return up + [(f"down_layers.{i}.u_stream.{j}", True) for i in range(3) for j in range(n if i == 0 else n + 1)]


def shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a published state dict."""
    f, k = FILTERS, settings.kernel
    found = {}

    def conv(name, inputs, outputs):
        if settings.normalization == "weight_norm":
            found[f"{name}.weight_g"], found[f"{name}.weight_v"] = (outputs, 1, 1, 1), (outputs, inputs, k, k)
        else:
            found[f"{name}.weight"] = (outputs, inputs, k, k)
        if settings.bias:
            found[f"{name}.bias"] = (outputs,)
        if settings.mask_weight:
            found[f"{name}.mask_weight"] = (outputs, k, k)

    def nin(name, inputs, outputs):
        found[f"{name}.lin_a.bias"] = (outputs,)
        found[f"{name}.lin_a.weight_g"], found[f"{name}.lin_a.weight_v"] = (outputs, 1), (outputs, inputs)

    for name, skip in blocks(settings):
        conv(f"{name}.conv_input", 2 * f, f)
        if skip:
            nin(f"{name}.nin_skip", 2 * f, f)
        conv(f"{name}.conv_out", 2 * f, 2 * f)
    conv("u_init", settings.channels + 1, f)
    for i in range(2):
        conv(f"downsize_u_stream.{i}", f, f)
        conv(f"upsize_u_stream.{i}", f, f)
    nin("nin_out", f, settings.outputs)
    return found


def random_tensors(settings: Settings) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) / max(1, np.prod(shape[1:])) ** 0.5
        for name, shape in shapes(settings).items()
    }


class Described:
    """The published network, written from its description: one position's taps at a time, dictionaries of weights."""

    def __init__(self, settings: Settings, tensors: dict[str, torch.Tensor], rank: np.ndarray):
        self.settings, self.rank = settings, rank
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}

    def weight(self, name: str) -> torch.Tensor:
        if f"{name}.weight" in self.tensors:
            return self.tensors[f"{name}.weight"]
        g, v = self.tensors[f"{name}.weight_g"], self.tensors[f"{name}.weight_v"]
        return g * v / v.flatten(1).norm(dim=1).view(g.shape)

    def open(self, kind: str, dilation: int) -> torch.Tensor:
        """[k, k, H, W]: taps inside the image of smaller rank, and the centre for kind B."""
        (h, w), k = self.rank.shape, self.settings.kernel
        taps = torch.zeros(k, k, h, w, dtype=torch.double)
        for i, j, r, c in np.ndindex(k, k, h, w):
            y, x = r + dilation * (i - k // 2), c + dilation * (j - k // 2)
            if (y, x) == (r, c):
                taps[i, j, r, c] = kind == "B"
            elif 0 <= y < h and 0 <= x < w:
                taps[i, j, r, c] = bool(self.rank[y, x] < self.rank[r, c])
        return taps

    def conv(self, name: str, x: torch.Tensor, kind: str = "B", dilation: int = 1) -> torch.Tensor:
        taps, weight = self.open(kind, dilation), self.weight(name)
        (h, w), k = self.rank.shape, self.settings.kernel
        pad = dilation * (k // 2)
        x = F.pad(x, (pad,) * 4)
        out = x.new_zeros(len(x), len(weight), h, w)
        for i, j in np.ndindex(k, k):
            seen = x[:, :, i * dilation :, j * dilation :][:, :, :h, :w] * taps[i, j]
            out += torch.einsum("oc,bchw->bohw", weight[:, :, i, j], seen)
            if self.settings.mask_weight:
                out += self.tensors[f"{name}.mask_weight"][:, i, j, None, None] * taps[i, j]
        return out + self.tensors[f"{name}.bias"][:, None, None] if self.settings.bias else out

    def nin(self, name: str, x: torch.Tensor) -> torch.Tensor:
        out = torch.einsum("oc,bchw->bohw", self.weight(f"{name}.lin_a"), x)
        return out + self.tensors[f"{name}.lin_a.bias"][:, None, None]

    def norm(self, x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        if self.settings.normalization == "pono":
            return (x - x.mean(1, keepdim=True)) / torch.sqrt(x.var(1, keepdim=True) + 1e-5)
        if self.settings.normalization == "order_rescale":
            return x / self.open("B", dilation).sum((0, 1))
        return x

    def resnet(self, name: str, x: torch.Tensor, skip: torch.Tensor | None = None) -> torch.Tensor:
        def nonlinearity(h):
            return F.elu(torch.cat((h, -h), 1))

        h = self.norm(self.conv(f"{name}.conv_input", nonlinearity(x)))
        if skip is not None:
            h = h + self.nin(f"{name}.nin_skip", nonlinearity(skip))
        a, b = self.conv(f"{name}.conv_out", nonlinearity(h)).chunk(2, 1)
        return x + self.norm(a) * torch.sigmoid(b)

    def dilated(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(name, x, dilation=self.settings.dilation), self.settings.dilation)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        n = self.settings.resnets
        stack = [self.norm(self.conv("u_init", F.pad(x, (0, 0, 0, 0, 0, 1), value=1.0), "A"))]
        for i in range(3):
            for j in range(n):
                stack.append(self.resnet(f"up_layers.{i}.u_stream.{j}", stack[-1]))
            if i < 2:
                stack.append(self.dilated(f"downsize_u_stream.{i}", stack[-1]))
        u = stack.pop()
        for i, size in enumerate((n, n + 1, n + 1)):
            for j in range(size):
                u = self.resnet(f"down_layers.{i}.u_stream.{j}", u, stack.pop())
            if i < 2:
                u = self.dilated(f"upsize_u_stream.{i}", u)
        assert not stack
        return self.nin("nin_out", F.elu(u))


def arguments(settings: Settings) -> dict:
    return {
        "normalization": settings.normalization,
        "max_dilation": settings.dilation,
        "n_bits": 8,
        "dropout_prob": 0.0,
        "order": ["s_curve"],
        "randomize_order": True,
        "dataset": "cifar",
    }


def write(path, settings: Settings, tensors=None, **more):
    """A file as published: the trainer's dictionary, its losses as numpy's numbers."""
    torch.save(
        {
            "epoch": 159,
            "global_step": 1000,
            "args": arguments(settings),
            "test_loss_0": np.float64(2.9),
            "model_state_dict": random_tensors(settings) if tensors is None else tensors,
            "optimizer_state_dict": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 2e-4}]},
            **more,
        },
        path,
    )
    return path


SETTINGS = {
    "colours": Settings(),
    "two resnets": Settings(resnets=2),
    "grey": Settings(channels=1, outputs=9),
    "binary": Settings(channels=1, outputs=2),
    "kernel 5": Settings(kernel=5),
    "mask weight, no bias": Settings(mask_weight=True, bias=False),
    "weight norm": Settings(normalization="weight_norm"),
    "weight norm, mask weight": Settings(normalization="weight_norm", mask_weight=True),
    "order rescale": Settings(normalization="order_rescale", dilation=3),
    "none": Settings(normalization="none", dilation=1),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_outputs_are_the_described_networks(name, tmp_path):
    settings, rank = SETTINGS[name], orders.make("s_curve:5", 5, 4)
    tensors = random_tensors(settings)
    config, state, info = load(write(tmp_path / "model.pth", settings, tensors))
    binary = settings.outputs == 2
    assert config == PixelCnnConfig(
        channels=settings.channels,
        bits=1 if binary else 8,
        binary=binary,
        filters=FILTERS,
        resnets=settings.resnets,
        components=10 if binary else settings.outputs // (10 if settings.channels == 3 else 3),
        kernel=settings.kernel,
        dilation=settings.dilation,
        norm=settings.normalization,
        bias=settings.bias,
        mask_weight=settings.mask_weight,
    )
    assert (info.epoch, info.step, info.assumed) == (159, 1000, ())
    assert info.arguments["order"] == ["s_curve"]

    net = PixelCnn(config)
    net.load_state_dict(state)
    x = 2 * torch.rand(2, settings.channels, 5, 4, dtype=torch.double, generator=torch.Generator().manual_seed(1)) - 1
    with torch.no_grad():
        out = net.double().eval()(x, order_masks(rank, config))
    expected = Described(settings, tensors, rank)(x)
    assert expected.std() > 0.1
    tolerance.assert_close(out, expected, tolerance.depth(net))


def test_the_published_colour_network_has_192_tensors():
    assert len(shapes(Settings(resnets=5))) == 192
    with torch.device("meta"):
        assert len(PixelCnn(PixelCnnConfig()).state_dict()) == 192


def test_what_a_file_does_not_say_is_assumed_and_named(tmp_path):
    config, _, info = load(write(tmp_path / "model.pth", Settings(), args={}))
    assert (config.norm, config.dilation, config.bits) == ("pono", 2, 8)
    assert info.assumed == ("norm", "dilation", "bits")
    config, _, info = load(write(tmp_path / "binary.pth", SETTINGS["binary"], args=None))
    assert config.bits == 1 and info.assumed == ("norm", "dilation") and info.arguments == {}
    torch.save(random_tensors(Settings(normalization="weight_norm")), tmp_path / "bare.pth")
    config, _, info = load(tmp_path / "bare.pth")
    assert config.norm == "weight_norm" and info.assumed == ("dilation", "bits") and info.epoch is None


def test_namespaces_and_prefixes(tmp_path):
    """args as argparse made them; names as torch's DataParallel wrote them."""
    settings = Settings(dilation=3)
    tensors = {f"module.{name}": tensor for name, tensor in random_tensors(settings).items()}
    said = argparse.Namespace(**arguments(settings), lr=np.float64(2e-4))
    config, state, info = load(write(tmp_path / "model.pth", settings, tensors, args=said))
    assert config.dilation == 3 and info.arguments["lr"] == 2e-4
    assert torch.equal(state["first.weight"], tensors["module.u_init.weight"])
    assert torch.equal(state["up.0.0.conv_out.bias"], tensors["module.up_layers.0.u_stream.0.conv_out.bias"])


@pytest.mark.parametrize(
    "name",
    [
        "up_layers.1.u_stream.0.conv_out.weight",
        "down_layers.2.u_stream.1.nin_skip.lin_a.weight_g",
        "upsize_u_stream.1.bias",
        "nin_out.lin_a.bias",
        "u_init.weight",
        "nin_out.lin_a.weight_v",
    ],
)
def test_a_missing_parameter_is_named(name, tmp_path):
    tensors = random_tensors(Settings())
    del tensors[name]
    with pytest.raises(PublishedError, match=rf"model\.pth: missing: {name}"):
        load(write(tmp_path / "model.pth", Settings(), tensors))


def test_extra_and_misshapen_parameters_are_named(tmp_path):
    tensors = random_tensors(Settings())
    tensors["up_layers.0.u_stream.0.nin_skip.lin_a.bias"] = torch.zeros(6)
    tensors["downsize_u_stream.1.weight"] = torch.zeros(6, 6, 5, 5)
    with pytest.raises(PublishedError) as error:
        load(write(tmp_path / "model.pth", Settings(), tensors))
    assert str(error.value).endswith(
        "model.pth: extra: up_layers.0.u_stream.0.nin_skip.lin_a.bias; "
        "misshapen: downsize_u_stream.1.weight [6, 6, 5, 5] for [6, 6, 3, 3]"
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"u_init.weight": torch.zeros(6, 3, 3, 3)}, "3 input channels"),
        ({"u_init.weight": torch.zeros(6, 36)}, r"u_init.weight has shape \[6, 36\]"),
        ({"u_init.weight": torch.zeros(6, 4, 4, 4)}, "kernel is one of 3, 5, not 4"),
        ({"nin_out.lin_a.weight_v": torch.zeros(21, 6)}, "21 numbers a position, no multiple of 10"),
        ({"up_layers.0.ul_stream.0.conv_out.weight": torch.zeros(1)}, "two-stream baseline"),
        ({"u_init.bias": torch.zeros(6, dtype=torch.int64)}, "not tensors of real numbers: u_init.bias"),
        ({"u_init.bias": "zero"}, "not tensors of real numbers: u_init.bias"),
    ],
)
def test_what_makes_no_network(change, message, tmp_path):
    with pytest.raises(PublishedError, match=message):
        load(write(tmp_path / "model.pth", Settings(), random_tensors(Settings()) | change))


@pytest.mark.parametrize(
    "args, message",
    [
        ({"normalization": "instance_norm"}, "norm is one of .* not 'instance_norm'"),
        ({"normalization": "weight_norm"}, "u_init has no weight_g"),
        ({"max_dilation": "2"}, "dilation is a whole number from 1 to 16, not '2'"),
        ([1], "its args are list"),
    ],
)
def test_arguments_that_make_no_network(args, message, tmp_path):
    with pytest.raises(PublishedError, match=message):
        load(write(tmp_path / "model.pth", Settings(), args=args))


class Unsafe:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("key", ["model_state_dict", "args", "optimizer_state_dict"])
def test_an_unsafe_pickle_is_refused_and_not_run(key, tmp_path):
    path = write(tmp_path / "model.pth", Settings(), **{key: {"x": Unsafe(tmp_path / "made")}})
    with pytest.raises(PublishedError, match=r"was refused, nothing in it was run: it asks for posix\.mkdir"):
        load(path)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}q\x00", b"PK\x03\x04" + bytes(40)])
def test_files_that_are_no_checkpoints(content, tmp_path):
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    with pytest.raises(PublishedError, match="model.pth"):
        load(path)


def test_other_files(tmp_path):
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(PublishedError, match="it holds list"):
        load(tmp_path / "list.pth")
    torch.save({"model_state_dict": {}}, tmp_path / "empty.pth")
    with pytest.raises(PublishedError, match="no model_state_dict"):
        load(tmp_path / "empty.pth")
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(write(tmp_path / "model.pth", Settings()).read_bytes()[:-1000])
    with pytest.raises(PublishedError, match="truncated.pth"):
        load(truncated)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load(tmp_path / "none.pth")


def test_a_variant_after_a_variant():
    """As the published code makes them, of a moved base order, on squares."""
    for first in range(8):
        moved = orders.make(f"gilbert:{first}", 6, 6)
        for second in range(8):
            rank = moved.T if second & 4 else moved
            rank = rank[::-1] if second & 1 else rank
            rank = rank[:, ::-1] if second & 2 else rank
            np.testing.assert_array_equal(rank, orders.make(f"gilbert:{_then(first, second)}", 6, 6))


def test_kernels_that_there_are_not_are_refused(tmp_path):
    settings = Settings(kernel=7)
    with pytest.raises(PublishedError, match="a network's kernel is one of 3, 5, not 7"):
        load(write(tmp_path / "model.pth", settings))
