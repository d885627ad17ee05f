"""Learns the weights that mixing starts with from pictures, and writes the bundle again with them in it.

    python tools/learn_start.py IN.lmconv PICTURES -o OUT.lmconv [--count 32] [--crop 192]

Goes through the last COUNT crops of PICTURES twice, weights carried from crop to crop; the second time the weights
that the crops end with are averaged, by how often each was used. A vector that was rarely used is drawn towards the
mean of its kind. The tensors belong to the model's identity.
"""

import argparse
import hashlib
import sys
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from safetensors.numpy import load as load_tensors  # noqa: E402
from safetensors.numpy import save as save_tensors  # noqa: E402
from tqdm import tqdm  # noqa: E402

import runtime  # noqa: E402
from codec import mixing  # noqa: E402
from codec.codec import code_tile, distribution  # noqa: E402
from codec.coder import Encoder  # noqa: E402
from codec.method import Learning, Method  # noqa: E402
from lmconv.data import crops  # noqa: E402
from runtime import bundle  # noqa: E402

_DOUBT = 300  # visits at which a vector is believed as much as the mean of its kind


def learn(model: runtime.Model, pictures: np.ndarray, learning: Learning) -> dict[str, np.ndarray]:
    """The tensors of `mixing.start` learned from pictures, uint8 [N, 3, H, W]."""
    experts = mixing.FULL if learning == Learning.FULL else mixing.LIGHT
    weights, final = mixing.start(experts, {})
    errors = mixing.first_scales({}) * 0
    for last in (False, True):
        total, visits, finals = np.zeros(weights[:, :-1].shape), np.zeros(len(weights)), np.zeros(final.shape)
        which = f"{learning.name.lower()}, {'second' if last else 'first'} time"
        for picture in tqdm(pictures, which, disable=None):         # None: only on a terminal
            before = weights[:, -1].copy()
            mixtures = []
            code_tile(model, Encoder(), picture, Method(learning), start=partial(_carried, weights, final, mixtures))
            if mixtures[0].scales is not None:
                errors += mixtures[0].scales - mixing.first_scales({})
            used = weights[:, -1] - before
            total += weights[:, :-1] * used[:, None]
            visits += used
            finals += final
    mean = mixing.kinds_mean(total, visits)
    learned = {mixing.SCALES: _means(errors)} if learning == Learning.FULL else {}
    weights = (total + _DOUBT * mean) / (visits + _DOUBT)[:, None]
    return learned | mixing.as_start(weights, finals / len(pictures), experts)


def _carried(weights: np.ndarray, final: np.ndarray, made: list, *arguments) -> mixing.Mixing:
    """A tile's mixing that starts with these weights, and changes them."""
    mixture = distribution(*arguments)
    mixture.weights, mixture.final = weights, final
    made.append(mixture)
    return mixture


def _means(errors: np.ndarray) -> np.ndarray:
    """Mean errors int16 from sums and counts [..., 2]; 0 where fewer than 30 were seen."""
    total, seen = errors[..., 0], errors[..., 1]
    return np.where(seen < 30, 0, np.rint(total / np.maximum(seen, 1))).clip(0, 32767).astype(np.int16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("pictures", type=Path, help="a folder or a zip, best of what the network was not trained on")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--crop", type=int, default=192)
    arguments = parser.parse_args()
    model = runtime.load(arguments.bundle, threads=1)
    model = replace(model, tables={k: v for k, v in model.tables.items() if not k.startswith("mixing.")})
    pictures = crops(arguments.pictures, arguments.crop)[-arguments.count :]
    learned = {}
    for learning in (Learning.LIGHT, Learning.FULL):
        learned |= learn(model, pictures, learning)
    with zipfile.ZipFile(arguments.bundle) as archive:
        members = {name: archive.read(name) for name in bundle.LIMITS if name != "manifest.json"}
    tables = {k: v for k, v in load_tensors(members["tables.safetensors"]).items() if not k.startswith("mixing.")}
    members["tables.safetensors"] = save_tensors(tables | learned)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in members.items()}
    manifest = replace(runtime.read_manifest(arguments.bundle), members=digests)
    identity = bundle.identity(manifest, members["weights.safetensors"], members["tables.safetensors"])
    bundle.write(arguments.output, replace(manifest, model_id=identity), members)
    print(f"{arguments.output}: model id {identity}")


if __name__ == "__main__":
    main()
