"""Baked networks as files of ONNX, TorchScript and torch.export, with what describes them inside, and run from these.

Files name nothing of the machine they were made on: no paths, no stack traces.
"""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor

from export.errors import ExportError
from export.exact.graph import OPSET
from export.floats.baked import Baked
from runtime import library

METADATA = "lmconv.json"  # the extra file of TorchScript's and torch.export's archives
OUTPUT = "parameters"

Arrays = tuple[Tensor, ...]
Run = Callable[[Arrays], np.ndarray]


@dataclass(frozen=True)
class Format:
    """write: a network, inputs like those to come and metadata -> a file's bytes; open: these -> what runs them."""

    write: Callable[[Baked, Arrays, dict[str, str]], bytes]
    open: Callable[[bytes], Run]


def to_onnx(baked: Baked, example: Arrays, about: dict[str, str]) -> bytes:
    """Inputs are named as the network's are, the output `parameters`; the batch is dynamic, weights are inside."""
    try:
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(f"ONNX is written with onnxscript ({error}): pip install 'lmconv[export]'") from error
    with _quiet():
        program = torch.onnx.export(
            _captured(baked, example), dynamo=True, opset_version=OPSET, output_names=[OUTPUT], verbose=False
        )
    assert program is not None  # as it is not written to a file
    model = program.model_proto
    _forget(model)
    model.producer_name, model.producer_version = "lmconv", ""
    onnx.helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def run_onnx(data: bytes) -> Run:
    """Through onnxruntime, on the CPU."""
    try:
        ort = library.onnxruntime()
    except ImportError as error:
        raise ExportError(f"a file is tried with onnxruntime ({error}): pip install 'lmconv[cpu]'") from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return lambda inputs: session.run([OUTPUT], dict(zip(names, (x.numpy() for x in inputs))))[0]


def to_torchscript(baked: Baked, example: Arrays, about: dict[str, str]) -> bytes:
    with _quiet():
        traced = torch.jit.trace(baked, example, check_trace=False)
        file = io.BytesIO()
        torch.jit.save(traced, file, _extra_files={METADATA: json.dumps(about)})
    return _without_sources(file.getvalue())


def run_torchscript(data: bytes) -> Run:
    with _quiet():
        module = torch.jit.load(io.BytesIO(data))
    return lambda inputs: module(*inputs).numpy()


def to_pt2(baked: Baked, example: Arrays, about: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with _quiet():
        torch.export.save(_captured(baked, example), file, extra_files={METADATA: json.dumps(about)})
    return file.getvalue()


def run_pt2(data: bytes) -> Run:
    with _quiet():
        module = torch.export.load(io.BytesIO(data)).module()
    return lambda inputs: module(*inputs).numpy()


FORMATS = {
    "onnx": Format(to_onnx, run_onnx),
    "torchscript": Format(to_torchscript, run_torchscript),
    "pt2": Format(to_pt2, run_pt2),
}


def _captured(baked: Baked, example: Arrays) -> torch.export.ExportedProgram:
    """The network as torch.export has it, for any number of images; nothing in it says where its code lies."""
    batch = torch.export.Dim("batch")
    program = torch.export.export(baked, example, dynamic_shapes=tuple({0: batch} for _ in example))
    for node in program.graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(key, None)
    return program


def _forget(model: onnx.ModelProto) -> None:
    """Removes what the exporter tells of itself and of the code that it read; gives the batch its name."""
    graph = model.graph
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def _without_sources(archive: bytes) -> bytes:
    """A TorchScript archive without the files that say which line of which file made what."""
    reader, file = torch._C.PyTorchFileReader(io.BytesIO(archive)), io.BytesIO()
    writer = torch._C.PyTorchFileWriter(file)
    for name in reader.get_all_records():
        if not name.endswith(".debug_pkl"):
            record = reader.get_record(name)
            writer.write_record(name, record, len(record))
    writer.write_end_of_file()
    return file.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remarks about its formats' future and about packages that are not needed."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
