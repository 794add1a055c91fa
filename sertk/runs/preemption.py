"""Preemption: TERM and USR1 ask a run to checkpoint and exit with 75, so that the batch system runs it again."""

import signal

# EX_TEMPFAIL of sysexits.h: a temporary failure, try again.
RUN_AGAIN = 75


class StopRequest:
    """Signal handler for TERM and USR1; calling it returns True once one of them has arrived.

    Create it before slow imports: a signal may arrive seconds after the start.
    """

    def __init__(self) -> None:
        self._requested = False
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self._request)

    def _request(self, *_: object) -> None:
        self._requested = True

    def __call__(self) -> bool:
        """Return True once a signal has arrived."""
        return self._requested
