"""The probe of compiled arithmetic: its numbers are those of plain Python, and other arithmetic is found."""

import platform
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from llvmlite.binding import get_host_cpu_features

import runtime
from runtime import arithmetic

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def unchecked(monkeypatch):
    """As in a new process."""
    arithmetic.check_arithmetic.cache_clear()
    yield monkeypatch
    arithmetic.check_arithmetic.cache_clear()


def test_the_numbers_are_those_of_python():
    """Whose floats are IEEE doubles, each operation rounded by itself, and whose integers have no end."""
    assert arithmetic.computed(arithmetic.compute.py_func) == (arithmetic.FLOATS, arithmetic.INTEGERS)


def test_this_machine_computes_them(unchecked):
    arithmetic.check_arithmetic()


@pytest.mark.parametrize("fast", [{"contract"}, {"reassoc", "nsz"}], ids=["fused", "reordered"])
def test_other_arithmetic_is_found(unchecked, tiny_bundle, fast):
    if "contract" in fast and get_host_cpu_features().get("fma") is False:
        pytest.skip("this processor cannot fuse")
    compute, computed = numba.njit(fastmath=fast)(arithmetic.compute.py_func), arithmetic.computed
    unchecked.setattr(arithmetic, "computed", lambda: computed(compute))
    for _ in range(2):
        with pytest.raises(runtime.BundleError, match="no model runs exactly"):
            runtime.load(tiny_bundle)


ROUNDING = """
import ctypes
import ctypes.util

import runtime
from runtime import arithmetic

arithmetic.computed()                                       # compiled under the usual rounding
assert ctypes.CDLL(ctypes.util.find_library("m")).fesetround(0x800) == 0        # upwards
try:
    arithmetic.check_arithmetic()
except runtime.BundleError:
    print("told")
"""


@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the mode has another number")
def test_a_program_that_rounds_upwards_is_told():
    done = subprocess.run([sys.executable, "-c", ROUNDING], cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.stdout == "told\n", done.stderr
