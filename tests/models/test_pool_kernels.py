"""The kernels of pooling become machine code for GPUs, also on a machine without one; their values: test_fusedpool."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compile_kernel, compiled_names

NAMES = ("pool_forward", "pool_backward")


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [*NAMES] * len(VARIANTS)


def main() -> None:
    from sertk.models import pool_kernels

    types = dict.fromkeys(("channels", "bins", "frames"), "i32") | dict.fromkeys(("factor", "epsilon", "least"), "fp32")
    for maps, capability, one_channel in VARIANTS:
        for name in NAMES:
            constants = {"FRAMES": 32, "CHANNELS": 128} | ({"channels": 1} if one_channel else {})
            of_maps = {"x": f"*{maps}", "grad_x": f"*{maps}"}
            assert compile_kernel(getattr(pool_kernels, name), types | of_maps, constants, capability) > 1000
            print(name)


if __name__ == "__main__":
    main()
