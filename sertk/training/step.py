"""One step of stochastic gradient descent: forward, loss, backward, update."""

import gc
from collections.abc import Callable

import torch
from torch import Tensor

from sertk.errors import SertkError, out_of_memory
from sertk.models.compute import autocast
from sertk.models.normact import use_fused
from sertk.models.resnet import ResNet
from sertk.training.castonce import CastOnce
from sertk.training.compile import compile_network
from sertk.training.distributed import World
from sertk.training.graphs import RECORDERS, Graphs
from sertk.training.margin import MarginLoss
from sertk.training.memory import advice
from sertk.training.settings import TrainingSettings
from sertk.training.targets import Targets

# On a CPU starting an operation costs nothing; a compiler has casts of its own.
CAST_ONCE = {"cpu": False, "cuda": True}


class Step:
    """A step on this process's share of a batch.

    Args:
        network: trained in place, on `device`.
        optimiser: over its parameters.
        settings: how to train.
        device: where to compute.
        world: this process among those that train together.
        largest: function from a batch size to the number of this process's chunks in the largest batch.
    """

    def __init__(
        self,
        network: ResNet,
        optimiser: torch.optim.Optimizer,
        settings: TrainingSettings,
        device: torch.device,
        world: World,
        largest: Callable[[int], int] = int,
    ) -> None:
        self.network, self.optimiser, self.settings = network, optimiser, settings
        self.device, self.world, self.largest = device, world, largest
        use_fused(network, settings.compile in ("fused", "graphs"))
        self.compiled = compile_network(network, device) if settings.compile == "true" else network
        self.cast_once = (
            CastOnce(network, device) if CAST_ONCE[device.type] and settings.precision == "bf16" else network
        )
        self.margin = settings.margin  # of the step, set by the loop as the learning rates are
        self.margin_loss = MarginLoss(settings.loss, settings.margin, network.spec.scale, settings.inter_topk,
                                      settings.inter_topk_penalty)  # fmt: skip
        self.parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self.graphs = None
        if settings.compile == "graphs":
            self.graphs = Graphs(self.parameters, list(network.buffers()), RECORDERS[device.type](device))

    def __call__(self, chunks: Tensor, targets: Targets, size: int, stop: bool = False) -> Tensor:
        """Take one step.

        Args:
            chunks: (share, bins, T) float32 on the device.
            targets: of these chunks, on the device.
            size: number of chunks in the whole batch, over all processes.
            stop: True if this process was asked to stop.

        Returns:
            (3,) float64 on the device, summed over all processes: loss, correctly classified chunks, processes that were
            asked to stop.

        Raises:
            SertkError: memory ran out; the message names sizes that fit.
        """
        # One batch of an epoch differs in size from the others: compiling it would take longer than the epoch.
        whole = size == self.settings.batch_size
        network = self.compiled if whole else self.network
        try:
            if network is not self.network:  # this call loads the compiler, which takes seconds
                torch.compiler.cudagraph_mark_step_begin()  # the last step's outputs may be overwritten
            if self.graphs and whole:
                loss, logits = self.graphs(self._of_whole_batch, chunks, targets, self.margin)
            else:
                loss, logits = self.gradients(network, chunks, targets, size)
            self.world.sum_gradients(self.parameters)
            self.optimiser.step()
            correct = targets.correct(logits)
            # Created on the device: a copy from the host would wait for the GPU.
            stopping = torch.full((), float(stop), dtype=torch.float64, device=self.device)
            return self.world.sum(torch.stack([loss.double(), correct.double(), stopping]))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        # Raised outside the except block: a live exception keeps the failed step's tensors allocated.
        raise SertkError(advice(self, len(chunks), chunks.shape[1], chunks.shape[2]))

    def gradients(self, network: Callable, chunks: Tensor, targets: Targets, size: int) -> tuple[Tensor, Tensor]:
        """Forward, loss, backward: leaves gradients in the parameters; returns the summed loss and the logits, detached."""
        with autocast(self.device, self.settings.precision):
            logits = self.cast_once(chunks) if network is self.network else network(chunks)
        harder = self.margin_loss(logits.float(), targets.labels, self.margin)
        loss = targets.loss(harder, self.settings.label_smoothing)
        self.optimiser.zero_grad(set_to_none=True)
        (loss / size).backward()
        return loss.detach(), logits.detach()

    def _of_whole_batch(self, chunks: Tensor, targets: Targets) -> tuple[Tensor, Tensor]:
        return self.gradients(self.network, chunks, targets, self.settings.batch_size)

    def release_graphs(self) -> None:
        """Free the memory that CUDA graphs hold; later steps are taken without them."""
        if self.compiled is not self.network:
            self.compiled = self.network
            torch.compiler.reset()
        self.graphs = None
        self.optimiser.zero_grad(set_to_none=True)
        gc.collect()
