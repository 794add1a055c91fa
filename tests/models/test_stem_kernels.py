"""The stem's kernels become machine code for GPUs, also on a machine without one."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compiled_names, print_compiled

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
    print_compiled(stem_kernels, CONSTANTS, types, MAPS)


if __name__ == "__main__":
    main()
