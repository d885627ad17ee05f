"""A tiny model for every room's tests: a network of random weights, exported once per session.

What needs PyTorch is imported in the fixtures, so that the codec's own tests start without it. Matrices are so small
that threads of BLAS and OpenMP only wait for each other, minutes in all on two busy cores: here and in all processes
that tests start there is one.
"""

import os

os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
os.environ["LMCONV_MODELS"] = os.path.join(os.path.dirname(__file__), "none")  # whatever a user has installed
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before any test imports onnxruntime

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.pictures import photographs

CALIBRATION = (8, 36, 44)  # pictures, height, width

settings.register_profile("any machine", deadline=None)  # a busy one takes long for what is no fault
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def tiny_pictures() -> np.ndarray:
    """What the tiny model is calibrated and measured with, uint8 [8, 3, 36, 44]."""
    return photographs(*CALIBRATION)


@pytest.fixture(scope="session")
def tiny_checkpoint():
    """8 channels, 2 blocks, 3 components, random weights: its parameters vary from pixel to pixel."""
    import torch

    from lmconv.checkpoints.checkpoint import Checkpoint
    from lmconv.config import PhotoConfig
    from lmconv.networks.photo import PhotoNet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = PhotoNet(PhotoConfig(channels=8, blocks=2, components=3))
        torch.nn.init.normal_(net.out.weight, std=0.4)  # PhotoNet starts with zeros there
    weights = net.state_dict()
    return Checkpoint(net.config, weights, weights, {}, {"made": "by tests/conftest.py"})


@pytest.fixture(scope="session")
def tiny_integers(tiny_checkpoint, tiny_pictures):
    """The tiny network's integers, quantised as the export does."""
    import torch

    from export.photo.quantise import quantise
    from runtime.least_squares import predict_picture

    half = tiny_pictures[: len(tiny_pictures) // 2]
    bases = np.stack([predict_picture(picture) for picture in half])
    return quantise(tiny_checkpoint.net(), torch.from_numpy(half), torch.from_numpy(bases))


@pytest.fixture(scope="session")
def tiny_export(tiny_checkpoint, tiny_pictures, tmp_path_factory):
    """(path of the bundle, report of its export)."""
    from export.bundle import export_bundle

    path = tmp_path_factory.mktemp("tiny") / "tiny.lmconv"
    return path, export_bundle(tiny_checkpoint, path, "tiny", tiny_pictures, {"data": "made up"})


@pytest.fixture(scope="session")
def tiny_bundle(tiny_export) -> Path:
    """The exported bundle's path: read it, do not write to it."""
    return tiny_export[0]


@pytest.fixture(scope="session")
def tiny_model(tiny_bundle):
    """The bundle, loaded for one thread."""
    import runtime

    return runtime.load(tiny_bundle, threads=1)


@pytest.fixture(scope="session")
def square_bundles(tmp_path_factory) -> dict[str, Path]:
    """The paper's network with random weights for tiles of 8 x 8 in three orders: bundles by kind of picture."""
    from export.bundle import export_bundle
    from tests.export.pixelcnn import squares

    folder = tmp_path_factory.mktemp("squares")
    paths = {kind: folder / f"{kind}.lmconv" for kind in squares.KINDS}
    for kind, path in paths.items():
        export_bundle(squares.checkpoint(kind), path, kind, squares.levels(kind, 8), orders=squares.ORDERS)
    return paths


@pytest.fixture(scope="session")
def square_models(square_bundles):
    """These bundles, loaded for one thread."""
    import runtime

    return {kind: runtime.load(path, threads=1) for kind, path in square_bundles.items()}
