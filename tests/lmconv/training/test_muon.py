"""Muon: steps are orthogonal matrices along the gradient, of the documented size."""

import pytest
import torch

from lmconv.training.muon import Muon, orthogonalised
from tests import tolerance


@pytest.mark.parametrize("shape", [(8, 8), (8, 40), (40, 8)])
def test_orthogonalised_has_singular_values_near_one_and_the_same_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    result = orthogonalised(matrix)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ result @ v.T
    values = turned.diagonal()
    assert 0.6 < values.min() and values.max() < 1.3
    # Five iterations of three products each; singular values that are small at first grow 3.4 times in each of them.
    tolerance.assert_close(turned, values.diag(), depth=15 * max(shape), largest=3.4445**5)


def test_columns_without_gradient_do_not_move():
    matrix = torch.randn(4, 12)
    matrix[:, 5:] = 0
    assert (orthogonalised(matrix)[:, 5:] == 0).all()


def test_a_step_is_down_the_gradient_and_as_long_as_the_rate_says():
    weight = torch.nn.Parameter(torch.zeros(6, 3, 3, 3))
    weight.grad = torch.randn(6, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    Muon([weight], lr=0.01, momentum=0.0).step()
    assert (weight.detach() * weight.grad).sum() < 0
    root_mean_square = weight.detach().square().mean().sqrt().item()
    assert root_mean_square == pytest.approx(0.01 * 0.2, rel=0.3)  # singular values are from 0.7 to 1.2


def test_momentum_is_nesterovs():
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimiser = Muon([weight], lr=1.0, momentum=0.5)
    first, second = torch.eye(2), torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    for gradient in (first, second):
        weight.grad = gradient
        optimiser.step()
    assert torch.equal(optimiser.state[weight]["momentum"], 0.5 * first + second)


def test_muon_finds_the_least_squares_solution():
    generator = torch.Generator().manual_seed(2)
    inputs, target = torch.randn(64, 5, generator=generator), torch.randn(4, 5, generator=generator)
    weight = torch.nn.Parameter(torch.zeros(4, 5))
    optimiser = Muon([weight], lr=0.1)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 400)
        optimiser.zero_grad()
        (inputs @ (weight - target).T).square().mean().backward()
        optimiser.step()
    assert (weight - target).abs().max() < 0.02
