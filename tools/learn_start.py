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
from codec.format.method import Method  # noqa: E402
from codec.modelling import experts as learning  # noqa: E402
from codec.modelling.experts import EXPERTS, FINAL, SCALES, START_SHIFT, WEIGHTS, Experts  # noqa: E402
from codec.tile_coders.photo import PhotoCoder  # noqa: E402
from lmconv.data.crops import crops  # noqa: E402
from runtime import bundle  # noqa: E402

_DOUBT = 300  # visits at which a vector is believed as much as the mean of its kind


def learn(model: runtime.Model, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """The tensors that `experts.start` and `first_scales` read, learned from pictures, uint8 [N, 3, H, W]."""
    weights, final = learning.start({})
    first, visits = learning.first_scales({}), np.zeros(len(weights), np.int32)
    errors, made = first * 0, []

    def carried(canvas) -> Experts:
        new = learning.experts(canvas, {})
        made.append(new._replace(mixer=new.mixer._replace(weights=weights, final=final, visits=visits)))
        return made[-1]

    coder = PhotoCoder(model, carried)
    for last in (False, True):
        total, used, finals = np.zeros(weights.shape), np.zeros(len(weights)), np.zeros(final.shape)
        for picture in tqdm(pictures, f"{'second' if last else 'first'} time", disable=None):  # None: on a terminal
            before = visits.copy()
            coder.code(Encoder(), picture.copy(), Method(), 1, lambda pixels: None)
            errors += made.pop().scales - first
            total += weights * (visits - before)[:, None]
            used += visits - before
            finals += final
    mean = learning.kinds_mean(total, used)
    weights, unit = (total + _DOUBT * mean) / (used + _DOUBT)[:, None], 1 << START_SHIFT
    learned = {WEIGHTS: weights[:, : EXPERTS + 1] / unit, FINAL: finals / len(pictures) / unit}
    rounded = {name: np.clip(np.rint(array), -32767, 32767).astype(np.int16) for name, array in learned.items()}
    return rounded | {SCALES: _means(errors)}


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
    learned = learn(model, pictures)
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
