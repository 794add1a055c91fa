"""BatchNorm, shortcut, activation and mask in one pass over the maps, on a device: float64's values, the same bits again."""

import pytest
import torch
from normacts import results, worst

from sertk.models.normact import obstacle

GPU = pytest.mark.gpu


@pytest.mark.parametrize(
    ("device", "shape", "dtype", "most"),
    [
        ("cpu", (2, 3, 2, 5), torch.float32, 2e-6),
        pytest.param("cuda", (2, 48, 3, 75), torch.float32, 2e-5, marks=GPU),
        pytest.param("cuda", (1, 300, 5, 7), torch.bfloat16, 2**-7, marks=GPU),
        pytest.param("cuda", (32, 32, 128, 150), torch.bfloat16, 2**-7, marks=GPU),  # the paper's first stage
        pytest.param("cuda", (32, 256, 16, 38), torch.bfloat16, 2**-7, marks=GPU),  # and its last
    ],
    indirect=["device"],
)
@pytest.mark.parametrize(("kind", "shortcut", "masked"), [("prelu", True, False), ("prelu-channel", False, True)])
def test_fused_form_on_the_device(device, shape, dtype, most, kind, shortcut, masked):
    pytest.importorskip("triton", reason="this torch came without Triton")
    assert obstacle(torch.device(device)) is None
    case = (shape, kind, shortcut, masked)
    first, second = (results(*case, fused=True, dtype=dtype, device=device) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    assert worst(first, results(*case, exact=True, dtype=dtype, device=device)) < most
