"""Binary pixels: probabilities near the logistic function, never 0 or 1, and costs as they say."""
import numpy as np

from codec.bits import LOG_ODDS_UNIT, Bits
from codec.coder import ONE

EXTREMES = [0, 1, -1, 1 << 20, -(1 << 20), 2**31 - 1, -(2**31), 16383, 16384, -16383, -16384]


def opened(model, log_odds: list[int]):
    """Bits of a level with these log-odds, and its frequencies of 255."""
    bits = Bits(len(log_odds), model.tables)
    bits.weigh(np.array(log_odds, np.int32)[:, None])
    values = np.zeros(len(log_odds), np.uint8)
    frequencies, symbols = bits.open(0, values.astype(np.int32), values, np.full(len(values), -1, np.int16))
    return bits, frequencies, symbols


def test_probabilities_are_those_of_the_logistic_function(tiny_model):
    log_odds = np.arange(-12 * LOG_ODDS_UNIT, 12 * LOG_ODDS_UNIT, 7)
    _, frequencies, _ = opened(tiny_model, log_odds.tolist())
    np.testing.assert_allclose(frequencies / ONE, 1 / (1 + np.exp(-log_odds / LOG_ODDS_UNIT)), atol=4e-6)
    assert (np.diff(frequencies) >= 0).all()


def test_extremes_stay_possible(tiny_model):
    _, frequencies, _ = opened(tiny_model, EXTREMES)
    assert frequencies.min() >= 16 and frequencies.max() <= ONE - 16
    assert frequencies[EXTREMES.index(0)] == ONE // 2


def test_costs_and_values(tiny_model):
    bits, frequencies, symbols = opened(tiny_model, [0, 1024, 1024])
    symbols[:] = 0, 1, 0                                     # as a decoder writes them
    assert len(bits.decide(3, np.zeros(3, np.uint8))[1]) == 0
    chances = np.where([False, True, False], frequencies, ONE - frequencies) / ONE
    np.testing.assert_allclose(bits.bits, -np.log2(chances))
    out = np.empty(3, np.uint8)
    bits.learn(0, np.zeros(3, np.int32), out)
    assert out.tolist() == [0, 255, 0]
