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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402
from safetensors.numpy import load as load_tensors  # noqa: E402
from safetensors.numpy import save as save_tensors  # noqa: E402
from tqdm import tqdm  # noqa: E402

import runtime  # noqa: E402
from codec.entropy.range_coder import Encoder  # noqa: E402
from codec.format.method import Learning, Method  # noqa: E402
from codec.modelling import experts as learning  # noqa: E402
from codec.modelling.experts import FINAL_SHIFT, FULL, RECIPES, WEIGHT_SHIFT, Experts, Recipe  # noqa: E402
from codec.modelling.selectors import parts_of, vectors  # noqa: E402
from codec.tile_coders import How
from codec.tile_coders.photo import PhotoCoder  # noqa: E402
from lmconv.data.crops import crops  # noqa: E402
from runtime import bundle  # noqa: E402
from runtime.least_squares import Canvas, canvas  # noqa: E402

_DOUBT = 300  # visits at which a vector is believed as much as the mean of its kind


def learn(model: runtime.Model, pictures: np.ndarray, recipe: Recipe) -> dict[str, np.ndarray]:
    """The tensors that `experts.start` reads, learned from pictures, uint8 [N, 3, H, W]."""
    tables = recipe is FULL  # which the encoder seldom adds to less
    weights, final = learning.start({}, recipe)
    carried = learning.experts(canvas(1, 1), {}, recipe, tables).mixer

    def started(empty: Canvas, method: Method, made: np.ndarray) -> Experts:
        return learning.experts(empty, {}, recipe, tables)._replace(mixer=carried)

    coder, method = PhotoCoder(model, started), Method(learning=Learning[recipe.name.upper()], tables=tables)
    for last in (False, True):
        total, used, finals = np.zeros(carried.weights.shape), np.zeros(len(weights)), np.zeros(final.shape)
        title = f"{recipe.name} learning, {'second' if last else 'first'} time"
        for picture in tqdm(pictures, title, disable=None):  # None: on a terminal
            before = carried.visits.copy()
            coder.code(Encoder(), picture.copy(), method, How(1, lambda pixels: None))
            visits = carried.visits - before
            total += carried.weights * visits[:, None].astype(np.float64)
            used += visits
            finals += carried.final
    mean = kinds_mean(total, used, recipe.sets)
    learned = ((total + _DOUBT * mean) / (used + _DOUBT)[:, None])[:, : recipe.inputs]
    return {
        recipe.weights: _rounded(learned / (1 << WEIGHT_SHIFT), np.int8),
        recipe.final: _rounded(finals / len(pictures) / (1 << FINAL_SHIFT), np.int16),
    }


def _rounded(array: np.ndarray, kind: type) -> np.ndarray:
    limit = np.iinfo(kind).max
    return np.clip(np.rint(array), -limit, limit).astype(kind)


def kinds_mean(total: np.ndarray, visits: np.ndarray, sets: tuple[str, ...]) -> np.ndarray:
    """For every weight vector the mean over those of its set, plane and part of a decision.

    total: float64 [vectors, N], vectors times visits [vectors]. What was never visited gets the mean of all.
    """
    mean, first = np.empty_like(total), 0
    for count, parts in zip(vectors(sets), parts_of(sets), strict=True):
        rows = slice(first, first + count)
        first += count
        sums, counts = total[rows].reshape(3, -1, parts, total.shape[1]), visits[rows].reshape(3, -1, parts, 1)
        overall = total[rows].sum(0) / max(counts.sum(), 1)
        of_kind = (sums.sum(1, keepdims=True) + overall) / (counts.sum(1, keepdims=True) + 1)
        mean[rows] = np.broadcast_to(of_kind, sums.shape).reshape(count, -1)
    return mean


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
    learned = {name: array for recipe in RECIPES for name, array in learn(model, pictures, recipe).items()}
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
