"""Runs a step graph of the paper's network as a codec would: level by level, images in lockstep as tiles."""

import numpy as np
import onnx
import onnxruntime

from export.pixelcnn.network import IntegerPixelCnn
from lmconv.orders.masks import masks
from runtime.pixelcnn import INSIDE
from runtime.schedule import Kernel, levels

ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def session(
    graph: onnx.ModelProto, optimisation: onnxruntime.GraphOptimizationLevel = ALL, threads: int = 1
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.graph_optimization_level = optimisation
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def tap_positions(rank: np.ndarray, kernel: int, dilation: int, kind: str) -> np.ndarray:
    """The position that each tap reads, and -1 where it is closed: int64 [H W, k k]."""
    mask = masks(rank, kernel, dilation, kind)
    taps = np.full(mask.T.shape, -1)
    for tap, opens in enumerate(mask):
        row, column = (dilation * (part - kernel // 2) for part in divmod(tap, kernel))
        at = np.flatnonzero(opens)
        taps[at, tap] = at + row * rank.shape[1] + column
    return taps


def parameters(
    found: onnxruntime.InferenceSession,
    network: IntegerPixelCnn,
    rank: np.ndarray,
    images: np.ndarray,
    at_once: bool = False,
) -> np.ndarray:
    """levels uint8 [B, C, H, W] -> int32 [B, P, H, W]. What is not known yet is noise; all positions, or by levels.

    A tile's position p is in slot 1 + p after those of the tiles before it; slot 0 is the padding of all.
    """
    config, (count, channels, height, width) = network.config, images.shape
    size, tiles = height * width, np.arange(count)[:, None]
    first = np.delete(tap_positions(rank, config.kernel, 1, "A"), config.kernel**2 // 2, 1)
    taps = {
        "taps": tap_positions(rank, config.kernel, 1, "B"),
        "dilated_taps": tap_positions(rank, config.kernel, config.dilation, "B"),
    }
    level = levels(rank, (Kernel(config.kernel), Kernel(config.kernel, config.dilation))).ravel()
    level = np.zeros_like(level) if at_once else level
    codes = images.reshape(count, channels, size).transpose(0, 2, 1) * np.uint8(255 if config.binary else 1)
    known = codes.copy() if at_once else np.random.default_rng(0).integers(0, 256, codes.shape).astype(np.uint8)
    caches = [np.tile(row, (1 + count * size, 1)) for row in network.padding()]
    result = np.empty((count, network.outputs, size), np.int32)
    for step in range(level.max() + 1):
        at = np.flatnonzero(level == step)
        open_first = (first[at] >= 0)[:, :, None]
        planes = np.where(open_first, known[:, first[at]], 0)  # [B, n, T1, C]
        inside = np.broadcast_to(np.where(open_first, INSIDE, 0), (*planes.shape[:3], 1))
        rows = np.concatenate([planes, inside], 3).astype(np.uint8).reshape(count * len(at), -1)
        feed = {
            name: np.where(t[at] < 0, 0, 1 + tiles[:, :, None] * size + t[at]).reshape(len(rows), -1)
            for name, t in taps.items()
        }
        feed |= {"inputs": rows, "slots": (1 + tiles * size + at).reshape(-1, 1)}
        feed |= {f"cache_{i}": cache for i, cache in enumerate(caches)}
        feed = {each.name: feed[each.name] for each in found.get_inputs()}
        names = ["parameters", *(f"new_cache_{i}" for i in range(len(caches)))]
        output, *caches = found.run(names, feed)
        result[:, :, at] = output.reshape(count, len(at), -1).transpose(0, 2, 1)
        known[:, at] = codes[:, at]
    return result.reshape(count, -1, height, width)
