"""train-resnet in several processes, as srun starts them; forked, since importing torch takes longer than a toy run."""

import importlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from support import without_commands


def variables(rank: int, size: int, job: int, port: int) -> dict[str, str]:
    """What srun sets for a task, on this host."""
    return {"SLURM_JOB_ID": str(job), "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": str(size), "SLURM_NTASKS": str(size),
            "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_JOB_NODELIST": "localhost",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ranks:
    """Processes that run `binary` with `words`; said[rank] is the file of what one says."""

    def __init__(self, folder: Path, size: int, words, binary: str = "train-resnet"):
        main = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main
        port = free_port() if size > 1 else 0
        self.said, self.pids = [folder / f"rank{rank}.err" for rank in range(size)], []
        for rank in range(size):
            pid = os.fork()
            if pid == 0:
                code = 99
                try:
                    os.environ |= variables(rank, size, 7, port) if size > 1 else {}
                    sys.stderr = open(self.said[rank], "w", buffering=1)  # noqa: SIM115
                    os.dup2(sys.stderr.fileno(), 2)
                    main([str(word) for word in words])
                except SystemExit as ended:
                    code = ended.code
                finally:  # nothing of pytest's is to run in here
                    os._exit(code)
            self.pids.append(pid)

    def kill(self, rank: int, number=signal.SIGKILL) -> None:
        os.kill(self.pids[rank], number)

    def codes(self, timeout: float = 300) -> list[int]:
        """Exit codes when all have ended, minus the signal's number where one ended it."""
        end, codes = time.monotonic() + timeout, {}
        while len(codes) < len(self.pids) and time.monotonic() < end:
            for rank, pid in enumerate(self.pids):
                if rank not in codes and (found := os.waitpid(pid, os.WNOHANG))[0]:
                    codes[rank] = os.waitstatus_to_exitcode(found[1])
            time.sleep(0.01)
        for rank in set(range(len(self.pids))) - codes.keys():
            self.kill(rank)
            os.waitpid(self.pids[rank], 0)
        assert len(codes) == len(self.pids), f"still running after {timeout} s: all but {codes}"
        return [codes[rank] for rank in range(len(self.pids))]

    def alive(self) -> bool:
        """Whether none has ended."""
        return not any(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) for pid in self.pids)

    def end(self) -> None:
        """Kill them all."""
        for rank in range(len(self.pids)):
            self.kill(rank)
        self.codes()

    def errors(self) -> list[str]:
        """What each process wrote on stderr, without the command line that it starts with."""
        return [without_commands(path.read_text()) for path in self.said]

    def ended_well(self) -> None:
        codes = self.codes()
        assert codes == [0] * len(codes), self.errors()
