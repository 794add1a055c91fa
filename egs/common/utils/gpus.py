"""GPUs of this machine that run-local can assign to jobs; called by itself, prints them, one a line."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

SECONDS_TO_ANSWER = 60  # for nvidia-smi, whose first call after boot is slow


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the available GPUs, by names that CUDA_VISIBLE_DEVICES accepts.

    Those of CUDA_VISIBLE_DEVICES (numbers or UUIDs) if it is set; otherwise those of nvidia-smi by UUID, since its
    numbers may differ from CUDA's; without nvidia-smi (in a container), the device files.
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
    """Return the devices in CUDA_VISIBLE_DEVICES, up to the first invalid one, as CUDA does.

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
    """Return the UUIDs of `nvidia-smi -L`; of a partitioned GPU (MIG) those of its partitions.

    >>> listed("GPU 0: H100 (UUID: GPU-1)\\nGPU 1: H100 (UUID: GPU-2)\\n  MIG 1g.10gb Device 0: (UUID: MIG-3)\\n")
    ['GPU-1', 'MIG-3']
    """
    devices: list[str] = []
    for kind, uuid in re.findall(r"^\s*(GPU|MIG) .*\(UUID: (\S+)\)", text, re.MULTILINE):
        if kind == "MIG" and devices and devices[-1].startswith("GPU-"):
            devices.pop()
        devices.append(uuid)
    return devices


if __name__ == "__main__":
    for device in visible_gpus(os.environ):
        print(device)
