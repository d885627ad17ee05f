"""Rounding whose errors cancel: whole numbers within the limit, and less error on inputs that go together."""

import numpy as np
import pytest

from export.exact.rounding import DAMPING, compensated
from tests import tolerance


def moments(inputs: np.ndarray) -> np.ndarray:
    rows = np.concatenate([inputs, np.ones((len(inputs), 1))], 1)
    return rows.T @ rows / len(rows)


def error(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray, found: tuple[np.ndarray, np.ndarray]) -> float:
    """Mean square difference of the outputs."""
    return float(np.square(inputs @ (found[0] - weight) + found[1] - bias).mean())


@pytest.fixture
def layer():
    """40 inputs that are mixtures of 6, and not centred; weights up to 20."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(0, 30, (2000, 6)) @ rng.normal(0, 1, (6, 40)) + rng.normal(0, 3, (2000, 40)) + 50
    return inputs, rng.normal(0, 6, (40, 7)), rng.normal(0, 100, 7)


def test_errors_cancel(layer):
    inputs, weight, bias = layer
    plain = error(inputs, weight, bias, (np.round(weight), bias))
    found = compensated(weight, bias, moments(inputs), 63)
    assert (found[0] == np.round(found[0])).all() and np.abs(found[0] - weight).max() < 3
    assert error(inputs, weight, bias, found) < plain / 20
    new = layer[0][::-1] + np.random.default_rng(1).normal(0, 3, inputs.shape)  # not what it was made for
    assert error(new, weight, bias, found) < np.square(new @ (np.round(weight) - weight)).mean() / 20


def test_means_are_made_up_for_by_the_bias(layer):
    inputs, weight, bias = layer
    found = compensated(weight, bias, moments(inputs), 63)
    mean = (inputs @ (found[0] - weight) + found[1] - bias).mean(0)
    condition = len(weight) / DAMPING  # of the moments, at most: damping bounds it from below
    assert np.abs(mean).max() < tolerance.bound(condition) * np.abs(inputs @ weight).max()


def test_the_limit_holds(layer):
    inputs, weight, bias = layer
    found, _ = compensated(weight, bias, moments(inputs), 5)
    assert np.abs(found).max() == 5


def test_inputs_that_have_nothing_in_common_are_rounded_plainly():
    weight = np.random.default_rng(0).normal(0, 5, (12, 4))
    found = compensated(weight, np.zeros(4), np.diag(np.append(np.arange(1.0, 13), 1)), 63)
    np.testing.assert_array_equal(found[0], np.round(weight))
    np.testing.assert_array_equal(found[1], 0)


def test_inputs_that_are_always_zero_are_no_obstacle(layer):
    inputs, weight, bias = layer
    inputs[:, 5] = 0
    found = compensated(weight, bias, moments(inputs), 63)
    np.testing.assert_array_equal(found[0][5], np.round(weight[5]))
    silent = compensated(weight, bias, moments(np.zeros_like(inputs)), 63)
    np.testing.assert_array_equal(silent[0], np.round(weight))
    np.testing.assert_array_equal(silent[1], bias)
