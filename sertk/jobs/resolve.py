"""What --precision auto and --compile auto stand for in a run."""

import contextlib
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import torch

from sertk import __version__
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.runtime import choose_precision, hardware
from sertk.training.compile import choose_form
from sertk.training.distributed import World
from sertk.training.settings import TrainingSettings
from sertk.training.stopwatch import Stopwatch, TimeOf, fastest_form


def resolve_precision(settings: TrainingSettings, before: dict, device: torch.device, world: World) -> TrainingSettings:
    """Decide `precision` where it is "auto": as the run was started, else by hardware.

    Args:
        settings: as requested.
        before: settings that the run was started with, {} for a new one.
        device: where to compute.
        world: the processes, which all compute in the same precision.
    """
    precision = choose_precision(settings.precision, device, before.get("precision"))
    bf16 = world.sum(torch.tensor(float(precision == "bf16"), device=device))
    return replace(settings, precision="bf16" if int(bf16) == world.size else "float32")


def resolve_form(
    settings: TrainingSettings,
    before: dict,
    network: ResNet,
    num_segments: int,
    device: torch.device,
    world: World,
    compiled: Path,
) -> TrainingSettings:
    """Decide `compile` where it is "auto": as the run was started, else by timing the steps of a long run.

    Args:
        settings: as requested, with the precision decided.
        before: settings that the run was started with, {} for a new one.
        network: with the weights to start from.
        num_segments: training segments.
        device: where to compute.
        world: the processes, which all choose the same form.
        compiled: folder of compiled code.

    Raises:
        SertkError: the form does not work here.
    """
    steps = settings.epochs * settings.sampler(num_segments).num_batches()
    time_of = Stopwatch(network, settings, device, world)
    if world.size == 1:
        time_of = remembered(time_of, file_of_times(compiled, settings, network.spec, device))
    form = choose_form(
        settings.compile, before.get("compile"), settings, network.spec, device,
        lambda: fastest_form(steps, settings, device, time_of),
    )  # fmt: skip
    return replace(settings, compile=form)


def remembered(time_of: TimeOf, path: Path) -> TimeOf:
    """`time_of`, with what it returned before for a form, in this process or in another, read from a file.

    Args:
        time_of: times a form.
        path: JSON file of seconds by form; one that cannot be read or written is ignored.
    """

    def look(form: str) -> tuple[float, float]:
        known = _read(path)
        if form not in known:
            known[form] = time_of(form)
            if known[form][0] < float("inf"):
                _write(path, known)
        return known[form]

    return look


def file_of_times(folder: Path, settings: TrainingSettings, spec: NetworkSpec, device: torch.device) -> Path:
    """The file of the step times of such trainings on such a machine."""
    names = ("batch_size", "chunk_frames", "train", "frozen_batchnorm", "loss", "precision")
    what = {
        "sertk": __version__, "torch": torch.__version__, "hardware": hardware(device), "threads": torch.get_num_threads(),
        "network": spec.plain(), **{name: getattr(settings, name) for name in names},
    }  # fmt: skip
    return folder / f"step-times.{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> dict[str, tuple[float, float]]:
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        return {form: (float(step), float(before)) for form, (step, before) in json.loads(path.read_text()).items()}
    return {}


def _write(path: Path, times: dict[str, tuple[float, float]]) -> None:
    """Written whole: folds that start together may write at the same time."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(times) + "\n")
        beside.replace(path)
