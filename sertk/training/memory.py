"""Which batches fit into memory: the largest is tried before the first, and an error names sizes that fit."""

import copy
import gc
from collections.abc import Iterator

import torch

from sertk.errors import SertkError, out_of_memory
from sertk.runtime import give_memory_back
from sertk.training.targets import Targets


def rehearse(step, batch: int, bins: int, frames: int) -> None:
    """Pass a batch of zeros forward and backward, and leave the network as it was.

    Args:
        step: the training step (step.Step).
        batch, bins, frames: size of the chunks (batch, bins, frames).

    Raises:
        SertkError: memory ran out.
    """
    before = copy.deepcopy(step.network.state_dict())  # BatchNorm counts what passes
    enough = fits(step, batch, bins, frames)
    step.network.load_state_dict(before)
    if not enough:
        raise SertkError(advice(step, batch, bins, frames))
    step.optimiser.zero_grad(set_to_none=True)
    give_memory_back(step.device)


def fits(step, batch: int, bins: int, frames: int) -> bool:
    """True if there is memory for a forward and a backward pass over chunks of this size."""
    step.optimiser.zero_grad(set_to_none=True)
    give_memory_back(step.device)
    try:
        chunks = torch.zeros(batch, frames, bins, device=step.device).transpose(1, 2)
        targets = Targets(torch.zeros(batch, dtype=torch.long, device=step.device))
        step.gradients(step.network, chunks, targets, batch)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return False
    return True


def advice(step, batch: int, bins: int, frames: int) -> str:
    """The error for chunks that did not fit, with sizes that do, found by trying smaller ones."""
    failed = f"out of memory on {step.device}: {batch} chunks of {frames} frames do not fit"
    if step.world.size > 1:  # a trial takes all processes, and only this one is here
        return f"{failed} in one of {step.world.size} processes: make --batch-size smaller"
    if step.compiled is not step.network:  # CUDA graphs keep the memory that they were recorded with
        step.optimiser.zero_grad(set_to_none=True)
        step.compiled = step.network
        torch.compiler.reset()
        gc.collect()
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
