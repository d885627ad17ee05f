"""The photo network: causal in the wavefront order, reading integer codes that the runtime can make too."""

import numpy as np
import pytest
import torch

from lmconv import orders
from lmconv.config import PhotoConfig
from lmconv.errors import LmconvError
from lmconv.networks import likelihood
from lmconv.networks.photo import CODE_BITS, CURRENT, INSIDE, KNOWN, NEIGHBOURS, ZERO, PhotoNet, extend, residual_codes
from runtime.least_squares import LEFT, RIGHT, TOP, UNIT, Settings, predict_picture
from tests.runtime.test_least_squares import walked

TINY = PhotoConfig(channels=8, blocks=2, components=2)
HEIGHT, WIDTH = 7, 9


def network(config=TINY):
    """A network with random weights everywhere, so that whatever can reach the output does."""
    torch.manual_seed(0)
    net = PhotoNet(config)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return net.eval()


def picture(seed=0, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    bases = rng.integers(0, 255 * UNIT + 1, (3, height, width)).astype(np.int16)
    return torch.from_numpy(pixels)[None], torch.from_numpy(bases)[None]


def changed_outputs(change):
    """For every position q that `change(pixels[q'th copy], bases[...], row, column)` alters: where outputs change."""
    pixels, bases = picture()
    net = network()
    many_pixels, many_bases = (x.repeat(HEIGHT * WIDTH, 1, 1, 1) for x in (pixels, bases))
    for q in range(HEIGHT * WIDTH):
        change(many_pixels[q], many_bases[q], *divmod(q, WIDTH))
    with torch.no_grad():
        before, after = (
            net(pixels.repeat(HEIGHT * WIDTH, 1, 1, 1), bases.repeat(HEIGHT * WIDTH, 1, 1, 1)),
            net(many_pixels, many_bases),
        )
    return (before != after).any(1).flatten(1).numpy()  # [changed position, position]


@pytest.mark.parametrize("channel", range(3))
def test_pixels_reach_later_ranks_only(channel):
    def change(pixels, bases, row, column):
        pixels[channel, row, column] ^= 255

    reaches = changed_outputs(change)
    rank = orders.wavefront(HEIGHT, WIDTH).ravel()
    assert not reaches[rank[:, None] >= rank].any()
    middle = 3 * WIDTH + 4
    for dr, dc in [(0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (2, -3)]:  # seen as W, N, NW, NE, ...
        assert reaches[middle, middle + dr * WIDTH + dc]


@pytest.mark.parametrize("channel", range(3))
def test_bases_reach_later_ranks_and_red_its_own(channel):
    def change(pixels, bases, row, column):
        bases[channel, row, column] = 255 * UNIT - bases[channel, row, column]

    reaches = changed_outputs(change)
    rank = orders.wavefront(HEIGHT, WIDTH).ravel()
    own = np.eye(len(rank), dtype=bool)
    assert not reaches[(rank[:, None] >= rank) & ~own].any()
    assert (reaches[own] == (channel == 0)).all()
    assert reaches[3 * WIDTH + 4, 3 * WIDTH + 5]


def test_with_the_predictor_nothing_depends_on_the_future():
    """Pixels changed, bases predicted anew: outputs of this rank and before stay as they are."""
    pixels = picture(3)[0][0].numpy()
    other = pixels.copy()
    row, column = 3, 4
    other[:, row, column] ^= 255
    net = network()
    with torch.no_grad():
        outputs = [net(torch.from_numpy(p)[None], torch.from_numpy(predict_picture(p))[None]) for p in (pixels, other)]
    changed = (outputs[0] != outputs[1]).any(1)[0].numpy()
    rank = orders.wavefront(HEIGHT, WIDTH)
    assert not changed[rank <= rank[row, column]].any() and changed[rank > rank[row, column]].any()


def test_output_shape_and_the_start_of_training():
    """An untrained network knows nothing: no shift, no coupling, components of three widths."""
    net = PhotoNet(PhotoConfig(channels=8, blocks=1))
    out = net(*picture())
    assert out.shape == (1, likelihood.PARAMETERS * 3, HEIGHT, WIDTH) and out.dtype == torch.float32
    logits, shifts, log_scales, couplings = likelihood.split(out)
    assert not logits.any() and not shifts.any() and not couplings.any()
    assert log_scales[0, 0, :, 0, 0].tolist() == [-2.0, -0.5, 1.0]


def test_codes():
    codes = residual_codes()
    assert codes.dtype == np.uint8 and codes.shape == (8192,)
    codes = codes.astype(int)
    assert (np.diff(codes) >= 0).all()
    assert (codes + codes[::-1] == 2 * ZERO).all()  # symmetric
    assert codes[4096 + (255 * UNIT >> CODE_BITS)] - ZERO in range(100, 128)  # the largest residual fits
    assert len(set(codes[4096 : 4096 + 8])) == 8  # sixteenths of a grey level round zero differ
    assert codes[4096] == ZERO + 1  # no residual has the code of the outside


def test_code_of_every_residual():
    net = network()
    residual = torch.arange(-255 * UNIT, 255 * UNIT + 1, dtype=torch.int16)
    expected = residual_codes()[(residual.numpy().astype(int) // 4) + 4096]
    np.testing.assert_array_equal(net.code(residual).numpy(), expected)
    assert net.code(torch.tensor([-(10**6), 10**6])).tolist() == [residual_codes()[0], residual_codes()[-1]]


def test_inputs_by_hand():
    pixels, bases = picture(1)
    known, current = network().inputs(pixels, bases)
    assert known.shape == (1, KNOWN, HEIGHT, WIDTH) and current.shape == (1, CURRENT, HEIGHT, WIDTH)
    assert known.dtype == current.dtype == torch.uint8
    codes, x, base = residual_codes(), pixels[0].numpy().astype(int), bases[0].numpy().astype(int)
    np.testing.assert_array_equal(known[0, :3], x)
    np.testing.assert_array_equal(known[0, 3:6], codes[(x * UNIT - base >> CODE_BITS) + 4096])
    assert (known[0, 6] == INSIDE).all()
    np.testing.assert_array_equal(current[0, -1], base[0] // UNIT)
    for r in range(2, HEIGHT):
        for c in range(2, WIDTH - 1):
            near = [codes[(x[0, r + dr, c + dc] * UNIT - base[0, r, c] >> CODE_BITS) + 4096] for dr, dc in NEIGHBOURS]
            assert current[0, :-1, r, c].tolist() == near


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1), (2, 2), (5, 8)])
def test_extend_is_the_predictors_padding(size):
    height, width = size
    pixels = picture(2, height, width)[0]
    _, drawn = walked(pixels[0].numpy(), Settings())
    padded = extend(pixels[0])
    assert padded.shape == (3, height + 2, width + 3)
    np.testing.assert_array_equal(padded, drawn.pixels[:, TOP - 2 :, LEFT - 2 : LEFT + width + 1])
    assert RIGHT >= 1


def test_size_counts_open_weights():
    """Every multiplication of one position, counted by hand: the taps of smaller rank in 7x7, and 5 of 3x3."""
    taps = sum(c + 2 * r < 0 for r in range(-3, 4) for c in range(-3, 4))
    blocks = 4 + 1
    c, k = TINY.channels, TINY.components
    products = taps * KNOWN * c + CURRENT * c + TINY.blocks * (blocks * c * c + c * c) + c * c + c * 10 * k
    biases = c + TINY.blocks * 2 * c + c + 10 * k
    assert PhotoNet(TINY).size() == (products + biases, products)


@pytest.mark.parametrize(
    "settings",
    [
        dict(channels=0),
        dict(blocks=0),
        dict(kernel=4),
        dict(first_kernel=33),
        dict(components="3"),
        dict(channels=10**9),
        dict(blocks=2.0),
    ],
)
def test_impossible_networks(settings):
    with pytest.raises(LmconvError, match=str(list(settings.values())[0])):
        PhotoConfig(**settings)
