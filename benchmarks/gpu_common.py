"""What the parts of gpu.py share: sizes, a step, a training, rates, lines of the table. Runs nothing by itself."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from sertk.data.store import Store, store_of
from sertk.models.compute import layout
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training import loop
from sertk.training.distributed import World
from sertk.training.loop import Training
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.targets import Targets

LABELS, FOLDS = 4, 5


@dataclass(frozen=True)
class Size:
    """How large the measurements are."""

    spec: NetworkSpec
    batches: tuple[int, ...]
    frames: tuple[int, ...]
    segments: int  # of the corpus, for prediction and heads
    trained: int  # segments of the loop and of the draws
    seconds: float  # of a measurement
    warm_up: int  # steps of a training
    window: int  # segments of which draws are computed together

    @property
    def usual(self) -> int:
        """Frames of parts that measure one length."""
        return self.frames[len(self.frames) // 2]


SIZES = {
    "paper": Size(NetworkSpec(LABELS), (32, 128, 256), (150, 200, 300), 5531, 1000, 1.0, 20, 16),
    "toy": Size(
        NetworkSpec(LABELS, 16, channels=2, blocks=(1, 1, 1, 1), embedding_dim=8), (4, 8), (24,), 10, 10, 0.02, 2, 4
    ),
}


def row(what: str, **figures: object) -> None:
    """Print a line of the table; names with underscores for spaces, per for a slash."""
    named = {name.replace("_per_", "/").replace("_", " "): value for name, value in figures.items()}
    print(json.dumps({"what": what, **named}, ensure_ascii=False), flush=True)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], seconds: float, device: torch.device) -> tuple[float, float]:
    """Seconds of a call, and of the host until it has queued one, after three calls for warming up.

    Of the host only the first two calls after a wait are timed: in the queue of a GPU is room for about a thousand kernels,
    and with those of more steps the host waits for the GPU.
    """
    for _ in range(3):
        run()
    wait(device)
    more = 6 if device.type == "cuda" else 0
    start, rounds, queued = time.perf_counter(), 0, 0.0
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        run()
        queued += time.perf_counter() - before
        for _ in range(more):
            run()
        wait(device)
        rounds += 1
    return (time.perf_counter() - start) / (rounds * (2 + more)), queued / (rounds * 2)


def settings_of(size: Size, batch: int, frames: tuple[int, ...], **fields: object) -> TrainingSettings:
    masks = {} if size.spec.bins > 100 else {"augment": ("none", "3:9:0.2:2:2", "5:9:0.2:2:2")}
    given = {"precision": "bf16", "compile": "false", "epochs": 1000} | masks | fields
    return TrainingSettings(batch_size=batch, chunk_frames=frames, **given)


def new_step(
    size: Size, batch: int, frames: int, device: torch.device, network: ResNet | None = None, **fields: object
):
    """A function that takes one training step on a batch that is on the device."""
    settings = settings_of(size, batch, (frames,), **fields)
    network = (network or ResNet(size.spec)).to(device).to(memory_format=layout(size.spec)).train()
    optimiser = torch.optim.SGD(network.parameters(), 0.01, 0.9, fused=True)
    step = Step(network, optimiser, settings, device, World())
    chunks = torch.randn(batch, frames, size.spec.bins, device=device).transpose(1, 2)
    targets = Targets(torch.arange(batch, device=device) % LABELS)
    return lambda: step(chunks, targets, batch)


def forward_flop(size: Size, frames: int) -> float:
    """Multiplications and additions of a segment's forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network, chunk = ResNet(size.spec).eval(), torch.empty(1, size.spec.bins, frames)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(chunk)
    return counter.get_total_flops()


def report_step(what: str, size: Size, batch: int, frames: int, device: torch.device, run: Callable) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    each, host = timed(run, size.seconds, device)
    figures = {
        "segments_per_s": round(batch / each),
        "ms": round(1000 * each, 2),
        "ms_of_the_host": round(1000 * host, 2),
    }
    figures["TFLOP_per_s"] = round(3 * batch * forward_flop(size, frames) / each / 1e12, 2)
    if device.type == "cuda":
        figures["GB_at_most"] = round(torch.cuda.max_memory_allocated(device) / 1e9, 2)
    row(what, **figures)


def store(size: Size, segments: int) -> Store:
    """Noise of IEMOCAP's lengths (table3.py); every segment a part of the same matrix, so that it is made at once."""
    rng = np.random.default_rng(0)
    least, most = 2 * min(size.frames) // 5, 10 * max(size.frames)
    lengths = np.clip(rng.lognormal(np.log(1.15 * max(size.frames)), 0.66, segments), least, most).astype(int)
    noise = rng.standard_normal((most + segments, size.spec.bins), np.float32)
    return store_of(
        [f"utt{i:05d}" for i in range(segments)], [noise[i : i + n] for i, n in enumerate(lengths.tolist())]
    )


def training(
    size: Size, batch: int, device: torch.device, source: Callable | None = None, **fields: object
) -> Training:
    """A training on segments of IEMOCAP's lengths, and whether its features lie on the device."""
    feats = store(size, size.trained)
    if source:
        loop.source_of_chunks = source
    settings = settings_of(size, batch, size.frames, **fields)
    return Training(ResNet(size.spec), feats, Targets(torch.arange(len(feats)) % LABELS), settings, device, World())


def steps_of(one: Training) -> Iterator[None]:
    return one.steps(lambda *_: None)


def rate(run: Iterator, each: int, seconds: float, device: torch.device, warm_up: int) -> float:
    """Items per second of an iterator whose every item is `each`, after the first ones."""
    for _ in islice(run, warm_up):
        pass
    wait(device)
    start, done = time.perf_counter(), 0
    for _ in run:
        done += each
        if time.perf_counter() - start > seconds:
            break
    wait(device)
    return done / (time.perf_counter() - start)
