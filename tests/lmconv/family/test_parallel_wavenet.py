"""The student: all samples in one pass, its density that of what it draws, its divergence from a teacher."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lmconv import orders
from lmconv.checkpoints import checkpoint
from lmconv.cli import cli
from lmconv.config import ImageTraining
from lmconv.data import sounds
from lmconv.errors import LmconvError
from lmconv.family import parallel_wavenet
from lmconv.family.settings import CONFIGS
from lmconv.networks import kinds
from lmconv.networks.distributions import centred, distribution
from lmconv.sampling import sampler
from lmconv.training import distillation
from lmconv.training.distillation import Distillation
from lmconv.training.run import train
from tests.lmconv.family.test_family import network
from tests.lmconv.tiny import CPU, QUIET, image_set

FEW = dict(channels=1, filters=5, skip=5, layers=3)
STUDENT = CONFIGS["parallel_wavenet"](**FEW, flows=2)
TEACHER = CONFIGS["wavenet"](**FEW, components=2)
LENGTH = 24
VIEW = kinds.view(STUDENT, orders.make("raster", 1, LENGTH))


def noise(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.logit(torch.rand(count, 1, 1, LENGTH, dtype=torch.double, generator=generator).clamp(1e-6, 1 - 1e-6))


def small(settings, seed: int = 0):
    """A network whose scales stay moderate."""
    net = network(settings, seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.4)
    return net


def test_means_and_scales_are_of_the_noise_before():
    net, x = small(STUDENT), noise(1).requires_grad_()
    net(x, VIEW)[0, :, 0, 12].sum().backward()
    assert (x.grad[0, 0, 0] != 0).tolist() == [position < 12 for position in range(LENGTH)]


def test_the_flows_together_are_one_logistic():
    """x by the flows one after the other is z s + m."""
    net, z = small(STUDENT), noise(3)
    x = z
    for flow in net.flows:
        mean, log_scale = parallel_wavenet._limited(flow(x, None))
        x = x * torch.exp(log_scale) + mean
    mean, log_scale = net(z, VIEW).chunk(2, 1)
    torch.testing.assert_close(z * torch.exp(log_scale) + mean, x, rtol=1e-9, atol=1e-9)


def test_the_likelihood_is_that_of_what_is_drawn():
    """The walk back finds the noise: the density is the noise's over the scales."""
    net, z = small(STUDENT), noise(4)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(0.3)
        net.flows[-1].out.bias[1] -= 2  # so that sounds are not clipped, and levels are fine beside the scales
    mean, log_scale = net(z, VIEW).chunk(2, 1)
    x = z * torch.exp(log_scale) + mean
    exact = (torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z) - log_scale).sum((1, 2, 3))
    levels = ((x.detach() + 1) * 127.5).round().clamp(0, 255)
    near = centred(levels, 8, torch.double)
    found = net.log_prob(levels.to(torch.uint8)) - LENGTH * np.log(2 / 255)
    inside = ((x - near).abs() < 1 / 255).all(3).flatten()
    nats = kinds.nll(net, net.config, levels.to(torch.uint8), VIEW)
    torch.testing.assert_close(nats.sum((1, 2)), -net.log_prob(levels.to(torch.uint8)))
    assert inside.any() and (found - exact).abs()[inside].max() < 0.05 * LENGTH


def test_all_is_drawn_in_one_step():
    net, rank = small(STUDENT).float(), orders.make("raster", 1, LENGTH)
    drawer = sampler.drawer_of(net, rank, np.ones((1, LENGTH), bool))
    assert drawer.steps == 1
    drawn = sampler.sample(net, rank, 5, seed=3)
    assert drawn.shape == (5, 1, 1, LENGTH) and len(np.unique(drawn)) > 5
    np.testing.assert_array_equal(drawn, sampler.sample(net, rank, 5, seed=3, batch=2))
    with pytest.raises(sampler.SampleError, match="cannot complete"):
        hidden = rank > 4
        sampler.complete(net, rank, drawn, hidden)


def test_a_student_that_is_its_teacher_does_not_diverge():
    """A teacher of one logistic whose parameters are constant, a student of the same: the divergence is 0."""
    mixture = distribution(replace(TEACHER, components=1))

    def teacher(x, view):
        return torch.stack((torch.zeros_like(x), torch.full_like(x, 0.3), torch.full_like(x, -2.0)), 1)[:, :, 0]

    def student(z, view):
        return torch.cat((torch.full_like(z, 0.3), torch.full_like(z, -2.0)), 1)

    torch.manual_seed(0)
    nats, x = parallel_wavenet.divergence(student, teacher, mixture, noise(200), VIEW, 30)
    assert abs(nats.mean()) < 0.02 * LENGTH and x.shape == (200, 1, 1, LENGTH)
    other = parallel_wavenet.divergence(
        lambda z, view: student(z, view) + torch.tensor([0.3, 0.0]).view(1, 2, 1, 1),
        teacher,
        mixture,
        noise(50),
        VIEW,
        8,
    )[0]
    assert other.mean() > 0.5 * LENGTH


def task(steps: int, teacher=TEACHER) -> Distillation:
    weights = small(teacher).float().state_dict()
    known = checkpoint.Checkpoint(teacher, weights, weights, {}, {})
    images = image_set(STUDENT, 20, height=1, width=LENGTH)
    config = ImageTraining(
        steps=steps,
        batch=4,
        rate=1e-2,
        height=1,
        width=LENGTH,
        holdout=5,
        evaluate_every=3,
        order="raster",
        variants=(0,),
    )
    return Distillation(images, config, STUDENT, CPU, known)


def test_distillation_learns_and_goes_on(tmp_path, monkeypatch):
    whole = checkpoint.load(train(task(6), tmp_path / "whole", QUIET))
    train(task(3), tmp_path / "parts", QUIET)
    parts = checkpoint.load(train(task(6), tmp_path / "parts", QUIET, resume="auto"))
    assert whole.curve == parts.curve and all(torch.equal(whole.model[key], parts.model[key]) for key in whole.model)
    monkeypatch.setattr(distillation, "POWER", 0.0)
    long = checkpoint.load(train(task(60), tmp_path / "long", QUIET))
    assert long.curve[-1][1] < long.curve[0][1]


def test_teachers_that_do_not_fit():
    for teacher in (replace(TEACHER, categorical=True), CONFIGS["nade"](channels=1, height=1, width=LENGTH)):
        with pytest.raises(LmconvError, match="a WaveNet of a mixture of logistics"):
            task(1, teacher)
    with pytest.raises(LmconvError, match="for other channels, bits"):
        task(1, replace(TEACHER, bits=6))


def test_the_command_line_distils(tmp_path):
    sounds.write(tmp_path / "tone.wav", sounds.encoded(np.sin(np.arange(600) / 5))[None])

    def run(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="lmconv", catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    few = ["--data", tmp_path / "tone.wav", "--width", LENGTH, "--filters", 4, "--skip", 4, "--layers", 3, "--steps", 2]
    few += ["--batch", 2, "--holdout", 3, "--samples", 0, "-q"]
    run("train", "wavenet", *few, "-o", tmp_path / "teacher", "--no-categorical")
    last = tmp_path / "teacher" / "last.safetensors"
    run("train", "parallel_wavenet", *few, "-o", tmp_path / "student", "--teacher", last)
    run("sample", tmp_path / "student" / "last.safetensors", "-o", tmp_path / "x.wav", "-q")
    told = json.loads(run("eval", tmp_path / "student" / "last.safetensors", tmp_path / "tone.wav", "--json"))
    net = checkpoint.load(tmp_path / "student" / "last.safetensors").net()
    with torch.no_grad():
        nats = -net.log_prob(torch.from_numpy(sounds.rows(tmp_path / "tone.wav", LENGTH))).double().mean()
    assert abs(told["results"][0]["likelihood"]["ensemble"]["nats"] - nats) < 1e-3 * abs(nats)
