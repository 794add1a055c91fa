"""The training loop: batches of masked chunks, SGD, a checkpoint after every epoch (and in mid-epoch when asked)."""

import json
import math
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from sertk.atomic import atomic_file
from sertk.data.chunks import ChunkRule
from sertk.data.loader import prefetch
from sertk.data.masks import parse_policy
from sertk.data.resident import source_of_chunks
from sertk.data.sampler import Batch, Sampler
from sertk.data.store import Store
from sertk.errors import SertkError
from sertk.models.compute import layout
from sertk.models.modelfile import finite
from sertk.models.resnet import ResNet
from sertk.runs.preemption import Stopped
from sertk.runs.state import MACHINE, TrainingState, load_state, save_state
from sertk.training.distributed import World
from sertk.training.freezing import freeze, parameter_groups
from sertk.training.model_selection import chosen_epoch
from sertk.training.schedule import DescentSettings
from sertk.training.step import Step
from sertk.training.syncnorm import synchronise
from sertk.training.targets import Targets

# Steps between two looks at the losses. A look waits for the device: a GPU's queue would run empty at every step.
READ_AFTER = {"cpu": 1, "cuda": 32}
# Whether the largest batch, an epoch's last, is tried before the first: a GPU's memory would end after hours. A CPU has more.
REHEARSED = {"cpu": False, "cuda": True}


@dataclass(frozen=True)
class Settings(DescentSettings):
    """How a network is trained on chunks; the defaults are the paper's (section 4.2), where it says."""

    chunk_frames: tuple[int, ...] = (150, 200, 250, 300)
    augment: tuple[str, ...] = ("none", "conservative", "aggressive")
    copies: int = 1
    padding: str = "repeat"
    mask_scope: str = "chunk"
    train: str = "all"
    frozen_batchnorm: str = "eval"
    trunk_scale: float = 1.0
    precision: str = "float32"
    compile: str = "false"
    sync_batchnorm: bool = False

    def plain(self) -> dict:
        """The fields as plain types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def machine(self) -> Set[str]:
        """Names of what shapes the last bits of a run only: with BatchNorm over all processes their number too."""
        return {*MACHINE, "processes"} if self.sync_batchnorm else MACHINE

    def chunk_rule(self) -> ChunkRule:
        policies = tuple(parse_policy(name) for name in self.augment)
        return ChunkRule(self.seed, policies, self.padding, self.mask_scope)

    def sampler(self, num_segments: int, labels: Tensor | None = None) -> Sampler:
        """The batches of an epoch.

        Args:
            num_segments: of the training.
            labels: theirs, (segments,) integers; without them balanced batches have only the right sizes.
        """
        classes = labels.cpu().numpy() if self.sampling == "balanced" and labels is not None else None
        return Sampler(
            self.seed, num_segments, len(self.augment), self.copies, self.batch_size, self.chunk_frames, classes
        )


class Training:
    """A network in training, from its first batch or from where its folder says that it stopped.

    Args:
        network: with the weights to start from; trained in place.
        store: the training segments.
        targets: of these segments.
        settings: how.
        directory: for state.pt and train.jsonl.
        fingerprint: what else shapes the run (data, code, initial weights), plain types: a state with another one
            is refused.
        device: where to compute.
        world: this process among those that train together.
        develop: what to look at after every epoch: its figures join the epoch's record, and the network of the epoch
            with the greatest dev_ua is kept beside the last one (see choosing).
        watchers: called by process 0 with the epochs' records after every epoch, before its checkpoint.
    """

    def __init__(self, network: ResNet, store: Store, targets: Targets, settings: Settings, directory: Path,
                 fingerprint: dict, device: torch.device, world: World,
                 develop: Callable[[ResNet], dict] | None = None,
                 watchers: Sequence[Callable[[list[dict]], None]] = ()):  # fmt: skip
        self.settings, self.directory, self.device, self.world = settings, directory, device, world
        self.develop, self.watchers = develop, () if world.rank else watchers
        self.store, self.targets = store, targets.to(device)
        self.network = network.to(device).to(memory_format=layout(network.spec))
        if settings.sync_batchnorm and world.size > 1:
            synchronise(self.network, world)
        self.freezing = freeze(network, settings.train, settings.frozen_batchnorm)
        self.optimiser = torch.optim.SGD(
            parameter_groups(network, settings.learning_rate, settings.trunk_scale, settings.weight_decay),
            lr=settings.learning_rate, momentum=settings.momentum, fused=True,
        )  # fmt: skip
        self.sampler = settings.sampler(len(store), targets.labels)
        self.step = Step(self.network, self.optimiser, settings, device, world, self._largest_share)
        self.chunks = source_of_chunks(store, settings.chunk_rule(), device)
        self.shape = {**settings.plain(), **fingerprint}
        self.state = load_state(directory / "state.pt", self.shape, settings.machine()) or TrainingState(self.shape)
        if self.state.tensors:
            self.network.load_state_dict(self.state.tensors["network"])
            self.optimiser.load_state_dict(self.state.tensors["optimiser"])
        if len(self.state.history) > settings.epochs:
            raise SertkError(
                f"{directory}/state.pt: {len(self.state.history)} epochs are done, --epochs {settings.epochs} is less"
                " (--restart true begins again and keeps the old run aside)"
            )
        self.state.settings = self.shape
        self.best = self.state.tensors.get("best")

    def run(
        self, on_batch: Callable[[int, int, dict], None], stop=False, checkpoint_every: float = math.inf
    ) -> list[dict]:
        """Train to the last epoch.

        Args:
            on_batch: called after every batch (on a GPU after some) with (epoch, batches done, figures so far).
            stop: when it becomes true in any process, all checkpoint after the same batch and end.
            checkpoint_every: seconds between checkpoints in mid-epoch.

        Returns:
            a record for every epoch: loss, accuracy, learning_rate, chunks, seconds, chunks_per_second.

        Raises:
            Stopped: when `stop` became true.
            SertkError: when the loss is not a number; the batch's segments are named. When weights are no numbers after a
                step, or memory runs out.
        """
        if REHEARSED[self.device.type] and len(self.state.history) < self.settings.epochs:
            self.freezing.train_mode(self.network)
            largest = self._largest_share(self.settings.batch_size)
            self.step.rehearse(largest, self.store.bins, max(self.settings.chunk_frames))
        while len(self.state.history) < self.settings.epochs:
            self._epoch(on_batch, stop, checkpoint_every)
        return self.state.history

    def _epoch(self, on_batch, stop, checkpoint_every):
        state, epoch = self.state, len(self.state.history) + 1
        rate = self.settings.schedule().rate(epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        self.freezing.train_mode(self.network)
        sums = state.sums or {"loss": 0.0, "correct": 0.0, "chunks": 0.0, "seconds": 0.0}
        seconds_before, begun, saved = sums["seconds"], time.monotonic(), time.monotonic()
        batches = self.sampler.batches(epoch, state.batch)
        last, unread = self.sampler.num_batches() - 1, []
        cut = prefetch(lambda b: (b, self.chunks.prepare(self._share(b), epoch)), batches, threads=self.chunks.threads)
        for batch, made in cut:
            unread.append((batch, self._step(batch, self.chunks.finish(made), stop)))
            if len(unread) < READ_AFTER[self.device.type] and batch.number < last:
                continue
            asked = self._read(unread, sums, epoch, rate)
            unread = []
            sums["seconds"] = seconds_before + time.monotonic() - begun
            state.batch, state.sums = batch.number + 1, sums
            on_batch(epoch, state.batch, _record(epoch, rate, sums))
            if asked:
                self._check_weights(epoch, rate)
                self._checkpoint()
                raise Stopped(f"epoch {epoch}, after batch {state.batch} of {self.sampler.num_batches()}")
            if time.monotonic() - saved > checkpoint_every:
                self._check_weights(epoch, rate)
                self._checkpoint()
                saved = time.monotonic()
        self._check_weights(epoch, rate)
        state.history.append(_record(epoch, rate, sums))
        if self.develop and not self.world.rank:  # the one that writes
            state.history[-1] |= self.develop(self.network)
            if chosen_epoch(state.history) == epoch:
                self.best = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        for watch in self.watchers:
            watch(state.history)
        state.batch, state.sums = 0, {}
        self._checkpoint()

    def _read(self, steps: list[tuple[Batch, Tensor]], sums: dict, epoch: int, rate: float) -> bool:
        """Add what the steps gave to `sums`, which waits for the device; returns whether a rank is to stop."""
        read = torch.stack([figures for _, figures in steps]).tolist()  # one copy from the device
        for (batch, _), (loss, correct, _) in zip(steps, read):
            if not math.isfinite(loss):
                if self.world.rank:
                    raise SertkError(f"process {self.world.rank} ends with process 0, which says why")
                keys = " ".join(sorted({self.store.keys[i] for i in batch.items[:, 0].tolist()}))
                raise SertkError(
                    f"epoch {epoch}, batch {batch.number}: the loss is {loss} (learning rate {rate:g}): {keys}"
                )
            sums["loss"] += loss
            sums["correct"] += correct
            sums["chunks"] += len(batch.items)
        return read[-1][2] > 0

    def _check_weights(self, epoch: int, rate: float) -> None:
        """Keep what no run could go on from out of the checkpoints: of a step too large, the next loss tells, or nothing."""
        if not finite(self.network):
            raise SertkError(f"epoch {epoch}: the weights are no numbers (learning rate {rate:g})")

    def chosen(self) -> tuple[ResNet, int]:
        """The network of the chosen epoch, and its number. What was trained is overwritten by it."""
        if self.best:
            self.network.load_state_dict(self.best)
        return self.network, chosen_epoch(self.state.history)

    def _largest_share(self, batch_size: int) -> int:
        """Chunks that this process computes at once at most, in batches of so many."""
        return len(self.world.share(range(replace(self.sampler, batch_size=batch_size).largest_batch())))

    def _share(self, batch: Batch) -> Batch:
        return Batch(batch.number, batch.frames, self.world.share(batch.items))

    def _step(self, batch: Batch, chunks: Tensor, stop) -> Tensor:
        """One step; returns the batch's summed loss, how many chunks were recognised, and how many ranks are to stop."""
        segments = torch.from_numpy(self.world.share(batch.items)[:, 0])
        targets = self.targets.of(segments.to(self.device, non_blocking=True))
        return self.step(chunks, targets, len(batch.items), bool(stop))

    def _checkpoint(self):
        if self.world.rank:
            return
        self.state.tensors = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        if self.best:
            self.state.tensors["best"] = self.best
        save_state(self.directory / "state.pt", self.state)
        write_records(self.directory, self.state.history)


def write_records(directory: Path, history: list[dict]) -> None:
    """Write the epochs' records as DIR/train.jsonl."""
    with atomic_file(directory / "train.jsonl", "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in history)


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


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """What build() makes with torch's generator set to `seed`; the generator is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
