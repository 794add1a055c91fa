"""Batches of chunks, cut ahead of their use by a thread."""

import queue
import threading
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from sertk.data.chunks import ChunkRule
from sertk.data.sampler import Batch
from sertk.data.store import Store


def chunks_of(store: Store, rule: ChunkRule, batch: Batch, epoch: int, pinned: bool = False) -> Tensor:
    """The chunks of a batch, in memory from which a GPU can fetch them by itself if `pinned`.

    Shape: (size, bins, frames), float32
    """
    made = torch.empty(len(batch.items), batch.frames, store.bins, pin_memory=pinned)
    for chunk, (segment, version, copy) in zip(made.numpy(), batch.items.tolist()):
        draws = rule.draws(store.keys[segment], epoch, version, copy)
        rule.cut(store[segment], draws, version, batch.frames, chunk)
    return made.transpose(1, 2)


class HostChunks:
    """Chunks that are cut in the machine's memory, or read from its disk, and sent to the device.

    Args:
        store: the segments.
        rule: how chunks are cut.
        device: where they are wanted.
    """

    def __init__(self, store: Store, rule: ChunkRule, device: torch.device):
        self.store, self.rule, self.device = store, rule, device

    def prepare(self, batch: Batch, epoch: int) -> Tensor:
        """What a thread can do ahead of the step: all of it but the sending."""
        return chunks_of(self.store, self.rule, batch, epoch, pinned=self.device.type == "cuda")

    def finish(self, prepared: Tensor) -> Tensor:
        """The chunks on the device. Shape: (size, bins, frames), float32."""
        return prepared.to(self.device, non_blocking=True)


def prefetch(items: Iterable, depth: int = 8) -> Iterator:
    """`items`, made `depth` ahead of their use by one thread; what goes wrong there is raised here."""
    made: queue.Queue = queue.Queue(depth)
    stopped = threading.Event()

    def put(item) -> bool:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False

    def work():
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # handed over, not hidden: the consumer raises it
            put((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()
