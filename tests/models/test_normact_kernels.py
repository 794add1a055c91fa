"""The kernels of the fused form become machine code for GPUs, also on a machine without one."""

from pathlib import Path

import pytest
from machinecode import VARIANTS, compiled_names, print_compiled

MAPS = {"x", "shortcut", "grad", "other", "out", "grad_shortcut", "grad_x"}
INTEGERS = {"rows", "channels", "plane", "frames", "tiles", "spans", "columns"}
TILE, LAYER = {"ROWS": 64, "CHANNELS": 32}, {"MASKED": True, "SLOPES": 1}
BACKWARD = TILE | LAYER | {"TWO": True}
CONSTANTS = {
    "partial_statistics": TILE | {"STAGES": 3}, "whole_statistics": {"SPANS": 512, "CHANNELS": 8},
    "norm_act_forward": TILE | LAYER | {"SHORTCUT": 1}, "partial_gradients": BACKWARD | {"SHORTCUT": 1, "STAGES": 3},
    "sum_of_spans": {"SPANS": 512, "COLUMNS": 8}, "norm_act_backward": BACKWARD | {"SHORTCUT": 1},
    "norm_act_forward, a shortcut's norm": TILE | LAYER | {"SHORTCUT": 2},
    "partial_gradients, a shortcut's norm": BACKWARD | {"SHORTCUT": 2, "STAGES": 3},
    "norm_act_backward, a shortcut's norm": BACKWARD | {"SHORTCUT": 2},
}  # fmt: skip


@pytest.mark.slow
def test_kernels_compile_for_gpus(shell):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert compiled_names(shell, Path(__file__)) == [*CONSTANTS] * len(VARIANTS)


def main() -> None:
    from sertk.models import normact_kernels

    types = {"mask": "*i1", "count": "*i64", "eps": "fp32", "momentum": "fp32"} | dict.fromkeys(INTEGERS, "i32")
    print_compiled(normact_kernels, CONSTANTS, types, MAPS)


if __name__ == "__main__":
    main()
