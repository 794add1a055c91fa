"""Stopping when a batch system asks for it: TERM and USR1 set a flag, the run checkpoints and says "run me again"."""

import signal

# EX_TEMPFAIL of sysexits.h: what failed will succeed if it is tried again.
RUN_AGAIN = 75


class Stopped(Exception):
    """A run was asked to stop and has checkpointed."""


class StopRequest:
    """True once TERM or USR1 has come. Make one before anything slow: the signal may come seconds after the start."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._ask)

    def _ask(self, *_) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked
