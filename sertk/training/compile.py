"""torch.compile for the network: whether it pays, whether it works here, and the compiled forward pass."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch

from sertk.errors import SertkError
from sertk.models.resnet import ResNet
from sertk.training.settings import TrainingSettings

log = logging.getLogger("sertk")

# Steps for each chunk length after which compiling has paid. On a CPU compiling takes one to three minutes a length and saves
# some 7 % of a bf16 step of seconds (less in float32). The GPU figure is an estimate, not a measurement.
WORTHWHILE_STEPS = {"cpu": 5000, "cuda": 10_000}
# torch's default recompilation limit; beyond it torch silently runs the function uncompiled.
MAX_LENGTHS = 8
BACKEND = "inductor"


def keep_compiled_code(directory: Path) -> None:
    """Have torch keep compiled code in a folder beside a run's, where later runs find it: .compiled, shared by the folds.

    torch's own choice, a folder in /tmp, is lost with the machine. TORCHINDUCTOR_CACHE_DIR overrides this. Called before
    anything is compiled; the folder is made when something is.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(directory.parent / ".compiled"))


def choose_compile(
    requested: str, resumed: str | None, steps: int, settings: TrainingSettings, device: torch.device
) -> str:
    """Decide whether a run is compiled.

    Args:
        requested: "true", "false", or "auto": as in the resumed run, else "true" if the run is long enough to pay.
        resumed: "true" or "false", the setting of the resumed run; None for a new run.
        steps: of the whole run.
        settings: of the training.
        device: where to compute.

    Returns:
        "true" or "false".

    Raises:
        SertkError: compiling is requested, or the resumed run was compiled, and it does not work here.
    """
    pays = settings.precision == "bf16" and steps >= WORTHWHILE_STEPS[device.type] * len(settings.chunk_frames)
    choice = resumed if requested == "auto" and resumed else requested
    if choice == "false" or (choice == "auto" and not pays):
        return "false"
    reason = obstacle(settings, device)
    if reason is None:
        lengths = ", ".join(map(str, settings.chunk_frames))
        log.info("compiling for chunks of %s frames: a minute or more at the first batch of each length", lengths)
        return "true"
    if choice == "auto":
        log.info("not compiled, though the run is long: %s", reason)
        return "false"
    raise SertkError(f"--compile true: {reason}")


def obstacle(settings: TrainingSettings, device: torch.device) -> str | None:
    """Return why a training cannot be compiled on this machine, None if it can."""
    if len(settings.chunk_frames) > MAX_LENGTHS:
        return f"--chunk-frames names {len(settings.chunk_frames)} lengths, torch compiles {MAX_LENGTHS} at most"
    if settings.sync_batchnorm:
        return "BatchNorm over all processes cannot be compiled"
    try:
        torch.compile(lambda x: x + 1, dynamic=False, backend=BACKEND)(torch.zeros(8, device=device))
    except Exception as error:  # a missing compiler, header or Triton each raises a class of its own
        return f"torch.compile does not work here: {str(error).strip().splitlines()[0]}"
    return None


def compile_network(network: ResNet, device: torch.device) -> Callable:
    """Compile the network's forward and backward pass, once for each input shape.

    On a GPU the result is recorded as CUDA graphs, which launch the hundreds of kernels of a pass at once.
    """
    torch.compiler.reset()  # code of networks trained before in this process would count towards torch's limit
    mode = "reduce-overhead" if device.type == "cuda" else None
    return torch.compile(network, dynamic=False, backend=BACKEND, mode=mode)
