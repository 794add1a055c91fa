"""Recordings that cannot be used: bounds of header fields, errors of one recording and of the machine."""

import errno
import struct

import pytest
from audiofiles import encoded

from sertk.errors import SertkError
from sertk.frontend.audio import read_audio
from sertk.frontend.unfit import MAX_RATE, MIN_RATE, UnfitAudio, one_recording


@pytest.mark.parametrize("rate", [0, 1, 7, MIN_RATE - 1, MAX_RATE + 1, 2**32 - 1])
@pytest.mark.parametrize(
    "form, place, order", [("WAV", 24, "<I"), ("AU", 16, ">I"), ("W64", 68, "<I"), ("NIST", None, "")]
)
def test_a_rate_that_nothing_records_is_unfit_in_any_container(form, place, order, rate):
    content = encoded(form, "PCM_16")
    if form == "NIST":
        content = (
            content.replace(b"sample_rate -i 16000\n", f"sample_rate -i {rate}\n".encode())[:1024] + content[1024:]
        )
        content = content[:1024].ljust(1024) + content[1024:]
    else:
        assert struct.unpack_from(order, content, place) == (16000,)
        content = content[:place] + struct.pack(order, rate) + content[place + 4 :]
    with pytest.raises(UnfitAudio, match=rf"{rate} samples a second|damaged"):
        read_audio(content)


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "cannot be read: No such file or directory"),
        (MemoryError(), "needs more memory than there is"),
        (ValueError("two\nlines"), r"cannot be read as audio \(ValueError: two lines\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_one_recording_become_unfit_audio(raised, reason):
    with pytest.raises(UnfitAudio, match=f"^{reason}$"), one_recording():
        raise raised


@pytest.mark.parametrize("raised", [OSError(errno.EMFILE, "Too many open files"), SertkError("ffmpeg is missing")])
def test_errors_that_all_recordings_share_pass_unchanged(raised):
    with pytest.raises(type(raised)) as error, one_recording():
        raise raised
    assert error.value is raised and not isinstance(error.value, UnfitAudio)
