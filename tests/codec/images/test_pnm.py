"""PNM and PAM: files built by hand from values that are known, texts in many layouts, and Pillow's files."""

import io
import textwrap

import numpy as np
import pytest
from PIL import Image

from codec.errors import DamagedFile, ImageTooLarge, UnreadableImage, UnsupportedImage
from codec.images import pnm
from tests.codec.images.round_trips import (
    MOST,
    check_damage,
    check_hostile_rests,
    checked,
    file_of,
    items,
    noise,
)

MOSTS = [1, 2, 15, 31, 100, 127, 128, 255, 256, 1000, 1023, 4095, 32767, 65535]


def raw(values: np.ndarray, most: int) -> bytes:
    """Samples of one or two bytes, the plain way."""
    return b"".join(value.to_bytes(1 if most < 256 else 2, "big") for value in values.reshape(-1).tolist())


def bits(values: np.ndarray, fill: str = "0") -> bytes:
    rows = ["".join(map(str, row)) for row in values[:, :, 0].tolist()]
    rows = [row + fill * (-len(row) % 8) for row in rows]
    return b"".join(int(row[at : at + 8], 2).to_bytes(1, "big") for row in rows for at in range(0, len(row), 8))


def numbers(form: int, values: np.ndarray, most: int | None = None) -> bytes:
    height, width, _ = values.shape
    return f"P{form}\n{width} {height}\n".encode() + (b"" if most is None else b"%d\n" % most)


def words(values: np.ndarray) -> list[str]:
    return [str(value) for value in values.reshape(-1).tolist()]


@pytest.mark.parametrize("most", MOSTS)
@pytest.mark.parametrize("form", [2, 3, 5, 6])
def test_largest_values(form, most):
    values = noise(5, 7, 3 if form in (3, 6) else 1, most)
    lines = [" ".join(words(row)) for row in values]
    body = raw(values, most) if form > 3 else "\n".join([*lines, ""]).encode()
    data = numbers(form, values, most) + body
    parts = checked(pnm, data, values, "rgb" if form in (3, 6) else "grey", most.bit_length())
    assert len(parts.rest) <= (5 if form > 3 else 18)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 70, 71])
@pytest.mark.parametrize("fill", ["0", "1"])
def test_bitmaps(width, fill):
    values = noise(6, width, 1, 1)
    parts = checked(pnm, numbers(4, values) + bits(values, fill), values, "grey", 1)
    assert file_of(pnm, parts.samples, pnm.stripped(parts.rest)) == numbers(4, values) + bits(values)


TUPLES = [
    ("BLACKANDWHITE", 1, "grey"),
    ("BLACKANDWHITE_ALPHA", 2, "grey+alpha"),
    ("GRAYSCALE", 1, "grey"),
    ("GRAYSCALE_ALPHA", 2, "grey+alpha"),
    ("RGB", 3, "rgb"),
    ("RGB_ALPHA", 4, "rgb+alpha"),
    (None, 1, "grey"),
    (None, 2, "grey+alpha"),
    (None, 3, "rgb"),
    (None, 4, "rgb+alpha"),
]


def pam(values: np.ndarray, most: int, tuple_type: str | None, more: str = "") -> bytes:
    height, width, depth = values.shape
    lines = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {most}\n"
    return (lines + (f"TUPLTYPE {tuple_type}\n" if tuple_type else "") + more + "ENDHDR\n").encode()


@pytest.mark.parametrize("most", [1, 255, 1000, 65535])
@pytest.mark.parametrize(("tuple_type", "depth", "kind"), TUPLES)
def test_pam(tuple_type, depth, kind, most):
    if tuple_type and tuple_type.startswith("BLACK") and most > 1:
        return
    values = noise(5, 7, depth, most)
    data = pam(values, most, tuple_type) + raw(values, most)
    parts = checked(pnm, data, values, kind, most.bit_length())
    if tuple_type and (most > 1 or tuple_type.startswith(("BLACK", "RGB"))):
        assert len(parts.rest) < 5


@pytest.mark.parametrize(
    "header",
    [
        b"P5 7 5 255 ",
        b"P5\t7\r\n5\n\n255\r",
        b"P5\n# made by hand\n7 5\n255\n",
        b"P5#1\n7#2\n#3\r5 # 4\n # 5\n255#6\n",
        b"P5\n007 5\n0255\n",
    ],
)
def test_headers_and_comments_are_kept(header):
    values = noise(5, 7, 1)
    parts = checked(pnm, header + raw(values, 255), values, "grey", 8)
    comments = [item.data for item in pnm.metadata(parts.rest)]
    assert b"".join(comments).count(b"#") == header.count(b"#")
    assert {item.name for item in pnm.metadata(parts.rest)} <= {"comment"}
    assert file_of(pnm, parts.samples, pnm.stripped(parts.rest)) == b"P5\n7 5\n255\n" + raw(values, 255)


def test_comments_and_order_of_a_pam_header_are_kept():
    values = noise(5, 7, 3)
    header = b"P7\n#one\nTUPLTYPE RGB\n\nMAXVAL 255\nDEPTH 3\n # two\nHEIGHT  5\nWIDTH 7 \nENDHDR\n"
    parts = checked(pnm, header + raw(values, 255) + b"tail", values, "rgb", 8)
    assert [item.data for item in pnm.metadata(parts.rest)] == [b"#one", b"# two", b"tail"]
    assert file_of(pnm, parts.samples, pnm.stripped(parts.rest)) == pam(values, 255, "RGB") + raw(values, 255)


def netpbm(values: np.ndarray) -> str:
    return "".join(
        "".join(f"{word} " for word in line.split()) + "\n" for row in values for line in filled(words(row), 69)
    )


def filled(some: list[str], width: int) -> list[str]:
    return textwrap.wrap(" ".join(some), width)


def whole_pixels(values: np.ndarray, most: int) -> str:
    written = ""
    for row in values:
        line = ""
        for pixel in row:
            some = "".join(f"{value} " for value in pixel)
            if len(line + some) > most:
                written, line = written + line + "\n", ""
            line += some
        written += line + "\n"
    return written


LAYOUTS = {
    "a row a line": lambda v: "".join(" ".join(words(row)) + "\n" for row in v),
    "spaces at the end": lambda v: "".join(" ".join(words(row)) + " \n" for row in v),
    "carriage returns": lambda v: "".join(" ".join(words(row)) + "\r\n" for row in v),
    "a value a line": lambda v: "\n".join(words(v)) + "\n",
    "all in a line": lambda v: " ".join(words(v)),
    "tabs": lambda v: "".join("\t".join(words(row)) + "\n" for row in v),
    "17 a line": lambda v: "".join(" ".join(words(v)[at : at + 17]) + "\n" for at in range(0, v.size, 17)),
    "17 a line, rows apart": lambda v: "".join(
        " ".join(words(row)[at : at + 17]) + "\n" for row in v for at in range(0, row.size, 17)
    ),
    "empty lines after rows": lambda v: "".join(
        "\n".join(" ".join(words(row)[at : at + 9]) for at in range(0, row.size, 9)) + "\n\n" for row in v
    ),
    "filled lines": lambda v: "\n".join(filled(words(v), 70)) + "\n",
    "filled lines, rows apart": lambda v: "".join("\n".join(filled(words(row), 70)) + "\n" for row in v),
    "netpbm": netpbm,
    "pixels apart": lambda v: "".join("  ".join(" ".join(words(pixel)) for pixel in row) + "\n" for row in v),
    "whole pixels": lambda v: whole_pixels(v, 120),
    "columns": lambda v: "".join(" ".join(f"{word:>3}" for word in words(row)) + "\n" for row in v),
    "wide columns": lambda v: "".join("".join(f"{word:>5}" for word in words(row)) + "\n" for row in v),
    "columns from the left": lambda v: "".join(" ".join(f"{w:<3}" for w in words(row)).rstrip() + "\n" for row in v),
    "full columns from the left": lambda v: "".join(" ".join(f"{w:<3}" for w in words(row)) + "\n" for row in v),
    "no end of the last line": lambda v: "\n".join(" ".join(words(row)) for row in v),
}
NOT_EXACT = {"columns from the left"}


@pytest.mark.parametrize("together", [3 << 15, 30])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_text(name, channels, together, monkeypatch):
    monkeypatch.setattr("codec.images.pnm_text._TOGETHER", together)
    monkeypatch.setattr("codec.images.pnm_text._CHUNK", 100 * together)
    values = noise(11, 50, channels)
    data = numbers(3 if channels == 3 else 2, values, 255) + LAYOUTS[name](values).encode()
    kind = "rgb" if channels == 3 else "grey"
    parts = checked(pnm, data, values, kind, 8, exact=name not in NOT_EXACT)
    assert len(parts.rest) < 40


@pytest.mark.parametrize("line", [5, 36, 70])
@pytest.mark.parametrize("between", ["", " "])
def test_layouts_of_bitmaps(between, line):
    values = noise(11, 50, 1, 1)
    text = "".join(between.join(words(row)[at : at + line]) + "\n" for row in values for at in range(0, row.size, line))
    checked(pnm, numbers(1, values) + text.encode(), values, "grey", 1)


@pytest.mark.parametrize(
    ("text", "exact"),
    [("1 2 3\n4 5 6\n", True), (" 1 2 3\n4 5 6", False), ("1  2 3 4\n5 6\n", False), ("1 2 3 04 5 6\n", False)],
)
def test_text_that_has_no_layout_is_rewritten(text, exact):
    values = np.array([[[1], [2], [3]], [[4], [5], [6]]], np.uint8)
    parts = checked(pnm, b"P2 3 2 9\n" + text.encode(), values, "grey", 4, exact=exact)
    if not exact:
        again = file_of(pnm, parts.samples, parts.rest)
        assert again == b"P2 3 2 9\n1 2 3\n4 5 6" + b"\n" * text.endswith("\n")


@pytest.mark.parametrize("chunk", [1 << 20, 7])
def test_comments_among_values_are_kept_in_their_order(chunk, monkeypatch):
    monkeypatch.setattr("codec.images.pnm_text._CHUNK", chunk)
    values = np.array([[[1], [2], [31]], [[4], [5], [6]]], np.uint8)
    data = b"P2\n# one\n3 2\n31\n# two\n1 2#three 3\n31 # four\r4 5\n#five\n6\n# after"
    parts = checked(pnm, data, values, "grey", 5, exact=False)
    expected = [b"# one", b"# two", b"#three 3", b"# four", b"#five", b"\n# after"]
    assert [item.data for item in pnm.metadata(parts.rest)] == expected
    checked(pnm, b"P1 2 2\n1#0\n0#\n1\n1", np.array([[[1], [0]], [[1], [1]]], np.uint8), "grey", 1, exact=False)


def test_trailing_bytes_are_kept():
    values = noise(5, 7, 3)
    parts = checked(pnm, numbers(6, values, 255) + raw(values, 255) + b"\0tail", values, "rgb", 8)
    assert items(pnm, parts) == {"trailing bytes": b"\0tail"}
    parts = checked(pnm, b"P2 1 1 9\n7\n\n", np.full((1, 1, 1), 7, np.uint8), "grey", 4)
    assert items(pnm, parts) == {}


def test_bands_join(monkeypatch):
    monkeypatch.setattr("codec.images.pieces.BAND", 50)
    for form, channels, most in ((4, 1, 1), (5, 1, 255), (6, 3, 65535)):
        values = noise(40, 21, channels, most)
        body = bits(values, "1") if form == 4 else raw(values, most)
        data = numbers(form, values, None if form == 4 else most) + body
        checked(pnm, data, values, "grey" if channels == 1 else "rgb", most.bit_length())


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16"])
def test_pillow_s_files(mode):
    values = noise(33, 43, 3 if mode == "RGB" else 1, {"1": 1, "I;16": 65535}.get(mode, 255))
    pixels = values[:, :, 0] if mode != "RGB" else values
    picture, file = Image.fromarray(pixels == 0 if mode == "1" else pixels), io.BytesIO()
    picture.save(file, "PPM")
    depth = {"1": 1, "I;16": 16}.get(mode, 8)
    checked(pnm, file.getvalue(), values, "rgb" if mode == "RGB" else "grey", depth)
    assert pnm.second_opinion(file.getvalue()) is not None


GREY = noise(3, 4, 1)
PAM = pam(GREY, 255, "GRAYSCALE")


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"PF\n1 1\n-1.0\n" + bytes(12), UnsupportedImage, "PFM"),
        (b"Pf\n1 1\n-1.0\n" + bytes(4), UnsupportedImage, "PFM"),
        (b"P8\n1 1\n", UnreadableImage, "begins no PNM"),
        (b"P7 332\n1 1\n", UnsupportedImage, "no PAM"),
        (b"P5 1 1 0\n\0", UnreadableImage, "up to 0"),
        (b"P5 1 1 65536\n\0\0", UnreadableImage, "up to 65536"),
        (b"P5 1 0 255\n", UnreadableImage, "1 x 0 pixels"),
        (b"P5 1 1 255x\0", UnreadableImage, "no space after the header"),
        (b"P5 1 1 255", UnreadableImage, "no space after the header"),
        (b"P5 1 -1 255\n\0", UnreadableImage, "no number at byte 5"),
        (b"P51 1 255\n\0", UnreadableImage, "no number at byte 2"),
        (b"P5 1 99999999999 255\n\0", UnreadableImage, "no number"),
        (b"P5 #1 1 255", UnreadableImage, "does not end"),
        (b"P5 2 2 255\n123", UnreadableImage, "are due"),
        (b"P5 2 1 100\n\x64\x65", UnreadableImage, "a value of 101, above 100"),
        (b"P5 1 1 256\n\x01\x01", UnreadableImage, "a value of 257, above 256"),
        (b"P2 2 1 100\n100 101\n", UnreadableImage, "a value of 101, above 100"),
        (b"P2 2 1 100\n1 -7\n", UnreadableImage, "belongs to no number"),
        (b"P2 2 1 100\n1 \n", UnreadableImage, "after 1 of 2 values"),
        (b"P2 2 1 100\n1 0000000001\n", UnreadableImage, "10 digits"),
        (b"P1 2 1\n12\n", UnreadableImage, "a value of 2, above 1"),
        (b"P5 1 1 255\n\0P5 1 1 255\n\0", UnsupportedImage, "several pictures"),
        (b"P2 1 1 255\n0\nP2 1 1 255\n0\n", UnsupportedImage, "several pictures"),
        (PAM.replace(b"GRAYSCALE", b"CMYK"), UnsupportedImage, "'CMYK' and depth 1"),
        (PAM.replace(b"GRAYSCALE", b"RGB"), UnreadableImage, "type RGB, depth 1"),
        (PAM.replace(b"GRAYSCALE", b"BLACKANDWHITE"), UnreadableImage, "up to 255"),
        (PAM.replace(b"TUPLTYPE GRAYSCALE\n", b"").replace(b"DEPTH 1", b"DEPTH 5"), UnsupportedImage, "depth 5"),
        (PAM.replace(b"WIDTH 4\n", b""), UnreadableImage, "for WIDTH"),
        (PAM.replace(b"WIDTH 4\n", b"WIDTH 4\nWIDTH 4\n"), UnsupportedImage, "each field once"),
        (PAM.replace(b"WIDTH 4\n", b"WIDTH 4\nCOLOR 4\n"), UnsupportedImage, "COLOR"),
        (PAM.replace(b"ENDHDR\n", b""), UnreadableImage, "without ENDHDR"),
        (b"", UnreadableImage, "begins no PNM"),
    ],
)
def test_refusals(data, error, message):
    with pytest.raises(error, match=message):
        pnm.take_apart(data, MOST)


def test_too_large():
    with pytest.raises(ImageTooLarge):
        pnm.take_apart(PAM + raw(GREY, 255), 11)
    with pytest.raises(UnreadableImage):
        pnm.take_apart(b"P2 3000 3000 255\n1 2", MOST)


def test_other_files_are_not_taken():
    assert not any(map(pnm.recognises, (b"", b"P", b"P5", b"P5x", b"Px\n", b"PF\0", b"\x89PNG")))
    assert all(map(pnm.recognises, (b"P5 ", b"P1#", b"PF\n", b"P7\n")))


def test_samples_of_another_kind_are_refused():
    rest = pnm.take_apart(b"P5\n# whole\n4 3\n255\n" + raw(GREY, 255), MOST).rest
    for other in (noise(4, 3, 1), noise(3, 4, 1, 1023)):
        most = 255 if other.dtype == np.uint8 else 1023
        parts = pnm.take_apart(numbers(5, other, most) + raw(other, most), MOST)
        with pytest.raises(DamagedFile, match="does not fit"):
            file_of(pnm, parts.samples, rest)


BITS = noise(20, 30, 1, 1)
ATTACKED = {
    "P1": numbers(1, BITS) + b"\n".join(" ".join(words(row)).encode() for row in BITS),
    "P3": numbers(3, noise(6, 9, 3), 255) + LAYOUTS["netpbm"](noise(6, 9, 3)).encode(),
    "P4": b"P4#c\n9 6\n" + bits(noise(6, 9, 1, 1), "1") + b"tail",
    "P5": b"P5 # comment\n7 6 1000\n" + raw(noise(6, 7, 1, 1000), 1000),
    "P7": pam(noise(6, 7, 4), 255, "RGB_ALPHA", "# comment\n") + raw(noise(6, 7, 4), 255),
}


@pytest.mark.parametrize("name", ATTACKED)
def test_damage(name):
    check_damage(pnm, ATTACKED[name], 150)


@pytest.mark.parametrize("name", ATTACKED)
def test_hostile_rests(name):
    check_hostile_rests(pnm, ATTACKED[name], 200)
