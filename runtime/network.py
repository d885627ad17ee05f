"""Runs step graphs with onnxruntime: sessions, the probe that picks the kind of product, and the level-by-level pass.

Two graphs give the same integers by construction: `integer` (uint8 x int8 products) and `float32` (the same integers
in float32). Libraries have shipped wrong kernels, so a session is used only if it reproduces stored outputs on a
stored probe input; `auto` falls back from integer to float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runtime import library
from runtime.errors import UserError
from runtime.schedule import Schedule

if TYPE_CHECKING:
    import onnxruntime

PRODUCTS = ("integer", "float32")
AUTO = "auto"
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PROVIDER_OPTIONS = {"cpu": {}, "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}}


class BundleError(UserError):
    """A model that cannot be read, is not what it says, or cannot be run exactly here."""


class ProviderError(BundleError):
    """An execution provider that is unknown, not installed, or gives other integers than the model's."""


@dataclass(frozen=True)
class Probe:
    """What a step is fed, by the names of its inputs, and the parameters int32 [n, P] it must give.

    Fed are `inputs` uint8 [n, F], `slots` int64 [n, 1], for each sort of taps int64 [n, T], and for each cache
    uint8 [S, C], whose row 0 is what closed taps read; `cache` stands for those that have no rows of their own.
    """

    feed: dict[str, np.ndarray]
    parameters: np.ndarray


class Network:
    """An opened step graph; a step runs on one thread.

    provider: `cpu`, `cuda`, or `auto`, which is cuda where it is there and gives the model's integers, else cpu.
    products: `auto`, `integer` or `float32`. Raises ProviderError if no allowed pair of them passes the probe, and for
    a provider that is missing; BundleError for a graph that onnxruntime refuses.
    """

    def __init__(
        self,
        graphs: dict[str, bytes],
        probe: Probe,
        provider: str = "cpu",
        products: str = "auto",
        optimise: bool = True,
    ) -> None:
        self.outputs, pairs, failure = probe.parameters.shape[1], _pairs(provider, products), None
        for self.provider, self.products in pairs:
            try:
                self.session = _session(graphs[self.products], self.provider, optimise)
            except BundleError as error:
                failure = error
                continue
            names = [node.name for node in self.session.get_inputs()]
            feed = {name: probe.feed.get(name, probe.feed.get("cache")) for name in names}
            found = self._try(feed)
            if found is not None and np.array_equal(found, probe.parameters):
                caches = {name: rows for name, rows in feed.items() if name.startswith("cache_")}
                self.padding = {name: rows[0] for name, rows in caches.items() if rows is not None}
                return
        kinds = " and ".join(dict.fromkeys(kind for _, kind in pairs))
        raise failure or ProviderError(
            f"provider {provider!r} with {kinds} products does not reproduce the model's integers"
        )

    def _try(self, feed: dict[str, np.ndarray | None]) -> np.ndarray | None:
        """The parameters of a step; None where onnxruntime cannot run it."""
        try:
            return self.session.run(["parameters"], feed)[0]
        except Exception:  # as in _session
            return None

    def start(
        self, schedule: Schedule, tiles: int = 1, sorts: Mapping[str, np.ndarray | slice] | None = None
    ) -> StepPass:
        """A pass over `tiles` tiles of the schedule's size in lockstep.

        sorts: which of the schedule's taps each sort of layers reads, by the graph's input; default: `taps`, all.
        """
        return StepPass(self, schedule, tiles, sorts or {"taps": slice(None)})


class StepPass:
    """One walk through a schedule: `step` must be called for 0, 1, 2, ... The caches stay on the device."""

    def __init__(
        self, network: Network, schedule: Schedule, tiles: int, sorts: Mapping[str, np.ndarray | slice]
    ) -> None:
        self._session, self._starts, self._outputs = network.session, schedule.starts, network.outputs
        self._rows = {name: schedule.taps[:, columns] for name, columns in sorts.items()}
        self._rows["slots"] = schedule.slot[:, None]
        self._bases = np.arange(tiles)[:, None, None] * schedule.slots
        device = "cuda" if network.provider == "cuda" else "cpu"

        self._caches = {  # the binding does not keep them alive
            name: library.onnxruntime().OrtValue.ortvalue_from_numpy(
                np.tile(row, (schedule.slots * tiles, 1)), device, 0
            )
            for name, row in network.padding.items()
        }
        self._binding = self._session.io_binding()
        for name, cache in self._caches.items():  # written where they are read: a step's slots are in no tap of it
            self._binding.bind_ortvalue_input(name, cache)
            self._binding.bind_ortvalue_output(f"new_{name}", cache)

    def step(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """inputs uint8 [tiles * n, F], tile by tile -> mixture parameters int32 [tiles * n, P]."""
        if not len(inputs):
            return np.empty((0, self._outputs), np.int32)
        part = slice(self._starts[number], self._starts[number + 1])
        parameters = np.empty((len(inputs), self._outputs), np.int32)
        binding = self._binding
        binding.bind_cpu_input("inputs", inputs)
        for name, rows in self._rows.items():
            rows = rows[part]
            if len(self._bases) > 1:
                rows = np.where(rows, self._bases + rows, 0).reshape(-1, rows.shape[1])  # 0: closed, in every tile
            binding.bind_cpu_input(name, rows)
        binding.bind_output("parameters", "cpu", 0, np.int32, parameters.shape, parameters.ctypes.data)
        self._session.run_with_iobinding(binding)
        return parameters


def _pairs(provider: str, products: str) -> list[tuple[str, str]]:
    """Providers and kinds of product in the order in which they are tried."""
    if provider not in (*PROVIDERS, AUTO):
        raise ProviderError(f"unknown provider {provider!r}: choose one of {', '.join((*PROVIDERS, AUTO))}")
    if products not in (*PRODUCTS, AUTO):
        raise ProviderError(f"unknown kind of product {products!r}: choose {AUTO}, {' or '.join(PRODUCTS)}")
    of_cpu = PRODUCTS if products == AUTO else (products,)
    kinds = {"cpu": of_cpu, "cuda": ("float32",) if products == AUTO else of_cpu}
    providers = ("cuda", "cpu") if provider == AUTO else (provider,)
    return [(each, kind) for each in providers for kind in kinds[each]]


def _session(graph: bytes, provider: str, optimise: bool) -> onnxruntime.InferenceSession:
    try:
        ort = library.onnxruntime()
    except ImportError as error:
        raise ProviderError("onnxruntime is not installed: pip install 'lmconv[cpu]' (or 'lmconv[gpu]')") from error
    name = PROVIDERS[provider]
    if name not in ort.get_available_providers():
        raise ProviderError(
            f"provider {provider!r} is not available here: pip install 'lmconv[gpu]' and CUDA's libraries"
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = ort.InferenceSession(graph, options, providers=[(name, _PROVIDER_OPTIONS[provider])])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise BundleError(f"onnxruntime refuses the model: {str(error).splitlines()[0]}") from error
    if name not in session.get_providers():
        raise ProviderError(f"provider {provider!r} could not be started: CUDA's libraries are missing or too old")
    return session
