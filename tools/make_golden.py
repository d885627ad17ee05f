"""Writes tests/golden anew: small files of every kind, and the sums of what the shipped models make of a corner.

    python tools/make_golden.py

For when the draft of the format changes, or a shipped model: tests/codec/test_golden.py says so then.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import runtime  # noqa: E402
from codec import models  # noqa: E402
from codec.codec import compress  # noqa: E402
from tests.codec.golden import CASES, FOLDER, SHIPPED, case_file, case_image, corner  # noqa: E402


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    model = runtime.load(models.resolve("photo-small"), threads=1)
    for name in CASES:
        case_file(name).write_bytes(compress(case_image(name), model, effort=CASES[name].effort).data)
    sums = {}
    for effort in models.EFFORTS:
        shipped = runtime.load(models.resolve(models.DEFAULTS[effort]), threads=1)
        data = compress(corner(), shipped, effort=effort).data
        sums[effort] = {"model_id": shipped.manifest.model_id, "sha256": hashlib.sha256(data).hexdigest()}
    SHIPPED.write_text(json.dumps(sums, indent=1) + "\n")


if __name__ == "__main__":
    main()
