"""Output and gradients of one convolution, in any way of computing it."""

import torch
from torch import nn

# (channels of the input, of the output, side, stride, frames): the function by which the fused form computes it faster.
CASES = {
    (32, 32, 3, 1, 8): "_thin",
    (32, 32, 3, 1, 2): "_thin",
    (32, 32, 3, 1, 7): "_thin",  # an odd number of frames: the gradient of the weights is cuDNN's
    (32, 64, 3, 2, 8): None,
    (32, 32, 3, 2, 8): None,
    (16, 16, 3, 1, 8): None,
    (64, 128, 1, 2, 8): "_of_cells",
    (64, 128, 1, 2, 7): "_of_cells",
    (32, 64, 1, 2, 8): None,
}


def convolution_results(channels_in, channels, side, stride, frames, how, dtype, device="cpu"):
    """Output and gradients, of input and weights.

    Args:
        how: from the convolution and its input to its output.
        dtype: of the computation, with numbers that bf16 holds.
        device: where.
    """
    random = torch.Generator().manual_seed(frames)
    conv = nn.Conv2d(channels_in, channels, side, stride, padding=side // 2, bias=False)
    conv.weight.data = torch.randn(conv.weight.shape, generator=random).bfloat16()
    conv.to(device, dtype).to(memory_format=torch.channels_last)
    x = torch.randn(3, channels_in, 5, frames, generator=random).bfloat16().to(device, dtype)
    out = how(conv, x := x.contiguous(memory_format=torch.channels_last).requires_grad_())
    grad = torch.randn(out.shape, generator=random).bfloat16().to(device, dtype)
    return out.detach(), *torch.autograd.grad(out, (x, conv.weight), grad)
