"""The online predictor again, slowly: mixing.md, recipe sections 1 and 2, instance A, one number at a time.

Python floats are IEEE doubles and nothing here sums in another order than the recipe does, so the runtime's kernels
must give the same integers. What the recipe leaves open is as runtime/predictor.py states it: errors are those of the
rounded predictions, a level's sum starts at the last row above that has ended, and unknown errors count as 4.
"""
import numpy as np

DECAY, ROW_DECAY, RIDGE = 0.92, 0.80, (16.0, 3.0, 3.0)

OWN = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1), (-2, -1), (0, -3), (-2, 2), (-3, 0), (-2, -2),
       (-2, 3), (-3, 1), (-1, -3), (-3, -1)]
OTHER = [(0, -1), (-1, 0), (-1, 1), (0, -2), (-2, 0), (-1, -2), (-2, 1)]
HERE = [(0, 0)]


def on(plane, offsets):
    return [(plane, dr, dc) for dr, dc in offsets]


def features(sizes):
    """Of the three planes; sizes: how many from the plane itself, from the first and from the second other plane."""
    (own, one, two), (own_1, one_1, two_1), (own_2, one_2, two_2) = sizes
    return [
        on(0, OWN[:own]) + on(1, OTHER[:one]) + on(2, OTHER[:two]),
        on(1, OWN[:own_1]) + on(0, (HERE + OTHER)[:one_1]) + on(2, OTHER[:two_1]),
        on(2, OWN[:own_2]) + on(1, (HERE + OTHER)[:one_2]) + on(0, (HERE + OTHER)[:two_2]),
    ]


FEATURES = features([(16, 2, 2), (10, 8, 2), (10, 8, 6)])
FAST = features([(6, 2, 2), (6, 4, 2), (6, 4, 3)]), 0.86, 0.75, (16.0, 3.0, 3.0)
SLOW = features([(16, 6, 6), (14, 7, 6), (14, 7, 7)]), 0.998, 0.97, (8.0, 8.0, 8.0)


class Fit:
    """Least squares of one plane: windows of its rows, joined row by row, refitted at levels divisible by interval."""

    def __init__(self, n: int, decay: float, row_decay: float, ridge: float, interval: int = 1):
        self.n, self.decay, self.row_decay, self.ridge, self.interval = n, decay, row_decay, ridge, interval
        self.window = {}                    # r -> R[r], row i holds columns i .. n; column n is the target
        self.sample = {}                    # r -> features and target of the last prediction in the row
        self.error = {}                     # (r, c) -> absolute error of the prediction in grey levels
        self.weights = {}                   # r -> w

    def solve(self, level: int, rows: list[int]) -> None:
        """Enters the samples before `level`, which has these rows, and refits them."""
        for r in rows:
            if level == 2 * r:
                self.window[r] = self.nothing()
            else:
                learn(self.window[r], *self.sample[r], self.weight(r, level - 2 * r), self.decay)
        if level % self.interval:
            if rows and level == 2 * rows[-1]:
                self.weights[rows[-1]] = self.weights[rows[-1] - 1]
            return
        total = self.window.get(rows[0] - 1) if rows else None      # the last row that has ended
        for r in rows:
            total = [[self.row_decay * t + s for t, s in zip(*lines)]
                     for lines in zip(total or self.nothing(), self.window[r])]
            self.weights[r] = solve(total, self.ridge)

    def nothing(self) -> list[list[float]]:
        return [[0.0] * (self.n + 1 - i) for i in range(self.n)]

    def weight(self, r: int, c: int) -> float:
        def e(dr, dc):
            return self.error.get((r + dr, c + dc), 4.0)
        return 1.0 / (0.25 * (e(0, -1) + e(0, -2) + e(-1, -1) + 0.5 * e(-1, 0) + 0.5 * e(-1, -2)) + 0.3)

    def predict(self, r: int, features: list[float], origin: float) -> int:
        """In 1/64 grey level."""
        value = origin
        for w, f in zip(self.weights[r], features):
            value = value + w * f
        return int(min(max(value, 0.0), 255.0) * 64 + 0.5)

    def put(self, r: int, c: int, x: int, predicted: int, features: list[float], origin: float) -> None:
        """Takes over the true value."""
        self.error[r, c] = abs(x * 64 - predicted) / 64
        self.sample[r] = features, x - origin


def predict(pixels: np.ndarray, weights: dict | None = None, settings=None, interval: int = 1) -> np.ndarray:
    """uint8 [3, H, W] -> int16 [3, H, W] in 1/64 grey level; `weights` collects those of every (plane, r, c).

    settings: features of the three planes, decay, row decay, ridges; those of instance A unless given.
    """
    features_of, decay, row_decay, ridge = settings or (FEATURES, DECAY, ROW_DECAY, RIDGE)
    _, height, width = pixels.shape
    x = pixels.tolist()
    weights = {} if weights is None else weights
    predictions = np.zeros(pixels.shape, np.int16)
    fits = [Fit(len(features_of[k]), decay, row_decay, ridge[k], interval) for k in range(3)]

    def pixel(k, r, c):
        if r < 0:
            return 128
        if c < 0:
            return x[k][r - 1][0] if r > 0 else 128
        return x[k][r][min(c, width - 1)]

    def near(k, r, c):
        return 0.25 * (pixel(k, r, c - 1) + pixel(k, r - 1, c) + pixel(k, r - 1, c - 1) + pixel(k, r - 1, c + 1))

    for level in range(width + 2 * (height - 1)):
        rows = rows_of(level, height, width)
        for k in range(3):
            fits[k].solve(level, rows)
            for r in rows:
                c = level - 2 * r
                weights[k, r, c] = fits[k].weights[r]
                f = [pixel(p, r + dr, c + dc) - near(p, r, c) for p, dr, dc in features_of[k]]
                origin = near(k, r, c)
                if k == 1:
                    origin = origin + (x[0][r][c] - near(0, r, c))
                if k == 2:
                    origin = origin + (0.5 * (x[0][r][c] - near(0, r, c)) + 0.5 * (x[1][r][c] - near(1, r, c)))
                predictions[k, r, c] = fits[k].predict(r, f, origin)
                fits[k].put(r, c, x[k][r][c], int(predictions[k, r, c]), f, origin)
    return predictions


def rows_of(level: int, height: int, width: int) -> list[int]:
    return [r for r in range(height) if 0 <= level - 2 * r < width]


def learn(window, f, target, weight, decay):
    """R = decay R + weight f f'^T, f' being f and the target."""
    augmented = f + [target]
    for i in range(len(f)):
        factor = weight * f[i]
        for j in range(i, len(f) + 1):
            window[i][j - i] = decay * window[i][j - i] + factor * augmented[j]


def solve(total, ridge):
    """w of (S + ridge I) w = b by symmetric Gaussian elimination, right looking."""
    n = len(total)
    a = [list(line) for line in total]
    for i in range(n):
        a[i][0] = a[i][0] + ridge
    for j in range(n):
        inverse = 1.0 / a[j][0]
        for i in range(j + 1, n):
            factor = a[j][i - j] * inverse
            for m in range(i, n + 1):
                a[i][m - i] = a[i][m - i] - factor * a[j][m - j]
    w = [0.0] * n
    for i in reversed(range(n)):
        rest = a[i][n - i]
        for m in range(i + 1, n):
            rest = rest - a[i][m - i] * w[m]
        w[i] = rest / a[i][0]
    return w
