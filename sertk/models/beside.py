"""Weights' gradients on a second stream of a GPU, beside the rest of the backward pass.

No later gradient needs them. Products keep a GPU's matrix units busy, the passes over the maps that follow its memory: side by
side they take less time than one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

# Gradients that may be under way: the tensors that they read are kept until they are done.
UNDER_WAY = 2


class Beside:
    """A second stream of a device; on a CPU, nothing.

    Args:
        device: where to compute.
    """

    def __init__(self, device: torch.device) -> None:
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.under_way: deque[tuple[torch.cuda.Event, tuple[Tensor, ...]]] = deque()

    def compute(self, function: Callable[..., Tensor], *given: Tensor) -> Tensor:
        """function(*given), which may be read after join()."""
        if self.stream is None:
            return function(*given)
        main = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            found = function(*given)
        self.under_way.append((self.stream.record_event(), given))
        while len(self.under_way) > UNDER_WAY:
            main.wait_event(self.under_way.popleft()[0])
        return found

    def join(self) -> None:
        """Have the current stream wait for what is under way."""
        while self.under_way:
            torch.cuda.current_stream(self.stream.device).wait_event(self.under_way.popleft()[0])

    @contextmanager
    def used(self) -> Iterator[None]:
        """The convolutions of a forward pass compute their weights' gradients here; its backward pass must call join()."""
        self.under_way.clear()  # of a pass that failed
        token = _USED.set(self)
        try:
            yield
        finally:
            _USED.reset(token)


_USED: ContextVar[Beside | None] = ContextVar("beside", default=None)


def in_use() -> Beside | None:
    """The second stream of this forward pass, None if it has none."""
    return _USED.get()
