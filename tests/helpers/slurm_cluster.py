"""A real Slurm of one node on 127.0.0.1, in a folder of its own: munged, slurmctld and slurmd, as root, no systemd.

Partitions: main (the default), and high, which takes main's jobs away and has them requeued. Two devices that stand in
for GPUs. What is started is stopped by pid file.
"""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from support import wait_for

CONF = """
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2
PartitionName=main Nodes={host} Default=YES PriorityTier=1
PartitionName=high Nodes={host} PriorityTier=9
SlurmctldPort={controller_port}
SlurmdPort={node_port}
# Only this machine may talk to it.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
# A credential must not outlive a requeue: with the default, a task that was requeued waits for two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
# No cgroups, which a container may not have.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
# Memory is looked at every second, and what has more than it asked for is ended.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=4000
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=20
MinJobAge={remembers}
MaxArraySize=1001
ReturnToService=2
GresTypes=gpu
"""
DAEMONS = ("slurmd", "slurmctld", "munged")
PACKAGES = "slurm-wlm munge"


def missing() -> str:
    """Why there can be no cluster here; nothing where there can."""
    if not all(map(shutil.which, ("munged", "slurmctld", "slurmd", "sbatch"))):
        return f"no Slurm here (apt-get install {PACKAGES})"
    return "" if os.geteuid() == 0 else "a Slurm of one's own needs root"


class Cluster:
    """Slurm's daemons under `folder`.

    Args:
        folder: state, logs and configuration.
        remembers: seconds for which a job that has ended stands in the queue.
    """

    def __init__(self, folder: Path, remembers: int = 60):
        self.folder = folder
        for name in ("state", "spool"):
            (folder / name).mkdir(parents=True)
        host = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 512
        controller_port, node_port = free_ports(2)
        (folder / "slurm.conf").write_text(
            CONF.format(
                host=host, folder=folder, cpus=os.cpu_count(), memory=memory, remembers=remembers,
                controller_port=controller_port, node_port=node_port,
            )
        )  # fmt: skip
        devices = ("/dev/null", "/dev/zero")
        (folder / "gres.conf").write_text("".join(f"NodeName={host} Name=gpu File={path}\n" for path in devices))
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}

    def start(self):
        folder = self.folder
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        munge = [f"--key-file={key}", f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid"]
        self.run("munged", "--force", *munge, f"--log-file={folder}/munged.log", f"--seed-file={folder}/munge.seed")
        self.run("slurmctld", "-c")
        self.run("slurmd")
        deadline = time.monotonic() + 60
        while self.run("sinfo", "--noheader", "--partition=main", "--format=%t", check=False).strip() != "idle":
            assert time.monotonic() < deadline, (folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self):
        self.run("scancel", "--me", check=False)
        deadline = time.monotonic() + 30
        while self.run("squeue", "--noheader", check=False).strip() and time.monotonic() < deadline:
            time.sleep(0.2)
        for name in DAEMONS:
            file = self.folder / f"{name}.pid"
            if not file.exists():
                continue
            pid = int(file.read_text())
            try:
                os.kill(pid, signal.SIGTERM)
                while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    time.sleep(0.05)
            except (ProcessLookupError, FileNotFoundError):
                pass

    def run(self, *words, check=True) -> str:
        """The stdout of one of Slurm's programs."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def preempt(self, seconds: float = 2):
        """Take the node away from main's jobs for so long; returns when it is free again."""
        self.run("sbatch", "--wait", "--partition=high", "--exclusive", "--output=/dev/null", f"--wrap=sleep {seconds}")


def job_of(folder: Path, name: str) -> str:
    """The id in the state file of a run-slurm with the log `name`, once it is there."""
    found = []

    def there():
        file = folder / f"{name}.slurm"
        found[:] = re.findall(r'"array": "(\d+)"', file.read_text()) if file.exists() else []
        return found

    wait_for(there)
    return found[0]


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
