"""Forms of the training step: torch's operations, fused BatchNorm, CUDA graphs of it, or torch.compile; which work here."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from sertk.errors import SertkError
from sertk.models import normact
from sertk.models.compute import layout
from sertk.models.resnet import NetworkSpec, ResNet
from sertk.training.graphs import RECORDERS
from sertk.training.settings import TrainingSettings

# torch's default recompilation limit; beyond it torch silently runs the function uncompiled.
MAX_LENGTHS = 8
BACKEND = "inductor"


def keep_compiled_code(directory: Path) -> Path:
    """Have torch and Triton keep compiled code in a folder beside a run's, where later runs find it: .compiled.

    It is shared by the folds. torch's own choice, a folder in /tmp, is lost with the machine. TORCHINDUCTOR_CACHE_DIR
    overrides this. Called before anything is compiled; the folder is made when something is.

    Returns:
        the folder.
    """
    folder = os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(directory.parent / ".compiled"))
    os.environ.setdefault("TRITON_CACHE_DIR", str(Path(folder) / "triton"))
    return Path(folder)


def choose_form(
    requested: str,
    resumed: str | None,
    settings: TrainingSettings,
    spec: NetworkSpec,
    device: torch.device,
    fastest: Callable[[], str],
) -> str:
    """Choose the form of a run's steps.

    Args:
        requested: "false" (torch's operations), "fused", "graphs" (fused, replayed), "true" (compiled), or "auto": as in
            the resumed run, else the fastest.
        resumed: the form of the resumed run; None for a new run.
        settings: of the training.
        spec: of the network.
        device: where to compute.
        fastest: called for a new run with "auto"; returns one of the forms.

    Returns:
        "false", "fused", "graphs" or "true".

    Raises:
        SertkError: a form is requested, or the resumed run had it, and it does not work here.
    """
    form = resumed if requested == "auto" and resumed else requested
    if form == "auto":
        return fastest()
    if reason := obstacle(form, settings, spec, device):
        raise SertkError(f"--compile {form}: {reason}")
    return form


def obstacle(form: str, settings: TrainingSettings, spec: NetworkSpec, device: torch.device) -> str | None:
    """Return why the steps of a training cannot have a form on this machine, None if they can."""
    if form == "false":
        return None
    if settings.sync_batchnorm:
        return "BatchNorm over all processes has torch's operations only"
    if form in ("fused", "graphs"):
        if layout(spec) != torch.channels_last:
            return f"the fused form needs 16 channels or more (--channels {spec.channels})"
        if form == "graphs" and device.type not in RECORDERS:
            return "CUDA graphs need a GPU"
        return normact.obstacle(device)
    if len(settings.chunk_frames) > MAX_LENGTHS:
        return f"--chunk-frames names {len(settings.chunk_frames)} lengths, torch compiles {MAX_LENGTHS} at most"
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
