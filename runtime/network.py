"""Runs step graphs with onnxruntime: sessions, the probe that picks the kind of product, and the level-by-level pass.

Two graphs give the same integers by construction: `integer` (uint8 x int8 products) and `float32` (the same integers
in float32). Libraries have shipped wrong kernels, so a session is used only if it reproduces stored outputs on a
stored probe input; `auto` falls back from integer to float32.
"""

from dataclasses import dataclass

import numpy as np

from .schedule import Schedule

PRODUCTS = ("integer", "float32")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_PROVIDER_OPTIONS = {"cpu": {}, "cuda": {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}}


class BundleError(Exception):
    """A model that cannot be read, is not what it says, or cannot be run exactly here."""


class ProviderError(BundleError):
    """An execution provider that is unknown, not installed, or gives other integers than the model's."""


@dataclass(frozen=True)
class Probe:
    """A step's inputs and the parameters it must give. cache serves every block."""

    inputs: np.ndarray  # uint8 [n, F]
    taps: np.ndarray  # int64 [n, T]
    slots: np.ndarray  # int64 [n, 1]
    cache: np.ndarray  # uint8 [S, C]
    parameters: np.ndarray  # int32 [n, P]


class Network:
    """An opened step graph; a step runs on one thread. products: `auto`, `integer` or `float32`.

    Raises ProviderError if the provider is missing or no allowed kind of product passes the probe.
    """

    def __init__(
        self,
        graphs: dict[str, bytes],
        probe: Probe,
        provider: str = "cpu",
        products: str = "auto",
        optimise: bool = True,
    ):
        wanted = self._wanted(provider, products)
        self.provider, self.channels, self.outputs = provider, probe.cache.shape[1], probe.parameters.shape[1]
        for kind in wanted:
            self.session = _session(graphs[kind], provider, optimise)
            self.blocks = sum(i.name.startswith("cache_") for i in self.session.get_inputs())
            self.products = kind
            if np.array_equal(self._try(probe), probe.parameters):
                return
        raise ProviderError(
            f"provider {provider!r} with {' and '.join(wanted)} products does not reproduce the model's integers"
        )

    @staticmethod
    def _wanted(provider: str, products: str) -> tuple[str, ...]:
        if provider not in PROVIDERS:
            raise ProviderError(f"unknown provider {provider!r}: choose one of {', '.join(PROVIDERS)}")
        if products != "auto":
            if products not in PRODUCTS:
                raise ProviderError(f"unknown kind of product {products!r}: choose auto, {' or '.join(PRODUCTS)}")
            return (products,)
        return PRODUCTS if provider == "cpu" else ("float32",)

    def _try(self, probe: Probe) -> np.ndarray | None:
        """The parameters of the probe; None where onnxruntime cannot run it."""
        feed = {"inputs": probe.inputs, "taps": probe.taps, "slots": probe.slots}
        feed |= {f"cache_{i}": probe.cache for i in range(self.blocks)}
        try:
            return self.session.run(["parameters"], feed)[0]
        except Exception:  # as in _session
            return None

    def start(self, schedule: Schedule, tiles: int = 1) -> "StepPass":
        """A pass over `tiles` tiles of the schedule's size in lockstep."""
        return StepPass(self, schedule, tiles)


class StepPass:
    """One walk through a schedule: `step` must be called for 0, 1, 2, ... The caches stay on the device."""

    def __init__(self, network: Network, schedule: Schedule, tiles: int):
        import onnxruntime

        self._session, self._schedule, self._tiles, self._outputs = network.session, schedule, tiles, network.outputs
        device = "cuda" if network.provider == "cuda" else "cpu"
        shape = (schedule.slots * tiles, network.channels)

        def caches() -> list:
            return [
                onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.uint8), device, 0)
                for _ in range(network.blocks)
            ]

        sides = self._caches = caches(), caches()  # the bindings do not keep them alive
        self._bindings = []
        for old, new in (sides, sides[::-1]):
            binding = self._session.io_binding()
            for i in range(network.blocks):
                binding.bind_ortvalue_input(f"cache_{i}", old[i])
                binding.bind_ortvalue_output(f"new_cache_{i}", new[i])
            self._bindings.append(binding)

    def step(self, number: int, inputs: np.ndarray) -> np.ndarray:
        """inputs uint8 [tiles * n, F], tile by tile -> mixture parameters int32 [tiles * n, P]."""
        if not len(inputs):
            return np.empty((0, self._outputs), np.int32)
        s = self._schedule
        part = slice(s.starts[number], s.starts[number + 1])
        slots, taps = s.slot[part, None], s.taps[part]
        if self._tiles > 1:
            base = (np.arange(self._tiles) * s.slots)[:, None, None]
            slots, taps = (base + slots).reshape(-1, 1), (base + taps).reshape(-1, taps.shape[1])
        parameters = np.empty((len(inputs), self._outputs), np.int32)
        binding = self._bindings[0]
        self._bindings.reverse()  # the caches just written are read next
        binding.bind_cpu_input("inputs", inputs)
        binding.bind_cpu_input("slots", slots)
        binding.bind_cpu_input("taps", taps)
        binding.bind_output("parameters", "cpu", 0, np.int32, parameters.shape, parameters.ctypes.data)
        self._session.run_with_iobinding(binding)
        return parameters


def _session(graph: bytes, provider: str, optimise: bool):
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError("onnxruntime is not installed: pip install 'lmconv[cpu]' (or 'lmconv[gpu]')") from error
    name = PROVIDERS[provider]
    if name not in onnxruntime.get_available_providers():
        raise ProviderError(
            f"provider {provider!r} is not available here: pip install 'lmconv[gpu]' and CUDA's libraries"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=[(name, _PROVIDER_OPTIONS[provider])])
    except Exception as error:  # onnxruntime's own exceptions have no common base
        raise BundleError(f"onnxruntime refuses the model: {str(error).splitlines()[0]}") from error
    if name not in session.get_providers():
        raise ProviderError(f"provider {provider!r} could not be started: CUDA's libraries are missing or too old")
    return session
