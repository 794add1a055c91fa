"""The thin convolution's kernel becomes machine code for GPUs, also on a machine without one."""

from pathlib import Path

import pytest
from machinecode import compile_kernel, compiled_names

# Compute capabilities with bf16.
CAPABILITIES = (80, 90)


@pytest.mark.slow
def test_the_kernel_compiles_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [f"{capability}" for capability in CAPABILITIES for _ in range(2)]


def main() -> None:
    from sertk.models.convolution import COLUMNS, STAGES
    from sertk.models.convolution_kernels import thin_convolution

    types = dict.fromkeys(("x", "weight", "out"), "*bf16") | dict.fromkeys(
        ("columns", "bins", "frames", "steps"), "i32"
    )
    for capability in CAPABILITIES:
        for forward in (True, False):
            constants = {"TURNED": not forward, "SUMS": forward, "COLUMNS": COLUMNS, "STAGES": STAGES}
            assert compile_kernel(thin_convolution, types, constants, capability) > 1000
            print(capability)


if __name__ == "__main__":
    main()
