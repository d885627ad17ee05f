"""The step: it learns, and clips, accumulates and averages what it should; rates follow the schedules."""

import math
from dataclasses import replace

import pytest
import torch

from lmconv.config import ImageTraining, PhotoTraining, TrainConfig, image_training, preset
from lmconv.errors import LmconvError
from lmconv.networks.kinds import hidden_weights
from lmconv.processes import Processes
from lmconv.training.optimisation import optimisers, plateau_step, schedule
from lmconv.training.trainer import Trainer, TrainingError
from tests import tolerance
from tests.lmconv.tiny import BINARY, COLOUR, QUIET, image_task, random_net


def steps(trainer: Trainer, count: int) -> None:
    for step in range(trainer.step, trainer.step + count):
        trainer.train_step(trainer.batches(step))


def gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Of the step before."""
    return {name: parameter.grad.clone() for name, parameter in trainer.net.named_parameters()}


@pytest.mark.parametrize(
    "network, change",
    [(COLOUR, dict()), (BINARY, dict(optimiser="muon", matrix_rate=0.03)), (BINARY, dict(accumulate=2))],
    ids=["colour", "binary, muon", "binary, accumulated"],
)
def test_the_loss_falls(network, change):
    trainer = Trainer(image_task(network, steps=30, rate=0.03, ema=0.9, **change), QUIET)
    before = trainer.evaluate()
    steps(trainer, 30)
    assert trainer.evaluate() < 0.95 * before


def test_bfloat16_learns_too():
    trainer = Trainer(image_task(steps=20, rate=0.03), replace(QUIET, precision="bf16"))
    before = trainer.evaluate()
    steps(trainer, 20)
    assert trainer.bf16 and trainer.evaluate() < 0.95 * before


@pytest.mark.parametrize("network", [COLOUR, BINARY], ids=["colour", "binary"])
def test_an_accumulated_batch_is_a_big_one(network):
    """The mean of the parts' gradients; their sum would be 4 times as long."""
    whole, parts = (Trainer(image_task(network, batch=8, accumulate=n, clip=1e9), QUIET) for n in (1, 4))
    losses = [trainer.train_step(trainer.batches(0)) for trainer in (whole, parts)]
    assert len(parts.batches(0)) == 4
    there_and_back = 2 * tolerance.depth(whole.net) + 8 * 30  # and over the positions of all images
    tolerance.assert_close(losses[0], losses[1], there_and_back)
    for name, gradient in gradients(whole).items():
        tolerance.assert_close(gradients(parts)[name], gradient, there_and_back)


def test_gradients_are_clipped():
    free, clipped = (Trainer(image_task(clip=clip), QUIET) for clip in (1e9, 0.01))
    for trainer in (free, clipped):
        steps(trainer, 1)
    norms = [torch.cat([g.flatten() for g in gradients(trainer).values()]).norm().item() for trainer in (free, clipped)]
    assert norms[0] > 0.1 and norms[1] == pytest.approx(0.01, rel=1e-4)  # PyTorch adds 1e-6 to the norm: 1e-5 of it
    scale = norms[1] / norms[0]
    for name, gradient in gradients(free).items():  # all by the same factor
        tolerance.assert_close(gradients(clipped)[name], gradient * scale, depth=len(gradients(free)))


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_step_without_a_finite_gradient_has_none(optimiser, monkeypatch):
    """Weights and averages stay finite; three in a row are too many."""
    trainer, fresh = (Trainer(image_task(optimiser=optimiser), QUIET) for _ in range(2))
    before = {name: weight.clone() for name, weight in trainer.net.named_parameters()}
    usual, spoilt = trainer.task.loss, []
    monkeypatch.setattr(trainer.task, "loss", lambda net, batch: usual(net, batch) * (float("nan") if spoilt else 1.0))
    spoilt.append(True)
    steps(trainer, 1)
    assert trainer.step == 1 and trainer.skipped == 1 and trainer.snapshot().training["skipped"] == 1
    for name, weight in trainer.net.named_parameters():  # Adam has no average to move by yet
        assert torch.equal(weight, before[name])
    spoilt.clear()
    trainer.train_step(trainer.batches(1))
    spoilt.append(True)
    for step in (2, 3):
        trainer.train_step(trainer.batches(step))
    trainer.check()
    assert trainer.skipped == 3 and all(torch.isfinite(weight).all() for weight in trainer.ema.values())
    fresh.restore(trainer.snapshot())
    assert fresh.skipped == 3
    trainer.train_step(trainer.batches(4))
    with pytest.raises(TrainingError, match="3 steps in a row, the last of them before step 5, had no finite gradient"):
        trainer.check()
    assert all(torch.isfinite(tensor).all() for tensor in trainer.snapshot().optimiser.values())


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_weight_decay(optimiser):
    """Matrices and kernels shrink by rate x decay a step, vectors do not."""
    rate = dict(rate=0.01, matrix_rate=0.02, schedule="constant", warmup=0, optimiser=optimiser)
    plain, decayed = (Trainer(image_task(weight_decay=decay, **rate), QUIET) for decay in (0.0, 0.5))
    start = {name: weight.clone() for name, weight in plain.net.named_parameters()}
    for trainer in (plain, decayed):
        steps(trainer, 1)
    muons = {id(weight) for weight in (decayed.optimisers[0].param_groups[0]["params"] if optimiser == "muon" else ())}
    for (name, one), other in zip(plain.net.named_parameters(), decayed.net.parameters(), strict=True):
        share = 0.5 * (0.02 if id(other) in muons else 0.01) if one.ndim > 1 else 0.0
        tolerance.assert_close(other, one - share * start[name], depth=8)


@pytest.mark.parametrize("ema", [0.0, 0.3, 0.9])
def test_every_tensor_is_averaged(ema):
    """The published code averaged the first tensor alone, with the weights swapped."""
    trainer = Trainer(image_task(ema=ema), QUIET)
    expected = {name: tensor.clone() for name, tensor in trainer.net.state_dict().items()}
    start = {name: tensor.clone() for name, tensor in expected.items()}
    for step in range(4):
        steps(trainer, 1)
        keep = min(ema, (step + 1) / (step + 20))  # the first steps count for more
        for name, tensor in trainer.net.state_dict().items():
            expected[name] = keep * expected[name] + (1 - keep) * tensor
    assert trainer.ema.keys() == expected.keys()
    for name, tensor in trainer.ema.items():
        tolerance.assert_close(tensor, expected[name], depth=3 * 4)
        assert not torch.equal(tensor, start[name]), name
        assert torch.equal(tensor, trainer.net.state_dict()[name]) == (ema == 0), name
    averaged = trainer.averaged()
    assert not averaged.training
    assert all(torch.equal(tensor, trainer.ema[name]) for name, tensor in averaged.state_dict().items())


def test_evaluation_is_of_the_averaged_weights():
    trainer = Trainer(image_task(), QUIET)
    steps(trainer, 2)
    sums, counts = zip(*trainer.task.evaluate(trainer.averaged()))
    tolerance.assert_close(trainer.evaluate(), sum(sums) / sum(counts), depth=3)
    assert list(trainer.by_order.values()) == [total / count for total, count in zip(sums, counts)]
    assert sum(counts) == 7
    ((other, _), _) = trainer.task.evaluate(trainer.net)
    assert abs(other - sums[0]) > 1e-4


def test_dropout_comes_from_the_seed_and_the_step():
    def losses(**changes):
        trainer = Trainer(image_task(replace(COLOUR, dropout=0.5), **changes), QUIET)
        found = []
        for step in range(2):
            torch.rand(int(torch.randint(9, ())))  # others draw too
            found.append(trainer.train_step(trainer.batches(0)).item())
            trainer.step = step  # the same weights' next draws
        return found

    assert losses() == losses()
    assert losses() != losses(seed=1)


def test_batches_that_cannot_be_shared():
    with pytest.raises(TrainingError, match="a batch of 6 cannot be cut into 4 equal parts, for 2 processes that acc"):
        Trainer(image_task(batch=6, accumulate=2), QUIET, Processes(0, 2))
    with pytest.raises(LmconvError, match="a batch of 6 cannot be accumulated in 4 equal parts"):
        TrainConfig(batch=6, accumulate=4)


# Optimisers and schedules


def test_muon_has_the_hidden_layers():
    net = random_net(COLOUR)
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    hidden = [names[id(weight)] for weight in hidden_weights(net)]
    blocks = [
        f"{half}.{i}.{j}.{conv}.weight"
        for half, sizes in (("up", (1, 1, 1)), ("down", (1, 2, 2)))
        for i, size in enumerate(sizes)
        for j in range(size)
        for conv in ("conv_input", "conv_out")
    ]
    assert sorted(hidden) == sorted(blocks + [f"{half}_dilated.{i}.weight" for half in ("up", "down") for i in (0, 1)])
    muon, adam = optimisers(net, TrainConfig(optimiser="muon"))
    parameters = [id(p) for optimiser in (muon, adam) for p in optimiser.param_groups[0]["params"]]
    assert sorted(parameters) == sorted(names)
    (alone,) = optimisers(net, TrainConfig(optimiser="adam"))
    assert len(alone.param_groups[0]["params"]) == len(names)
    with pytest.raises(LmconvError, match="this network has none: take adam"):
        optimisers(random_net(replace(COLOUR, norm="weight_norm")), TrainConfig(optimiser="muon"))


def test_rates_follow_the_schedule():
    trainer = Trainer(image_task(schedule="decay", decay=0.5, warmup=0, optimiser="muon"), QUIET)
    steps(trainer, 3)
    muon, adam = (optimiser.param_groups[0]["lr"] for optimiser in trainer.optimisers)
    assert adam == trainer.config.rate / 4 and muon == trainer.config.matrix_rate / 4


def near(*values: float):
    """After ten operations in float64, some of them with numbers near 1."""
    return pytest.approx(values, rel=tolerance.bound(10), abs=tolerance.bound(10))


def test_the_linear_schedule():
    config = TrainConfig(steps=100, warmup=10, cooldown=0.4)
    rates = [schedule(config, step) for step in range(101)]
    assert (rates[0], rates[4]) == near(0.1, 0.5)
    assert rates[9:61] == [1.0] * 52
    assert (rates[80], rates[99]) == near(0.5, 0.025) and rates[100] == 0
    assert plateau_step(config) == 60
    assert schedule(replace(config, warmup=0), 0) == 1.0
    assert schedule(replace(config, cooldown=0.0), 99) == 1.0


def test_the_other_schedules():
    cosine = TrainConfig(steps=100, warmup=10, schedule="cosine")
    rates = [schedule(cosine, step) for step in range(101)]
    assert (rates[4], rates[50], rates[100]) == near(0.5, 0.5, 0)
    assert all((rates[step] + rates[100 - step],) == near(1) for step in range(10, 50))
    decay = TrainConfig(schedule="decay", decay=0.999995, warmup=0)
    assert schedule(decay, 0) == 1 and (schedule(decay, 200_000),) == near(0.999995**200_000)
    assert plateau_step(cosine) is plateau_step(decay) is None
    assert [schedule(replace(decay, decay=0.5, decay_every=3), step) for step in range(7)] == [
        1,
        1,
        1,
        0.5,
        0.5,
        0.5,
        0.25,
    ]
    constant = TrainConfig(steps=100, warmup=10, schedule="constant")
    assert [schedule(constant, step) for step in (0, 9, 50, 99)] == [0.1, 1, 1, 1]


def test_a_presets_training_is_the_published_one():
    config = image_training(preset("cifar10"))
    assert (config.optimiser, config.rate, config.betas) == ("adam", 2e-4, (0.9, 0.999))
    assert (config.schedule, config.decay, config.warmup, config.batch, config.ema) == ("decay", 0.999995, 0, 32, 0)
    assert (config.clip,) == near(2e6 / (32 * 3072 * math.log(2)))  # of a sum of nats, here of a mean of bits
    binary = image_training(preset("mnist_binary"))
    assert binary.clip == 2e6 / 32 and (binary.height, binary.order) == (28, "s_curve")
    assert image_training(preset("mnist")).order == "gilbert"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainConfig(schedule="steps"), "schedule is one of linear, cosine, decay, constant, not 'steps'"),
        (lambda: TrainConfig(optimiser="sgd"), "optimiser is one of muon, adam, not 'sgd'"),
        (lambda: TrainConfig(steps=0), "steps is 1 or more, not 0"),
        (lambda: PhotoTraining(window=33, crop=32), "windows of 33 do not fit into crops of 32"),
        (lambda: ImageTraining(binarisation="dithered"), "a binarisation is stochastic or threshold, not 'dithered'"),
        (lambda: ImageTraining(sizes=(8, 0)), "sizes is from 1 to 4096, not 0 to 8"),
    ],
)
def test_trainings_that_are_none(make, message):
    with pytest.raises(LmconvError, match=message):
        make()
