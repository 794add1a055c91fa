"""The GPUs of this machine, as run-local hands them out to its jobs."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS_TO_ANSWER = 60  # of nvidia-smi: the first call after a boot takes long


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that a job may be given, by the names that CUDA_VISIBLE_DEVICES takes.

    Those of an outer CUDA_VISIBLE_DEVICES (a batch system's, or the user's), numbers or UUIDs; without one those of
    nvidia-smi by their UUIDs, since its numbers need not be CUDA's; where it is missing (a container), the device files.
    """
    if "CUDA_VISIBLE_DEVICES" in environment:
        return named(environment["CUDA_VISIBLE_DEVICES"])
    try:
        shown = subprocess.run(
            ["nvidia-smi", "-L"], env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS_TO_ANSWER, check=True,
        )  # fmt: skip
        return listed(shown.stdout)
    except FileNotFoundError:
        return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
    except (OSError, subprocess.SubprocessError):
        return []  # no driver


def named(words: str) -> list[str]:
    """The devices of a CUDA_VISIBLE_DEVICES: those before the first that is none, as CUDA has it.

    >>> named("3, GPU-8932f937,-1,2")
    ['3', 'GPU-8932f937']
    """
    devices = []
    for word in map(str.strip, words.split(",")):
        if not re.fullmatch(r"\d+|(GPU|MIG)-[\w/-]+", word):
            break
        devices.append(word)
    return devices


def listed(text: str) -> list[str]:
    """The UUIDs of `nvidia-smi -L`; of a GPU that is divided (MIG) those of its parts.

    >>> listed("GPU 0: H100 (UUID: GPU-1)\\nGPU 1: H100 (UUID: GPU-2)\\n  MIG 1g.10gb Device 0: (UUID: MIG-3)\\n")
    ['GPU-1', 'MIG-3']
    """
    devices: list[str] = []
    for kind, uuid in re.findall(r"^\s*(GPU|MIG) .*\(UUID: (\S+)\)", text, re.MULTILINE):
        if kind == "MIG" and devices and devices[-1].startswith("GPU-"):
            devices.pop()
        devices.append(uuid)
    return devices
