"""Batches of chunks, prefetched by threads, and results that a thread writes while the next are computed."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from sertk.data.chunks import ChunkRule
from sertk.data.sampler import Batch
from sertk.data.store import Store

Item, Result = TypeVar("Item"), TypeVar("Result")


def chunks_of(store: Store, rule: ChunkRule, batch: Batch, epoch: int, pinned: bool = False) -> Tensor:
    """The chunks of a batch, in pinned memory if `pinned`.

    Shape: (size, bins, frames), float32
    """
    chunks = torch.empty(len(batch.items), batch.frames, store.bins, pin_memory=pinned)
    for chunk, (segment, version, copy) in zip(chunks.numpy(), batch.items.tolist()):
        draws = rule.draws(store.keys[segment], epoch, version, copy)
        rule.cut(store[segment], draws, version, batch.frames, chunk)
    return chunks.transpose(1, 2)


class HostChunks:
    """Chunks that are cut in the machine's memory, or read from its disk, and sent to the device.

    Args:
        store: the segments.
        rule: how chunks are cut.
        device: where to send them.
    """

    def __init__(self, store: Store, rule: ChunkRule, device: torch.device) -> None:
        self.store, self.rule, self.device = store, rule, device
        self.threads = store.readers

    def prepare(self, batch: Batch, epoch: int) -> Tensor:
        """Cut and mask the chunks of a batch; a thread does it ahead of the step."""
        return chunks_of(self.store, self.rule, batch, epoch, pinned=self.device.type == "cuda")

    def finish(self, prepared: Tensor) -> Tensor:
        """The chunks on the device. Shape: (size, bins, frames), float32."""
        return prepared.to(self.device, non_blocking=True)


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], depth: int = 8, threads: int = 1
) -> Iterator[Result]:
    """make(item) for each of `items`, in order, computed ahead by threads.

    Args:
        make: called in a thread; must be thread-safe if `threads` is more than 1.
        items: iterated as they are needed.
        depth: how many results are computed ahead.
        threads: how many are computed at the same time, at most `depth`.

    Raises:
        Exception: what `make` raised, at its item's place.
    """
    pool, ahead, items = ThreadPoolExecutor(threads), deque(), iter(items)
    try:
        ahead.extend(pool.submit(make, item) for item in islice(items, depth))
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(pool.submit(make, item) for item in islice(items, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def behind(do: Callable[..., object], depth: int) -> Iterator[Callable[..., None]]:
    """A function that has a thread call `do`, in the order of its calls, while its caller goes on.

    Leaving the block waits for the last call. After an error `do` is not called again.

    Args:
        do: called with the arguments of the function.
        depth: calls that may wait; with more, the caller does.

    Raises:
        Exception: what `do` raised, at one of the next calls or at the end of the block.
    """
    waiting, failed = deque(), False

    def call(*arguments: object) -> None:
        nonlocal failed
        if failed:
            return
        failed = True  # until it has returned
        do(*arguments)
        failed = False

    def later(*arguments: object) -> None:
        waiting.append(pool.submit(call, *arguments))
        if len(waiting) > depth:
            waiting.popleft().result()

    with ThreadPoolExecutor(1) as pool:
        yield later
        for future in waiting:
            future.result()
