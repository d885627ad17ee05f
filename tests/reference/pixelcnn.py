"""Section 10.2: the paper's network in integers, position by position."""

from __future__ import annotations

import numpy as np

from tests.reference.bundle import Bundle
from tests.reference.network import layer


class Order:
    """What a rank map opens: `levels`, the positions of each, and `taps` of a position, None where one is closed."""

    def __init__(self, rank: np.ndarray, layout: dict):
        self.rank, reach = rank, range(-(layout["kernel"] // 2), layout["kernel"] // 2 + 1)
        self.offsets = {
            dilated: [(dr * step, dc * step) for dr in reach for dc in reach]
            for dilated, step in ((False, 1), (True, layout["dilation"]))
        }
        level = {}
        for r, c in sorted(np.ndindex(rank.shape), key=lambda at: rank[at]):
            before = {at for dilated in (False, True) for at in self.taps(r, c, dilated)} - {None, (r, c)}
            level[r, c] = 1 + max((level[at] for at in before), default=-1)
        self.levels = [[at for at in np.ndindex(rank.shape) if level[at] == n] for n in range(1 + max(level.values()))]

    def taps(self, r: int, c: int, dilated: bool = False) -> list[tuple[int, int] | None]:
        """The window's, the position itself included."""
        (height, width), found = self.rank.shape, []
        for dr, dc in self.offsets[dilated]:
            at = (r + dr, c + dc)
            inside = 0 <= at[0] < height and 0 <= at[1] < width
            is_open = (dr, dc) == (0, 0) or inside and self.rank[at] < self.rank[r, c]
            found.append(at if is_open else None)
        return found


def rounded(values: np.ndarray) -> np.ndarray:
    return np.round(values).astype(np.int64)


class PixelCnn:
    """One square. known: values of its planes, by position, as they are decoded."""

    def __init__(self, bundle: Bundle, order: Order):
        self.w, self.layout, self.order = bundle.weights, bundle.layout, order
        self.lattice, self.limit = self.w["lattice"].item(), self.w["limit"].item()
        self.known, self.codes_at = {}, {}  # the latter: bytes that a layer reads, by (name, r, c)

    def clipped(self, values: np.ndarray) -> np.ndarray:
        return np.clip(values, -self.limit, self.limit)

    def scaled(self, name: str, v: np.ndarray) -> np.ndarray:
        return v * self.w[f"{name}.scale"].astype(np.float64) + self.w[f"{name}.zero"]

    def codes(self, name: str, v: np.ndarray) -> np.ndarray:
        return np.clip(rounded(self.scaled(name, v)), 0, 255)

    def conv(self, name: str, v: np.ndarray, dilated: bool = False) -> np.ndarray:
        self.codes_at[name, self.at] = self.codes(name, v)
        taps = self.order.taps(*self.at, dilated)
        zero = self.w[f"{name}.zero"].astype(np.int64)
        inputs = [zero if at is None else self.codes_at[name, at] for at in taps]
        if self.layout["mask_weight"]:
            inputs.append([0 if at is None else 128 for at in taps])
        return rounded(layer(self.w, name, np.concatenate(inputs)))

    def norm(self, name: str, v: np.ndarray, dilated: bool = False) -> np.ndarray:
        limit, kind, count = self.w[f"{name}.limit"].item(), self.layout["norm"], len(v)
        v = np.clip(v, -limit, limit)
        if kind == "pono":
            d, one = (count * v - v.sum()).astype(np.float64), 4.0**self.lattice
            epsilon = 1e-5 * count**2 * 4.0 ** self.w[f"{name}.lattice"].item() / one
            v = rounded(d / np.sqrt((d * d).sum() / ((count - 1) * one) + epsilon))
        elif kind == "order_rescale":
            v = rounded(v / sum(at is not None for at in self.order.taps(*self.at, dilated)))
        return self.clipped(v)

    def elu(self, v: np.ndarray) -> np.ndarray:
        table = self.w["elu"]
        return np.where(v > 0, v, table[np.clip(v, 1 - len(table), 0)])

    def both(self, v: np.ndarray) -> np.ndarray:
        return np.concatenate([self.elu(v), self.elu(-v)])

    def block(self, name: str, h: np.ndarray, skip: np.ndarray | None = None) -> np.ndarray:
        x = self.norm(f"{name}.conv_input", self.conv(f"{name}.conv_input", self.both(h)))
        if skip is not None:
            more = layer(self.w, f"{name}.nin_skip", self.codes(f"{name}.nin_skip", self.both(skip)))
            x = self.clipped(x + self.clipped(rounded(more)))
        first, second = np.split(self.conv(f"{name}.conv_out", self.both(x)), 2)
        bits = 25 - self.limit.bit_length()
        s = self.w["sigmoid"][np.clip(second, -2560, 2560)] * 2.0**-bits
        return self.clipped(h + rounded(self.norm(f"{name}.conv_out", first) * s))

    def first(self) -> np.ndarray:
        taps = self.order.taps(*self.at)
        del taps[len(taps) // 2]
        none = [0] * (self.layout["channels"] + 1)
        return rounded(layer(self.w, "first", [v for at in taps for v in ([*self.known[at], 128] if at else none)]))

    def parameters(self, r: int, c: int) -> list[int]:
        self.at, resnets = (r, c), self.layout["resnets"]
        h = self.norm("first", self.first())
        skips = [h]
        for i in range(3):
            if i > 0:
                h = self.norm(f"up_dilated.{i - 1}", self.conv(f"up_dilated.{i - 1}", h, True), True)
                skips.append(h)
            for j in range(resnets):
                h = self.block(f"up.{i}.{j}", h)
                skips.append(h)
        h = skips.pop()
        for i in range(3):
            if i > 0:
                h = self.norm(f"down_dilated.{i - 1}", self.conv(f"down_dilated.{i - 1}", h, True), True)
            for j in range(resnets + (i > 0)):
                h = self.block(f"down.{i}.{j}", h, skips.pop())
        e = self.elu(h)
        codes = self.codes("head", e)
        rest = np.clip(rounded(256 * (self.scaled("head", e) - codes)) + 128, 0, 255)
        found = np.floor(layer(self.w, "head", np.concatenate([codes, rest]))).astype(np.int64)
        found = np.clip(found, self.w["lowest"], self.w["highest"])
        if self.layout["channels"] == 3:
            last = 3 * self.layout["components"]
            found[-last:] = self.w["tanh"][found[-last:]]
        return found.tolist()
