"""Batches of chunks, cut ahead of their use by a thread."""

import queue
import threading
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

from sertk.data.chunks import ChunkRule
from sertk.data.sampler import Batch
from sertk.data.store import Store


def chunks_of(store: Store, rule: ChunkRule, batch: Batch, epoch: int) -> Tensor:
    """The chunks of a batch. Shape: (size, bins, frames), float32."""
    out = np.empty((len(batch.items), batch.frames, store.bins), np.float32)
    for chunk, (segment, version, copy) in zip(out, batch.items.tolist()):
        draws = rule.draws(store.keys[segment], epoch, version, copy)
        rule.cut(store[segment], draws, version, batch.frames, chunk)
    return torch.from_numpy(out).transpose(1, 2)


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
