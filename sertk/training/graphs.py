"""CUDA graphs: what a batch starts on a GPU is recorded once for each chunk length, and replayed by one call."""

import gc
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sertk.runtime import release_memory
from sertk.training.targets import Targets

log = logging.getLogger("sertk")

# Part by which a replay's loss and gradients may differ from those of the same batch as it is, whose numbers they should have.
TOLERANCE = 0.01
# Function of a batch: leaves gradients in the parameters; returns the summed loss and the logits, detached.
Gradients = Callable[[Tensor, Targets], tuple[Tensor, Tensor]]
# Records a function without computing it; returns the tensors that it returned, and a function that computes them.
Recorder = Callable[[Callable[[], list[Tensor]]], tuple[list[Tensor], Callable[[], object]]]


@dataclass(frozen=True)
class Recording:
    """A recorded batch.

    Args:
        inputs: that a replay reads: chunks, and the fields of their targets.
        results: that it overwrites: loss, logits, and the gradients of the parameters.
        replay: computes the results.
    """

    inputs: dict[str, Tensor]
    results: list[Tensor]
    replay: Callable[[], object]


class Graphs:
    """The gradients of batches, recorded and replayed.

    The first batch of a kind (shapes and margin) is computed as it is, which loads what must not be loaded while recording:
    kernels, cuDNN's plans, workspaces. The second one is recorded, and both replayed and computed as it is, to compare them.
    All later ones are replayed. While the margin rises, which is a constant of the kernels, nothing is recorded.

    If recording fails, or a replay has other numbers, a warning is logged, and all batches are computed as they are.

    Args:
        parameters: all get gradients. Each kind has gradients of its own, which its replays overwrite.
        buffers: that a batch changes, of BatchNorm.
        record: records on a device (RECORDERS).
    """

    def __init__(self, parameters: Sequence[nn.Parameter], buffers: Sequence[Tensor], record: Recorder) -> None:
        self.parameters, self.buffers, self.record = parameters, buffers, record
        self.recordings: dict[tuple, Recording] = {}
        self.margin, self.seen, self.failed = 0.0, set(), False

    def __call__(self, compute: Gradients, chunks: Tensor, targets: Targets, margin: float) -> tuple[Tensor, Tensor]:
        """Loss and logits, which the next call overwrites; leaves gradients in the parameters.

        Args:
            compute: the same in every call; it must not wait for the device.
            chunks: of the batch.
            targets: of the chunks.
            margin: with which `compute` computes.
        """
        given = {"chunks": chunks} | {name: tensor for name, tensor in vars(targets).items() if tensor is not None}
        kind = (margin, *((name, tensor.shape) for name, tensor in given.items()))
        if margin != self.margin:
            self.margin, self.seen = margin, set()
        new = kind in self.seen and kind not in self.recordings and not self.failed
        if new:
            self._record(compute, kind, given)
        self.seen.add(kind)
        recording = self.recordings.get(kind)
        if recording is None:
            return compute(chunks, targets)
        if not new:  # a new one has been replayed with this batch
            for name, tensor in given.items():
                recording.inputs[name].copy_(tensor)
            recording.replay()
        loss, logits, *gradients = recording.results
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        return loss, logits

    def _record(self, compute: Gradients, kind: tuple, given: dict[str, Tensor]) -> None:
        inputs = {name: tensor.clone() for name, tensor in given.items()}

        def of_inputs() -> list[Tensor]:
            targets = Targets(**{name: tensor for name, tensor in inputs.items() if name != "chunks"})
            results = compute(inputs["chunks"], targets)
            return [*results, *(parameter.grad for parameter in self.parameters)]

        try:
            recording = Recording(inputs, *self.record(of_inputs))
            reason = self._difference(recording, of_inputs)
        except (RuntimeError, MemoryError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if not reason:
            self.recordings[kind] = recording
            return
        # Outside the except block: a live exception keeps the tensors of the recording allocated.
        self.failed, self.recordings, recording = True, {}, None
        for parameter in self.parameters:
            parameter.grad = None
        gc.collect()
        release_memory(inputs["chunks"].device)
        log.warning("CUDA graphs do not work here (%s): steps are taken without them", reason)

    def _difference(self, recording: Recording, of_inputs: Callable[[], list[Tensor]]) -> str:
        """Replay a recording for the first time; returns how it differs from the same batch without it, "" if it does not."""
        before = [buffer.clone() for buffer in self.buffers]
        expected = _figures(of_inputs())
        self._restore(before)
        for tensor in recording.results:
            tensor.fill_(math.nan)
        recording.replay()
        found = _figures(recording.results)
        for name, one, other in zip(("loss", "norm of the gradients"), found, expected, strict=True):
            if not math.isclose(one, other, rel_tol=TOLERANCE) and math.isfinite(other):
                self._restore(before)
                return f"a replay has the {name} {one:g}, not {other:g}"
        return ""

    def _restore(self, before: list[Tensor]) -> None:
        for buffer, value in zip(self.buffers, before, strict=True):
            buffer.copy_(value)


def _figures(results: list[Tensor]) -> tuple[float, float]:
    """Loss and norm of the gradients."""
    loss, _, *gradients = results
    return loss.item(), torch.stack([gradient.float().norm() for gradient in gradients]).norm().item()


class CudaRecorder:
    """Records CUDA graphs of one network.

    They share memory, since they are not replayed at the same time. Networks that are trained side by side have recorders of
    their own, with a stream each: cuBLAS has a workspace for every stream.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.bytes = device, 0
        self.pool, self.stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)

    def __call__(self, compute: Callable[[], list[Tensor]]) -> tuple[list[Tensor], Callable[[], object]]:
        """Record `compute`.

        Raises:
            RuntimeError: it cannot be recorded, or memory ran out.
            MemoryError: as much memory as the graphs have taken is not left for batches that are computed as they are.
        """
        gc.collect()  # tensors and events that die during the recording would become part of it
        release_memory(self.device)
        before, graph = torch.cuda.memory_reserved(self.device), torch.cuda.CUDAGraph()
        # The outer context restores the stream: where recording fails, torch.cuda.graph leaves its own the current one.
        # thread_local: the threads that cut the next chunks allocate pinned memory meanwhile.
        failed = None
        try:
            with (
                torch.cuda.stream(torch.cuda.current_stream(self.device)),
                torch.cuda.graph(graph, self.pool, self.stream, capture_error_mode="thread_local"),
            ):
                try:
                    results = compute()
                except BaseException as error:
                    failed = error
                    raise
        except RuntimeError as error:
            self._give_up()
            # After a failure CUDA may refuse to end the recording too: streams were not joined.
            raise (failed or error) from None
        self.bytes += torch.cuda.memory_reserved(self.device) - before
        if torch.cuda.mem_get_info(self.device)[0] < self.bytes:
            raise MemoryError(f"they take {self.bytes / 1e9:.1f} GB, and less is left for batches of other sizes")
        return results, graph.replay

    def _give_up(self) -> None:
        """End a recording that CUDA refused, which torch before 2.12 does not.

        Its memory would be lost, and torch would free no other cached memory where memory runs out.
        """
        index = torch.cuda.current_device() if self.device.index is None else self.device.index
        with suppress(RuntimeError, AttributeError):  # of a torch that has ended it
            torch._C._cuda_endAllocateToPool(index, self.pool)
            torch._C._cuda_releasePool(index, self.pool)


RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaRecorder}
