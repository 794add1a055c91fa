"""BatchNorm, shortcut, activation and mask of a map: as torch's operations, or in one pass over the map.

torch reads and writes the whole map for each of the four, in both directions. In training on a GPU that takes most of a
step's time; the fused form (fusednormact and fusedstem, in Triton) reads it twice and writes it once.
"""

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sertk.models.activation import LayerPReLU
from sertk.models.convolution import THIN, convolve
from sertk.models.fusednormact import SLOPES, FusedNormAct
from sertk.models.fusedstem import FusedStem
from sertk.models.kernels import in_layout, kernels_take
from sertk.models.pooling import StatsPool
from sertk.runtime import computes_bf16

IDENTITY = nn.Identity()
# Part of a tensor's largest number by which the two forms of small networks may differ; torch rounds after each operation.
ROUNDING = {torch.float32: 1e-2, torch.int64: 0, torch.bfloat16: 3e-2}


def conv_norm_act(
    x: Tensor,
    conv: nn.Conv2d,
    norm: nn.Module,
    act: nn.Module,
    shortcut: Tensor | None = None,
    mask: Tensor | None = None,
    projection: Sequence[nn.Module] = (),
) -> tuple[Tensor, Tensor]:
    """act(norm(conv(x)) + projection(shortcut)), 0 beyond the mask.

    It is returned twice. If two layers take it, each should take one: the gradients of both are then added where they are
    read, and not before.

    Args:
        x: maps, or the features (of one channel).
        conv: a convolution.
        norm: its BatchNorm; its attribute `fused` chooses the fused form (use_fused).
        act: its activation.
        shortcut: maps that are added before the activation.
        mask: (batch, 1, 1, frames), boolean.
        projection: a convolution and its BatchNorm, which the shortcut passes before it is added; or none.

    Shape:
        - Input: (batch, channels_in, bins_in, frames_in)
        - Output: (batch, channels, bins, frames), twice; the shortcut too, after its projection
    """
    if _is_fused(norm, act) and shortcut is None and _is_stem(conv, x):
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        weights = (conv.weight.to(dtype), norm.weight, norm.bias, getattr(act, "weight", None))
        return FusedStem.apply(x.to(dtype).contiguous(), *weights, mask, norm, SLOPES[type(act)])
    shortcut_norm = None
    if projection:
        shortcut_conv, shortcut_norm = projection
        shortcut, _ = _convolved(shortcut, shortcut_conv, shortcut_norm, IDENTITY)
    maps, partial = _convolved(x, conv, norm, act)
    return norm_act(maps, norm, act, shortcut, mask, shortcut_norm, partial)


def norm_act(
    x: Tensor,
    norm: nn.Module,
    act: nn.Module,
    shortcut: Tensor | None = None,
    mask: Tensor | None = None,
    shortcut_norm: nn.Module | None = None,
    partial: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """conv_norm_act of maps that the convolutions have computed, and of their partial statistics if these did so too.

    Shape: (batch, channels, bins, frames), all maps
    """
    # A single cell is left to torch, which refuses it.
    fused = _is_fused(norm, act) and kernels_take(x) and x.numel() > x.shape[1]
    if shortcut_norm is not None and not (fused and _is_fused(shortcut_norm, IDENTITY)):
        shortcut, shortcut_norm = norm_act(shortcut, shortcut_norm, IDENTITY)[0], None
    if fused:
        of_shortcut = shortcut, getattr(shortcut_norm, "weight", None), getattr(shortcut_norm, "bias", None)
        tensors = (x, norm.weight, norm.bias, getattr(act, "weight", None), *of_shortcut, mask, partial)
        return FusedNormAct.apply(*tensors, norm, shortcut_norm, SLOPES[type(act)])
    y = norm(x)
    if shortcut is not None:
        y += shortcut
    y = act(y)
    y = y if mask is None else y * mask
    return y, y


def use_fused(network: nn.Module, fused: bool) -> None:
    """Choose the form of BatchNorm over maps, and of pooling, in training; weights and their names stay as they are."""
    for module in network.modules():
        if type(module) in (nn.BatchNorm2d, StatsPool):  # a subclass has other statistics
            module.fused = fused


def _convolved(x: Tensor, conv: nn.Conv2d, norm: nn.Module, act: nn.Module) -> tuple[Tensor, Tensor | None]:
    """conv(x), and partial statistics of it if it took them."""
    return convolve(conv, x, norm.running_mean) if _is_fused(norm, act) else (conv(x), None)


def _is_stem(conv: nn.Conv2d, x: Tensor) -> bool:
    """True if the kernels compute this convolution: 3 × 3 of the features, which get no gradient."""
    of_features = conv.in_channels == 1 and conv.kernel_size == (3, 3) and conv.stride == (1, 1)
    return of_features and conv.out_channels >= 16 and not x.requires_grad and x.numel() > 1


def _is_fused(norm: nn.Module, act: nn.Module) -> bool:
    """True where the fused form is chosen, by batch statistics and an activation that it has."""
    return getattr(norm, "fused", False) and norm.training and type(act) in SLOPES


def obstacle(device: torch.device) -> str | None:
    """Return why the fused form cannot be used on a device, None if it can: a small network is computed in both."""
    if device.type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return "the fused form needs a GPU"
    try:
        fused, plain = ([*_small_network(device, form), *_thin_layer(device, form)] for form in (True, False))
    except Exception as error:  # a missing Triton, compiler or header, or an old GPU, each raises a class of its own
        return f"Triton does not work here: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    if all((a - b).abs().max() <= ROUNDING[b.dtype] * b.abs().max() for a, b in zip(fused, plain, strict=True)):
        return None
    return "the kernels' results differ from torch's here"


def _small_network(device: torch.device, fused: bool) -> list[Tensor]:
    """Pooled maps of a stem and two layers with shortcuts, the gradients of their weights, and what BatchNorm keeps."""
    random = torch.Generator().manual_seed(0)
    conv, act, pool = nn.Conv2d(1, 24, 3, padding=1, bias=False), LayerPReLU(), StatsPool()
    conv.weight.data = torch.randn(conv.weight.shape, generator=random)
    network = nn.ModuleList([conv, *(nn.BatchNorm2d(24) for _ in range(4)), act, pool]).to(device)
    use_fused(network, fused)
    x, around = conv_norm_act(torch.randn(3, 1, 5, 7, generator=random).to(device), conv, network[1], act)
    x, around = norm_act(in_layout(x), network[2], act, around)
    x, _ = norm_act(x, network[3], act, around, shortcut_norm=network[4])
    pooled = pool(x)
    gradients = torch.autograd.grad(pooled.square().sum(), list(network.parameters()))
    return [pooled.detach(), *gradients, *network.buffers()]


def _thin_layer(device: torch.device, fused: bool) -> list[Tensor]:
    """Output of a thin convolution and its BatchNorm in bf16, gradients of input and weights, and what BatchNorm keeps."""
    if device.type == "cuda" and not computes_bf16(device):
        return []
    random, norm = torch.Generator().manual_seed(0), nn.BatchNorm2d(THIN)
    conv = nn.Conv2d(THIN, THIN, 3, padding=1, bias=False)
    conv.weight.data = torch.randn(conv.weight.shape, generator=random) / 17
    use_fused(norm.to(device), fused)
    conv.to(device, torch.bfloat16, memory_format=torch.channels_last)
    x, grad = (in_layout(torch.randn(2, THIN, 4, 6, generator=random).to(device, torch.bfloat16)) for _ in range(2))
    out, _ = conv_norm_act(x.requires_grad_(), conv, norm, IDENTITY)
    return [out.detach(), *torch.autograd.grad(out, [x, conv.weight], grad), *norm.buffers()]
