"""Several processes as one: every rank takes a part of every batch, gradients are summed, rank 0 writes."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from sertk.errors import SertkError

# Ports of a job's processes under srun: below those that systems give to outgoing connections (from 32768 on).
FIRST_PORT, NUM_PORTS = 15000, 17000
# For each other, at the start and in every batch; gloo's own is 30 minutes.
PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class World:
    """Which of how many processes this one is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    def share(self, items):
        """This rank's part of a batch's items."""
        return items[self.rank :: self.size]

    def sum_gradients(self, parameters) -> None:
        """Replace every gradient by its sum over the ranks; nothing to do for one process."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        torch._foreach_copy_(
            gradients, [piece.view_as(g) for piece, g in zip(flat.split([g.numel() for g in gradients]), gradients)]
        )

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of `values` over the ranks, in place.

        Raises:
            SertkError: where another rank has died, at once with gloo.
        """
        if self.size > 1:
            self._together(lambda: distributed.all_reduce(values))
        return values

    def wait(self) -> None:
        """Go on when every rank has come here. Raises SertkError where one has died."""
        if self.size > 1:
            # NCCL would guess the GPU from the rank, which is wrong where ranks go round the machines.
            gpus = [torch.cuda.current_device()] if distributed.get_backend() == "nccl" else None
            self._together(lambda: distributed.barrier(device_ids=gpus))

    def leave(self) -> None:
        """Nothing more to do together."""
        if self.size > 1:
            distributed.destroy_process_group()

    def _together(self, collective) -> None:
        try:
            collective()
        except torch.cuda.OutOfMemoryError:
            raise  # this process's own end
        except RuntimeError as error:  # a connection that broke is nothing more special
            reason = str(error).splitlines()[0]
            raise SertkError(
                f"process {self.rank} of {self.size}: another one has ended before its time: {reason}"
            ) from None


def join_world(device: torch.device) -> tuple[World, torch.device]:
    """Join the processes that torchrun or srun started, and the device of this one; alone where neither did.

    Raises:
        SertkError: where variables are incomplete or no numbers, or the processes do not find each other.
    """
    found = torchrun_variables(os.environ) or slurm_variables(os.environ)
    if not found or int(found["WORLD_SIZE"]) == 1:
        return World(), device
    world = World(int(found["RANK"]), int(found["WORLD_SIZE"]), int(found["LOCAL_RANK"]))
    if device.type == "cuda":  # one for each process of a machine, whether it sees all of them or its own only
        device = torch.device("cuda", world.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    try:
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, store=meeting_point(found, world), rank=world.rank, world_size=world.size, timeout=PATIENCE
        )
    except RuntimeError as error:
        where = f"{found['MASTER_ADDR']}:{found['MASTER_PORT']}"
        reason = str(error).splitlines()[0]
        raise SertkError(
            f"process {world.rank} of {world.size}: the others were not found at {where}: {reason}"
        ) from None
    return world, device


def meeting_point(found: Mapping[str, str], world: World) -> distributed.Store:
    """Where the processes leave their addresses for each other: with torchrun its own store, else process 0's.

    torchrun keeps its store when it starts the processes again. What those of the last attempt left there would be
    found too, and nobody answers there (seen with torch 2.11: every other restart failed or hung): each attempt has names
    of its own.
    """
    torchruns = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    serve = world.rank == 0 and not torchruns
    store = distributed.TCPStore(
        found["MASTER_ADDR"], int(found["MASTER_PORT"]), world.size, is_master=serve, timeout=PATIENCE
    )
    return distributed.PrefixStore(f"attempt{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def torchrun_variables(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What torchrun says of this process; None where there is no torchrun.

    Raises:
        SertkError: where WORLD_SIZE is set and others are not, or one is not a number that it can be.
    """
    if "WORLD_SIZE" not in environment:
        return None
    size = whole_number(environment, "WORLD_SIZE", 1)
    names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if name not in environment]
    if size > 1:
        if missing:
            raise SertkError(f"WORLD_SIZE is {size} but {missing[0]} is not set (start with torchrun)")
        check_place(environment, size, "RANK", "LOCAL_RANK")
    return {name: environment[name] for name in names if name in environment}


def slurm_variables(environment: Mapping[str, str]) -> dict[str, str] | None:
    """What torchrun would say of a task that srun started; None where there is no srun, or one task only.

    A batch script is no step, though it has SLURM_PROCID and SLURM_NTASKS: what it calls itself runs alone. The
    processes meet at the first host of the step, at a port that is a function of job and step; MASTER_ADDR and
    MASTER_PORT say otherwise where they are set.

    Raises:
        SertkError: where the step's variables are not all set, or one is not a number that it can be.
    """
    if "SLURM_STEP_NUM_TASKS" not in environment or "SLURM_STEP_ID" not in environment:
        return None
    size = whole_number(environment, "SLURM_STEP_NUM_TASKS", 1)
    if size == 1:
        return None
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    needed = {name: environment.get(name) for name in ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_JOB_ID")}
    if not environment.get("MASTER_ADDR"):
        needed["SLURM_JOB_NODELIST"] = hosts
    if missing := [name for name, value in needed.items() if not value]:
        raise SertkError(f"SLURM_STEP_NUM_TASKS is {size} but {missing[0]} is not set (start with srun)")
    check_place(environment, size, "SLURM_PROCID", "SLURM_LOCALID")
    number = whole_number(environment, "SLURM_JOB_ID") + 101 * whole_number(environment, "SLURM_STEP_ID")
    return {
        "WORLD_SIZE": str(size),
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "MASTER_ADDR": environment.get("MASTER_ADDR") or first_host(hosts),
        "MASTER_PORT": environment.get("MASTER_PORT", str(FIRST_PORT + number % NUM_PORTS)),
    }


def check_place(environment: Mapping[str, str], size: int, rank: str, local_rank: str) -> None:
    """SertkError where a process cannot be where the variables `rank`, `local_rank` and MASTER_PORT say."""
    for name in (rank, local_rank):
        whole_number(environment, name, 0, size - 1)
    if "MASTER_PORT" in environment:
        whole_number(environment, "MASTER_PORT", 1, 65535)


def whole_number(environment: Mapping[str, str], name: str, least: int = 0, most: int = 2**32) -> int:
    """The value of a variable.

    Raises:
        SertkError: where it is no whole number from `least` to `most`.

    Example:
        >>> whole_number({"RANK": "3"}, "RANK")
        3
    """
    text = environment[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise SertkError(f"{name} is '{text[:80]}', wanted is a whole number from {least} to {most}")
    return int(text)


def first_host(hosts: str) -> str:
    """The first of Slurm's list of hosts, as `scontrol show hostnames` gives it (which containers lack).

    Example:
        >>> first_host("gpu[03-05,9],login1"), first_host("rack[1,2]node[7-8]"), first_host("a,b")
        ('gpu03', 'rack1node7', 'a')
    """
    return re.sub(r"\[([^],-]+)[^]]*\]", r"\1", hosts).split(",")[0]
