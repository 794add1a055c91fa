"""Out-of-memory handling: try the largest batch before the first, and name sizes that fit in the error."""

import copy
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from sertk.errors import SertkError, out_of_memory
from sertk.models.resnet import ResNet
from sertk.runtime import release_memory
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets


class Trial(Protocol):
    """What a trial pass needs of a training step (step.Step)."""

    network: ResNet
    optimiser: torch.optim.Optimizer
    settings: TrainingSettings
    device: torch.device
    world: World
    largest: Callable[[int], int]

    def gradients(self, network: Callable, chunks: Tensor, targets: Targets, size: int) -> tuple[Tensor, Tensor]:
        """Forward, loss, backward."""
        ...

    def release_graphs(self) -> None:
        """Free the memory of CUDA graphs."""
        ...


def rehearse(step: Trial, batch: int, bins: int, frames: int) -> None:
    """Pass a batch of zeros forward and backward; weights and statistics stay as they were.

    Args:
        step: the training step.
        batch: chunks of the batch.
        bins: of a chunk.
        frames: of a chunk.

    Raises:
        SertkError: memory ran out.
    """
    state = copy.deepcopy(step.network.state_dict())  # the pass updates BatchNorm's statistics
    enough = fits(step, batch, bins, frames)
    step.network.load_state_dict(state)
    if not enough:
        raise SertkError(advice(step, batch, bins, frames))
    step.optimiser.zero_grad(set_to_none=True)
    release_memory(step.device)


def fits(step: Trial, batch: int, bins: int, frames: int) -> bool:
    """True if there is memory for a forward and a backward pass over chunks of this size."""
    step.optimiser.zero_grad(set_to_none=True)
    release_memory(step.device)
    try:
        chunks = torch.zeros(batch, frames, bins, device=step.device).transpose(1, 2)
        targets = Targets(torch.zeros(batch, dtype=torch.long, device=step.device))
        step.gradients(step.network, chunks, targets, batch)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return False
    return True


def advice(step: Trial, batch: int, bins: int, frames: int) -> str:
    """Error message for chunks that did not fit, with the sizes that do, found by trying smaller ones."""
    failed = f"out of memory on {step.device}: {batch} chunks of {frames} frames do not fit"
    if step.world.size > 1:  # a trial pass would need all processes
        return f"{failed} in one of {step.world.size} processes: make --batch-size smaller"
    step.release_graphs()
    lengths = sorted(step.settings.chunk_frames)
    smaller = []
    size = next((n for n in _halves(batch) if fits(step, step.largest(n), bins, lengths[-1])), None)
    if size:
        smaller.append(f"{step.largest(size)} of {lengths[-1]} frames do (--batch-size {size})")
    length = next((n for n in reversed(lengths) if n < frames and fits(step, batch, bins, n)), None)
    if length:
        smaller.append(f"{batch} of {length} frames do (--chunk-frames)")
    return f"{failed}; {', '.join(smaller) or 'make --batch-size or --chunk-frames smaller'}"


def _halves(batch: int) -> Iterator[int]:
    """Half of a batch, a quarter, … down to 2 chunks, the fewest that BatchNorm can normalise."""
    while (batch := batch // 2) >= 2:
        yield batch
