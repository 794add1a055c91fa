"""Data-parallel training: each process takes its share of every batch, gradients are summed, process 0 writes."""

import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed

from sertk.errors import SertkError
from sertk.training.heartbeat import Heartbeat

# Ports for the processes of a Slurm job: below Linux's ephemeral range, which starts at 32768.
FIRST_PORT, NUM_PORTS = 15000, 17000
# Timeout of rendezvous and collectives; gloo's own is 30 minutes.
TIMEOUT = timedelta(minutes=10)

Items = TypeVar("Items", bound=Sequence)


@dataclass(frozen=True)
class World:
    """The processes that train together, and this one's place among them.

    Args:
        rank: number of this process among all.
        size: number of processes.
        local_rank: number of this process on its machine.
        heartbeat: notices processes that have died; None for a process that is alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    heartbeat: Heartbeat | None = field(default=None, compare=False, repr=False)

    def __deepcopy__(self, memo: dict) -> "World":
        """Itself: a copy of a synchronised network, for scoring, belongs to the same processes."""
        return self

    def share(self, items: Items) -> Items:
        """Return this process's share of a batch's items."""
        return items[self.rank :: self.size]

    def sum_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        summed = flat.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [piece.view_as(gradient) for piece, gradient in zip(summed, gradients)])

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum `values` over the processes, in place.

        Raises:
            SertkError: another process has died (noticed at once with gloo).
        """
        if self.size > 1:
            self._run(lambda: distributed.all_reduce(values))
        return values

    def wait(self) -> None:
        """Wait until every process has called this.

        Raises:
            SertkError: another process has died.
        """
        if self.size > 1:
            # NCCL would guess the GPU from the rank, which is wrong where ranks are dealt out cyclically over nodes.
            gpus = [torch.cuda.current_device()] if distributed.get_backend() == "nccl" else None
            self._run(lambda: distributed.barrier(device_ids=gpus))

    def close(self) -> None:
        """Leave the process group."""
        if self.heartbeat:
            self.heartbeat.stop(leaving=True)
        if self.size > 1:
            distributed.destroy_process_group()

    def _run(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except torch.cuda.OutOfMemoryError:
            raise  # of this process, not of another
        except RuntimeError as error:  # torch has no class of its own for a broken connection
            reason = str(error).splitlines()[0]
            raise SertkError(f"process {self.rank} of {self.size}: another process has died: {reason}") from None


def join_world(device: torch.device) -> tuple[World, torch.device]:
    """Join the processes that torchrun or srun started; a process started by neither is alone.

    Args:
        device: as chosen by --device; a bare "cuda" becomes the GPU of this process's local rank.

    Returns:
        the world, and the device of this process.

    Raises:
        SertkError: environment variables are missing or invalid, or the processes cannot reach each other.
    """
    variables = torchrun_variables(os.environ) or slurm_variables(os.environ)
    if not variables or int(variables["WORLD_SIZE"]) == 1:
        return World(), device
    world = World(int(variables["RANK"]), int(variables["WORLD_SIZE"]), int(variables["LOCAL_RANK"]))
    if device.type == "cuda":  # a process may see all GPUs of its machine, or only its own
        device = torch.device("cuda", world.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    try:
        store = rendezvous_store(variables, world)
        gpus = chosen_gpus(store, world, gpu_name(device)) if device.type == "cuda" else []
        backend = "nccl" if gpus and len(set(gpus)) == world.size else "gloo"
        distributed.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=TIMEOUT)
        heartbeat = Heartbeat(connected_store(variables), world.rank, world.size)
    except RuntimeError as error:
        address = f"{variables['MASTER_ADDR']}:{variables['MASTER_PORT']}"
        raise SertkError(
            f"process {world.rank} of {world.size}: cannot reach the other processes at {address}:"
            f" {str(error).splitlines()[0]}"
        ) from None
    return replace(world, heartbeat=heartbeat), device


def gpu_name(device: torch.device) -> str:
    """A name of a GPU among all machines."""
    properties = torch.cuda.get_device_properties(device)
    return f"{socket.gethostname()} {getattr(properties, 'uuid', device.index)}"


def chosen_gpus(store: distributed.Store, world: World, name: str) -> list[str]:
    """The GPUs of all processes. NCCL refuses two on one GPU, which gloo connects by way of the host's memory.

    Args:
        store: that all processes share.
        world: the processes.
        name: of this one's GPU.
    """
    store.set(f"gpu of {world.rank}", name)
    return [store.get(f"gpu of {rank}").decode() for rank in range(world.size)]


def rendezvous_store(variables: Mapping[str, str], world: World) -> distributed.Store:
    """Open the store where the processes exchange addresses: torchrun's own, else one that process 0 serves.

    torchrun keeps its store over restarts. Addresses of the last attempt's processes would still be in it (with torch 2.11
    every other restart failed or hung), so each attempt has a prefix of its own.
    """
    torchrun_serves = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    serve = world.rank == 0 and not torchrun_serves
    return connected_store(variables, world.size, serve)


def connected_store(
    variables: Mapping[str, str], size: int | None = None, serve: bool = False
) -> distributed.PrefixStore:
    """Connect to the store, or serve it; with `size`, wait for as many processes."""
    address, port = variables["MASTER_ADDR"], int(variables["MASTER_PORT"])
    store = distributed.TCPStore(address, port, size, is_master=serve, timeout=TIMEOUT)
    return distributed.PrefixStore(f"attempt{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)


def torchrun_variables(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return the variables that torchrun sets for a process; None if torchrun did not start it.

    Raises:
        SertkError: WORLD_SIZE is set and others are not, or one is not an integer in its range.
    """
    if "WORLD_SIZE" not in environment:
        return None
    size = integer(environment, "WORLD_SIZE", 1)
    names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    missing = [name for name in names if name not in environment]
    if size > 1:
        if missing:
            raise SertkError(f"WORLD_SIZE is {size} but {missing[0]} is not set (start with torchrun)")
        check_ranks(environment, size, "RANK", "LOCAL_RANK")
    return {name: environment[name] for name in names if name in environment}


def slurm_variables(environment: Mapping[str, str]) -> dict[str, str] | None:
    """Return torchrun's variables for a task that srun started; None without srun, or for a step of one task.

    A batch script has SLURM_PROCID and SLURM_NTASKS but is no step: a process that it starts itself is alone. The processes
    meet at the first host of the step, at a port that depends on job and step; MASTER_ADDR and MASTER_PORT override these.

    Raises:
        SertkError: one of the step's variables is not set, or not an integer in its range.
    """
    if "SLURM_STEP_NUM_TASKS" not in environment or "SLURM_STEP_ID" not in environment:
        return None
    size = integer(environment, "SLURM_STEP_NUM_TASKS", 1)
    if size == 1:
        return None
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    needed = {name: environment.get(name) for name in ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_JOB_ID")}
    if not environment.get("MASTER_ADDR"):
        needed["SLURM_JOB_NODELIST"] = hosts
    if missing := [name for name, value in needed.items() if not value]:
        raise SertkError(f"SLURM_STEP_NUM_TASKS is {size} but {missing[0]} is not set (start with srun)")
    check_ranks(environment, size, "SLURM_PROCID", "SLURM_LOCALID")
    number = integer(environment, "SLURM_JOB_ID") + 101 * integer(environment, "SLURM_STEP_ID")
    return {
        "WORLD_SIZE": str(size),
        "RANK": environment["SLURM_PROCID"],
        "LOCAL_RANK": environment["SLURM_LOCALID"],
        "MASTER_ADDR": environment.get("MASTER_ADDR") or first_host(hosts),
        "MASTER_PORT": environment.get("MASTER_PORT", str(FIRST_PORT + number % NUM_PORTS)),
    }


def check_ranks(environment: Mapping[str, str], size: int, rank: str, local_rank: str) -> None:
    """Check the variables named `rank` and `local_rank`, and MASTER_PORT if it is set.

    Raises:
        SertkError: one is not an integer in its range.
    """
    for name in (rank, local_rank):
        integer(environment, name, 0, size - 1)
    if "MASTER_PORT" in environment:
        integer(environment, "MASTER_PORT", 1, 65535)


def integer(environment: Mapping[str, str], name: str, least: int = 0, most: int = 2**32) -> int:
    """Return the value of an environment variable.

    Raises:
        SertkError: it is not an integer from `least` to `most`.

    Example:
        >>> integer({"RANK": "3"}, "RANK")
        3
    """
    text = environment[name]
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise SertkError(f"{name} is '{text[:80]}', must be an integer from {least} to {most}")
    return int(text)


def first_host(hosts: str) -> str:
    """Return the first of a Slurm host list, as `scontrol show hostnames` does (which containers lack).

    Example:
        >>> first_host("gpu[03-05,9],login1"), first_host("rack[1,2]node[7-8]"), first_host("a,b")
        ('gpu03', 'rack1node7', 'a')
    """
    return re.sub(r"\[([^],-]+)[^]]*\]", r"\1", hosts).split(",")[0]
