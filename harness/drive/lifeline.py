"""Tie a process to its parent, so that nothing is left behind, whatever ends the parent."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, also when it is stopped at that moment.

    On Linux; elsewhere the closed pipe to the parent is what ends it.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent or parent == 1:  # it ended before we asked
        os._exit(1)
