"""All weights of a network cast to bf16 at once in every step, and not one by one by autocast."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sertk.models.beside import Beside

# Layers whose weights autocast casts.
CAST = (nn.Conv2d, nn.Linear)


class CastOnce:
    """A network's function, with bf16 copies of the weights of its convolutions and linear layers.

    To be called under autocast to bf16, which casts each weight where it is used, and its gradient back: on a GPU these are
    some eighty small kernels in a step, whose starts take longer than their work. The numbers are the same.

    Gradients of weights may be computed on a second stream: they are cast when all of them are there.

    Args:
        network: keeps its float32 weights, which get the gradients.
        device: where to compute.

    Shape: the network's.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network, self.beside = network, Beside(device)
        self.weights = {
            f"{place}.{name}": weight
            for place, module in network.named_modules() if isinstance(module, CAST)
            for name, weight in module.named_parameters(recurse=False)
        }  # fmt: skip

    def __call__(self, chunks: Tensor) -> Tensor:
        """The network's output."""
        copies = _Cast.apply(self.beside, *self.weights.values())
        with self.beside.used():
            return functional_call(self.network, dict(zip(self.weights, copies)), (chunks,))


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, beside: Beside, *weights: Tensor) -> tuple[Tensor, ...]:
        ctx.beside = beside
        ctx.set_materialize_grads(False)
        copies = _as(torch.bfloat16, weights)
        # Else gradients of frozen weights would be computed.
        ctx.mark_non_differentiable(*[copy for copy, trained in zip(copies, ctx.needs_input_grad[1:]) if not trained])
        return tuple(copies)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        ctx.beside.join()
        cast = iter(_as(torch.float32, [grad for grad in grads if grad is not None]))
        return None, *(None if grad is None else next(cast) for grad in grads)


def _as(dtype: torch.dtype, tensors: list[Tensor] | tuple[Tensor, ...]) -> list[Tensor]:
    """Copies of tensors, by one kernel on a GPU."""
    copies = [torch.empty_like(tensor, dtype=dtype) for tensor in tensors]
    torch._foreach_copy_(copies, list(tensors))
    return copies
