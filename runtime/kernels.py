"""Compiled kernels: one decorator for all of them, and where their machine code is kept.

numba notices a change of the file a kernel stands in, but not of what it calls from other files. So the cache folder is
named by the contents of all sources that kernels are made of, the tables that numba writes into machine code among
them: another version of the program never runs stale code.
No fast-math, so floating point means what is written; division follows IEEE instead of raising; the GIL is dropped.
"""

import hashlib
import os
from pathlib import Path

import numba
from numba import njit

_ROOMS = ("runtime", "codec")
_SOURCES = ("*.py", "*.npz")


def _folder() -> Path:
    """A folder below the user's cache for exactly these sources; NUMBA_CACHE_DIR, if set, replaces the user's cache."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for source in sorted(path for room in _ROOMS for kind in _SOURCES for path in (root / room).glob(kind)):
        digest.update(source.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lmconv" / f"kernels-{digest.hexdigest()[:16]}"


FOLDER = _folder()
numba.config.CACHE_DIR = str(FOLDER)

_OPTIONS = dict(nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)
kernel = njit(cache=True, **_OPTIONS)
inlined = njit(forceinline=True, no_cpython_wrapper=True, **_OPTIONS)


def compiled() -> bool:
    """Whether kernels have been compiled and kept before; if not, the first use takes some seconds."""
    return any(FOLDER.rglob("*.nbc"))
