"""The error of a recording that cannot be used, and the bounds of header fields.

make-fbank and classify-audio skip such a recording, log the reason and count it.
"""

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sertk.errors import SertkError, out_of_memory

log = logging.getLogger("sertk")

# Hz. Below, resampling could turn a few kilobytes into gigabytes; above, no recorder exists.
MIN_RATE, MAX_RATE = 1000, 768000
MAX_CHANNELS = 1024
# Samples times channels decoded at once: 4 GiB as float32, 18 hours of one channel at 16 kHz.
MAX_VALUES = 1 << 30
# Not the file's fault: too many open files, disk full, no kernel memory.
_OF_THE_MACHINE = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.ENOMEM}


class UnfitAudio(SertkError):
    """A recording that is missing, truncated, empty, silent or not audio; binaries skip and count it."""


def check_header(rate: int, channels: int, form: str = "audio") -> None:
    """Check header fields before anything is allocated from them.

    Args:
        rate: sample rate in Hz
        channels: number of channels
        form: container, for the message

    Raises:
        UnfitAudio: if one is out of bounds.
    """
    if not MIN_RATE <= rate <= MAX_RATE:
        raise UnfitAudio(f"is a damaged {form} file ({rate} samples a second; {MIN_RATE} to {MAX_RATE} are read)")
    if not 1 <= channels <= MAX_CHANNELS:
        raise UnfitAudio(f"is a damaged {form} file ({channels} channels; 1 to {MAX_CHANNELS} are read)")


@contextmanager
def one_recording() -> Iterator[None]:
    """Turn any error of one recording inside the block into UnfitAudio, so that it can be skipped.

    Raises:
        UnfitAudio: for any exception of decoding, resampling or features, also for lack of memory.
        SertkError: unchanged, if every recording would fail: a missing package or program, a failed pipe.
        OSError: if the machine has run out of open files or of disk space.
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
