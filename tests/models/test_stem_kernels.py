"""The stem's kernels become machine code for GPUs, also on a machine without one."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compile_kernel, compiled_names

MAPS = {"x", "stem", "grad", "other", "out"}
INTEGERS = {"rows", "channels", "plane", "frames", "tiles", "columns"}
TILE, LAYER = {"ROWS": 128, "CHANNELS": 32}, {"MASKED": True, "SLOPES": 1}
CONSTANTS = {
    "stem_statistics": TILE, "stem_forward": TILE | LAYER, "stem_gradients": TILE | LAYER | {"TWO": True},
}  # fmt: skip


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [*CONSTANTS] * len(VARIANTS)


def main() -> None:
    from sertk.models import stem_kernels

    types = {"mask": "*i1"} | dict.fromkeys(INTEGERS, "i32")
    for maps, capability, _ in VARIANTS:
        for name, constants in CONSTANTS.items():
            kernel = getattr(stem_kernels, name)
            assert compile_kernel(kernel, types | dict.fromkeys(MAPS, f"*{maps}"), constants, capability) > 1000
            print(name)


if __name__ == "__main__":
    main()
