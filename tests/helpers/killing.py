"""Binaries that are killed: in forked processes, since to import torch takes longer than what is to be hit."""

import importlib
import os
import random
import signal
import sys
import time
import traceback


def start(binary: str, *args, log=os.devnull) -> int:
    """Run a binary in a child of this process, what it says going to `log`; gives its process id."""
    main = importlib.import_module(f"sertk.cli.{binary.replace('-', '_')}").main
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        sys.stdout = sys.stderr = open(log, "a", buffering=1)  # noqa: SIM115
        main([str(arg) for arg in args])
    except SystemExit as exit:
        code = exit.code
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)


def wait(child: int) -> int:
    """The exit status of a child; that of one ended by a signal is its negative number."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def running(child: int) -> bool:
    """Whether a child is at work yet."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def kill_at_random(kills: int, seconds: float, *call, between=lambda: None) -> int:
    """Start `call` again and again, killing it within `seconds`, until `kills` have hit it at work; then let it end.

    Args:
        between: called after every kill, to look at what is there.

    Returns:
        how often it was started.
    """
    rng, hits, starts = random.Random(kills), 0, 0
    while hits < kills:
        child, starts = start(*call), starts + 1
        time.sleep(rng.uniform(0, seconds))
        hits += running(child)
        os.kill(child, signal.SIGKILL)
        wait(child)
        between()
    assert wait(start(*call)) == 0
    return starts + 1
