"""Messages of errors."""

import errno
import os

from sertk.cli.messages import one_line, reason
from sertk.errors import SertkError


def test_an_error_of_the_system_names_its_file():
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "x.ark")
    assert reason(error) == "x.ark: No space left on device"
    assert reason(SertkError("x.ark: damaged")) == "x.ark: damaged"


def test_a_message_is_one_line():
    assert "\n" not in one_line("first\nsecond")
