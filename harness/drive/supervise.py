"""`python -m harness.drive.supervise COMMAND...`: run a user's server, and end it with all its children when we end.

Its standard input is a pipe that the harness holds open. When that closes, because the run is over or the harness
was killed, the whole process group of the command is ended: first politely, then for certain. SIGUSR1 is a crash:
the group gets SIGKILL at once.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading

_POLITE_LIMIT_S = 4.0


def main(command: list[str]) -> int:
    """Run `command` until it ends or the harness does; its exit code."""
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 (the user's own)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return 127
    signal.signal(signal.SIGTERM, lambda *_: _end(process))
    signal.signal(signal.SIGUSR1, lambda *_: _end_group(process.pid, signal.SIGKILL))
    threading.Thread(target=_watch_standard_input, daemon=True).start()
    code = process.wait()
    _end_group(process.pid, signal.SIGKILL)  # what it left behind
    return code


def _watch_standard_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end(process: subprocess.Popen[bytes]) -> None:
    _end_group(process.pid, signal.SIGTERM)
    certain = threading.Timer(_POLITE_LIMIT_S, _end_group, (process.pid, signal.SIGKILL))
    certain.daemon = True
    certain.start()


def _end_group(leader: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, how)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
