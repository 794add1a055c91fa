"""Heads of one shape as one: their layers are batched matrix products, their BatchNorms one over all their channels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sertk.models.activation import ChannelPReLU, LayerPReLU
from sertk.models.resnet import Head


class StackedHead:
    """Copies of the weights of several heads, which compute as the heads do in training mode; nothing is shared among them.

    Args:
        heads: of the same spec, with linear outputs. copy_back() gives them the weights that are trained here.

    Shape:
        - Input: (heads, batch, input_dim)
        - Output: (heads, batch, num_labels), logits

    Example:
        >>> from sertk.models.spec import HeadSpec
        >>> from sertk.models.vectorhead import VectorHead
        >>> heads = [VectorHead(HeadSpec(5, 3)) for _ in range(2)]
        >>> stacked, vectors = StackedHead(heads), torch.randn(2, 4, 5)
        >>> torch.allclose(stacked(vectors)[1], heads[1](vectors[1]), atol=1e-5)
        True
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        self.heads = heads
        parameters, buffers = ([dict(named(head)) for head in heads] for named in (_parameters, _buffers))
        # (heads, …) each, by the names that they have in a head.
        self.parameters = {name: stacked(parameters, name).requires_grad_() for name in parameters[0]}
        self.buffers = {name: stacked(buffers, name) for name in buffers[0]}

    def __call__(self, vectors: Tensor) -> Tensor:
        """Logits, with the statistics of every head's batch. Shape: (heads, batch, dim) -> (heads, batch, labels)."""
        first, x = self.heads[0], vectors
        if "mean" in self.buffers:  # of all columns, or of the last ones
            size = self.buffers["mean"].shape[1]
            plain, others = x.split([x.shape[2] - size, size], dim=2)
            others = (others - self.buffers["mean"][:, None]) * self.buffers["scale"][:, None]
            x = torch.cat([plain, others], dim=2)
        if "layers" in self.parameters:
            layers = x.unflatten(2, (first.spec.layers, first.spec.pooled_dim))
            x = torch.einsum("hl,hbld->hbd", self.parameters["layers"].softmax(dim=1), layers)
        for name in ("hidden", "embedding", "bn", "act", "output"):
            x = self._pass(getattr(first, name), name, x)
        return x

    def _pass(self, module: nn.Module, name: str, x: Tensor) -> Tensor:
        """A module of all heads, which in the first head is `module`. Shape: (heads, batch, dim)."""
        match module:
            case nn.Sequential():
                for child, part in module.named_children():
                    x = self._pass(part, f"{name}.{child}", x)
                return x
            case nn.Identity():
                return x
            case nn.Linear():
                weight, bias = (self.parameters[f"{name}.{part}"] for part in ("weight", "bias"))
                # In this order the gradient of the weights, by far the largest tensor, comes as the weights lie in memory.
                return torch.baddbmm(bias[:, :, None], weight, x.mT).mT
            case nn.BatchNorm1d():
                return self._batch_norm(module, name, x)
            case nn.ReLU():
                return functional.relu(x)
            case LayerPReLU():
                return functional.prelu(x.transpose(0, 1), self.parameters[f"{name}.weight"].flatten()).transpose(0, 1)
            case ChannelPReLU():
                return _channels_of(functional.prelu(_as_channels(x), self.parameters[f"{name}.weight"].flatten()), x)
        raise TypeError(f"{name}: {type(module).__name__}")

    def _batch_norm(self, module: nn.BatchNorm1d, name: str, x: Tensor) -> Tensor:
        self.buffers[f"{name}.num_batches_tracked"] += 1
        statistics = (self.buffers[f"{name}.running_{part}"].view(-1) for part in ("mean", "var"))
        affine = (self.parameters[f"{name}.{part}"].flatten() for part in ("weight", "bias"))
        normal = functional.batch_norm(_as_channels(x), *statistics, *affine, True, module.momentum, module.eps)
        return _channels_of(normal, x)

    @torch.no_grad()
    def copy_back(self) -> None:
        """Give the heads their weights and statistics."""
        for number, head in enumerate(self.heads):
            for named, stack in ((_parameters, self.parameters), (_buffers, self.buffers)):
                for name, tensor in named(head):
                    tensor.copy_(stack[name][number])


def stacked(of_heads: Sequence[dict[str, Tensor]], name: str) -> Tensor:
    """The tensors of one name as one. Shape: (heads, …)."""
    return torch.stack([tensors[name].detach() for tensors in of_heads])


def _parameters(head: Head) -> list[tuple[str, Tensor]]:
    return list(head.named_parameters())


def _buffers(head: Head) -> list[tuple[str, Tensor]]:
    return list(head.named_buffers())


def _as_channels(x: Tensor) -> Tensor:
    """Shape: (heads, batch, dim) -> (batch, heads * dim)."""
    return x.transpose(0, 1).flatten(1)


def _channels_of(x: Tensor, like: Tensor) -> Tensor:
    """Undo _as_channels. Shape: (batch, heads * dim) -> (heads, batch, dim), as `like`."""
    return x.unflatten(1, (like.shape[0], like.shape[2])).transpose(0, 1)
