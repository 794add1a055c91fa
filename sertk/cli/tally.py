"""Counts of processed and skipped items, and the progress bar."""

import logging
import sys
from collections.abc import Iterable
from typing import Self

from sertk.errors import SertkError
from sertk.options import MAX_SKIP

log = logging.getLogger("sertk")


class Tally:
    """Count processed and skipped keys, so that every key is accounted for.

    Leaving the block logs `Done 535, skipped 2`. Call `check` inside the writer's block too, so that a failed run does
    not replace a good table.

    Args:
        source: name of the input, for messages
        max_skip: fraction of the input that may be skipped

    Example:
        with Tally(feats_in, max_skip) as tally:
            … tally.done() … tally.skip(key, "3 frames only") …
    """

    def __init__(self, source: object, max_skip: float = MAX_SKIP) -> None:
        self.source, self.max_skip, self.num_done, self.num_skipped = source, max_skip, 0, 0
        self.first_reason = ""

    def done(self) -> None:
        """Count a processed key."""
        self.num_done += 1

    def skip(self, key: str, reason: str) -> None:
        """Count a skipped key and log the reason."""
        self.num_skipped += 1
        self.first_reason = self.first_reason or f", the first one: {key}: {reason}"
        log.warning("skipped %s: %s", key, reason)

    def check(self, to_come: int = 0) -> None:
        """Check the counts.

        Args:
            to_come: number of keys that are still to be processed

        Raises:
            SertkError: if no key was processed, or if too many were skipped.
        """
        total = self.num_done + self.num_skipped + to_come
        if not self.num_done + to_come:
            counts = f"{total} read, {self.num_skipped} skipped"
            raise SertkError(f"{self.source}: nothing was processed ({counts}){self.first_reason}")
        if self.num_skipped > self.max_skip * total:
            raise SertkError(
                f"{self.source}: {self.num_skipped} of {total} skipped, more than --max-skip={self.max_skip:g} allows"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            log.info("Done %d, skipped %d", self.num_done, self.num_skipped)
            self.check()


def progress(items: Iterable, total: int | None = None, unit: str = "seg") -> Iterable:
    """Show a progress bar over `items` if stderr is a terminal and --verbose is not 0."""
    if not (sys.stderr.isatty() and log.isEnabledFor(logging.INFO)):
        return items
    from tqdm import tqdm

    return tqdm(items, total=total, unit=unit, dynamic_ncols=True)
