"""The training loop: batches of masked chunks, SGD, checkpoints after every epoch and at intervals inside it."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from sertk.data.loader import prefetch
from sertk.data.resident import source_of_chunks
from sertk.data.sampler import Batch
from sertk.data.store import Store
from sertk.errors import SertkError
from sertk.models.compute import layout
from sertk.models.modelfile import finite
from sertk.models.resnet import ResNet
from sertk.training.distributed import World
from sertk.training.freezing import freeze, parameter_groups, sgd
from sertk.training.memory import rehearse
from sertk.training.model_selection import selected_epoch
from sertk.training.progress import Progress, Stopped, StopRequested, never
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.syncnorm import synchronise
from sertk.training.targets import Targets

# Steps after which losses are read. Reading waits for the device: after every step a GPU's queue would run empty.
READ_AFTER = {"cpu": 1, "cuda": 32}
# Try the largest batch first, so that a GPU runs out of memory at once and not after hours.
REHEARSED = {"cpu": False, "cuda": True}

Network = TypeVar("Network", bound=nn.Module)
# Called with (epoch, finished batches, figures of the epoch so far).
OnBatch = Callable[[int, int, dict], None]


class Training:
    """A network in training, from its first batch or from the progress of a checkpoint.

    Args:
        network: with the weights to start from; trained in place.
        store: features of the training segments.
        targets: of the training segments.
        settings: how to train.
        device: where to compute.
        world: this process among those that train together.
        progress: of the checkpoint to resume from.
        save: writes a checkpoint; called by process 0.
        scorer: scores the network after every epoch: its figures join the epoch's record, and the weights of the epoch
            with the highest dev_ua are kept (see model_selection).
        callbacks: called by process 0 after every epoch, before its checkpoint, with the records of all epochs so far.
    """

    def __init__(
        self,
        network: ResNet,
        store: Store,
        targets: Targets,
        settings: TrainingSettings,
        device: torch.device,
        world: World,
        *,
        progress: Progress | None = None,
        save: Callable[[Progress], None] | None = None,
        scorer: Callable[[ResNet], dict] | None = None,
        callbacks: Sequence[Callable[[list[dict]], None]] = (),
    ) -> None:
        self.settings, self.device, self.world = settings, device, world
        self.scorer, self.save, self.callbacks = (None, None, ()) if world.rank else (scorer, save, callbacks)
        self.store, self.targets = store, targets.to(device)
        self.network = network.to(device).to(memory_format=layout(network.spec))
        if settings.sync_batchnorm and world.size > 1:
            synchronise(self.network, world)
        self.freezing = freeze(network, settings.train, settings.frozen_batchnorm)
        rates = (settings.learning_rate, settings.trunk_scale)
        self.optimiser = sgd(parameter_groups(network, *rates, settings.weight_decay, settings.decay_all), settings)
        self.schedule, self.margins = settings.learning_rates(), settings.margins()
        self.sampler = settings.sampler(len(store), targets.labels.cpu().numpy())
        self.step = Step(self.network, self.optimiser, settings, device, world, self._largest_share)
        self.chunks = source_of_chunks(store, settings.chunk_rule(network.trunk.mean_input()), device)
        self.progress = progress or Progress()
        if self.progress.tensors:
            self.network.load_state_dict(self.progress.tensors["network"])
            self.optimiser.load_state_dict(self.progress.tensors["optimiser"])
        self.best = self.progress.tensors.get("best")

    def run(
        self, on_batch: OnBatch, stop_requested: StopRequested = never, checkpoint_every: float = math.inf
    ) -> list[dict]:
        """Train to the last epoch (see steps).

        Returns:
            one record per epoch: loss, accuracy, learning_rate (of its last step), chunks, seconds, chunks_per_second.
        """
        for _ in self.steps(on_batch, stop_requested, checkpoint_every):
            pass
        return self.progress.history

    def steps(
        self, on_batch: OnBatch, stop_requested: StopRequested = never, checkpoint_every: float = math.inf
    ) -> Iterator[None]:
        """Train to the last epoch, yielding after every step, so that other trainings can take theirs (side_by_side).

        Args:
            on_batch: called after every batch (on a GPU after some of them).
            stop_requested: checked after every batch; if True in one process, all checkpoint after the same batch and end.
            checkpoint_every: seconds between checkpoints inside an epoch.

        Raises:
            Stopped: `stop_requested` returned True.
            SertkError: the loss (the batch's segments are named) or the weights are NaN or infinite, or memory ran out.
        """
        if REHEARSED[self.device.type] and len(self.progress.history) < self.settings.epochs:
            self.freezing.train_mode(self.network)
            largest = self._largest_share(self.settings.batch_size)
            rehearse(self.step, largest, self.store.bins, max(self.settings.chunk_frames))
        while len(self.progress.history) < self.settings.epochs:
            yield from self._epoch(on_batch, stop_requested, checkpoint_every)

    def _epoch(self, on_batch: OnBatch, stop_requested: StopRequested, checkpoint_every: float) -> Iterator[None]:
        progress, epoch = self.progress, len(self.progress.history) + 1
        self.freezing.train_mode(self.network)
        sums = progress.sums or {"loss": 0.0, "correct": 0.0, "chunks": 0.0, "seconds": 0.0}
        seconds_before, started, saved = sums["seconds"], time.monotonic(), time.monotonic()
        last, unread = self.sampler.num_batches() - 1, []
        rate = self._set_rate(epoch, last)  # of the record, if all batches were finished before
        for batch, chunks in self._batches(epoch, progress.batch):
            rate = self._set_rate(epoch, batch.number)
            targets = self.targets.of(self._segments(batch))
            unread.append((batch, self.step(chunks, targets, len(batch.items), stop_requested())))
            yield
            if len(unread) < READ_AFTER[self.device.type] and batch.number < last:
                continue
            stopping = self._read(unread, sums, epoch, rate)
            unread = []
            sums["seconds"] = seconds_before + time.monotonic() - started
            progress.batch, progress.sums = batch.number + 1, sums
            on_batch(epoch, progress.batch, _record(epoch, rate, sums))
            if stopping or time.monotonic() - saved > checkpoint_every:
                self._check_weights(epoch, rate)
                self._checkpoint()
                saved = time.monotonic()
            if stopping:
                raise Stopped(f"epoch {epoch}, after batch {progress.batch} of {self.sampler.num_batches()}")
        progress.history.append(_record(epoch, rate, sums))
        progress.batch, progress.sums = 0, {}
        self._finish_epoch(epoch, rate)

    def _set_rate(self, epoch: int, batch: int) -> float:
        """Set learning rates and margin of a step; returns the head's learning rate."""
        batches = self.sampler.num_batches()
        rate = self.schedule.rate(epoch, batch, batches)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        self.step.margin = self.margins.at(epoch, batch, batches)
        return rate

    def _batches(self, epoch: int, first: int) -> Iterator[tuple[Batch, Tensor]]:
        """Batches from `first` on, each with this process's chunks of it on the device: (share, bins, T)."""

        def prepare(batch: Batch) -> tuple[Batch, object]:
            share = Batch(batch.number, batch.frames, self.world.share(batch.items))
            return batch, self.chunks.prepare(share, epoch)

        batches = self.sampler.batches(epoch, first)
        for batch, prepared in prefetch(prepare, batches, threads=self.chunks.threads):
            yield batch, self.chunks.finish(prepared)

    def _segments(self, batch: Batch) -> Tensor:
        """Indices of the segments of this process's chunks, on the device. Shape: (share,)."""
        return torch.from_numpy(self.world.share(batch.items)[:, 0]).to(self.device, non_blocking=True)

    def _finish_epoch(self, epoch: int, rate: float) -> None:
        """Score the epoch's network, keep its weights if they are the best, call the callbacks, checkpoint."""
        self._check_weights(epoch, rate)
        history = self.progress.history
        if self.scorer:
            history[-1] |= self.scorer(self.network)
            if selected_epoch(history) == epoch:
                self.best = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        for callback in self.callbacks:
            callback(history)
        self._checkpoint()

    def _read(self, steps: list[tuple[Batch, Tensor]], sums: dict, epoch: int, rate: float) -> bool:
        """Add the figures of steps to `sums`, which waits for the device; True if any process was asked to stop."""
        figures = torch.stack([tensor for _, tensor in steps]).tolist()  # one copy from the device
        for (batch, _), (loss, correct, _) in zip(steps, figures):
            if not math.isfinite(loss):
                if self.world.rank:
                    raise SertkError(f"process {self.world.rank} stopped: the error is reported by process 0")
                keys = " ".join(sorted({self.store.keys[i] for i in batch.items[:, 0].tolist()}))
                raise SertkError(
                    f"epoch {epoch}, batch {batch.number}: the loss is {loss} (learning rate {rate:g}): {keys}"
                )
            sums["loss"] += loss
            sums["correct"] += correct
            sums["chunks"] += len(batch.items)
        return figures[-1][2] > 0

    def _check_weights(self, epoch: int, rate: float) -> None:
        """Keep weights that are NaN or infinite out of every checkpoint: no run could resume from them."""
        if not finite(self.network):
            raise SertkError(f"epoch {epoch}: weights are NaN or infinite (learning rate {rate:g})")

    def selected(self) -> tuple[ResNet, int]:
        """The network with the weights of the selected epoch (which overwrite the last epoch's), and that epoch."""
        if self.best:
            self.network.load_state_dict(self.best)
        return self.network, selected_epoch(self.progress.history)

    def _largest_share(self, batch_size: int) -> int:
        """Most chunks that this process computes at once, in batches of `batch_size`."""
        return len(self.world.share(range(replace(self.sampler, batch_size=batch_size).largest_batch())))

    def _checkpoint(self) -> None:
        if self.save:
            self.progress.tensors = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
            if self.best:
                self.progress.tensors["best"] = self.best
            self.save(self.progress)


def _record(epoch: int, rate: float, sums: dict) -> dict:
    return {
        "epoch": epoch,
        "loss": sums["loss"] / sums["chunks"],
        "accuracy": sums["correct"] / sums["chunks"],
        "learning_rate": rate,
        "chunks": int(sums["chunks"]),
        "seconds": round(sums["seconds"], 3),
        "chunks_per_second": round(sums["chunks"] / max(sums["seconds"], 1e-9), 1),
    }


def seeded(build: Callable[[], Network], seed: int) -> Network:
    """Build a network with torch's random generator set to `seed`, and restore the generator afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
