"""The fastest form of a run's steps (--compile auto): each is timed on a copy of the network before the run."""

import copy
import gc
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from sertk.errors import SertkError
from sertk.models.compute import layout
from sertk.models.resnet import ResNet
from sertk.runtime import release_memory
from sertk.training.compile import obstacle
from sertk.training.distributed import World
from sertk.training.freezing import freeze, parameter_groups, sgd
from sertk.training.settings import TrainingSettings
from sertk.training.step import Step
from sertk.training.targets import Targets

log = logging.getLogger("sertk")

# Function from a form ("false", "fused", "graphs", "true") to seconds of a step, and before the first one for each chunk length.
TimeOf = Callable[[str], tuple[float, float]]

# Steps below which nothing is timed: a few steps of each form would be a noticeable part of the run.
LEAST_STEPS = 1000
# Seconds that compiling a length takes, and the part of a step that it may save, as far as known before it is tried.
# Measured: 60 to 180 s and 7 % on a CPU; 48 s and a third on an H200, where graphs save more than half of such a step.
COMPILING = {"cpu": 100.0, "cuda": 50.0}
SAVED = {"cpu": 0.1, "cuda": 0.3}
# A form must be faster by this much: timings scatter.
MARGIN = 0.03
# Steps before and during a measurement.
WARM_UP, TIMED = {"cpu": 1, "cuda": 4}, {"cpu": 2, "cuda": 20}
NAMES = {"false": "by torch's operations", "fused": "fused", "graphs": "as CUDA graphs", "true": "compiled"}


def fastest_form(steps: int, settings: TrainingSettings, device: torch.device, time_of: TimeOf) -> str:
    """The form in which a run ends first, logged with the times that decided.

    Args:
        steps: of the run.
        settings: of the training.
        device: where it computes.
        time_of: times a form; (inf, inf) if it does not work here.

    Returns:
        "false", "fused", "graphs" or "true".
    """
    # On a CPU compiling saves less in float32 than it costs.
    if steps < LEAST_STEPS or (device.type == "cpu" and settings.precision == "float32"):
        return "false"
    lengths = len(settings.chunk_frames)
    times = {"false": (time_of("false")[0], 0.0)}
    if device.type == "cuda":
        times["fused"] = (time_of("fused")[0], 0.0)  # its kernels serve all lengths, and are compiled by now
        if math.isfinite(times["fused"][0]):
            times["graphs"] = time_of("graphs")

    def total(form: str) -> float:
        return steps * times[form][0] + lengths * times[form][1]

    if min(map(total, times)) * SAVED[device.type] > lengths * COMPILING[device.type]:
        times["true"] = time_of("true")
    best = "false"
    for form in times:
        if total(form) < (1 - MARGIN) * total(best):
            best = form
    figures = ", ".join(
        f"{1000 * step:.4g} ms {NAMES[form]}"
        + (f" ({before:.0f} s for each of {lengths} lengths first)" if before >= 0.5 else "")
        for form, (step, before) in times.items() if math.isfinite(step)
    )  # fmt: skip
    log.info("a step takes %s; %d steps: --compile %s", figures or "too much memory", steps, best)
    return best


class Stopwatch:
    """Times the forms of the training step on a copy of a network, with chunks of the middle length.

    Args:
        network: stays as it is.
        settings: of the training.
        device: where it computes.
        world: processes that train together; what they measure is averaged, so that all choose the same form.
    """

    def __init__(self, network: ResNet, settings: TrainingSettings, device: torch.device, world: World) -> None:
        self.network, self.settings, self.device, self.world = network, settings, device, world
        self.share = len(world.share(range(settings.batch_size)))
        self.frames = sorted(settings.chunk_frames)[len(settings.chunk_frames) // 2]

    def __call__(self, form: str) -> tuple[float, float]:
        """Seconds of a step, and before the first one; (inf, inf) if the form does not work here."""
        reason = obstacle(form, self.settings, self.network.spec, self.device)
        if reason:
            log.info("--compile %s: not tried: %s", form, reason)
        try:
            seconds = (math.inf, math.inf) if reason else self._seconds(form)
        except SertkError:  # out of memory
            seconds = (math.inf, math.inf)
        gc.collect()
        if form == "true":
            torch.compiler.reset()  # CUDA graphs hold the memory that they were recorded with
        release_memory(self.device)
        step, before = (
            self.world.sum(torch.tensor(seconds, dtype=torch.float64, device=self.device)) / self.world.size
        ).tolist()
        return step, before

    def _seconds(self, form: str) -> tuple[float, float]:
        settings = replace(self.settings, compile=form, batch_size=self.share)
        network = copy.deepcopy(self.network).to(self.device).to(memory_format=layout(self.network.spec))
        freeze(network, settings.train, settings.frozen_batchnorm).train_mode(network)
        rates = (settings.learning_rate, settings.trunk_scale, settings.weight_decay, settings.decay_all)
        step = Step(network, sgd(parameter_groups(network, *rates), settings), settings, self.device, World())
        shape = (self.share, self.frames, network.spec.bins)
        chunks = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device).transpose(1, 2)
        targets = Targets(torch.zeros(self.share, dtype=torch.long, device=self.device))

        def run(steps: int) -> float:
            start = time.monotonic()
            for _ in range(steps):
                figures = step(chunks, targets, self.share)
            figures[0].item()  # waits for the device
            return time.monotonic() - start

        warm_up, timed = WARM_UP[self.device.type], TIMED[self.device.type]
        before = run(warm_up)
        each = run(timed) / timed
        return each, max(0.0, before - warm_up * each)
