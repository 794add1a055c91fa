"""The stem by kernels: torch's values and gradients, in Triton's interpreter."""

import pytest
import torch
from normacts import stem_results, worst

from sertk.models import fusedstem


@pytest.mark.usefixtures("interpreter")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("shape", "kind", "masked", "twice"),
    [
        ((2, 16, 5, 7), "prelu", False, True),
        ((3, 20, 4, 9), "prelu-channel", True, True),
        ((1, 16, 1, 3), "relu", False, False),
    ],
)
def test_the_stem_in_the_fused_form_is_that_of_float64(dtype, shape, kind, masked, twice, monkeypatch):
    """Tiles of 16 rows, which are parts of a chunk or several chunks; two spans; a rest of four channels."""
    for name, size in {"TILE": 256, "TILE_CHANNELS": 16, "SPANS": 2}.items():
        monkeypatch.setattr(fusedstem, name, size)
    case, most = (shape, kind, masked), 2e-5 if dtype == torch.float32 else 2**-5
    wanted = stem_results(*case, dtype=dtype, exact=True, twice=twice)
    assert worst(stem_results(*case, dtype=dtype, fused=True, twice=twice), wanted) < most
    assert worst(stem_results(*case), stem_results(*case, exact=True)) < 2e-5
