"""BatchNorm, shortcut, activation and mask by kernels: torch's values and gradients, in Triton's interpreter."""

import pytest
import torch
from normacts import results, worst
from torch import nn

from sertk.models.activation import LayerPReLU
from sertk.models.normact import norm_act, use_fused


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("dtype", "shape", "kind", "shortcut", "masked"),
    [
        (torch.float32, (2, 3, 2, 5), "prelu", False, True),
        (torch.float32, (2, 10, 2, 5), "prelu", True, False),  # 20 rows: two spans of two tiles; a rest of two channels
        (torch.float32, (1, 4, 3, 6), "prelu-channel", True, True),  # one chunk
        (torch.float32, (3, 8, 1, 3), "relu", True, False),
        (torch.float32, (5, 1, 1, 1), "prelu", False, False),
        (torch.bfloat16, (2, 3, 2, 5), "prelu", False, True),
        (torch.bfloat16, (1, 8, 3, 6), "prelu", True, False),
        (torch.float32, (2, 10, 2, 5), "prelu", "norm", False),
        (torch.float32, (3, 8, 1, 3), "prelu-channel", "norm", True),
        (torch.bfloat16, (1, 10, 3, 6), "relu", "norm", True),
    ],
)
@pytest.mark.parametrize("twice", [False, True])
def test_fused_form_has_the_values_and_gradients_of_float64(dtype, shape, kind, shortcut, masked, twice):
    """In bf16 to a unit of the last place."""
    case, most = (shape, kind, shortcut, masked), 2e-6 if dtype == torch.float32 else 2**-7
    wanted = results(*case, dtype=dtype, exact=True, twice=twice)
    assert worst(results(*case, dtype=dtype, fused=True, twice=twice), wanted) < most
    assert worst(results(*case), results(*case, exact=True)) < 2e-6  # torch's own form, with the same measure


@pytest.mark.usefixtures("interpreter")
def test_statistics_hold_where_the_mean_is_large():
    """Mean 1000, deviation 1: the mean of squares less the square of the mean would lose the variance in float32."""
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) + 1000
    norm = nn.BatchNorm2d(3, momentum=1.0)
    use_fused(norm, True)
    norm_act(x.contiguous(memory_format=torch.channels_last), norm, nn.ReLU())
    torch.testing.assert_close(norm.running_var, x.double().var((0, 2, 3)).float(), rtol=1e-4, atol=0)
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)))
    assert norm.num_batches_tracked == 1


@pytest.mark.usefixtures("small_tiles")
def test_a_channel_of_one_value_is_as_in_torch():
    """It is 0 before the activation, where the slope is that of negative numbers, and 1 / deviation that of epsilon."""
    x, found = torch.full((2, 3, 2, 5), 3.0).contiguous(memory_format=torch.channels_last), []
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for fused in (True, False):
        norm = nn.BatchNorm2d(3, eps=1e-3)
        use_fused(norm, fused)
        out, _ = norm_act(maps := x.clone().requires_grad_(), norm, LayerPReLU())
        found.append([out.detach(), *torch.autograd.grad(out, [maps, *norm.parameters()], grad)])
    assert found[0][1].abs().max() > 1
    torch.testing.assert_close(*found)


@pytest.mark.usefixtures("small_tiles")
def test_what_is_subtracted_is_the_mean_of_the_stored_gradient():
    """BatchNorm takes no constant gradient: nothing is left of one that bf16 rounds, in each cell the same way."""
    x, shortcut = (torch.randn(2, 3, 2, 5).bfloat16().contiguous(memory_format=torch.channels_last) for _ in range(2))
    norm = nn.BatchNorm2d(3)
    use_fused(norm, True)
    outs = norm_act(x.requires_grad_(), norm, nn.Identity(), shortcut)
    (found,) = torch.autograd.grad(outs, [x], [torch.full_like(x, number) for number in (1.0, 2**-9)])
    assert found.abs().max() < 1e-5
