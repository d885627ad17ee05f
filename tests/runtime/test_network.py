"""Running step graphs: the integers of the specification, the probe that picks the kind of product, and refusals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import runtime
from runtime import network
from runtime.least_squares import predict_picture
from runtime.network import ProviderError
from runtime.photo import prepare, take_over
from tests import bundles
from tests.pictures import noise, photograph
from tests.reference import bundle
from tests.reference.least_squares import Canvas
from tests.reference.network import Network

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = [f"step_{kind}.onnx" for kind in network.PRODUCTS]


def tampered(data: bytes, name: str = "head.weight") -> bytes:
    """A graph with one layer's weights negated, as a wrong kernel would change its sums."""
    graph = onnx.load_from_string(data)
    (tensor,) = (tensor for tensor in graph.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(tensor), name))
    return graph.SerializeToString()


@pytest.fixture(scope="module")
def wrong(tiny_bundle, tmp_path_factory):
    """Bundles whose graphs of the named kinds are tampered with, and nothing else."""
    folder, parts = tmp_path_factory.mktemp("wrong"), bundles.members(tiny_bundle)

    def make(*kinds):
        names = [f"step_{kind}.onnx" for kind in kinds]
        return bundles.forge(folder / f"{'-'.join(kinds)}.lmconv", tiny_bundle, {n: tampered(parts[n]) for n in names})

    return make


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 5), (7, 4)], ids=str)
@pytest.mark.parametrize("kind", [photograph, noise])
def test_equals_the_specification(tiny_model, tiny_bundle, kind, size):
    """docs/format.md and the bundle's tensors are enough to compute the parameters."""
    picture, model = kind(*size), bundle.read(tiny_bundle)
    found, canvas = tiny_model.parameters(picture[None])[0], Canvas(*size)
    bases = {place: int(base) for place, base in np.ndenumerate(predict_picture(picture))}
    reference = Network(model.weights, model.tables["codes"], model.layout["first_offsets"], model.layout["kernel"])
    for r, c in sorted(np.ndindex(size), key=lambda at: at[1] + 2 * at[0]):
        assert found[:, r, c].tolist() == reference.parameters(canvas, bases, r, c)
        canvas.x |= {(k, r, c): int(picture[k, r, c]) for k in range(3)}


def test_integer_products_are_preferred_on_the_cpu(tiny_model):
    assert tiny_model.network.products == "integer" and tiny_model.network.provider == "cpu"


@pytest.mark.parametrize("products", ["integer", "float32"])
def test_products_can_be_chosen(tiny_bundle, products):
    assert runtime.load(tiny_bundle, products=products).network.products == products


def test_wrong_integer_products_fall_back_to_float32(wrong, tiny_model):
    model = runtime.load(wrong("integer"), threads=1)
    assert model.network.products == "float32"
    picture = photograph(6, 9)[None]
    np.testing.assert_array_equal(model.parameters(picture), tiny_model.parameters(picture))


def test_wrong_products_are_refused_when_asked_for(wrong):
    with pytest.raises(ProviderError, match="'cpu' with integer products does not reproduce the model's integers"):
        runtime.load(wrong("integer"), products="integer")


def test_wrong_float32_products_do_not_matter_while_integer_ones_are_right(wrong):
    assert runtime.load(wrong("float32")).network.products == "integer"
    with pytest.raises(ProviderError, match="float32 products"):
        runtime.load(wrong("float32"), products="float32")


def test_both_wrong_are_refused(wrong):
    with pytest.raises(ProviderError, match="'cpu' with integer and float32 products does not reproduce"):
        runtime.load(wrong("integer", "float32"))


def test_a_probe_that_expects_something_else_refuses_both(tiny_bundle, tmp_path):
    tables = bundles.tensors(bundles.members(tiny_bundle)[bundles.TABLES])
    tables["probe.parameters"][-1, -1] += 1
    path = bundles.forge(tmp_path / "probe.lmconv", tiny_bundle, {bundles.TABLES: bundles.packed(tables)})
    with pytest.raises(ProviderError, match="integer and float32 products"):
        runtime.load(path)


@pytest.mark.parametrize(
    "layer", ["first", "blocks.0.wide", "blocks.0.narrow", "blocks.1.wide", "blocks.1.narrow", "head", "out"]
)
@pytest.mark.parametrize("products", ["integer", "float32"])
def test_the_probe_sees_every_layer(tiny_bundle, tmp_path, layer, products):
    name = f"step_{products}.onnx"
    part = {name: tampered(bundles.members(tiny_bundle)[name], f"{layer}.weight")}
    with pytest.raises(ProviderError, match="does not reproduce"):
        runtime.load(bundles.forge(tmp_path / "layer.lmconv", tiny_bundle, part), products=products)


def test_a_run_that_raises_counts_as_wrong(tiny_bundle, tmp_path):
    """onnxruntime has errors of its own; here it misses an input."""
    graph = onnx.load_from_string(bundles.members(tiny_bundle)["step_integer.onnx"])
    graph.graph.input.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))
    part = {"step_integer.onnx": graph.SerializeToString()}
    path = bundles.forge(tmp_path / "raises.lmconv", tiny_bundle, part)
    assert runtime.load(path).network.products == "float32"
    with pytest.raises(ProviderError, match="does not reproduce"):
        runtime.load(path, products="integer")


@pytest.mark.parametrize(
    "graph, refusal", [(b"not a graph", "the graph of integer products cannot be read"), (b"", "onnxruntime refuses")]
)
def test_a_graph_that_is_none_is_refused(tiny_bundle, tmp_path, graph, refusal):
    path = bundles.forge(tmp_path / "none.lmconv", tiny_bundle, dict.fromkeys(GRAPHS, graph))
    with pytest.raises(runtime.BundleError, match=refusal):
        runtime.load(path)


def test_unknown_names_are_refused(tiny_bundle):
    with pytest.raises(ProviderError, match="unknown provider 'tpu': choose one of cpu, cuda, auto"):
        runtime.load(tiny_bundle, provider="tpu")
    with pytest.raises(ProviderError, match="unknown kind of product 'int8': choose auto, integer or float32"):
        runtime.load(tiny_bundle, products="int8")


def test_a_missing_provider_says_what_to_install(tiny_bundle):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(ProviderError, match=r"'cuda' is not available here: pip install 'lmconv\[gpu\]'"):
        runtime.load(tiny_bundle, provider="cuda")


def test_auto_falls_back_to_the_cpu(tiny_bundle, monkeypatch):
    """Where cuda is not there, does not start, or gives other integers."""
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        assert runtime.load(tiny_bundle, provider="auto").network.provider == "cpu"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(network.PROVIDERS.values()))
    session = onnxruntime.InferenceSession

    def fallen_back(graph, options, providers):
        return session(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    found = runtime.load(tiny_bundle, provider="auto").network
    assert (found.provider, found.products) == ("cpu", "integer")
    monkeypatch.setattr(network, "PROVIDERS", dict.fromkeys(network.PROVIDERS, "CPUExecutionProvider"))
    found = runtime.load(tiny_bundle, provider="auto").network  # a "cuda" that starts and is exact
    assert (found.provider, found.products) == ("cuda", "float32")
    tried = []
    monkeypatch.setattr(
        network.Network,
        "_try",
        lambda self, feed: (
            tried.append(self.provider)
            or (None if self.provider == "cuda" else session.run(self.session, ["parameters"], feed)[0])
        ),
    )
    assert runtime.load(tiny_bundle, provider="auto").network.provider == "cpu"
    assert tried == ["cuda", "cpu"]


def test_products_fall_back_where_a_session_cannot_be_made(tiny_bundle, monkeypatch):
    import onnxruntime

    session = onnxruntime.InferenceSession

    def without_integers(graph, *arguments, **options):
        if b"MatMulInteger" in graph:
            raise RuntimeError("no kernel for MatMulInteger")
        return session(graph, *arguments, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", without_integers)
    assert runtime.load(tiny_bundle).network.products == "float32"
    with pytest.raises(runtime.BundleError, match="no kernel for MatMulInteger"):
        runtime.load(tiny_bundle, products="integer")


def test_a_provider_that_does_not_start_is_refused(tiny_bundle, monkeypatch):
    """onnxruntime falls back to the CPU in silence where CUDA's libraries are missing."""
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    session = onnxruntime.InferenceSession

    def fallen_back(graph, options, providers):
        return session(graph, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    with pytest.raises(ProviderError, match="could not be started: CUDA's libraries are missing or too old"):
        runtime.load(tiny_bundle, provider="cuda")


def test_cuda_runs_float32_products_without_tf32():
    assert network._pairs("cuda", "auto") == [("cuda", "float32")]
    assert network._pairs("auto", "integer") == [("cuda", "integer"), ("cpu", "integer")]
    assert network._PROVIDER_OPTIONS["cuda"]["use_tf32"] == "0"


def test_without_onnxruntime_one_line_says_what_to_install(tiny_bundle):
    code = f"""if True:
        import sys
        sys.modules["onnxruntime"] = None
        import runtime
        try:
            runtime.load({str(tiny_bundle)!r})
        except runtime.ProviderError as error:
            print(error)
        """
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "onnxruntime is not installed: pip install 'lmconv[cpu]' (or 'lmconv[gpu]')\n"


def test_steps_of_two_passes_do_not_mix(tiny_model):
    """Two walks through one network, taken in turn, as tiles on two threads are."""
    pictures = [photograph(6, 8), noise(6, 8)]
    plan = tiny_model.schedule(6, 8)
    tiles = [tiny_model.tile(6, 8) for _ in pictures]
    walks = [tiny_model.network.start(plan) for _ in pictures]
    found = np.empty((2, 48, 30), np.int32)
    for level in range(plan.steps):
        at = plan.positions[plan.starts[level] : plan.starts[level + 1]]
        for i in range(2):
            prepare(level, tiles[i])
            found[i, at] = walks[i].step(level, tiles[i].inputs[: len(at)])
            take_over(level, pictures[i], tiles[i])
    expected = tiny_model.parameters(np.stack(pictures))
    np.testing.assert_array_equal(found.transpose(0, 2, 1).reshape(2, 30, 6, 8), expected)
