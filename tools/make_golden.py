"""Writes what is missing of tests/golden: small files of every kind, and sums of a corner by the shipped models.

    python tools/make_golden.py            # after a new method or kind, or a change of a shipped model
    python tools/make_golden.py --model    # the tiny model first, and all files anew: after a change of integer rules

Files that are there stay as they are: those of a frozen version decode for ever, and the same pictures give them again.
It says which would be others. --model needs the extra export, and another machine may give another model: so it is kept
with the files.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np  # noqa: E402

import runtime  # noqa: E402
from codec import models  # noqa: E402
from codec.format import container  # noqa: E402
from codec.format.container import Contents  # noqa: E402
from codec.jpeg.keep import keep  # noqa: E402
from tests.codec.golden import CASES, FOLDER, SHIPPED, TINY, case_data, case_file, shipped_hash  # noqa: E402
from tests.pictures import photograph  # noqa: E402


def export_tiny() -> None:
    """A seeded network of random weights, calibrated on made-up pictures."""
    import torch

    from export.bundle import export_bundle
    from lmconv.checkpoints.checkpoint import Checkpoint
    from lmconv.config import PhotoConfig
    from lmconv.networks.photo import PhotoNet

    torch.manual_seed(0)
    net = PhotoNet(PhotoConfig(channels=4, blocks=1, components=2))
    torch.nn.init.normal_(net.out.weight, std=0.4)  # PhotoNet starts with zeros there
    weights = net.state_dict()
    known = np.stack([photograph(32, 40, seed) for seed in range(8)])
    made = Checkpoint(net.config, weights, weights, {}, {"made": "by tools/make_golden.py"})
    export_bundle(made, TINY, "tiny", known, {"data": "made up"})


def shipped() -> dict[str, dict[str, str]]:
    """What SHIPPED holds."""
    table: dict[str, dict[str, str]] = {}
    for effort, name in models.DEFAULTS.items():
        model = runtime.load(models.resolve(name), threads=1)
        row = table.setdefault(model.manifest.model_id, {"name": name})
        row[effort] = shipped_hash(model, effort)
    return table


def write(path: Path, data: bytes, overwrite: bool) -> None:
    there = path.exists()
    same = there and path.read_bytes() == data
    if overwrite or not there:
        path.write_bytes(data)
    print(f"{path.name}: {len(data)} bytes, {'as before' if same else 'OTHER BYTES' if there else 'new'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="store_true", help="export the tiny model anew")
    anew = parser.parse_args().model
    if anew:
        export_tiny()
    tiny = runtime.load(TINY, threads=1)
    for name in CASES:
        write(case_file(name), case_data(name, tiny), anew)
    write(FOLDER / "kept.lmc", container.pack(Contents(keep((FOLDER / "kept.jpg").read_bytes()).kept)), anew)
    write(SHIPPED, (json.dumps(shipped(), indent=1) + "\n").encode(), True)


if __name__ == "__main__":
    main()
