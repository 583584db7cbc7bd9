"""How processes that a test started come to their end."""

import contextlib
import os
import signal


def kill_for_good(pid: int) -> None:
    """kill -9 a child of ours, and come back when it is dead and its sockets are closed; it is left to be reaped.

    A process that was killed goes on to accept what is sent to it until it is its turn to die.
    """
    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # whoever waits for it has reaped it
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
