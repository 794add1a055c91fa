"""Heartbeats between the processes of a training: a process that has died, or hangs, ends the others.

A collective of NCCL waits for a dead process until its timeout, which must be long, since process 0 may be compiling or
scoring. A thread beside the training tells the difference: it counts in a store, and reads the others' counts.
"""

import atexit
import logging
import os
import threading
import time

from torch import distributed

log = logging.getLogger("sertk")

# Seconds between two beats, and without a beat until a process counts as dead.
INTERVAL, SILENCE = 5.0, 25.0
# Added to its count by a process that leaves.
LEFT = 1 << 40


class Heartbeat:
    """Threads that beat for this process and watch the others, until stop().

    Args:
        store: that all processes share; used by no other thread.
        rank: number of this process.
        size: number of processes.
    """

    def __init__(self, store: distributed.Store, rank: int, size: int) -> None:
        self.store, self.rank = store, rank
        self.counts, self.heard = [0] * size, [time.monotonic()] * size
        self.stopped, self.leaving = threading.Event(), False
        self.threads = [threading.Thread(target=run, daemon=True) for run in (self._beat, self._watch)]
        for thread in self.threads:
            thread.start()
        atexit.register(self.stop)  # threads that are in torch's code when Python ends would crash it

    def stop(self, leaving: bool = False) -> None:
        """Stop the threads.

        Args:
            leaving: tell the others that this process has finished; otherwise it counts as dead.
        """
        self.leaving = leaving
        self.stopped.set()
        for thread in self.threads:
            thread.join(timeout=2)
        atexit.unregister(self.stop)

    def _beat(self) -> None:
        try:
            while not self.stopped.wait(INTERVAL):
                self._count(1)
            if self.leaving:
                self._count(LEFT)
        except RuntimeError:
            pass  # the store is gone, and process 0 with it: if it has not left, _watch says so

    def _count(self, own: int) -> None:
        for other in range(len(self.counts)):
            count = self.store.add(f"beats of {other}", own if other == self.rank else 0)
            if count != self.counts[other]:
                self.counts[other], self.heard[other] = count, time.monotonic()

    def _watch(self) -> None:
        """A thread of its own, since a call of _beat may wait for a machine that does not answer."""
        while not self.stopped.wait(INTERVAL / 5):
            oldest = time.monotonic() - SILENCE
            silent = [str(n) for n, (c, t) in enumerate(zip(self.counts, self.heard)) if c < LEFT and t < oldest]
            if silent:
                log.error(
                    "process %d of %d ends: no sign of life from process %s for %.0f s",
                    self.rank, len(self.counts), " ".join(silent), SILENCE,
                )  # fmt: skip
                os._exit(1)  # the training waits inside a collective, which nothing else can end
