"""Compiling the network for the lengths of chunks: whether it pays, whether it can be done, and how."""

import logging
from collections.abc import Callable

import torch

from sertk.errors import SertkError
from sertk.models.resnet import ResNet

log = logging.getLogger("sertk")

# Steps for each length of chunk after which compiling has paid. On a CPU one length takes one to three minutes, and in bf16 saves
# some 7 % of a step of seconds (in float32 less). A GPU's step is shorter, its figure estimated: none was seen.
PAYS_AFTER = {"cpu": 5000, "cuda": 10_000}
# torch compiles a function so often; beyond that it computes as if nothing had been asked.
MOST_LENGTHS = 8
BACKEND = "inductor"


def choose_compile(wanted: str, begun_with: str | None, steps: int, settings, device: torch.device) -> str:
    """Whether a run is compiled: "true" or "false".

    Args:
        wanted: "true", "false", or "auto": as the run was begun, or where it is long enough to pay.
        begun_with: what the run that is gone on with does, None where a run begins.
        steps: of the whole run.
        settings: of the training (loop.Settings).
        device: where to compute.

    Raises:
        SertkError: where it is asked for, or the run was begun so, and cannot be done here.
    """
    pays = settings.precision == "bf16" and steps >= PAYS_AFTER[device.type] * len(settings.chunk_frames)
    asked = begun_with if wanted == "auto" and begun_with else wanted
    if asked == "false" or (asked == "auto" and not pays):
        return "false"
    reason = obstacle(settings, device)
    if reason is None:
        log.info("compiling for chunks of %s frames: a minute or more at the first batch of each length",
                 ", ".join(map(str, settings.chunk_frames)))  # fmt: skip
        return "true"
    if asked == "auto":
        log.info("not compiled, though the run is long: %s", reason)
        return "false"
    raise SertkError(f"--compile true: {reason}")


def obstacle(settings, device: torch.device) -> str | None:
    """Why a training cannot be compiled here, None where it can."""
    if len(settings.chunk_frames) > MOST_LENGTHS:
        return f"--chunk-frames names {len(settings.chunk_frames)} lengths, torch compiles {MOST_LENGTHS} at most"
    if settings.sync_batchnorm:
        return "BatchNorm over all processes cannot be compiled"
    try:
        torch.compile(lambda x: x + 1, dynamic=False, backend=BACKEND)(torch.zeros(8, device=device))
    except Exception as error:  # a compiler, its headers or Triton is missing: each has errors of its own
        return f"torch.compile does not work here: {str(error).strip().splitlines()[0]}"
    return None


def compiled(network: ResNet, device: torch.device) -> Callable:
    """The network's forward (and with it its backward) pass, compiled anew for each shape of its input.

    On a GPU what is compiled is recorded as CUDA graphs, which launch a pass's hundreds of kernels at once.
    """
    mode = "reduce-overhead" if device.type == "cuda" else None
    return torch.compile(network, dynamic=False, backend=BACKEND, mode=mode)
