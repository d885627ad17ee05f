"""Where the bits go: costs of single values add up to the likelihood and lie where they belong; stages are shares."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from codec.compression import analyse, compress, cost_map
from codec.format.method import INDEXED, Independent
from codec.format.picture import KINDS
from codec.images.samples import Samples
from codec.models import EFFORTS
from codec.tile_coders.independent import IndependentCoder
from codec.tile_coders.sparseness import sparse
from tests.pictures import noise, photograph, screen, two_values


def image(height: int, width: int, kind: str = "rgb", make=photograph) -> Samples:
    planes = np.concatenate([make(height, width), noise(height, width)[:1] | 3])
    channels = {"grey": [1], "rgb": [0, 1, 2], "rgb+alpha": [0, 1, 2, 3]}[kind]
    return Samples.of(np.ascontiguousarray(planes[channels].transpose(1, 2, 0)))


def check_sum(picture: Samples, model, effort: str) -> None:
    """Of colours and grey; what other channels take is not in it."""
    costs = cost_map(picture, model, effort=effort)
    colours = KINDS[picture.kind].colours
    assert costs.shape == (picture.height, picture.width, colours) and costs.dtype == np.float32
    assert costs.min() >= 0
    alone = compress(Samples.of(np.ascontiguousarray(picture.values[..., :colours])), model, effort=effort).nll_bits
    assert costs.sum(dtype=float) == pytest.approx(alone, rel=1e-6)
    assert (compress(picture, model, effort=effort).nll_bits == alone) == (picture.values.shape[2] == colours)


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgb+alpha"])
@pytest.mark.parametrize("make", [photograph, screen], ids=lambda make: make.__name__)
def test_the_sum_is_the_likelihood(tiny_model, kind, effort, make):
    for size in ((14, 19), (19, 14), (1, 30), (30, 1), (1, 1)):
        check_sum(image(*size, kind, make), tiny_model, effort)


@pytest.mark.parametrize("size", [(3, 1100), (1100, 3)], ids=str)
def test_the_sum_of_several_tiles_is_the_likelihood(tiny_model, size):
    for threads in (1, 2):
        check_sum(image(*size), replace(tiny_model, threads=threads), "normal")


def test_the_sum_by_the_papers_networks_is_the_likelihood(square_models):
    check_sum(image(11, 18), square_models["colour"], "normal")
    check_sum(image(11, 18, "grey"), square_models["grey"], "normal")
    check_sum(image(11, 18, "grey", two_values), square_models["binary"], "normal")
    assert analyse(image(5, 6), square_models["colour"]).stages == {}


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("size", [(66, 70), (70, 66)], ids=["landscape", "portrait"])
def test_costs_belong_to_their_pixels_and_channels(tiny_model, size, effort):
    """Another value costs other bits at its place, and nothing changes of what was coded before it."""
    picture, high = image(*size), size[0] > size[1]
    costs = partial(cost_map, model=tiny_model, effort=effort, order=f"wavefront:{4 * high}")
    before = costs(picture)
    rows, cols = np.indices(size)[::-1] if high else np.indices(size)
    coded = (cols + 2 * rows) * 100 + rows  # level by level, from the top
    for row, col, channel in ((0, 0, 0), (4, 6, 1), (size[0] - 1, 0, 2), (size[0] - 1, size[1] - 1, 0)):
        pixels = picture.values.copy()
        pixels[row, col, channel] ^= 128
        after = costs(Samples.of(pixels))
        assert after[row, col, channel] != before[row, col, channel]
        np.testing.assert_array_equal(after[row, col, :channel], before[row, col, :channel])
        earlier = coded < coded[row, col]
        np.testing.assert_array_equal(after[earlier], before[earlier])


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    ("size", "half"),
    [
        *(((32, 48), half) for half in ("top", "bottom", "left", "right")),
        *(((48, 32), half) for half in ("top", "bottom", "left", "right")),
        ((3, 1100), "left"),
        ((1100, 3), "bottom"),
    ],
    ids=str,
)
def test_noise_costs_more_than_what_is_flat(tiny_model, size, half, effort):
    """In one tile, and in two, one of which is noise."""
    noisy = np.zeros(size, bool)
    rows, cols = size[0] // 2, size[1] // 2
    noisy[{"top": np.s_[:rows], "bottom": np.s_[rows:], "left": np.s_[:, :cols], "right": np.s_[:, cols:]}[half]] = True
    pixels = np.where(noisy[..., None], noise(*size).transpose(1, 2, 0), np.uint8(90))
    costs = cost_map(Samples.of(pixels), tiny_model, effort=effort).mean(axis=2)
    assert costs[noisy].mean() > 2 * costs[~noisy].mean()


def test_stages_of_a_photograph(tiny_model):
    """The network's share is what the network takes alone, as nearly as its logits are rounded."""
    picture = image(66, 70)
    found, coded = analyse(picture, tiny_model), compress(picture, tiny_model)
    tables = {"second table"} if sparse(picture.values.transpose(2, 0, 1)) else set()
    assert set(found.stages) == {"mixed", "network"} | tables
    assert found.stages["mixed"] == pytest.approx(coded.nll_bits)
    alone = compress(picture, tiny_model, effort="fast").nll_bits
    assert found.stages["network"] == pytest.approx(alone, rel=0.02)
    assert analyse(picture, tiny_model, effort="fast").stages == {}
    assert set(analyse(picture, tiny_model, effort="best").stages) == {"mixed", "network", "second table"}


def test_stages_of_a_screen(tiny_model, monkeypatch):
    """Where exact colours alone, which have no stages, are not tried."""
    monkeypatch.setattr(IndependentCoder, "candidates", lambda self, planes, depth: [])
    picture = image(80, 90, make=screen)
    picture.values[45:] = photograph(35, 90).transpose(1, 2, 0)
    found, coded = analyse(picture, tiny_model), compress(picture, tiny_model)
    assert found.stages["colours"] + found.stages["mixed"] == pytest.approx(coded.nll_bits)
    assert found.stages["colours"] > 0


def test_a_palette_spends_all_on_colours(tiny_model):
    picture = Samples.of(image(90, 100).values // 64 * 64)
    found, coded = analyse(picture, tiny_model), compress(picture, tiny_model)
    assert coded.methods == {INDEXED: 1} and found.stages == {"colours": pytest.approx(coded.nll_bits)}


def test_stages_of_several_tiles_are_added(tiny_model):
    picture = image(4, 1100)
    whole = analyse(picture, tiny_model, order="wavefront:0").stages
    parts = [Samples.of(picture.values[:, side : side + 550]) for side in (0, 550)]
    first, second = (analyse(part, tiny_model, order="wavefront:0").stages for part in parts)
    assert whole == pytest.approx({name: bits + second[name] for name, bits in first.items()})


def test_progress_reaches_the_number_of_pixels(tiny_model):
    calls = []
    cost_map(image(9, 12), tiny_model, progress=lambda *call: calls.append(call))
    assert calls == sorted(calls) and calls[-1] == (108, 108)


def test_one_value_costs_its_bits_where_it_is_said(tiny_model):
    picture = Samples.of(np.full((9, 12, 3), [7, 130, 255], np.uint8))
    found, coded = analyse(picture, tiny_model), compress(picture, tiny_model)
    assert coded.methods == {Independent.CONSTANT: 1} and coded.nll_bits == pytest.approx(24)
    assert found.costs[0, 0].tolist() == [8, 8, 8] and found.costs.sum() == 24 and found.stages == {}


@pytest.mark.parametrize("make", [photograph, screen], ids=lambda make: make.__name__)
def test_colours_of_a_palette_have_costs_as_colours(tiny_model, make):
    """Red, green and blue, though a sample is an index; where these are not told apart by colours, it is that."""
    palette = np.random.default_rng(0).integers(0, 256, (16, 3), dtype=np.uint8)
    values = (make(14, 19)[:1] >> 4).transpose(1, 2, 0).copy()
    for colours, channels in ((palette, 3), (palette[:1].repeat(16, 0), 1)):
        picture = Samples(values, 4, "palette", colours)
        costs = cost_map(picture, tiny_model)
        assert costs.shape == (14, 19, channels)
        assert costs.sum(dtype=float) == pytest.approx(compress(picture, tiny_model).nll_bits, rel=1e-6)
