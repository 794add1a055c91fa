"""Several processes as one: every rank takes a part of every batch, gradients are summed, rank 0 writes."""

import os
from dataclasses import dataclass

import torch
from torch import distributed

from sertk.errors import SertkError


@dataclass(frozen=True)
class World:
    """Which of how many processes this one is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def share(self, items):
        """This rank's part of a batch's items."""
        return items[self.rank :: self.size]

    def sum_gradients(self, parameters) -> None:
        """Replace every gradient by its sum over the ranks; nothing to do for one process."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        torch._foreach_copy_(
            gradients, [piece.view_as(g) for piece, g in zip(flat.split([g.numel() for g in gradients]), gradients)]
        )

    def wait(self) -> None:
        """Go on when every rank has come here."""
        if self.size > 1:
            distributed.barrier()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of `values` over the ranks, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values


def join_world(device_type: str) -> World:
    """Join the processes that torchrun started; alone where it did not.

    Raises:
        SertkError: where torchrun's variables are incomplete.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        return World()
    try:
        world = World(int(os.environ["RANK"]), size, int(os.environ["LOCAL_RANK"]))
    except KeyError as missing:
        raise SertkError(f"WORLD_SIZE is {size} but {missing} is not set (start with torchrun)") from None
    distributed.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return world
