"""Values and gradients of one norm_act, in both forms and in float64."""

import torch
from torch import nn

from sertk.models import convolution, fusednormact, fusedstem
from sertk.models.activation import activation
from sertk.models.normact import conv_norm_act, norm_act, use_fused


def few_programs(monkeypatch):
    """Have the interpreter take few large tiles: its time is that of the programs, whatever their size."""
    for name, value in {"TILE": 1 << 17, "STATISTICS": 4, "GRADIENTS": 4, "SUM_CHANNELS": 128}.items():
        monkeypatch.setattr(fusednormact, name, value)
    monkeypatch.setattr(fusedstem, "TILE", 1 << 17)
    monkeypatch.setattr(convolution, "COLUMNS", 256)


def results(shape, kind, shortcut, masked, *, fused=False, dtype=torch.float32, exact=False, device="cpu", twice=False):
    """Output, gradients (maps, shortcut, weights, biases, slopes) and running statistics of maps of `shape`.

    Args:
        shape: (batch, channels, bins, frames).
        kind: of the activation.
        shortcut: whether one is added; "norm": one with a BatchNorm of its own.
        masked: whether frames are padding.
        fused: the form.
        dtype: of the maps.
        exact: compute with the same numbers in float64.
        device: where.
        twice: whether two layers take the output, each with a gradient of its own.
    """
    random = torch.Generator().manual_seed(shape[1])
    maps = [
        (2 * torch.randn(shape, generator=random) + 1).to(dtype).to(device, torch.float64 if exact else dtype)
        .contiguous(memory_format=torch.channels_last) for _ in range(4)
    ]  # fmt: skip
    modules = nn.ModuleList([nn.BatchNorm2d(shape[1]), activation(kind, shape[1])])
    if shortcut == "norm":
        modules.append(nn.BatchNorm2d(shape[1]))
    for parameter in modules.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random) / 2
    norm, act, *norm2 = modules.to(device, torch.float64 if exact else torch.float32)
    use_fused(modules, fused)
    mask = _mask(shape, random, device) if masked else None
    x, added, *grads = maps
    added = added.contiguous()  # torch's operations take it in any layout
    leaves = [x.requires_grad_(), *[added.requires_grad_()] * bool(shortcut), *modules.parameters()]
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=x.dtype == torch.bfloat16):
        outs = norm_act(x, norm, act, added if shortcut else None, mask, *norm2)[: 1 + twice]
    gradients = torch.autograd.grad(outs, leaves, grads[: 1 + twice])
    return [*(out.detach() for out in outs), *gradients, *modules.buffers()]


def stem_results(shape, kind, masked=False, *, fused=False, dtype=torch.float32, exact=False, device="cpu", twice=True):
    """Output, gradients (of the convolution, norm and slopes) and running statistics of a stem.

    Args:
        shape: (batch, channels, bins, frames) of its output.
        kind: of the activation.
        masked: whether frames are padding, which here are no zeros.
        fused: the form.
        dtype: of the maps.
        exact: compute with the same numbers in float64.
        device: where.
        twice: whether two layers take the output, each with a gradient of its own.
    """
    random = torch.Generator().manual_seed(shape[1])
    batch, channels, bins, frames = shape
    feats = torch.randn(batch, 1, frames, bins, generator=random).transpose(2, 3)  # as features lie in memory
    grads = torch.randn(2, *shape, generator=random)
    conv, norm, act = (
        nn.Conv2d(1, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        activation(kind, channels),
    )
    for parameter in (*conv.parameters(), *norm.parameters(), *act.parameters()):
        parameter.data = torch.randn(parameter.shape, generator=random) / 2
    # The same numbers in all forms: those of the maps' format.
    feats, grads, conv.weight.data = (tensor.to(dtype) for tensor in (feats, grads, conv.weight.data))
    wide = torch.float64 if exact else torch.float32
    conv, norm, act = (module.to(device, wide) for module in (conv, norm, act))
    feats, grads = (tensor.to(device, wide if exact else dtype) for tensor in (feats, grads))
    use_fused(norm, fused)
    grads = [grad.contiguous(memory_format=torch.channels_last) for grad in grads]
    leaves = [*conv.parameters(), *norm.parameters(), *act.parameters()]
    mask = _mask(shape, random, device) if masked else None
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == torch.bfloat16 and not exact):
        outs = conv_norm_act(feats, conv, norm, act, mask=mask)[: 1 + twice]
    return [outs[0].detach(), *torch.autograd.grad(outs, leaves, grads[: 1 + twice]), *norm.buffers()]


def _mask(shape, random, device):
    lengths = torch.randint(1, shape[3] + 1, (shape[0],), generator=random).to(device)
    return (torch.arange(shape[3], device=device) < lengths[:, None])[:, None, None, :]


def worst(found, wanted):
    """The largest difference, in units of each tensor's largest number.

    One cell of 100,000 is left out: where the activation's argument is 0 but for rounding, its slope may be that of the
    other side.
    """
    return max(map(_apart, found, wanted))


def _apart(a, b):
    differences = (a.double() - b).abs().flatten()
    return float(differences.kthvalue(len(differences) - len(differences) // 100_000).values / b.abs().max())
