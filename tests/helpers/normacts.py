"""Values and gradients of one norm_act, in both forms and in float64."""

import torch
from torch import nn

from sertk.models.activation import activation
from sertk.models.normact import norm_act, use_fused

# Constants of normact for the interpreter, whose time is that of the programs, whatever their size.
FEW_PROGRAMS = {"TILE": 1 << 17, "SPANS": 4, "SUM_CHANNELS": 128}


def results(shape, kind, shortcut, masked, *, fused=False, dtype=torch.float32, exact=False, device="cpu"):
    """Output, gradients (maps, shortcut, weight, bias, slopes) and running statistics of maps of `shape`.

    Args:
        shape: (batch, channels, bins, frames).
        kind: of the activation.
        shortcut: whether one is added.
        masked: whether frames are padding.
        fused: the form.
        dtype: of the maps.
        exact: compute with the same numbers in float64.
        device: where.
    """
    random = torch.Generator().manual_seed(shape[1])
    maps = [
        (2 * torch.randn(shape, generator=random) + 1).to(dtype).to(device, torch.float64 if exact else dtype)
        .contiguous(memory_format=torch.channels_last) for _ in range(3)
    ]  # fmt: skip
    norm, act = nn.BatchNorm2d(shape[1]), activation(kind, shape[1])
    for parameter in (*norm.parameters(), *act.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=random) / 2
    norm, act = (module.to(device, torch.float64 if exact else torch.float32) for module in (norm, act))
    use_fused(norm, fused)
    lengths = torch.randint(1, shape[3] + 1, (shape[0],), generator=random).to(device)
    mask = (torch.arange(shape[3], device=device) < lengths[:, None])[:, None, None, :] if masked else None
    x, added, grad = maps
    leaves = [x.requires_grad_(), *[added.requires_grad_()] * shortcut, *norm.parameters(), *act.parameters()]
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        out = norm_act(x, norm, act, added if shortcut else None, mask)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad), *norm.buffers()]


def worst(found, wanted):
    """The largest difference, in units of each tensor's largest number.

    One cell of 100,000 is left out: where the activation's argument is 0 but for rounding, its slope may be that of the
    other side.
    """
    return max(map(_apart, found, wanted))


def _apart(a, b):
    differences = (a.double() - b).abs().flatten()
    return float(differences.kthvalue(len(differences) - len(differences) // 100_000).values / b.abs().max())
