"""The kernels of pooling become machine code for GPUs, also on a machine without one; their values: test_fusedpool."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compiled_names, print_compiled

CONSTANTS = {name: {"FRAMES": 32, "CHANNELS": 128} for name in ("pool_forward", "pool_backward")}


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [*CONSTANTS] * len(VARIANTS)


def main() -> None:
    from sertk.models import pool_kernels

    types = dict.fromkeys(("channels", "bins", "frames"), "i32") | dict.fromkeys(("factor", "epsilon", "least"), "fp32")
    print_compiled(pool_kernels, CONSTANTS, types, {"x", "grad_x"})


if __name__ == "__main__":
    main()
