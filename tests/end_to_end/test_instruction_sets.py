"""The same bytes whatever the kernels are compiled for: what every processor of a kind has, and what newer ones add."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from codec.entropy.range_coder import Decoder, Encoder
from codec.format.method import Learning, Method
from codec.jpeg.keep import keep
from codec.tile_coders import How, tile_coder
from tests.codec.golden import case_data
from tests.pictures import photograph

ROOT = Path(__file__).resolve().parents[2]
SETS = {"x86-64": (), "haswell": ("avx2", "fma"), "skylake-avx512": ("avx512f", "avx512vl")}  # and what they need
REGISTERS = {"x86-64": "xmm", "haswell": "ymm", "skylake-avx512": "zmm"}  # the widest that each has
CODE = """
import sys
import runtime
from codec.tile_coders import photo
from tests.end_to_end.test_instruction_sets import coded

print(coded(runtime.load(sys.argv[1], threads=1)))
code = "".join(text for kernel in (photo.code_level, photo.refit) for text in kernel.inspect_asm().values())
print(max((name for name in ("xmm", "ymm", "zmm") if f"%{name}" in code), default="none"))
"""


def coded(model) -> str:
    """The SHA-256 of what quick and full learning make of a picture, once it has been decoded, of a kept JPEG, and of a
    picture that was one."""
    coder, planes, digest = tile_coder(model), photograph(20, 29), hashlib.sha256()
    for method in (Method(), Method(learning=Learning.FULL, tables=True)):
        encoder, found = Encoder(), np.zeros_like(planes)
        coder.code(encoder, planes.copy(), method, How(1, lambda pixels: None))
        payload = encoder.finish()
        coder.code(Decoder(payload), found, method, How(1, lambda pixels: None))
        np.testing.assert_array_equal(found, planes)
        digest.update(payload)
    digest.update(keep((ROOT / "tests" / "golden" / "kept.jpg").read_bytes()).kept.payload)
    digest.update(case_data("made", model))
    return digest.hexdigest()


def lesser_sets() -> list[str]:
    """Those that this processor has, but for its best: that is what kernels are compiled for as a rule."""
    features = llvm.get_host_cpu_features()
    return [name for name, needed in SETS.items() if all(features.get(feature) for feature in needed)][:-1]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="sets of other processors are not known")
@pytest.mark.parametrize("name", SETS)
def test_the_same_bytes(tiny_bundle, tiny_model, tmp_path, name):
    if name not in lesser_sets():
        pytest.skip("this processor has no such instructions, or none beyond them")
    own = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": "", "LMCONV_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", CODE, str(tiny_bundle)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | own, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [coded(tiny_model), REGISTERS[name]]
