"""What makes one recording unfit, and the bounds that every header is held against.

A recording that is unfit costs itself alone: make-fbank and classify-audio skip it, name the reason and count it.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sertk.errors import SertkError, out_of_memory

log = logging.getLogger("sertk")

# Hz. Below, an hour of samples would be a few kilobytes that resampling makes gigabytes of; above, nothing records.
MIN_RATE, MAX_RATE = 1000, 768000
MAX_CHANNELS = 1024
# Samples times channels that are decoded at once: 4 GiB as float32, 18 hours of one channel at 16 kHz.
MAX_VALUES = 1 << 30
# Not the file's fault: too many open files, no room, no memory in the kernel.
_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}


class UnfitAudio(SertkError):
    """A recording that is of no use: missing, truncated, empty, silent, not audio. It is skipped and counted."""


def check_header(rate: int, channels: int, form: str = "audio") -> None:
    """Hold what a header says against what recordings have, before anything is allocated by it.

    Args:
        rate: samples a second
        channels: their number
        form: the container, for the message

    Raises:
        UnfitAudio: where no recorder writes such numbers.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnfitAudio(f"is a damaged {form} file ({rate} samples a second; {MIN_RATE} to {MAX_RATE} are read)")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnfitAudio(f"is a damaged {form} file ({channels} channels; 1 to {MAX_CHANNELS} are read)")


@contextmanager
def one_recording() -> Iterator[None]:
    """Turn whatever goes wrong with one recording inside the block into UnfitAudio, so that the others are done.

    Raises:
        UnfitAudio: for any exception of decoding, resampling or features, too little memory among them.
        SertkError: what holds for every file: a package or program that is missing, a pipe that failed.
        OSError: what the machine lacks: open files, room on a disk.
    """
    try:
        yield
    except SertkError:
        raise
    except OSError as error:
        if error.errno in _OF_THE_MACHINE:
            raise
        raise UnfitAudio(f"cannot be read: {error.strerror or error}") from None
    except Exception as error:
        if out_of_memory(error):
            raise UnfitAudio("needs more memory than there is") from None
        log.debug("unexpected error", exc_info=True)
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UnfitAudio(f"cannot be read as audio ({reason})") from error
