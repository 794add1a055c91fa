"""One of two processes of a training: process 0 sums over both, while process 1 never does.

Call: waiting_rank.py nccl|gloo RANK PORT SECONDS-OF-SILENCE; prints "joined" when it has.
"""

import logging
import sys
import time
from datetime import timedelta

import torch
from torch import distributed

from sertk.training import heartbeat
from sertk.training.distributed import World


def main(backend: str, rank: int, port: int, silence: float) -> None:
    logging.basicConfig(format="%(message)s")
    heartbeat.SILENCE, heartbeat.INTERVAL = silence, min(heartbeat.INTERVAL, silence / 5)
    stores = [
        distributed.TCPStore("127.0.0.1", port, is_master=rank == first == 0, timeout=timedelta(minutes=5))
        for first in range(2)
    ]
    distributed.init_process_group(backend, store=stores[0], rank=rank, world_size=2, timeout=timedelta(minutes=5))
    beats = heartbeat.Heartbeat(distributed.PrefixStore("beats", stores[1]), rank, 2)
    print("joined", flush=True)
    if rank == 0:
        World(0, 2, heartbeat=beats).sum(torch.ones(1, device="cuda" if backend == "nccl" else "cpu"))
    time.sleep(300)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
