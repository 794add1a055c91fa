"""The convolutions of the network, each direction alone, with cuDNN's ways of choosing, for gpu.py. Runs nothing by itself."""

from collections import Counter
from contextlib import contextmanager

import torch
from gpu_common import Size, row, timed
from gpu_profile import times_of_kernels
from torch import Tensor, channels_last, nn, ops

from sertk.models.convolution import convolve
from sertk.models.resnet import ResNet

# cuDNN's settings: (deterministic, benchmark).
CHOICES = {
    "deterministic": (True, False),
    "any": (False, False),
    "fastest": (False, True),
    "fastest deterministic": (True, True),
}
# Arguments of aten::convolution_backward's output_mask.
DIRECTIONS = {
    "forward": None,
    "gradient of the input": (True, False, False),
    "gradient of the weights": (False, True, False),
}


def report(size: Size, device: torch.device, batch: int, frames: int) -> None:
    """Time of every kind of convolution in bf16, and of all of them together in a step."""
    sums, zeros = Counter(), torch.zeros(1 << 12, device=device)
    for (shape, conv), number in kinds(size, batch, frames).items():
        channels_in, channels, side, stride = conv
        x = torch.randn(shape, device=device).bfloat16().to(memory_format=channels_last)
        weight = (
            torch.randn(channels, channels_in, side, side, device=device).bfloat16().to(memory_format=channels_last)
        )
        how = ([stride] * 2, [side // 2] * 2, [1, 1], False, [0, 0], 1)
        out = ops.aten.convolution(x, weight, None, *how)
        grad = torch.randn_like(out)
        flop, moved = 2 * out.numel() * weight.numel() / channels, 2 * (x.numel() + out.numel())
        name = f"{batch} × {' × '.join(map(str, shape[1:]))}, {side} × {side} to {channels}, stride {stride}"
        for direction, mask in DIRECTIONS.items():
            if channels_in == 1 and direction == "gradient of the input":
                continue  # the features get none

            def run(mask=mask, x=x, weight=weight, grad=grad, how=how) -> Tensor:
                if mask is None:
                    return ops.aten.convolution(x, weight, None, *how)
                return ops.aten.convolution_backward(grad, x, weight, None, *how, mask)

            figures = {}
            for choice in CHOICES:
                with chosen(choice):
                    each, _ = timed(run, size.seconds / 20, device)
                figures[f"ms_{choice.replace(' ', '_')}"] = round(1000 * each, 3)
                sums[direction, choice] += number * each
            least = min(value for value in figures.values()) / 1000 or 1e-6
            row(f"{number} × {direction}, {name}", **figures,
                TFLOP_per_s=round(flop / least / 1e12, 1), GB_per_s=round(moved / least / 1e9))  # fmt: skip
        in_layout = nn.Conv2d(channels_in, channels, side, stride, side // 2, bias=False).to(device, torch.bfloat16)
        in_layout.to(memory_format=channels_last)
        leaves = [in_layout.weight, *[x.requires_grad_()] * (channels_in > 1)]
        figures, fused = {}, lambda x, conv=in_layout: convolve(conv, x, zeros[: conv.out_channels])[0]
        for how_, layer in (("torch", in_layout), ("fused_form", fused)):
            times = times_of_kernels(lambda: torch.autograd.grad(layer(x), leaves, grad), device)  # noqa: B023
            figures[f"ms_{how_}"] = round(sum(time for time, _ in times.values()) / 1000, 3)
        row(f"{number} × all directions, {name}", **figures)
    for direction in DIRECTIONS:
        figures = {f"ms_{choice.replace(' ', '_')}": round(1000 * sums[direction, choice], 2) for choice in CHOICES}
        row(f"all convolutions, {batch} × {frames}, {direction}", **figures)


@contextmanager
def chosen(choice: str):
    """Have cuDNN choose its algorithms in a way of CHOICES."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = CHOICES[choice]
    try:
        yield
    finally:
        cudnn.deterministic, cudnn.benchmark = before


def kinds(size: Size, batch: int, frames: int) -> Counter:
    """(shape of the input, (channels of it, of the output, side, stride)): convolutions of that kind in the network."""
    found: Counter = Counter()

    def note(module: nn.Conv2d, given: tuple[Tensor], out: Tensor) -> None:
        conv = (module.in_channels, module.out_channels, module.kernel_size[0], module.stride[0])
        found[(batch, *given[0].shape[1:]), conv] += 1

    with torch.device("meta"), torch.no_grad():
        network = ResNet(size.spec).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(note)
        network(torch.empty(1, size.spec.bins, frames))
    return found
