"""The network again, slowly: docs/format.md, section Network, position by position from a bundle's tensors alone."""

import numpy as np

CURRENT = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
TAPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0))


def parameters(picture: np.ndarray, bases: np.ndarray, weights: dict, codes: np.ndarray, first_offsets) -> np.ndarray:
    """uint8 [3, H, W], bases [3, H, W] in 1/64 grey level -> int [P, H, W]."""
    _, height, width = picture.shape
    x, b = picture.astype(int), bases.astype(int)
    exponents = weights["exponents"].tolist()
    blocks = len(exponents) - 1

    def layer(name, a):
        """(sums, values) of a layer on bytes."""
        a = np.array(a, dtype=object)
        sums = [
            sum(a * weights[f"{name}.weight"][:, o].astype(object)) + int(bias)
            for o, bias in enumerate(weights[f"{name}.bias"])
        ]
        return sums, np.array([s * 2.0 ** -int(shift) for s, shift in zip(sums, weights[f"{name}.shift"])])

    def q(values, m=0):
        return [int(min(max(round(v * 2.0**-m), 0), 255)) for v in values]

    def code(d):
        return int(codes[min(max((d >> 2) + 4096, 0), 8191)])

    def red(r, c):
        if r < 0:
            return 128
        if c < 0:
            return x[0, r - 1, 0] if r > 0 else 128
        return x[0, r, min(c, width - 1)]

    def known(r, c):
        if not (0 <= r < height and 0 <= c < width):
            return [128] * 6 + [0]
        return [*x[:, r, c], *(code(64 * x[k, r, c] - b[k, r, c]) for k in range(3)), 64]

    found = np.empty((len(weights["out.bias"]), height, width), int)
    features = {}  # (block, r, c) -> bytes
    for r in range(height):  # any order that goes forward will do: raster is one
        for c in range(width):
            a = [value for dr, dc in first_offsets for value in known(r + dr, c + dc)]
            a += [code(64 * red(r + dr, c + dc) - b[0, r, c]) for dr, dc in CURRENT] + [b[0, r, c] // 64]
            h = layer("first", a)[1]
            for i in range(blocks):
                features[i, r, c] = q(h, exponents[i])
                y = [v for dr, dc in TAPS for v in features.get((i, r + dr, c + dc), [0] * len(h))]
                h = h + layer(f"blocks.{i}.narrow", q(layer(f"blocks.{i}.wide", y)[1]))[1]
            found[:, r, c] = np.floor(layer("out", q(layer("head", q(h, exponents[-1]))[1]))[1])
    return found
