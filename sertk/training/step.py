"""One step of the descent: forward, backward, update; and what would fit where memory runs out."""

import copy
import gc
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sertk.errors import SertkError, out_of_memory
from sertk.models.compute import autocast
from sertk.models.resnet import ResNet
from sertk.runtime import give_memory_back
from sertk.training.compile import compiled
from sertk.training.distributed import World
from sertk.training.targets import Targets


class Step:
    """A step of stochastic gradient descent on this process's share of a batch.

    Args:
        network: what is trained, on `device`.
        optimiser: over its parameters.
        settings: of the training (loop.Settings).
        device: where to compute.
        world: this process among those that train together.
        largest: function of a batch size that gives the chunks of the largest batch at that size.
    """

    def __init__(self, network: ResNet, optimiser: torch.optim.Optimizer, settings, device: torch.device, world: World,
                 largest: Callable[[int], int] = int):  # fmt: skip
        self.largest = largest
        self.network, self.optimiser, self.settings = network, optimiser, settings
        self.device, self.world = device, world
        self.compiled = compiled(network, device) if settings.compile == "true" else network
        self.full_share = len(world.share(range(settings.batch_size)))
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]

    def __call__(self, chunks: Tensor, targets: Targets, size: int, stop: bool = False) -> Tensor:
        """Take one step.

        Args:
            chunks: (share, bins, T) float32 on the device.
            targets: of these chunks, on the device.
            size: chunks of the whole batch, over all processes.
            stop: whether this process is to stop.

        Returns:
            (3,) float64 on the device: summed loss, chunks recognised, processes that are to stop; over all of them.

        Raises:
            SertkError: where memory runs out, with the sizes that would have fitted.
        """
        # One batch in an epoch is smaller or larger than the others: to compile it would take more than the epoch.
        network = self.compiled if len(chunks) == self.full_share else self.network
        try:
            if network is not self.network:  # else this loads the compiler, which takes seconds
                torch.compiler.cudagraph_mark_step_begin()  # what CUDA graphs gave in the last step is not needed any more
            loss, logits = self._backward(network, chunks, targets, size)
            self.world.sum_gradients(self.parameters)
            self.optimiser.step()
            correct = targets.correct(logits)
            asked = torch.full((), float(stop), dtype=torch.float64, device=self.device)  # a copy would wait for a GPU
            return self.world.sum(torch.stack([loss.detach().double(), correct.double(), asked]))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Not in the block above: while the error lives, so do the tensors of the step that failed.
        raise SertkError(self._advice(len(chunks), chunks.shape[1], chunks.shape[2]))

    def rehearse(self, batch: int, bins: int, frames: int) -> None:
        """Pass a batch of such a size forward and backward, and leave all as it was.

        Raises:
            SertkError: where memory runs out, as a step does.
        """
        before = copy.deepcopy(self.network.state_dict())  # BatchNorm counts what passes
        fits = self._fits(batch, bins, frames)
        self.network.load_state_dict(before)
        if not fits:
            raise SertkError(self._advice(batch, bins, frames))
        self.optimiser.zero_grad(set_to_none=True)
        give_memory_back(self.device)

    def _backward(self, network: Callable, chunks: Tensor, targets: Targets, size: int) -> tuple[Tensor, Tensor]:
        """Leave gradients in the parameters; returns the summed loss and the logits."""
        with autocast(self.device, self.settings.precision):
            logits = network(chunks)
        loss = targets.loss(logits.float(), self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        (loss / size).backward()
        return loss, logits

    def _advice(self, batch: int, bins: int, frames: int) -> str:
        """What to do where `batch` chunks of `frames` frames were too many, found by trying smaller ones."""
        failed = f"out of memory on {self.device}: {batch} chunks of {frames} frames do not fit"
        if self.world.size > 1:  # trying takes all processes, and only this one is here
            return f"{failed} in one of {self.world.size} processes: make --batch-size smaller"
        if self.compiled is not self.network:  # CUDA graphs keep the memory that they were recorded with
            self.optimiser.zero_grad(set_to_none=True)
            self.compiled = self.network
            torch.compiler.reset()
            gc.collect()
        lengths = sorted(self.settings.chunk_frames)
        found = []
        size = next((n for n in _halves(batch) if self._fits(self.largest(n), bins, lengths[-1])), None)
        if size:
            found.append(f"{self.largest(size)} of {lengths[-1]} frames do (--batch-size {size})")
        length = next((n for n in reversed(lengths) if n < frames and self._fits(batch, bins, n)), None)
        if length:
            found.append(f"{batch} of {length} frames do (--chunk-frames)")
        return f"{failed}; {', '.join(found) or 'make --batch-size or --chunk-frames smaller'}"

    def _fits(self, batch: int, bins: int, frames: int) -> bool:
        """Whether there is memory for a forward and a backward pass over so many chunks."""
        self.optimiser.zero_grad(set_to_none=True)
        give_memory_back(self.device)
        try:
            chunks = torch.zeros(batch, frames, bins, device=self.device).transpose(1, 2)
            targets = Targets(torch.zeros(batch, dtype=torch.long, device=self.device))
            self._backward(self.network, chunks, targets, batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return False
        return True


def _halves(batch: int) -> Iterator[int]:
    """Half of a batch, a quarter, … down to the two chunks that BatchNorm takes at least."""
    while (batch := batch // 2) >= 2:
        yield batch
