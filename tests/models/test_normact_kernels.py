"""The kernels of the fused form become machine code for GPUs, also on a machine without one."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compile_kernel, compiled_names

MAPS = {"x", "stem", "shortcut", "grad", "other", "out", "grad_shortcut", "grad_x"}
INTEGERS = {"rows", "channels", "plane", "frames", "tiles", "spans", "height", "columns"}
TILE, SUMS = {"ROWS": 64, "CHANNELS": 32}, {"SPANS": 512, "CHANNELS": 8}
LAYER = {"MASKED": True, "SLOPES": 1}
OF_MAPS, OF_STEM, NORMED = {"STEM": False, "SHORTCUT": 1}, {"STEM": True, "SHORTCUT": 0}, {"STEM": False, "SHORTCUT": 2}
CONSTANTS = {
    "partial_statistics": TILE | {"STEM": False, "STAGES": 3}, "whole_statistics": SUMS,
    "norm_act_forward": TILE | LAYER | OF_MAPS,
    "partial_gradients": TILE | LAYER | {"SHORTCUT": 1, "TWO": True, "STAGES": 3},
    "sum_of_spans": {"SPANS": 512, "COLUMNS": 8}, "norm_act_backward": TILE | LAYER | {"SHORTCUT": 1, "TWO": False},
    "norm_act_forward of two convolutions": TILE | LAYER | NORMED,
    "partial_gradients of two convolutions": TILE | LAYER | {"SHORTCUT": 2, "TWO": True, "STAGES": 3},
    "norm_act_backward of two convolutions": TILE | LAYER | {"SHORTCUT": 2, "TWO": True},
    "partial_statistics of the stem": TILE | {"STEM": True, "STAGES": 1}, "norm_act_forward of the stem": TILE | LAYER | OF_STEM,
    "stem_gradients": TILE | LAYER | {"TWO": True},
}  # fmt: skip


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [*CONSTANTS] * len(VARIANTS)


def main() -> None:
    from sertk.models import normact_kernels

    types = {"mask": "*i1", "count": "*i64", "eps": "fp32", "momentum": "fp32"} | dict.fromkeys(INTEGERS, "i32")
    for maps, capability, one_channel in VARIANTS:
        for name, constants in CONSTANTS.items():
            kernel = getattr(normact_kernels, name.split()[0])
            constants = constants | ({"channels": 1} if one_channel else {})
            assert compile_kernel(kernel, types | dict.fromkeys(MAPS, f"*{maps}"), constants, capability) > 1000
            print(name)


if __name__ == "__main__":
    main()
