"""How processes that a test started come to their end."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable

import psutil

from tests.limits import LIMIT_S


def kill_for_good(pid: int) -> None:
    """kill -9 a child of ours, and come back when it is dead and its sockets are closed; it is left to be reaped.

    A process that was killed goes on to accept what is sent to it until it is its turn to die.
    """
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # whoever waits for it has reaped it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def all_gone(processes: Iterable[psutil.Process]) -> bool:
    """Whether all come to their end. A zombie has: who reaps the orphans of a container, if anyone, is not ours."""
    ends = time.monotonic() + LIMIT_S
    left = list(processes)
    while (left := [one for one in left if _runs(one)]) and time.monotonic() < ends:
        time.sleep(0.02)
    return not left


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
