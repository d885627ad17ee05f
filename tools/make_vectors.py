"""Writes docs/format_vectors.json: small inputs and outputs of every stage of the format, by the plain decoder.

    python tools/make_vectors.py

docs/format.md, section 13, says what each entry holds. All of it comes from tests/reference, in the order of the page's
sections; tests/reference/test_vectors.py holds the compiled code against the same file.
"""

from __future__ import annotations

import json
import sys
import textwrap
import zlib
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from tests.reference import colours, container, experts, forms, jpeg, lattice, mixture, numbers, squares  # noqa: E402
from tests.reference import jpeg_continuity as continuity  # noqa: E402
from tests.reference.blend import FAST, SLOW, mean  # noqa: E402
from tests.reference.bundle import Bundle  # noqa: E402
from tests.reference.deep import DeepTile  # noqa: E402
from tests.reference.estimates import Chance, Knots  # noqa: E402
from tests.reference.flat import FlatTile  # noqa: E402
from tests.reference.hashed import Slot, group, which  # noqa: E402
from tests.reference.histograms import Histogram, Histograms, log2  # noqa: E402
from tests.reference.jpeg_contexts import magnitude  # noqa: E402
from tests.reference.jpeg_decisions import Decisions, line  # noqa: E402
from tests.reference.least_squares import Canvas, Predictor, Settings, rows_of  # noqa: E402
from tests.reference.mixer import Mixer, falling  # noqa: E402
from tests.reference.pixelcnn import Order  # noqa: E402
from tests.reference.range_coder import Decoder, Encoder  # noqa: E402
from tests.reference.ratio_tables import Counts, Window, contexts  # noqa: E402
from tests.reference.selectors import SETS, parts, vector_number  # noqa: E402
from tests.reference.tile import COLOURS, PhotoTile, restored  # noqa: E402
from tests.reference.tile import TABLES as RATIO_TABLES  # noqa: E402

OUTPUT = ROOT / "docs" / "format_vectors.json"
LINE = 120
HEIGHT, WIDTH = 5, 7
AT = 3, 4  # the position of which all is told
ASKED = 3, 9  # the position whose question is told, of the picture of few colours
OWN = {
    "sizes": ((16, 2, 2), (10, 8, 2), (10, 8, 6)),
    "decay": 0.92,
    "row_decay": 0.80,
    "ridge": (16.0, 3.0, 3.0),
}
QUICK, FULL = 2, 4  # learning of a method
PALETTE = (0x102030, 0xFF8000, 0x00FF40, 0x102031, 0xFFFFFF)
ONE = 1 << 24


def tables() -> dict[str, list[int]]:
    """A model's four tables, made of integers alone."""
    exponential, inverse_scale = [1 << 22], [1 << 29]
    for _ in range(1023):
        exponential.append(exponential[-1] * 63 // 64)
    for _ in range(320):
        inverse_scale.append(inverse_scale[-1] * 31 // 32)
    logistic = [(1 << 21) + (d << 21) // (abs(d) + 128) for d in range(-2048, 2049)]
    logistic[0], logistic[-1] = 0, 1 << 22
    return {
        "exponential": exponential,
        "inverse_scale": inverse_scale,
        "deviation": [3] + [3 + i**4 // 400_000 for i in range(320)],
        "logistic": logistic,
    }


TABLES = tables()


def values() -> list[list[list[int]]]:
    """The picture [3][H][W] of most entries."""
    return [
        [[60 + 20 * k + 9 * r + 14 * c + 4 * ((r * c + 3 * k) % 5) for c in range(WIDTH)] for r in range(HEIGHT)]
        for k in range(3)
    ]


def expected(k: int, r: int, c: int) -> int:
    """What stands for the mixture's mean where the blend is told alone."""
    return 64 * values()[k][r][c] + 97 * ((3 * r + 5 * c + k) % 5 - 2)


def expected_spread(k: int, r: int, c: int) -> int:
    """And for its spread."""
    return 40 + 170 * ((r + 2 * c + k) % 5)


def assumed_cost(k: int, r: int, c: int) -> int:
    """What the value there has cost, as none is coded."""
    return 13 * ((5 * r + 3 * c + k) % 19)


def few_colours(height: int = 6, width: int = 12) -> list[list[int]]:
    """A picture of few colours, [H][W], that repeats itself along its rows but for one pixel."""
    rows = [[PALETTE[(r * r // 2 + c % 4 // 2 + (r * c % 4 == 3)) % 5] for c in range(width)] for r in range(height)]
    rows[2][9] = PALETTE[3]
    return rows


def bits(value) -> str:
    """Of a float32, 8 hexadecimal digits."""
    return np.float32(value).tobytes()[::-1].hex()


def all_bits(array) -> list[str]:
    return [bits(value) for value in array]


def digest(table: list[int]) -> str:
    """CRC-32 of a table as int32, little-endian."""
    return f"{zlib.crc32(np.array(table, '<i4').tobytes()):08x}"


# Sections 1 to 3.


def varints() -> dict:
    made = {
        0: "00",
        1: "01",
        127: "7f",
        128: "8001",
        300: "ac02",
        16383: "ff7f",
        16384: "808001",
        2**32 - 1: "ffffffff0f",
        2**63 - 1: "ffffffffffffffff7f",
    }
    wrong = ["8000", "ac8200", "80808080808080808001", "ffffffffffffffffff00", "808080808000", "80"]
    for value, data in made.items():
        assert container.Bytes(bytes.fromhex(data)).varint() == value
    for data in wrong:
        try:
            container.Bytes(bytes.fromhex(data)).varint()
        except container.Refused:
            continue
        raise AssertionError(data)
    return {"valid": [[value, data] for value, data in made.items()], "refused": wrong}


def crc() -> dict:
    pixels = [[[1, 2, 3], [250, 0, 128]], [[7, 7, 7], [9, 8, 255]]]
    return {
        "text": "123456789",
        "crc_of_text": f"{zlib.crc32(b'123456789'):08x}",
        "pixels": pixels,
        "crc_of_pixels": f"{zlib.crc32(bytes(x for row in pixels for pixel in row for x in pixel)):08x}",
    }


def shared_tables() -> dict:
    def some(function, places):
        return [[x, function(x)] for x in places]

    classes, scales = (lambda i: numbers.error_class(4 * i)), (lambda i: numbers.log_scale(32 * i))
    return {
        "squash": some(numbers.squash, (-2047, -1024, -256, -77, -1, 0, 1, 256, 1024, 2047)),
        "stretch": some(numbers.stretch, (0, 1, 2, 15, 1024, 2047, 2048, 3000, 4094, 4095)),
        "error_class": some(classes, (0, 1, 2, 5, 16, 100, 500, 1000, 2047)),
        "log_scale": some(scales, (0, 1, 2, 5, 16, 100, 500, 1000, 2047)),
        "cost": some(numbers.cost, (0, 1, 2, 100, 2047, 2048, 4000, 4095)),
        "histogram": [
            [by_cost, kind, j, numbers.first_counts(bool(by_cost), kind)[j]]
            for by_cost, kind in ((0, 0), (0, 7), (0, 8), (0, 15), (1, 5), (1, 10), (1, 12))
            for j in (0, 40, 60, 63, 64, 65, 70, 128)
        ],
        "crc": {
            "squash": digest([numbers.squash(x) for x in range(-2047, 2048)]),
            "stretch": digest([numbers.stretch(p) for p in range(4096)]),
            "error_class": digest([classes(i) for i in range(2048)]),
            "log_scale": digest([scales(i) for i in range(2048)]),
            "cost": digest([numbers.cost(p) for p in range(4096)]),
            "histogram": digest([n for g in (False, True) for i in range(16) for n in numbers.first_counts(g, i)]),
        },
    }


FILE = """
    894c4d01
    66 07 00 08 04 2e504e47 31817570
    50 2c 73 27 00 000102030405 09 ac02
    03 44332211 05  22 ffffffff 00
    12 01000000 03  21 80000000 00
    8877665544332211 a21a7c08
    6669727374 616263"""


def container_file() -> dict:
    data = bytes.fromhex(FILE)
    file = container.read(data)
    bodies, _ = container.chunks(data)
    sides = [(9, 8), (1024, 1024), (1025, 1024), (2500, 1024), (17, 8), (1, 8)]
    all_places = container.places(file.height, file.width, file.tile)
    return {
        "file": data.hex(),
        "chunks": {kind.decode(): body.hex() for kind, body in bodies.items()},
        "width": file.width,
        "height": file.height,
        "kind": file.kind,
        "depth": file.depth,
        "variant": file.variant,
        "tile": file.tile,
        "model_id": file.model_id.hex(),
        "groups": [
            [
                {"place": list(place), "method": tile.method, "crc": f"{tile.crc:08x}", "payload": tile.payload.hex()}
                for place, tile in zip(all_places, group.tiles)
            ]
            for group in file.groups
        ],
        "digest": file.digest.hex(),
        "sides": [[side, tile, [n for _, n in container.parts(side, tile)]] for side, tile in sides],
    }


def range_coder() -> dict:
    cases = {
        "few": ([ONE // 2, 1, ONE - 1, 5_000_000, 16, ONE - 16, 12_345_678], [1, 0, 1, 0, 1, 1, 0]),
        "no bytes": ([1, ONE // 2, ONE - 1] * 2, [0] * 6),
        "carry": ([1, ONE - 1, 1, ONE // 2 + 1, 3, 1, ONE // 2] * 2, [1, 1, 0, 1, 1, 0, 1] * 2),
    }
    found = []
    for name, (frequencies, decisions) in cases.items():
        encoder = Encoder()
        for q, decision in zip(frequencies, decisions):
            encoder.code(q, decision)
        payload = encoder.finish()
        decoder, states = Decoder(payload), []
        for q, decision in zip(frequencies, decisions):
            states.append([f"{decoder.range:016x}", f"{decoder.point:016x}", q, decoder(q)])
            assert states[-1][-1] == decision and not decoder.failed
        states.append([f"{decoder.range:016x}", f"{decoder.point:016x}"])
        found.append({"name": name, "payload": payload.hex(), "range_point_frequency_decision": states})
    refused = [["8000", [ONE // 2]], ["ffffffffffffffff", [ONE // 2]]]
    for payload, frequencies in refused:
        decoder = Decoder(bytes.fromhex(payload))
        assert [decoder(q) for q in frequencies] and decoder.failed
    return {"cases": found, "refused": refused}


# Section 4.


def orientation() -> dict:
    tile, (h, w) = [[1, 2, 3], [4, 5, 6]], (2, 3)
    found = []
    for v in range(8):
        height, width = (w, h) if v & 4 else (h, w)
        oriented = [[0] * width for _ in range(height)]
        for r in range(height):
            for c in range(width):
                i, j = (c, r) if v & 4 else (r, c)
                oriented[r][c] = tile[h - 1 - i if v & 1 else i][w - 1 - j if v & 2 else j]
        assert restored(np.array([oriented]), v)[0].tolist() == tile
        found.append(oriented)
    return {"tile": tile, "variants": found}


def wavefront() -> dict:
    height, width = 3, 4
    levels = [rows_of(t, height, width) for t in range(width + 2 * (height - 1))]
    return {
        "height": height,
        "width": width,
        "levels": [[[r, t - 2 * r] for r in rows] for t, rows in enumerate(levels)],
    }


# Section 5.


def walked(settings: Settings, look=None) -> list:
    """Bases of the picture [3][H][W]; look(level, predictor, canvas) after each level."""
    canvas, found = Canvas(HEIGHT, WIDTH), np.zeros((3, HEIGHT, WIDTH), int)
    predictor = Predictor(canvas, settings)
    for level in range(WIDTH + 2 * (HEIGHT - 1)):
        predictor.refit(level)
        for r in rows_of(level, HEIGHT, WIDTH):
            c = level - 2 * r
            for k in range(3):
                found[k, r, c] = predictor.predict(k, r, c)
                canvas.x[k, r, c] = values()[k][r][c]
                predictor.learn(k, r, c)
            if look and (r, c) == AT:
                look(predictor, canvas)
    return found.tolist()


def least_squares() -> dict:
    seen = []

    def look(predictor: Predictor, canvas: Canvas) -> None:
        r, c = AT
        for k in range(3):
            fit, (base, features, origin) = predictor.fits[k], predictor.last[k]
            seen.append(
                {
                    "k": k,
                    "reference": bits(canvas.reference(k, r, c)),
                    "features": all_bits(features),
                    "origin": bits(origin),
                    "E": fit.nearby(r, c),
                    "R_0": all_bits(fit.sums[r][0]),
                    "weights": all_bits(fit.weights[r]),
                    "base": base,
                    "target": bits(fit.samples[r][-1]),
                }
            )

    own = walked(Settings(**OWN), look)
    return {
        "picture": values(),
        "own": own,
        "fast": walked(FAST),
        "slow": walked(SLOW),
        "at": list(AT),
        "own_at": seen,
    }


# Section 7.


def mixture_of_two() -> dict:
    parameters = [10, -25, *(64, -130), *(20, 15), *(-9, 300), *(20, 12), *(33, 10), *(0, 60)]
    parameters += [*(4096, -2000), *(8000, 0), *(-500, 17000)]
    bases, found = [6400, 7000, 3210], [103, 110, 45]
    position, planes = mixture.Mixture(parameters, TABLES), []
    for base, x in zip(bases, found):
        position.open(base)
        u, z = mixture.centre_and_class(position.mean, position.spread)
        plane = {"weights": position.weights, "means": position.means, "inverse_scales": position.inverses}
        plane |= {"M": position.mean, "spread": position.spread, "centre": u, "class": z}
        plane["F"] = [[v, position.mass(v)] for v in (0, 1, u - 8, u - 1, u, u + 1, u + 8, 255, 256)]
        plane["decisions"] = [[position.frequency(at), said(at, x)] for at in path(position.mean, position.spread, x)]
        planes.append(plane)
        position.learn(x)
    return {
        "crc_of_tables": {name: digest(table) for name, table in TABLES.items()},
        "parameters": parameters,
        "bases": bases,
        "values": found,
        "planes": planes,
    }


def said(at: mixture.Split, x: int) -> int:
    """The decision that leads to x."""
    return int((x >= at.split) == at.upper)


def path(expected_mean: int, spread: int, x: int) -> list[mixture.Split]:
    """The decisions that lead to x."""
    found = []

    def decide(at: mixture.Split) -> int:
        found.append(at)
        return said(at, x)

    assert mixture.decoded(expected_mean, spread, decide) == x
    return found


def parted(at: mixture.Split) -> list[int]:
    return [at.kind, at.step, at.side, parts(at.kind, at.step, at.side)["stage"]]


def binarisation() -> list:
    found, cases = [], ((6400, 50, 103), (6400, 50, 90), (3000, 400, 47), (300, 193, 255), (99999, 9999, 0))
    for expected_mean, spread, x in cases:
        u, z = mixture.centre_and_class(expected_mean, spread)
        found.append(
            {
                "M": expected_mean,
                "spread": spread,
                "centre": u,
                "class": z,
                "value": x,
                "a_m_b_decision_kind_step_side_stage": [
                    [at.low, at.split, at.high, said(at, x), *parted(at)] for at in path(expected_mean, spread, x)
                ],
            }
        )
    return found


# Section 8.


def ratio_tables() -> list:
    """A window of blue whose tables have seen something, and of red."""
    found = []
    for k, before, base, x in ((2, [100, 90], 5210, 84), (0, [], 100, 5)):
        position, counts = mixture.Mixture([0] * 4 + [30] * 3 + [0] * 3, TABLES), Counts()
        position.open(base)
        for v in range(256):
            for stage, context in enumerate(contexts(k, before, v)):
                counts.came[context] = 4095 if v == x and k == 0 else (v * v + stage) % 3 * (v % 4)
                counts.expected[context] = (1 << 20) - 1 if v % 16 == 3 else 700 * ((v + stage) % 5)
        window = Window(counts, position, k, before)

        def history(window=window) -> list:
            stages = [[window.history(window.low + i, s) for i in range(16)] for s in range(1 if window.k == 0 else 2)]
            return [{"N": [n for n, _ in stage], "E": [e for _, e in stage]} for stage in stages]

        about = {"k": k, "before": before, "base": base, "log_scale": 30, "M": position.mean, "spread": position.spread}
        about |= {"low": window.low, "P_low": window.start, "counts": history(), "q": window.q}
        window.learn(x)
        found.append(about | {"value": x, "counts_after": history()})
    return found


def lattices() -> list[dict]:
    """By a mixture of one logistic, after red and green values that are possible and are not."""
    found = []
    for number, (red, green, base) in zip(
        lattice.CONVERSIONS, ((120, 110, 6400), (0, 3, 0), (255, 250, 16000), (60, 70, 5000))
    ):
        position, possible = mixture.Mixture([0] * 4 + [30] * 3 + [0] * 3, TABLES), lattice.possible(number)
        position.open(base)
        weighed = lattice.Weighed(position, number, red, green)
        low, about = weighed.low, {"number": number, "colours": int(possible.sum()), "red": red, "green": green}
        about |= {"base": base, "log_scale": 30, "M": position.mean, "spread": position.spread, "low": low}
        about["possible"] = np.flatnonzero(possible[red, green]).tolist()
        values = sorted({0, max(low - 9, 0), *range(low, low + 17), min(low + 30, 256), 256})
        found.append(about | {"L": [[v, weighed.mass(v)] for v in values]})
    return found


def learned_walk() -> dict:
    """What is known of values before their first decision: of the picture, the mixture's mean being `expected`."""
    canvas = Canvas(HEIGHT, WIDTH)
    own = Predictor(canvas, Settings(**OWN))
    state = experts.Experts(canvas, 3, TABLES, experts.RECIPES[2], True)
    corrected, blends, simple, keys, contexts = np.zeros((3, HEIGHT, WIDTH), int), [], [], [], []
    for level in range(WIDTH + 2 * (HEIGHT - 1)):
        own.refit(level)
        state.blend.refit(level)
        for r in rows_of(level, HEIGHT, WIDTH):
            c = level - 2 * r
            for k in range(3):
                mean, spread = expected(k, r, c), expected_spread(k, r, c)
                known = SimpleNamespace(base=own.predict(k, r, c), mean=mean, spread=spread, tables=TABLES)
                state.expect(known, k, r, c)
                corrected[k, r, c] = state.prediction.members[0]
                if (r, c) == AT:
                    blends.append(_blend_at(state, k))
                    simple.append({"k": k, "p": state.simple.predictions, "near": state.simple.near})
                    simple[-1]["cost_class"] = state.cost
                    keys.append(state.hashed.keys)
                    contexts.append([state.contexts[name] for name in SETS])
                canvas.x[k, r, c], state.spent = values()[k][r][c], assumed_cost(k, r, c)
                state.learn()
                own.learn(k, r, c)
                if (r, c) == AT:
                    simple[-1] |= {"e": state.simple.errors[k, r, c].tolist(), "best": state.simple.best[k, r, c]}
    everywhere = list(np.ndindex(HEIGHT, WIDTH))

    def picture(function) -> list:
        return [np.array([function(k, *at) for at in everywhere]).reshape(HEIGHT, WIDTH).tolist() for k in range(3)]

    given = {"M": picture(expected), "spread": picture(expected_spread), "cost": picture(assumed_cost)}
    return {
        "blend": given | {"m_0": corrected.tolist(), "at": list(AT), "planes": blends},
        "simple": {"at": list(AT), "planes": simple},
        "hashed": hashed_contexts(keys),
        "contexts": {"at": list(AT), "planes": contexts},
    }


def _blend_at(state: experts.Experts, k: int) -> dict:
    blend, found = state.blend, state.prediction
    near = [blend.near(i, k, *AT) for i in range(5)]
    assert mean(found.members[1:], near[1:]) == found.blended
    return {
        "k": k,
        "m": found.members,
        "near": near,
        "B": bits(found.blended),
        "features": all_bits(found.features),
        "weights": all_bits(blend.fits[k].weights[AT[0]]),
    }


def hashed_contexts(keys: list[list[int]]) -> dict:
    """keys: of each plane."""
    slot, steps = Slot(), []
    for d in (1, 1, 0, 1, *[0] * 70):
        inputs = slot.inputs()
        slot.learn(d)
        steps.append([*inputs, d, slot.p, slot.visits])
    found = {
        "at": list(AT),
        "keys": keys,
        "u_groups": [[u, [group(key, u) for key in keys[0]]] for u in (1, 120, 121, 255)],
        "away_which": [[away, which(away)] for away in (-255, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 255)],
    }
    return found | {"inputs_d_p_n": steps[:6] + steps[-2:], "steps": 74}


INTERVALS = ((0, 120, 256), (90, 95, 120), (119, 120, 121), (100, 101, 103))  # a, m, b


def histogram() -> dict:
    """Three histograms that see the same values, and what they then say."""
    about = [(False, 3, 402), (False, 9, 437), (True, 13, 500)]  # by costs, class, prediction
    seen = [[100, 3], [101, 2], [99, 1], [104, 1], [0, 1], [255, 1], [102, 400]]  # values, how often
    state = Histograms(0)
    state.take([Histogram(by_cost, kind) for by_cost, kind, _ in about], [prediction for *_, prediction in about])
    found = []
    for value, times in seen:
        for _ in range(times):
            state.learn(value)
    for low, split, high in INTERVALS:
        for upper in (True, False):
            found.append([low, split, high, upper, *state.inputs(low, split, high, upper)])
    return {
        "g_class_p": [[int(by_cost), kind, prediction] for by_cost, kind, prediction in about],
        "value_times": seen,
        "j_0_100_101_102_256": np.array([state.bins(v) for v in (0, 100, 101, 102, 256)]).T.tolist(),
        "S": [histogram.counts.tolist() for histogram in state.used],
        "a_m_b_upper_logits_shares": found,
        "log": [[n, int(log2(np.int64(n)))] for n in (1, 2, 3, 821, 1000, 12345, 824000, (1 << 20) - 1)],
    }


def mixer_step() -> dict:
    """Two decisions by the same vectors of made-up weights."""
    inputs = [4800, -1920, 32752, -32752, 80, 0, -9600, 1229]
    first = [[12000, 0, 0, 0, 0, 0, 0, 0], [32767, -2188, 0, 100, 5000, 1, -1, 4096]]
    first.append([-20000, 30000, 32760, -32768, 123, 4567, 9, 1000])
    visits, final = [0, 15, 2000], [21845, 30000, -1048576]
    mixer = Mixer(lambda s: first[s], lambda place: final, falling(65536, 197), 20)
    for s, n in enumerate(visits):
        mixer.visits[s] = n
    steps = []
    for decision in (1, 0):
        y = mixer.mix(inputs, [0, 1, 2], 0)
        about = {"y_i": mixer.outputs, "y": y, "p": numbers.squash(y), "decision": decision}
        mixer.learn(decision)
        about |= {"w": [mixer.weights[s].tolist() for s in range(3)], "f": mixer.final[0]}
        steps.append(about | {"visits": [mixer.visits[s] for s in range(3)]})
    return {"inputs": inputs, "w": first, "f": final, "visits": visits, "steps": steps}


class Asking(colours.Position):
    """Remembers what is asked for: a colour, or the opening of the palette."""

    def colour_question(self, state: colours.State, colour: int, phase: int) -> colours.Question:
        self.about, self.question = colour, super().colour_question(state, colour, phase)
        return self.question

    def opening(self, state: colours.State) -> colours.Question:
        self.about, self.question = colours.OPENING, super().opening(state)
        return self.question

    def answer(self, truth: int) -> int:
        return int(truth in self.palette if self.about == colours.OPENING else self.about == truth)


class Known(PhotoTile):
    """A tile of known values [C][H][W]: asked for every decision, it says the one that leads to them."""

    def __init__(self, planes: list, method: int):
        shape = len(planes), len(planes[0]), len(planes[0][0])
        super().__init__(Bundle("photo", b"", {"predictor": OWN}, {}, TABLES), shape, method)
        self.known, self.coder, self.decisions, self.places = planes, Encoder(), [], []
        if self.experts:
            ask = self.experts.decision
            self.experts.decision = lambda at, decide: ask(self.split(at), decide)
        with mock.patch.object(colours, "Position", self.asking_position):
            assert self.decoded(self.decide).tolist() == planes
        self.payload = self.coder.finish()

    def split(self, at: mixture.Split) -> mixture.Split:
        self.at = at
        return at

    def asking_position(self, state: colours.State, r: int, c: int) -> Asking:
        self.asking = Asking(state, r, c)
        return self.asking

    def value(self, position: mixture.Mixture, k: int, r: int, c: int, decide) -> int:
        if not self.experts:
            frequency = position.frequency
            position.frequency = lambda at: frequency(self.split(at))
        return super().value(position, k, r, c, decide)

    def decide(self, frequency: int) -> int:
        r, c, k = self.place
        if k is None:
            x = sum(plane[r][c] << 8 * i for i, plane in enumerate(reversed(self.known)))
            decision = self.asking.answer(x)
        else:
            decision = said(self.at, self.known[k][r][c])
        self.coder.code(frequency, decision)
        self.decisions.append((frequency, decision))
        self.places.append(self.place)
        return decision


def learned_decision() -> dict:
    """All that the last decision of a tile is made of, and what is learned from it."""
    tile = Known(values(), QUICK + RATIO_TABLES)
    k, at, learned = tile.place[2], tile.at, tile.experts
    mixer, masses = learned.mixer, [learned.masses(v) for v in (at.low, at.split, at.high)]
    slots = learned.hashed
    return {
        "k": k,
        "class": learned.z,
        "a_m_b": [at.low, at.split, at.high],
        "upper": at.upper,
        "kind_step_side_stage": parted(at),
        "contexts": [learned.contexts[name] for name in SETS],
        "P_a": masses[0],
        "P_m": masses[1],
        "P_b": masses[2],
        "slot": slots.places[0][1] + which(at.split - slots.u),
        "inputs": mixer.inputs.tolist(),
        "vectors": [vector_number(learned.recipe.sets, vector) for vector in mixer.vectors],
        "second_layer": experts.place_number(mixer.place),
        "y_i": mixer.outputs,
        "y": mixer.logit,
        "frequency": tile.decisions[-1][0],
        "decision": tile.decisions[-1][1],
        "w_after": [mixer.weights[vector].tolist() for vector in mixer.vectors],
        "f_after": mixer.final[mixer.place],
        "visits_after": [mixer.visits[vector] for vector in mixer.vectors],
        "p_n_after": [slots.used[0].p, slots.used[0].visits],
        "cost": learned.spent,
    }


def tiles() -> list:
    """Whole tiles without the network, by most other methods."""
    few, found = planes_of(few_colours()), []
    ways = [(0, values()), (QUICK, values()), (QUICK, values()[:1]), (QUICK + RATIO_TABLES, values())]
    ways += [(FULL, values()), (FULL + RATIO_TABLES, values()), (FULL + RATIO_TABLES, values()[:1]), (COLOURS, few)]
    for method, planes in [*ways, (QUICK + COLOURS, values())]:
        tile = Known(planes, method)
        about = {"method": method, "picture": "few colours" if planes is few else "values", "planes": len(planes)}
        about |= {"payload": tile.payload.hex(), "count": len(tile.decisions)}
        here = [(k, *coded) for (r, c, k), coded in zip(tile.places, tile.decisions) if (r, c) == AT]
        about["decisions_at"] = [[-1 if k is None else k, q, decision] for k, q, decision in here]
        found.append(about)
    return found


# Section 9.


def planes_of(picture: list[list[int]]) -> list:
    return [[[colour >> shift & 255 for colour in row] for row in picture] for shift in (16, 8, 0)]


def exact_colours() -> dict:
    picture = few_colours()
    height, width = len(picture), len(picture[0])
    state, asked, detail = colours.State(height, width), [], {}
    for level in range(width + 2 * (height - 1)):
        for r in rows_of(level, height, width):
            c = level - 2 * r
            position, questions = Asking(state, r, c), []

            def decide(q: int, position=position, truth=picture[r][c], questions=questions) -> int:
                decision = position.answer(truth)
                questions.append([-1 if position.about == colours.OPENING else position.about, q, decision])
                return decision

            assert position.ask(state, decide) in (None, picture[r][c])
            asked.append([r, c, questions])
            if (r, c) == ASKED:
                detail = _question_of(state, position, questions[-1])
            position.take_over(state, picture[r][c])
    return {"picture": picture, "r_c_questions": asked, "question": detail}


def _question_of(state: colours.State, position: Asking, last: list) -> dict:
    """A position whose last question was answered, before its colour is taken over."""
    return {
        "at": [position.r, position.c],
        "slot_and_check": [[slot, check] for _, slot, check in position.contexts],
        "g": position.patterns,
        "runs": list(position.runs),
        "breaks": 8 * position.breaks[0] + position.breaks[1],
        "around": [*position.around],
        "match": list(position.source or ()),
        "length": position.length,
        "streak": position.streak,
        "candidates_and_scores": [[colour, position.scores[colour]] for colour in position.candidates],
        "palette": position.palette,
        "asked_for": last[0],
        "inputs": state.mixer.inputs.tolist(),
        "y_i": state.mixer.outputs,
        "y": state.mixer.logit,
        "frequency": last[1],
        "decision": last[2],
    }


def estimates() -> dict:
    hashes = [(colours.SEED, 0), (colours.SEED, colours.OUTSIDE), (0xFFFFFFFF, 0x123456), (0, 0)]
    chance, seen = Chance(), []
    for d in (1, 1, 0, 1, 0, 0, 0, 1):
        chance.learn(d)
        seen.append([d, chance.p, chance.visits])
    knots, read = Knots(), []
    for y, d in ((0, 1), (63, 1), (64, 0), (-2047, 0), (2047, 1), (100, 0), (127, 1)):
        read.append([y, knots.estimate(y), d])
        knots.learn(d)
    return {
        "hash": [[h, v, colours.mixed_in(h, v)] for h, v in hashes],
        "probability": seen,
        "knots": Knots().knots,
        "estimates": read,
        "knots_after": knots.knots,
    }


# Sections 10 and 11.


def orders() -> dict:
    layout = {"kernel": 3, "dilation": 2}
    maps = {
        "raster": [[5 * r + c for c in range(5)] for r in range(4)],
        "scattered": [[7 * (5 * r + c) % 20 for c in range(5)] for r in range(4)],
    }
    found = []
    for name, rank in maps.items():
        order, level = Order(np.array(rank), layout), np.zeros((4, 5), int)
        for t, places in enumerate(order.levels):
            for at in places:
                level[at] = t
        found.append({"name": name, "rank": rank, "level": level.tolist()})
    groups = squares.groups(7, 8, {"height": 3, "width": 3})
    return {
        "kernel": 3,
        "dilation": 2,
        "maps": found,
        "tile": [7, 8],
        "square": [3, 3],
        "groups": [[list(size), [list(at) for at in places]] for size, places in groups],
        "odds": [[y, mixture.odds(y, TABLES["logistic"])] for y in (0, 1, -1, 1000, -5000, 16383, -16383, 99999)],
    }


def group_of(form: int, planes: int, used: bytes, depth: int, palette: list[list[int]] | None) -> forms.Form:
    """That of a group of a picture of one pixel."""
    colours = None if palette is None else [tuple(colour) for colour in palette]
    group = container.Group(planes, form, used, [])
    return forms.Form(group, container.File(1, 1, 0, depth, 0, 1024, None, colours, [group], None, None))


def forms_of_groups() -> dict:
    palette = [[9, 8, 7], [0, 0, 0], [255, 255, 255], [9, 8, 7], [0, 0, 255]]
    used = bytes([0]) + (1 << 3 | 1 << 500).to_bytes(128, "little") + (1 | 2 | 1 << 900).to_bytes(128, "little")
    ranks = group_of(container.RANKS, 2, used, 10, None)
    colours = group_of(container.COLOURS, 1, b"", 3, palette)
    coded = np.array([[[0, 1]], [[2, 0]]]), np.array([[[9, 0, 255]], [[8, 0, 255]], [[7, 255, 255]]])
    bits = [*map(int, f"{5:08b}{250:08b}{128:08b}")]
    answers = iter(bits)
    one = forms.constant((3, 2, 2), 8, lambda frequency: next(answers))
    encoder = Encoder()
    for bit in bits:
        encoder.code(ONE // 2, bit)
    crc_of_deep = zlib.crc32(bytes.fromhex("0201030000ff3412"))
    return {
        "ranks": {
            "depth": 10,
            "occurring": ranks.values,
            "crc_of_list": f"{zlib.crc32(used[1:]):08x}",
            "coded_depth": ranks.depth,
            "planes": coded[0].tolist(),
            "samples": ranks.samples(coded[0]).tolist(),
        },
        "colours": {
            "depth": 3,
            "palette": palette,
            "planes": coded[1].tolist(),
            "samples": colours.samples(coded[1]).tolist(),
        },
        "one_value": {"planes": one.tolist(), "bits": bits, "payload": encoder.finish().hex()},
        "crc_of_deep": {"samples": [[[258], [3]], [[65280], [4660]]], "crc": f"{crc_of_deep:08x}"},
    }


# Section 15.


JPEG_COMPONENTS = [jpeg.Component(2, 2, [4 + 2 * (k // 8 + k % 8) for k in range(64)])]
JPEG_COMPONENTS.append(jpeg.Component(2, 3, [5 + 3 * (k // 8) + 4 * (k % 8) for k in range(64)]))
JPEG_AT = 1, 1, 1  # component, row and column of the block of which all is told


def jpeg_blocks() -> list[list[int]]:
    """Coefficients of a small JPEG, [blocks][64]: large ones, and fewer and smaller ones the higher their frequency."""
    found = []
    for p, component in enumerate(JPEG_COMPONENTS):
        for r in range(component.rows):
            for c in range(component.columns):
                mixed = [(37 * p + 23 * r + 11 * c + 7 * k) % 19 - 9 for k in range(64)]
                block = [int(2 * m / (1 + (k // 8 + k % 8) ** 2)) for k, m in enumerate(mixed)]
                block[0] = 300 - 90 * r + 25 * c - 400 * p
                found.append(block)
    return found


class Asked(Decisions):
    """Keeps what it is asked for: of each block keys and t of its numbers and coefficients, and single decisions."""

    def __init__(self):
        super().__init__()
        self.blocks, self.asked = [], []

    def number(self, p: int, j: int, keys: list[int], t: int) -> int:
        if j == 0:
            self.blocks.append({"j_keys_t": [], "k_keys_t": []})
        self.blocks[-1]["j_keys_t"].append([j, keys, t])
        return super().number(p, j, keys, t)

    def coefficient(self, p: int, j: int, k: int, keys: list[int], t: int) -> int:
        self.blocks[-1]["k_keys_t"].append([k, keys, t])
        return super().coefficient(p, j, k, keys, t)

    def ask(self, slot: int, k: int, stage: int) -> int:
        self.asked.append([self.kind, self.t, slot, k, stage])
        return super().ask(slot, k, stage)


def coded_jpeg(before: Decisions) -> tuple[jpeg.Picture, bytes, list[list[int]]]:
    """The small JPEG after others, its payload, and of each decision the frequency and how it went."""
    picture, coder, coded = jpeg.Picture(JPEG_COMPONENTS, before), Encoder(), []
    answer = jpeg.answers(picture, np.array(jpeg_blocks()))

    def decide(frequency: int) -> int:
        coded.append([frequency, answer(frequency)])
        coder.code(*coded[-1])
        return coded[-1][1]

    assert picture.decoded(decide).tolist() == jpeg_blocks()
    return picture, coder.finish(), coded


def jpeg_coefficients() -> dict:
    picture, payload, coded = coded_jpeg(Asked())
    learned = picture.decisions
    decisions = [[*asked, *each] for asked, each in zip(learned.asked, coded)]
    p, r, c = JPEG_AT
    before = sum(component.rows * component.columns for component in JPEG_COMPONENTS[:p])
    place = before + list(JPEG_COMPONENTS[p].places()).index((r, c))
    return {
        "class": [[i, magnitude(i)] for i in (0, 3, 4, 5, 6, 7, 8, 100, 1023, 4095, 4096, 10**6)],
        "key_salt_line": [[key, salt, line(key, salt)] for key, salt in ((0, 1), (4, 72), (123456, 3), (2**32 - 1, 4))],
        "slot": {"d_q_n": slot_of_jpeg(), "steps": 213},
        "rows_columns": [[component.rows, component.columns] for component in JPEG_COMPONENTS],
        "s": [component.steps for component in JPEG_COMPONENTS],
        "x": jpeg_blocks(),
        "at": list(JPEG_AT),
        "continuity": continuity_at(picture),
        **learned.blocks[place],
        "kind_t_slot_k_stage_frequency_decision": decisions[:8] + decisions[-16:],
        "count": len(decisions),
        "payload": payload.hex(),
        "payload_after_itself": coded_jpeg(learned)[1].hex(),
    }


def slot_of_jpeg() -> list[list[int]]:
    """The first steps of a slot that learns, and the last two."""
    slots, steps = Decisions(), []
    for d in (1, 1, 0, 1, *[0] * 209):
        slots.learn(0, d)
        steps.append([d, slots.q[0], slots.n[0]])
    return steps[:6] + steps[-2:]


def continuity_at(picture: jpeg.Picture) -> dict:
    """Of the block of which all is told: when part 0 is known, but for up and back, which are those before it is."""
    p, r, c = JPEG_AT
    block, north, west = (picture.planes[p][at] for at in (JPEG_AT[1:], (r - 1, c), (r, c - 1)))
    edges = [(north, continuity.COLUMNS), (west, continuity.ROWS)]
    sums = {
        name: [[continuity.across(weights, other, block, lines[at]) for at in range(1, 8)] for other, lines in edges]
        for name, weights in (("F", continuity.F), ("G", continuity.G))
    }
    empty = continuity.Block(block.steps)
    flat = [[k, *continuity.at_edge(block, k, north if k < 8 else west)] for k in (*range(1, 8), *range(8, 64, 8))]
    block.samples = continuity.without_dc(block)
    return sums | {
        "k_up_back": [[k, *continuity.inside(empty, k, north, west)] for k in (9, 10, 17, 63)],
        "k_flat_sloped": flat,
        "a": block.samples.tolist(),
        "A_N_6_7": north.samples[6:].tolist(),
        "A_W_6_7": west.samples[:, 6:].T.tolist(),
        **continuity.dc(block, north, west)._asdict(),
    }


# Sections 16 and 17.

FLAT_PAYLOADS = (  # of one plane and of three, as an encoder wrote them
    "ff7ace6eb7589969e96f9380c6",
    "ffff5ddcbf4550b4a62afdcf9262a3559057ad40c0b4f23d5c3278",
)
DEEP_PAYLOADS = {  # by depth, of planes
    (12, 1): "836c695340950d574f3dd8441568e564e17eb356dfd9111a4d039db1a1",
    (16, 1): "82be0e07261890891d6e71700f00110c676042e68128b54b5787e26eb4c7fd8e82984a0a00882c",
    (12, 3): "836c6a810992f407e29f60cc273f483251f4ef91c3289adc531a349f9782a395952b3c2d7f26c5dcfed02191c8f0dc24420f49"
    "ae20fc96985f068ec931123d6668ca7510c526e4a0565aa4",
}
FLAT_SIZE, DEEP_SIZE, DEEP_AT = (5, 24), (4, 5), (2, 3)


class Listened:
    """A decoder of a payload, which keeps the frequencies it is given and the decisions that it gives."""

    def __init__(self, payload: str):
        self.decoder, self.frequencies, self.decisions = Decoder(bytes.fromhex(payload)), [], ""

    def __call__(self, q: int) -> int:
        decision = self.decoder(q)
        assert not self.decoder.failed
        self.frequencies.append(q)
        self.decisions += str(decision)
        return decision

    def heard(self) -> dict:
        return {"frequencies": self.frequencies, "decisions": textwrap.wrap(self.decisions, 100)}


def flat_tiles() -> list:
    """Whole tiles of exact colours alone."""
    found = []
    for planes, payload in zip((1, 3), FLAT_PAYLOADS):
        decide = Listened(payload)
        picture = FlatTile(planes, *FLAT_SIZE).decoded(decide)
        found.append({"picture": picture.tolist(), "payload": payload} | decide.heard())
    return found


class Watched(DeepTile):
    """Keeps what is known of one position's values before they are decoded."""

    def __init__(self, shape: tuple[int, int, int], depth: int):
        super().__init__(shape, depth)
        self.seen = []

    def find_contexts(self) -> None:
        super().find_contexts()
        if (self.r, self.c) == DEEP_AT:
            self.seen.append(
                {"k": self.k, "M": self.members, "near": self.near, "u": self.expected, "contexts": self.contexts}
            )


def deep_tiles() -> list:
    """Whole tiles of more than 8 bits."""
    found = []
    for (depth, planes), payload in DEEP_PAYLOADS.items():
        decide, tile = Listened(payload), Watched((planes, *DEEP_SIZE), depth)
        about = {"depth": depth, "picture": tile.decoded(decide).tolist(), "payload": payload}
        found.append(about | {"at": list(DEEP_AT), "known": tile.seen} | decide.heard())
    return found


def vectors() -> dict:
    """What the file holds."""
    walk = learned_walk()
    return {
        "varint": varints(),
        "crc32": crc(),
        "tables": shared_tables(),
        "container": container_file(),
        "range_coder": range_coder(),
        "orientation": orientation(),
        "wavefront": wavefront(),
        "least_squares": least_squares(),
        "mixture": mixture_of_two(),
        "binarisation": binarisation(),
        "ratio_tables": ratio_tables(),
        "lattices": lattices(),
        "blend": walk["blend"],
        "simple": walk["simple"],
        "histogram": histogram(),
        "hashed": walk["hashed"],
        "contexts": walk["contexts"],
        "mixer": mixer_step(),
        "learned_decision": learned_decision(),
        "tiles": tiles(),
        "estimates": estimates(),
        "exact_colours": exact_colours(),
        "orders": orders(),
        "forms": forms_of_groups(),
        "jpeg": jpeg_coefficients(),
        "flat": flat_tiles(),
        "deep": deep_tiles(),
    }


def written(value, indent: int = 0, before: int = 0) -> str:
    """JSON in lines of 120 characters; before: how many there are in this line already, the indentation left out."""
    line = json.dumps(value)
    if indent + before + len(line) < LINE or not isinstance(value, (dict, list)):
        return line
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        names = [f"{json.dumps(name)}: " for name in value]
        rows = [name + written(each, indent + 1, len(name)) for name, each in zip(names, value.values())]
    elif isinstance(value[0], (dict, list)):
        rows = [written(each, indent + 1) for each in value]
    else:
        rows = textwrap.wrap(line[1:-1], LINE - len(inner) - 1)
    first, last = "{}" if isinstance(value, dict) else "[]"
    joint = "\n" if isinstance(value, list) and not isinstance(value[0], (dict, list)) else ",\n"
    return f"{first}\n" + joint.join(inner + row for row in rows) + "\n" + " " * indent + last


def text() -> str:
    return written(vectors()) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text(), "utf-8")
    print(f"{OUTPUT}: {OUTPUT.stat().st_size} bytes")
