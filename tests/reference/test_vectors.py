"""docs/format_vectors.json: the plain decoder makes exactly this file, and compiled code has the same numbers."""

import json
import zlib
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from codec.entropy.binarisation import HALVING, Node, decision_for, first_node, next_node
from codec.entropy.range_coder import Decoder, Encoder, code, spend_on
from codec.errors import DamagedFile
from codec.format import container
from codec.format.chunks import read_chunks
from codec.format.forms import Colours, Ranks
from codec.format.method import METHODS, Independent
from codec.format.numbers import Reader, varint
from codec.format.packed import unpack
from codec.format.picture import KINDS, crc_of
from codec.format.tiles import layout
from codec.modelling import hashed as contexts_by_hash
from codec.modelling import histograms as residuals
from codec.modelling import logistic
from codec.modelling.blend import FAST, SLOW, SLOW_INTERVAL, refit_blend
from codec.modelling.exact_colours.contexts import hashed as colours_hash
from codec.modelling.exact_colours.contexts import look
from codec.modelling.exact_colours.match import find_match
from codec.modelling.exact_colours.memory import NOWHERE, colour_of, place_of
from codec.modelling.exact_colours.question import MOST_DECISIONS, ask, exact_colours, take_over
from codec.modelling.experts import FULL, QUICK, Experts, expect, experts, take_in
from codec.modelling.lattice import CONVERSIONS, lattice, weigh_window, weighed_below
from codec.modelling.mixer import mixer
from codec.modelling.mixture import tables_of
from codec.modelling.ratio_tables import STAGES, ratio_tables
from codec.modelling.selectors import ALL, PARTS, SETS, select, selectors
from codec.modelling.window import open_window, window
from codec.tile_coders import How
from codec.tile_coders.independent import IndependentCoder
from codec.tile_coders.squares import squares
from runtime import schedule
from runtime.kernels import kernel
from runtime.least_squares import ALL as ALL_ROWS
from runtime.least_squares import (
    Settings,
    Size,
    canvas,
    draw,
    error_nearby,
    foresee,
    learn,
    predict,
    predictor,
    refer,
    refit,
    rows_of,
)
from runtime.variants import orient
from tests.codec.entropy.test_range_coder import encode
from tests.codec.modelling import test_adaptive, test_mixer, test_ratio_tables, test_secondary
from tests.codec.modelling import test_mixture as mixtures
from tests.codec.modelling.test_experts import Coded, entries_of, integer_tables, model
from tests.reference.ratio_tables import contexts
from tests.runtime.test_least_squares import code_level, walked
from tools import make_vectors

VECTORS = json.loads(make_vectors.OUTPUT.read_text("utf-8"))
TABLES = integer_tables()
PICTURE = np.array(VECTORS["least_squares"]["picture"], np.uint8)
COLOURS = np.array(VECTORS["exact_colours"]["picture"])
FEW = np.stack([COLOURS >> shift & 255 for shift in (16, 8, 0)]).astype(np.uint8)
AT = tuple(VECTORS["least_squares"]["at"])
OWN = Settings()


def bits(array) -> list[str]:
    """As the file has float32 numbers."""
    return [f"{word:08x}" for word in np.ascontiguousarray(array, np.float32).view(np.uint32).tolist()]


def test_the_plain_decoder_makes_this_file():
    assert make_vectors.text() == make_vectors.OUTPUT.read_text("utf-8")
    assert make_vectors.OUTPUT.stat().st_size < 90_000
    assert max(map(len, make_vectors.text().splitlines())) < 200


def test_its_tables_are_the_tests():
    for name, table in make_vectors.tables().items():
        assert table == TABLES[name].tolist()
        assert f"{zlib.crc32(TABLES[name].astype('<i4').tobytes()):08x}" == VECTORS["mixture"]["crc_of_tables"][name]


# Sections 1 to 3.


def test_varint():
    for value, data in VECTORS["varint"]["valid"]:
        assert varint(value).hex() == data
        assert Reader(bytes.fromhex(data)).varint() == value
    for data in VECTORS["varint"]["refused"]:
        with pytest.raises(DamagedFile):
            Reader(bytes.fromhex(data)).varint()


def test_crc32():
    told = VECTORS["crc32"]
    assert f"{zlib.crc32(told['text'].encode()):08x}" == told["crc_of_text"]
    assert f"{crc_of(np.array(told['pixels'], np.uint8)):08x}" == told["crc_of_pixels"]


def test_tables():
    told, first = VECTORS["tables"], {"squash": -logistic.LIMIT}
    assert [[g, kind, j, logistic.HISTOGRAMS[g, kind, j]] for g, kind, j, _ in told["histogram"]] == told["histogram"]
    counts = logistic.HISTOGRAMS.astype("<i4")
    assert f"{zlib.crc32(counts.tobytes()):08x}" == told["crc"]["histogram"]
    for name in ("squash", "stretch", "error_class", "log_scale", "cost"):
        table = getattr(logistic, name.upper())
        assert [int(table[x - first.get(name, 0)]) for x, _ in told[name]] == [value for _, value in told[name]]
        assert f"{zlib.crc32(table.astype('<i4').tobytes()):08x}" == told["crc"][name]


def test_container():
    told = VECTORS["container"]
    data = bytes.fromhex(told["file"])
    contents = container.read(data)
    picture, header = contents.picture, contents.picture.header
    assert {kind.decode(): body.hex() for kind, body in read_chunks(data).bodies.items()} == told["chunks"]
    assert [header.width, header.height, header.depth, header.variant, header.tile] == [
        told[name] for name in ("width", "height", "depth", "variant", "tile")
    ]
    assert KINDS[header.kind].code == told["kind"] and header.model_id.hex() == told["model_id"]
    assert picture.digest.hex() == told["digest"]
    found = [
        [
            {
                "place": [box.row, box.col, box.height, box.width],
                "method": tile.code,
                "crc": f"{tile.crc:08x}",
                "payload": tile.payload.hex(),
            }
            for box, tile in zip(header.boxes, group.tiles)
        ]
        for group in picture.groups
    ]
    assert found == told["groups"]
    assert container.pack(contents).hex() == told["file"]
    for side, tile, parts in told["sides"]:
        assert [box.width for box in layout(1, side, tile)] == parts
        assert [box.height for box in layout(side, 1, tile)] == parts


@kernel
def decided(coding, frequency):
    return code(coding, frequency, 0)


@pytest.mark.parametrize("case", VECTORS["range_coder"]["cases"], ids=lambda case: case["name"])
def test_range_coder(case):
    *steps, last = case["range_point_frequency_decision"]
    decoder = Decoder(bytes.fromhex(case["payload"]))
    assert encode([q for *_, q, _ in steps], [decision for *_, decision in steps]).hex() == case["payload"]
    for wide, point, q, decision in steps:
        assert [f"{decoder.coding.state[i]:016x}" for i in (2, 3)] == [wide, point]
        assert decided(decoder.coding, q) == decision
    assert [f"{decoder.coding.state[i]:016x}" for i in (2, 3)] == last
    decoder.check()


def test_range_coder_refuses():
    for payload, frequencies in VECTORS["range_coder"]["refused"]:
        with pytest.raises(DamagedFile):
            decoder = Decoder(bytes.fromhex(payload))
            for q in frequencies:
                decided(decoder.coding, q)
            decoder.check()


# Section 4.


def test_orientation():
    told = VECTORS["orientation"]
    assert [orient(np.array(told["tile"]), v).tolist() for v in range(8)] == told["variants"]


@kernel
def rows(level, size):
    return rows_of(level, size)


def test_wavefront():
    told = VECTORS["wavefront"]
    size = Size(told["height"], told["width"])
    assert size.levels == len(told["levels"])
    for t, places in enumerate(told["levels"]):
        assert [[r, t - 2 * r] for r in range(*rows(t, size))] == places


# Section 5.


def test_least_squares():
    told = VECTORS["least_squares"]
    for name, settings, interval in (("own", OWN, 1), ("fast", FAST, 1), ("slow", SLOW, SLOW_INTERVAL)):
        assert walked(PICTURE, settings, interval)[0].tolist() == told[name]


def test_least_squares_of_one_position():
    (row, c), empty = AT, canvas(*PICTURE.shape[1:])
    state, bases = predictor(empty, OWN), np.zeros(PICTURE.shape, np.int16)
    for level in range(c + 2 * row + 1):
        for k in range(3):
            refit(level, empty.size, k, state.fits)
            foresee(level, k, empty, state)
        references, nearby = empty.references.copy(), [near(state.fits.errors[k], row, c) for k in range(3)]
        code_level(level, PICTURE, empty, state, bases)
    for k, told in enumerate(VECTORS["least_squares"]["own_at"]):
        n, fits = state.fits.counts[k], state.fits
        target = fits.features[k, 0, 0, n, row]
        assert told == {
            "k": k,
            "reference": bits([references[k, row]])[0],
            "features": bits(fits.features[k, 0, 0, :n, row]),
            "origin": bits([np.float32(PICTURE[k, row, c]) - target])[0],
            "E": nearby[k],
            "R_0": bits(fits.sums[k, 0, : n + 1, row]),
            "weights": bits(fits.weights[k, 0, :n, row]),
            "base": bases[k, row, c],
            "target": bits([target])[0],
        }


# Section 7.


def test_mixture():
    told = VECTORS["mixture"]
    parameters, count = np.array([told["parameters"]], np.int32), len(told["parameters"]) // 10
    found, encoder = np.zeros((1, 3, 3 + 3 * count + 257), np.int64), Encoder(traced=True)
    mixture, residuals = np.zeros((count, 3), np.int64), np.zeros(3, np.int64)
    encoder.reserve(100)
    bases, values = np.array([told["bases"]], np.int32), np.array([told["values"]], np.uint8)
    coding, tables = encoder.coding, tables_of(TABLES)
    mixtures.code_positions(parameters, bases, values, tables, mixture, residuals, coding, found)
    coded, start = encoder.decisions().astype(int), 0
    for out, plane in zip(found[0], told["planes"]):
        components = out[3 : 3 + 3 * count].reshape(count, 3).T.tolist()
        assert components == [plane["weights"], plane["means"], plane["inverse_scales"]]
        assert out[:2].tolist() == [plane["M"], plane["spread"]]
        node = opened(*out[:2])
        assert [node.centre, node.deviation] == [plane["centre"], plane["class"]]
        assert [[v, int(out[3 + 3 * count + v])] for v, _ in plane["F"]] == plane["F"]
        part = coded[start : start + out[2]]
        assert [[int(each) // 2 + 1, int(each) % 2] for each in part] == plane["decisions"]
        start += out[2]


@kernel
def opened(mean, spread):
    return first_node(mean, spread)


@kernel
def binarised(mean, spread, value, state, selected, out):
    """a, m, b, the decision and its parts; how many."""
    node, count = first_node(mean, spread), 0
    while node.high - node.low > 1:
        decision = decision_for(node, value)
        out[count, 0], out[count, 1], out[count, 2], out[count, 3] = node.low, node.split, node.high, decision
        out[count, 9] = select(node, state, selected)
        for part in range(len(state.parts)):
            out[count, 4 + part] = state.parts[part]
        node = next_node(node, decision)
        count += 1
    return count


def test_binarisation():
    state, selected = selectors(ALL), np.zeros(len(ALL), np.int64)
    for told in VECTORS["binarisation"]:
        node, out = opened(told["M"], told["spread"]), np.zeros((30, 10), np.int64)
        assert [node.centre, node.deviation] == [told["centre"], told["class"]]
        count, found = binarised(told["M"], told["spread"], told["value"], state, selected, out), []
        for *decision, always, stage, step, step_and_side, kind, place in out[:count].tolist():
            assert always == 0 and place == step
            found.append([*decision, kind, step, step_and_side - 3 * step, stage])
        assert found == told["a_m_b_decision_kind_step_side_stage"]


# Section 8.


def test_ratio_tables_of_a_window():
    for told in VECTORS["ratio_tables"]:
        tables, k, before, low = ratio_tables(True), told["k"], told["before"], told["low"]
        stages = contexts(k, before, 0)
        entries = [entries_of(tables, context)[low : low + 16] for context in stages]
        for entry, counts in zip(entries, told["counts"]):
            entry[:] = (np.array(counts["N"]) << 20) + counts["E"]
        known = (k, *before, 0, 0)[:3]
        inverse = int(TABLES["inverse_scale"][told["log_scale"] + 128])
        mixture, found = np.array([[32768, told["base"], inverse]]), np.zeros((257, 1 + STAGES), np.int64)
        at = window()
        arguments = known, mixture, TABLES["logistic"].astype(np.int64), np.array([told["value"]]), at, found
        test_ratio_tables.walk(tables, told["M"], told["spread"], *arguments)
        assert at.low[0] == low and found[low, 0] == told["P_low"]
        assert tables.masses.tolist() == told["q"]
        after = [{"N": (entry >> 20).tolist(), "E": (entry & (1 << 20) - 1).tolist()} for entry in entries]
        assert after == told["counts_after"]


@kernel
def weighed(state, red, green, mean, spread, mixture, logistic, window, out):
    open_window(first_node(mean, spread).split, mixture, logistic, window)
    weigh_window(state, red, green, window)
    for v in range(257):
        out[v] = weighed_below(state, v, window, mixture, logistic)


def test_lattices():
    assert len(VECTORS["lattices"]) == len(CONVERSIONS)
    for told in VECTORS["lattices"]:
        state, at, out = lattice(told["number"]), window(), np.zeros(257, np.int64)
        assert state.possible.sum() == told["colours"]
        assert np.flatnonzero(state.possible[told["red"], told["green"]]).tolist() == told["possible"]
        mixture = np.array([[32768, told["base"], int(TABLES["inverse_scale"][told["log_scale"] + 128])]])
        known = told["red"], told["green"], told["M"], told["spread"]
        weighed(state, *known, mixture, TABLES["logistic"].astype(np.int64), at, out)
        assert at.low[0] == told["low"] and [[v, int(out[v])] for v, _ in told["L"]] == told["L"]


@kernel
def fitted(level, canvas, own, state):
    for k in range(3):
        refit(level, canvas.size, k, own.fits)
        foresee(level, k, canvas, own)
        refit_blend(level, k, canvas, state.blend, ALL_ROWS)


@kernel
def expected(level, k, row, seen, canvas, own, state):
    """Base and origin of the own predictor. seen: the mixture's mean and spread, and the class of decisions."""
    base, origin = predict(level, k, row, canvas, own)
    expect(level, k, row, (np.int64(base), *seen), canvas, state)
    return base, origin


@kernel
def taught(level, k, row, value, found, canvas, own, state):
    base, origin = found
    take_in(level, k, row, value, canvas.size.width, state)
    draw(k, row, level - 2 * row, value, canvas)
    learn(level, k, row, value, (base, origin), own.fits)


@kernel
def near(errors, row, c):
    return error_nearby(errors, row, c)


def test_what_is_known_of_a_value():
    """Blend, simple predictions, hashes and contexts along the walk."""
    blend, simple = VECTORS["blend"], VECTORS["simple"]
    empty, found = canvas(*PICTURE.shape[1:]), np.zeros(PICTURE.shape, int)
    own, state = predictor(empty, OWN), experts(empty, {}, FULL, True)
    for level in range(empty.size.levels):
        fitted(level, empty, own, state)
        for row, k in product(range(*rows(level, empty.size)), range(3)):
            c = level - 2 * row
            mean, spread = (blend[name][k][row][c] for name in ("M", "spread"))
            first = opened(mean, spread)
            seen = mean, spread, first.deviation, first.centre
            base = expected(level, k, row, seen, empty, own, state)
            found[k, row, c] = state.blend.members[0]
            if (row, c) == AT:
                assert blend_at(state.blend, k, row) == blend["planes"][k]
                told = dict(simple["planes"][k])
                after = [told.pop(name) for name in ("e", "best")]
                assert simple_at(state, k) == told
                assert state.hashed.keys.tolist() == VECTORS["hashed"]["keys"][k]
                contexts = [n - k * of for n, (_, of, _) in zip(state.selectors.contexts.tolist(), SETS)]
                assert contexts == VECTORS["contexts"]["planes"][k]
            state.spent[0] = blend["cost"][k][row][c]
            taught(level, k, row, int(PICTURE[k, row, c]), base, empty, own, state)
            if (row, c) == AT:
                kept = state.simple.errors, state.simple.best
                assert [array[k, row + 2, c & 7].tolist() for array in kept] == after
        refer(level + 1, empty)
    assert found.tolist() == blend["m_0"]


def blend_at(blend, k: int, row: int) -> dict:
    return {
        "k": k,
        "m": blend.members.tolist(),
        "near": blend.near.tolist(),
        "B": bits([blend.origins[1] * np.float32(64)])[0],
        "features": bits(blend.fits.features[k, 0, 0, :10, row]),
        "weights": bits(blend.fits.weights[k, 0, :10, row]),
    }


def simple_at(state: Experts, k: int) -> dict:
    predictions, near = state.simple.predictions.tolist(), state.simple.near.tolist()
    cost = state.selectors.contexts[ALL.index("cost nearby")] - 16 * k
    return {"k": k, "p": predictions, "near": near, "cost_class": cost}


@kernel
def located(value, state, below):
    residuals.locate(value, state, below)


@kernel
def counted(value, state):
    residuals.count_value(value, state)


@kernel
def told_of(node, upper, state, out):
    for end, value in ((0, node.low), (1, node.split), (2, node.high)):
        residuals.locate(value, state, state.below[end])
    residuals.tell(node, upper, state, out)


@kernel
def logarithm(n):
    return residuals.log2(np.int32(n))


def test_histogram():
    """Three, put in the places of two predictors' and of the second one of the first."""
    told, state = VECTORS["histogram"], residuals.histograms(2, 1)
    entries = len(state.counts) // (3 * 3 * residuals.CLASSES)
    assert [g for g, _, _ in told["g_class_p"]] == [0, 0, 1]
    for q, (g, kind, prediction) in enumerate(told["g_class_p"]):
        state.predictions[q], state.rows[q] = prediction, (residuals.CLASSES * q + kind) * entries
        state.shifts[q] = residuals._SHIFTS[kind] if g else (kind > 7) + (kind > 9)
    for value, times in told["value_times"]:
        for _ in range(times):
            counted(value, state)
    for value, places in zip((0, 100, 101, 102, 256), zip(*told["j_0_100_101_102_256"])):
        located(value, state, state.below[0])
        assert (state.places - state.rows).tolist() == list(places)
    assert [state.counts[row : row + 129].tolist() for row in state.rows] == told["S"]
    for low, split, high, upper, *inputs in told["a_m_b_upper_logits_shares"]:
        out = np.zeros(6, np.int16)
        told_of(Node(low, high, 128, 0, HALVING, 0, split), upper, state, out)
        assert out.tolist() == inputs
    bias = 127 * 4096
    assert [[n, logarithm(n) - bias] for n, _ in told["log"]] == told["log"]


@kernel
def recalled(node, decision, state, out):
    contexts_by_hash.recall(contexts_by_hash.slot_for(node), state, out)
    contexts_by_hash.remember_decision(contexts_by_hash.slot_for(node), decision, state)


@kernel
def found_for(key, centre, state):
    state.keys[:] = key
    contexts_by_hash.find_slots(centre, state)


def test_hashed_contexts():
    told, state, out = VECTORS["hashed"], contexts_by_hash.hashed(4), np.zeros(8, np.int16)
    for u, groups in told["u_groups"]:
        for key, group in zip(told["keys"][0], groups):
            found_for(np.uint32(key), u, state)
            assert state.places.tolist() == [8 * group] * 4
    for away, which in told["away_which"]:
        recalled(Node(0, 256, 256, 0, HALVING, 0, 256 + away), 1, state, out)
        touched = np.flatnonzero(state.slots[0] != 1 << 31) - state.places[0]
        assert touched.tolist() == [which]
        state.slots[:] = 1 << 31
    decisions, seen = [*(d for *_, d, _, _ in told["inputs_d_p_n"][:6]), *[0] * (told["steps"] - 6)], []
    for d in decisions:
        recalled(Node(0, 256, 128, 0, 0, -1, 128), d, state, out)
        slots = state.slots[np.arange(4), state.places]
        assert (slots == slots[0]).all() and out.reshape(4, 2).tolist() == [out[:2].tolist()] * 4
        seen.append([*out[:2].tolist(), d, *divmod(int(slots[0]), 1 << 10)])
    assert seen[:6] + seen[-2:] == told["inputs_d_p_n"]


def test_mixer_steps():
    told = VECTORS["mixer"]
    rates = np.maximum(197, 65536 // (np.arange(1024) + 50))
    state = mixer(np.array(told["w"], np.int16), np.array([told["f"]]), rates, 20)
    state.visits[:], state.inputs[:8], state.selected[:] = told["visits"], told["inputs"], [0, 1, 2]
    for step in told["steps"]:
        y = test_mixer.mixed(state, 0)
        p = test_mixer.squashed(y)
        assert [state.outputs.tolist(), y, p] == [step["y_i"], step["y"], step["p"]]
        test_mixer.adjusted(state, 0, p, step["decision"])
        after = state.weights[:, :8].tolist(), state.final[0].tolist(), state.visits.tolist()
        assert after == (step["w"], step["f"], step["visits"])


def coded(told: dict) -> Coded:
    pixels = (FEW if told["picture"] == "few colours" else PICTURE)[: told["planes"]].copy()
    numbers = np.zeros((*pixels.shape[1:], 10), np.int32)
    return Coded(model(numbers, TABLES, OWN), pixels, METHODS[told["method"]])


@pytest.mark.parametrize("told", VECTORS["tiles"], ids=lambda told: f"{told['method']} of {told['planes']}")
def test_tiles(told):
    found = coded(told)
    planes, height, width = found.pixels.shape
    assert found.encoder.finish().hex() == told["payload"] and len(found.decisions) == told["count"]
    position = AT[0] * width + AT[1]
    owners = {planes * height * width + position: -1} | {planes * position + k: k for k in range(planes)}
    here = [[owners[owner], q, decision] for q, decision, owner in found.decisions if owner in owners]
    assert here == told["decisions_at"]


def test_learned_decision():
    """The tile's last one, which leaves its numbers in the state."""
    (tile,) = [tile for tile in VECTORS["tiles"] if tile["method"] == 10]
    told, found = VECTORS["learned_decision"], coded(tile)
    state = found.state
    vectors, inputs = state.mixer.selected.tolist(), QUICK.inputs
    assert vectors == told["vectors"]
    assert list(found.decisions[-1][:2]) == [told["frequency"], told["decision"]]
    assert found.inputs[-1] == told["inputs"][:3] and state.mixer.inputs[:inputs].tolist() == told["inputs"]
    assert state.mixer.outputs.tolist() == told["y_i"] and 256 * test_mixer.squashed(told["y"]) == told["frequency"]
    assert state.mixer.weights[vectors, :inputs].tolist() == told["w_after"]
    assert state.mixer.visits[vectors].tolist() == told["visits_after"]
    assert state.mixer.final[told["second_layer"]].tolist() == told["f_after"]
    moved_up = (told["decision"] == 1) == told["upper"]
    ends = (told["P_m"], told["P_b"]) if moved_up else (told["P_a"], told["P_m"])  # of what is left
    assert state.masses[:, : 1 + STAGES].tolist() == [ends[0], told["P_m"], ends[1]]
    assert [told[name] for name in ("P_a", "P_m", "P_b")] == [within_window(state, v) for v in told["a_m_b"]]
    kind, step, side, stage = told["kind_step_side_stage"]
    k, z, contexts = told["k"], told["class"], told["contexts"]
    parts, first = [0, stage, step, 3 * step + side, kind], 0
    for name, vector in zip(QUICK.sets, vectors):
        _, count, part = SETS[ALL.index(name)]
        context = contexts[ALL.index(name)]
        assert vector == first + (k * count + context) * PARTS[part] + parts[part]
        first += 3 * count * PARTS[part]
    assert told["second_layer"] == 12 * (5 * k + z) + step
    assert state.hashed.places.tolist() == [told["slot"] // 8 * 8] and state.spent[0] == told["cost"]
    assert divmod(int(state.hashed.slots[0, told["slot"]]), 1 << 10) == tuple(told["p_n_after"])


def within_window(state: Experts, v: int) -> list[int]:
    """P(v) of the mixture and the stages, for a value that the ratio tables' window holds."""
    at = v - int(state.window.low[0])
    assert 0 < at < 16
    return state.ratios.sums[:, at].tolist()


# Section 9.


@kernel
def hashes(h, v):
    return colours_hash(h, v)


def test_estimates():
    told = VECTORS["estimates"]
    assert [[h, v, hashes(h, v)] for h, v, _ in told["hash"]] == told["hash"]
    state = test_adaptive.adaptive(1)
    for d, p, visits in told["probability"]:
        test_adaptive.learned(state, [0], [d])
        assert [state.probabilities[0], state.visits[0]] == [p, visits]
    knots = test_secondary.secondary(1)
    assert knots.knots[0].tolist() == told["knots"]
    logits, estimated, symbols = zip(*told["estimates"])
    assert test_secondary.learned(knots, [0] * len(logits), logits, symbols) == list(estimated)
    assert knots.knots[0].tolist() == told["knots_after"]


@kernel
def asked(picture, stop, colours, coding):
    """Every position in order until the questions of `stop`, (r, c), are answered."""
    _, height, width = picture.shape
    for level in range(width + 2 * (height - 1)):
        first, end = rows_of(level, Size(height, width))
        for row in range(first, end):
            c = level - 2 * row
            spend_on(coding, row * width + c)
            colour = colour_of(picture, row, c)
            ask(row, c, colour, colours, coding)
            if row == stop[0] and c == stop[1]:
                return
            take_over(row, c, colour, colours)


def questions(stop: tuple[int, int]):
    """(r, c, frequency, decision) of each, and the state."""
    colours, encoder = exact_colours(*FEW.shape), Encoder(traced=True)
    encoder.reserve(COLOURS.size * MOST_DECISIONS)
    asked(FEW, stop, colours, encoder.coding)
    coded = encoder.decisions().astype(int)
    places = (divmod(owner, FEW.shape[2]) for owner in encoder.owners().tolist())
    return [[*at, int(q) // 2 + 1, int(q) % 2] for at, q in zip(places, coded)], colours


def test_exact_colours():
    told = VECTORS["exact_colours"]
    expected = [[r, c, q, decision] for r, c, each in told["r_c_questions"] for _, q, decision in each]
    assert questions((-1, -1))[0] == expected
    for r, c, each in told["r_c_questions"]:
        assert all((colour == COLOURS[r, c]) == decision for colour, _, decision in each if colour >= 0)
    assert [(r, c) for r, c, _ in told["r_c_questions"]] == [
        (r, t - 2 * r) for t in range(22) for r in range(6) if 0 <= t - 2 * r < 12
    ]


def test_a_question():
    told = VECTORS["exact_colours"]["question"]
    found, colours = questions(tuple(told["at"]))
    assert found[-1] == [*told["at"], told["frequency"], told["decision"]]
    seen, mixed, listing = colours.contexts, colours.mixer, colours.candidates
    pairs = [[int(bucket) % 2**15, int(check)] for bucket, check in zip(seen.buckets, seen.checks)]
    assert pairs == told["slot_and_check"] and seen.patterns.tolist() == told["g"]
    count = len(told["candidates_and_scores"])
    scores = listing.scores[:count] // 16  # sums of what the mixer is given
    listed = [list(pair) for pair in zip(listing.colours[:count].tolist(), scores.tolist())]
    assert sorted(listed) == sorted(told["candidates_and_scores"])
    assert mixed.inputs.tolist() == told["inputs"] and mixed.outputs.tolist() == told["y_i"]
    recent = [colour for colour in colours.memory.recent.tolist() if colour != NOWHERE]
    candidates = [colour for colour, _ in told["candidates_and_scores"]]
    assert [colour for colour in recent if colour not in candidates] == told["palette"]
    around, match = looked(colours.memory, *told["at"])
    assert [around.run_w, around.run_n, around.breaks] == [*told["runs"], told["breaks"]]
    assert around.outcomes == sum(27 // 3**i * outcome for i, outcome in enumerate(told["around"]))
    place = divmod(match.place, colours.memory.stride)
    assert [place[0] - 4, place[1] - 6, match.length, match.streak] == [*told["match"], told["length"], told["streak"]]
    assert told["asked_for"] == COLOURS[tuple(told["at"])] and told["decision"] == 1


@kernel
def looked(memory, row, c):
    """What stands around a position, and its match; what the questions have entered since is not looked at."""
    here = place_of(memory, row, c)
    return look(memory, row, c, here), find_match(memory, row, c, here, 0)


# Sections 10 and 11.


def test_orders():
    told = VECTORS["orders"]
    windows = schedule.Kernel(told["kernel"]), schedule.Kernel(told["kernel"], told["dilation"])
    for each in told["maps"]:
        assert schedule.levels(np.array(each["rank"], np.int32), windows).tolist() == each["level"]
    side = SimpleNamespace(height=told["square"][0], width=told["square"][1])
    groups = [
        [[group.height, group.width], [list(at) for at in zip(group.rows.tolist(), group.cols.tolist())]]
        for group in squares(*told["tile"], side)
    ]
    assert groups == told["groups"]
    found = np.zeros(len(told["odds"]), np.int64)
    mixtures.odds(np.array([y for y, _ in told["odds"]], np.int32), TABLES["logistic"], found)
    assert found.tolist() == [frequency for _, frequency in told["odds"]]


def test_ranks():
    told = VECTORS["forms"]["ranks"]
    values = tuple(np.array(each, np.uint16) for each in told["occurring"])
    form = Ranks(values, told["depth"])
    assert form.depth == told["coded_depth"] and f"{zlib.crc32(unpack(form.used, 256)):08x}" == told["crc_of_list"]
    samples = np.array(told["samples"], np.uint16)
    assert form.planes(samples).tolist() == told["planes"]
    assert form.samples(np.array(told["planes"], np.uint8)).tolist() == told["samples"]


def test_colours_of_a_palette():
    told = VECTORS["forms"]["colours"]
    form = Colours(np.array(told["palette"], np.uint8), told["depth"])
    assert form.samples(np.array(told["planes"], np.uint8)).tolist() == told["samples"]
    assert form.planes(np.array(told["samples"], np.uint8)).tolist() == told["planes"]


def test_one_value():
    told = VECTORS["forms"]["one_value"]
    planes, encoder = np.array(told["planes"], np.uint8), Encoder()
    found, how = np.zeros_like(planes), How(1, lambda pixels: None)
    IndependentCoder().code(encoder, planes.copy(), Independent.CONSTANT, how)
    assert encoder.symbols().tolist() == told["bits"] and encoder.finish().hex() == told["payload"]
    IndependentCoder().code(Decoder(bytes.fromhex(told["payload"])), found, Independent.CONSTANT, how)
    assert found.tolist() == told["planes"]


def test_checksum_of_deep_samples():
    told = VECTORS["forms"]["crc_of_deep"]
    assert f"{crc_of(np.array(told['samples'], np.uint16)):08x}" == told["crc"]


# Sections 16 and 17.


@pytest.mark.parametrize("told", [*VECTORS["flat"], *VECTORS["deep"]], ids=lambda told: f"{told.get('depth', 8)} bits")
def test_tiles_without_a_model(told):
    """Written, every frequency and decision; and read."""
    depth, method = told.get("depth", 8), Independent.DEEP if "depth" in told else Independent.FLAT
    picture = np.array(told["picture"], np.uint16 if depth > 8 else np.uint8)
    encoder, found, how = Encoder(traced=True), np.zeros_like(picture), How(1, lambda pixels: None, depth=depth)
    IndependentCoder().code(encoder, picture.copy(), method, how)
    assert encoder.finish().hex() == told["payload"]
    coded = encoder.decisions().astype(int)
    assert (coded // 2 + 1).tolist() == told["frequencies"]
    assert "".join(map(str, (coded % 2).tolist())) == "".join(told["decisions"])
    IndependentCoder().code(Decoder(bytes.fromhex(told["payload"])), found, method, how)
    np.testing.assert_array_equal(found, picture)
