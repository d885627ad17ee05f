"""onnxruntime, loaded without its telemetry, which writes a device's number and a database below the user's home."""

from __future__ import annotations

import os
from types import ModuleType


def onnxruntime() -> ModuleType:
    """The library. Whoever has loaded it before has decided on telemetry."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when the library is loaded
    import onnxruntime

    return onnxruntime
