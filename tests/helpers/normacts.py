"""Values and gradients of one norm_act, in both forms and in float64."""

import torch
from torch import nn

from sertk.models.activation import activation
from sertk.models.normact import norm_act, use_fused


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
    """The largest difference, in units of each tensor's largest number."""
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(found, wanted, strict=True))
