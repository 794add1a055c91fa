"""The kernels of the fused form become machine code for GPUs, also on a machine without one."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
MAPS = {"x", "stem", "shortcut", "grad", "other", "out", "grad_z", "grad_x"}
INTEGERS = {"rows", "channels", "plane", "frames", "tiles", "spans", "span_rows", "groups", "bins"}
TILE, SUMS = {"ROWS": 64, "CHANNELS": 32}, {"SPANS": 512, "CHANNELS": 8}
LAYER = {"MASKED": True, "SLOPES": 1}
OF_MAPS, OF_STEM = {"STEM": False, "SHORTCUT": True}, {"STEM": True, "SHORTCUT": False}
CONSTANTS = {
    "partial_statistics": TILE | {"STEM": False, "UNROLL": 4}, "whole_statistics": SUMS,
    "norm_act_forward": TILE | LAYER | OF_MAPS, "partial_gradients": TILE | LAYER | OF_MAPS | {"TWO": True},
    "whole_gradients": SUMS | {"SLOPES": 1}, "norm_act_backward": TILE | LAYER | {"SHORTCUT": True, "TWO": False},
    "partial_statistics of the stem": TILE | {"STEM": True, "UNROLL": 4}, "norm_act_forward of the stem": TILE | LAYER | OF_STEM,
    "partial_gradients of the stem": TILE | LAYER | OF_STEM | {"TWO": True}, "stem_backward": TILE | LAYER | {"TWO": True},
    "pool_forward": {"FRAMES": 32, "CHANNELS": 128}, "pool_backward": {"FRAMES": 32, "CHANNELS": 128},
}  # fmt: skip


def compile_kernel(name: str, maps: str, capability: int, one_channel: bool) -> int:
    """Bytes of a kernel's code; Triton compiles a number of channels of 1 as a constant."""
    import triton
    from triton.backends.compiler import GPUTarget

    from sertk.models import normact_kernels, pool_kernels

    pool = name.startswith("pool")
    kernel = getattr(pool_kernels if pool else normact_kernels, name.split()[0])
    types = {"mask": "*i1", "count": "*i64"} | dict.fromkeys(("eps", "momentum", "factor", "epsilon", "least"), "fp32")
    types |= dict.fromkeys(MAPS, f"*{maps}") | dict.fromkeys(INTEGERS, "i32")
    constants = CONSTANTS[name] | ({"channels": 1} if one_channel else {})
    types |= {"out": "*fp32", "grad": "*fp32"} if pool else {}
    signature = {arg: "constexpr" if arg in constants else types.get(arg, "*fp32") for arg in kernel.arg_names}
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=constants)
    return len(triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"])


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    """In a process of its own, since kernels that were imported for the interpreter cannot be compiled."""
    pytest.importorskip("triton", reason="this torch came without Triton")
    done = shell(
        f"PYTHONPATH={HERE.parents[2]} {sys.executable} {HERE}", TRITON_INTERPRET="0", TRITON_CACHE_DIR="cache"
    )
    assert done.text.splitlines() == [*CONSTANTS] * 4


if __name__ == "__main__":
    for variant in (("bf16", 90, False), ("fp32", 90, False), ("bf16", 80, False), ("fp32", 80, True)):
        for kernel in CONSTANTS:
            assert compile_kernel(kernel, *variant) > 1000
            print(kernel)
