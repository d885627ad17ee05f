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


FEATURES = [
    on(0, OWN[:16]) + on(1, OTHER[:2]) + on(2, OTHER[:2]),
    on(1, OWN[:10]) + on(0, (HERE + OTHER)[:8]) + on(2, OTHER[:2]),
    on(2, OWN[:10]) + on(1, (HERE + OTHER)[:8]) + on(0, (HERE + OTHER)[:6]),
]


def predict(pixels: np.ndarray, weights: dict | None = None) -> np.ndarray:
    """uint8 [3, H, W] -> int16 [3, H, W] in 1/64 grey level; `weights` collects those of every (plane, r, c)."""
    _, height, width = pixels.shape
    x = pixels.tolist()
    weights = {} if weights is None else weights
    predictions = np.zeros(pixels.shape, np.int16)
    error = {}                              # (plane, r, c) -> absolute error in grey levels
    window = {}                             # (plane, r) -> R[r], row i holds columns i .. n; column n is the target
    sample = {}                             # (plane, r) -> features and target of the last prediction in the row

    def pixel(k, r, c):
        if r < 0:
            return 128
        if c < 0:
            return x[k][r - 1][0] if r > 0 else 128
        return x[k][r][min(c, width - 1)]

    def near(k, r, c):
        return 0.25 * (pixel(k, r, c - 1) + pixel(k, r - 1, c) + pixel(k, r - 1, c - 1) + pixel(k, r - 1, c + 1))

    def weight(k, r, c):
        def e(dr, dc):
            return error.get((k, r + dr, c + dc), 4.0)
        return 1.0 / (0.25 * (e(0, -1) + e(0, -2) + e(-1, -1) + 0.5 * e(-1, 0) + 0.5 * e(-1, -2)) + 0.3)

    for level in range(width + 2 * (height - 1)):
        rows = [r for r in range(height) if 0 <= level - 2 * r < width]
        for k in range(3):
            n = len(FEATURES[k])
            for r in rows:                  # first the sample before this one enters its row's window
                c = level - 2 * r
                if c == 0:
                    window[k, r] = [[0.0] * (n + 1 - i) for i in range(n)]
                else:
                    learn(window[k, r], *sample[k, r], weight(k, r, c))
            above = window.get((k, rows[0] - 1)) if rows else None      # the last row that has ended
            total = above or [[0.0] * (n + 1 - i) for i in range(n)]
            for r in rows:
                total = [[ROW_DECAY * t + s for t, s in zip(*lines)] for lines in zip(total, window[k, r])]
                c = level - 2 * r
                w = weights[k, r, c] = solve(total, RIDGE[k])
                f = [pixel(p, r + dr, c + dc) - near(p, r, c) for p, dr, dc in FEATURES[k]]
                origin = near(k, r, c)
                if k == 1:
                    origin = origin + (x[0][r][c] - near(0, r, c))
                if k == 2:
                    origin = origin + (0.5 * (x[0][r][c] - near(0, r, c)) + 0.5 * (x[1][r][c] - near(1, r, c)))
                value = origin
                for i in range(n):
                    value = value + w[i] * f[i]
                rounded = int(min(max(value, 0.0), 255.0) * 64 + 0.5)
                predictions[k, r, c] = rounded
                error[k, r, c] = abs(x[k][r][c] * 64 - rounded) / 64
                sample[k, r] = f, x[k][r][c] - origin
    return predictions


def learn(window, f, target, weight):
    """R = decay R + weight f f'^T, f' being f and the target."""
    augmented = f + [target]
    for i in range(len(f)):
        factor = weight * f[i]
        for j in range(i, len(f) + 1):
            window[i][j - i] = DECAY * window[i][j - i] + factor * augmented[j]


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
