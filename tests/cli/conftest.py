"""The command `lockrace` as a user runs it, and a server started by hand that it knows only by URL and tokens."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.limits import LIMIT_S

SHARED, STRANGER = "sharedtoken0sharedtoken0", "strangertoken0strangertoken0"
Lockrace = Callable[..., subprocess.CompletedProcess[str]]


class Served(NamedTuple):
    url: str
    token_file: Path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    token_file = folder / "tokens.yaml"
    token_file.write_text(f"shared: {SHARED}\nstranger: {STRANGER}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "reference_server", "--port", "0", "--end-with-stdin", "--token-file", str(token_file)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    found = None
    for line in process.stdout:
        if "ready" in line and (found := re.search(r"https?://\S+", line)):
            break
    assert found is not None, "the reference server did not start"
    yield Served(found.group(), token_file)
    process.stdin.close()
    process.stdout.close()
    process.wait(LIMIT_S)


@pytest.fixture
def lockrace(tmp_path: Path) -> Lockrace:
    """Run the command in an empty folder; no variable of the test's own environment speaks to it."""

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("LOCKRACE")}
        return subprocess.run(
            [sys.executable, "-m", "harness.cli", *words],
            cwd=tmp_path,
            env=plain | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )

    return call
