"""Compiled kernels: a decorator for what Python calls, one for their parts, and where their machine code is kept.

numba's own cache notices a change of the file a kernel stands in, but not of what it calls from other files. So kernels
have a folder named by the contents of all sources that they are made of, the tables that numba writes into machine
code among them: another version of the program never runs stale code. In it is one file for each kernel, signature,
processor and version of the compiler, written whole: processes that start at once do not meet, and what cannot be read
is compiled again. numba's settings are left alone.
No fast-math, so floating point means what is written; division follows IEEE instead of raising; the GIL is dropped.
"""

import hashlib
import os
import pickle
import re
import secrets
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.caching import NullCache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.core.untyped_passes import IRProcessing
from numba.extending import intrinsic

_ROOMS = ("runtime", "codec")
_SOURCES = ("*.py", "*.npz")
_WITHOUT = ("commands",)  # folders that have no kernels
_KEPT = 8  # folders: of as many versions of the sources, those used last
_CHECKSUM = hashlib.sha256().digest_size  # bytes before the machine code


def _folder() -> Path | None:
    """The folder for exactly these sources; None where no base is named and the user has no home.

    LMCONV_CACHE names its parent; else it is in `lmconv` below NUMBA_CACHE_DIR, XDG_CACHE_HOME or the user's cache.
    """
    named = os.environ.get("LMCONV_CACHE")
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if not named and base.startswith("~"):
        return None
    return Path(named or Path(base, "lmconv"), _name())


def _name() -> str:
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for source in sorted(path for room in _ROOMS for kind in _SOURCES for path in (root / room).rglob(kind)):
        if not set(source.relative_to(root).parts) & set(_WITHOUT):
            digest.update(source.read_bytes())
    return f"kernels-{digest.hexdigest()[:16]}"


FOLDER = _folder()

# No reference counts: kernels allocate nothing, and what they are given lives as long as the call.
_OPTIONS: dict[str, Any] = dict(nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)


def kernel(function: Callable) -> Callable:
    """Compiles a function for each signature at its first call, once for all processes."""
    compiled = numba.njit(**_OPTIONS)(function)
    if function.__module__.split(".")[0] in _ROOMS:  # the sources that name FOLDER
        compiled._cache = _Cache(function)
    return compiled


class _PartLibrary(JITCodeLibrary):
    """LLVM's code of a part: optimised as a whole and made into machine code only where it is written out."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._final_module.__library = weakref.proxy(self)  # as numba has it
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """None is there: 0."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """What numba tells of a function's environment, which belongs to its machine code."""
        return _NoEnvironment


class _NoEnvironment:
    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        pass


@register_pass(mutates_CFG=False, analysis_only=True)
class _UsePartLibrary(FunctionPass):
    _name = "use_part_library"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.library = _PartLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return True


class _PartCompiler(CompilerBase):
    """numba's, but for the library: a quarter of the seconds to compile kernels went into what nobody calls."""

    def define_pipelines(self) -> list:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.add_pass_after(_UsePartLibrary, IRProcessing)
        passes.finalize()
        return [passes]


# A part of kernels, written out in each of them. Python cannot call it.
inlined = numba.njit(  # type: ignore[call-overload]  # numba's types leave this option out
    forceinline=True, no_cpython_wrapper=True, pipeline_class=_PartCompiler, **_OPTIONS
)


@intrinsic
def prefetch(context, array, index):
    """In kernels: asks for the memory of array.flat[index], which is written to soon; any index will do."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, number(1), number(3), number(1)])  # to write, to all caches, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def compiled() -> bool:
    """Whether kernels have been compiled and kept before; if not, the first use takes some seconds."""
    ending = _ending()
    return any(_read(path) is not None for folder in _folders() for path in folder.glob(f"*{ending}"))


class _Cache(NullCache):
    """What numba asks for a function's machine code before it compiles, and gives it to afterwards."""

    def __init__(self, function: Callable) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")

    @property
    def cache_path(self) -> str:
        return str(FOLDER)

    def load_overload(self, signature: Any, target: Any) -> CompileResult | None:
        name = self._file(signature)
        for folder in _folders():
            code = _read(folder / name)
            if code is not None:
                _mark_used(folder)
                return _rebuilt(target, *pickle.loads(code))
        return None

    def save_overload(self, signature: Any, result: CompileResult) -> None:
        library = result.library  # type: ignore[attr-defined]  # a field, which numba's types leave out
        if library.has_dynamic_globals:  # addresses of this process
            return
        name, code = self._file(signature), dumps(_reduced(result))
        for folder in _folders(make=True):
            try:
                _write(folder / name, code)
                return
            except OSError as error:
                _complain(folder, error.strerror or str(error))

    def _file(self, signature: Any) -> str:
        return f"{self._name}-{hashlib.sha256(str(signature).encode()).hexdigest()[:16]}{_ending()}"


def _reduced(result: CompileResult) -> tuple[tuple, bytes]:
    """What is kept of a kernel: its machine code and, apart from it, LLVM's module, which takes long to load and which
    only another kernel needs that calls this one. numba asks a module for the names that can be called; it is given one
    that has nothing else. Without the environments of parts, which serve exceptions and objects that they have not."""
    (name, kind, (code, module)), *about, _ = result._reduce()
    symbol = result.fndesc.llvm_cpython_wrapper_name  # type: ignore[attr-defined]
    names = llvmlite.binding.parse_assembly(f'define void @"{symbol}"() {{ ret void }}').as_bitcode()
    return ((name, kind, (code, names)), *about, ()), module


def _rebuilt(target: Any, reduced: tuple, module: bytes) -> CompileResult:
    result = CompileResult._rebuild(target, *reduced)
    library = result.library
    library._get_module_for_linking = lambda: llvmlite.binding.parse_bitcode(module)
    return result


@cache
def _ending() -> str:
    """Of the names of files that this interpreter, these libraries and this processor can use."""
    versions = numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag, sys.abiflags
    checks = numba.config.BOUNDSCHECK  # type: ignore[attr-defined]  # numba reads it from the environment
    settings = cpu_target.target_context.codegen().magic_tuple(), checks
    return f"-{hashlib.sha256(repr((versions, settings)).encode()).hexdigest()[:16]}.kernel"


def _folders(make: bool = False) -> Iterator[Path]:
    """Where machine code may be: FOLDER, and the private one that stands in where that cannot be written."""
    if FOLDER is not None:
        yield FOLDER
    private = _private(make)
    if private is not None:
        yield private / (FOLDER.name if FOLDER else _name())


def _private(make: bool) -> Path | None:
    """A folder of this user among the temporary files; None where there is none or others could write to it."""
    with suppress(OSError, AttributeError):  # getuid is POSIX's
        user = os.getuid()
        folder = Path(tempfile.gettempdir(), f"lmconv-{user}")
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            return folder
    return None


@cache
def _complain(folder: Path, reason: str) -> None:
    """One line, once."""
    print(
        f"lmconv: compiled kernels cannot be kept in {folder.parent} ({reason}): name another folder by LMCONV_CACHE",
        file=sys.stderr,
    )


def _read(path: Path) -> bytes | None:
    """What was written; None for a file that is not there or not whole."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    checksum, code = data[:_CHECKSUM], data[_CHECKSUM:]
    return code if hashlib.sha256(code).digest() == checksum else None


def _write(path: Path, code: bytes) -> None:
    """Raises OSError. Not forced to the disk: the checksum finds what a crash leaves."""
    new = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{secrets.token_hex(8)}.part")
    try:
        part.write_bytes(hashlib.sha256(code).digest() + code)
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()
    if new:
        _prune(path.parent)


@cache
def _mark_used(folder: Path) -> None:
    with suppress(OSError):  # a folder that is only read stays as it is
        os.utime(folder)


def _prune(current: Path) -> None:
    """Removes the folders of other versions but for those used last; whoever still uses one compiles again."""

    def used(folder: Path) -> float:
        with suppress(OSError):
            return folder.stat().st_mtime
        return 0.0

    others = [path for path in current.parent.glob("kernels-*") if path != current and _is_ours(path)]
    for folder in sorted(others, key=used, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    return bool(re.fullmatch(r"kernels-[0-9a-f]{16}", path.name)) and path.is_dir() and not path.is_symlink()
