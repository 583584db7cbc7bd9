"""Servers that the harness starts: one for each job, and how each is ended."""

import asyncio
import sys
from pathlib import Path

import pytest

from harness.drive.served import CommandTarget, ReferenceTarget, one_for_each
from harness.drive.target import UrlTarget

POLITE = """
import http.server, pathlib, signal, sys

def leave(*_):
    pathlib.Path("politely").touch()
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_each_job_has_a_server_of_its_own_where_the_harness_starts_it() -> None:
    own = CommandTarget("./server {port}", {"shared": "s"}, "/ready", Path("out/server.log"), 0.5)
    first, second, third = one_for_each(own, 3)
    assert first is own
    assert [one.log for one in (second, third)] == [Path("out/server-2.log"), Path("out/server-3.log")]  # type: ignore[attr-defined]
    assert (second.command, second.ready_path, second.look_again_s) == ("./server {port}", "/ready", 0.5)  # type: ignore[attr-defined]
    reference = ReferenceTarget(("--run-auth",), "keep_auth")
    reference._port = 1234  # as it is once it was started
    _, another = one_for_each(reference, 2)
    assert (another.arguments, another.defect, another._port) == (("--run-auth",), "keep_auth", 0)  # type: ignore[attr-defined]
    assert another.secrets == reference.secrets  # type: ignore[attr-defined]


def test_jobs_share_what_is_there_already() -> None:
    there = UrlTarget("http://127.0.0.1:9", {"shared": "s"})
    assert all(one is there for one in one_for_each(there, 3))


@pytest.mark.parametrize("hung", [False, True])
def test_a_server_that_hung_is_not_asked_to_leave(hung: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("server.py").write_text(POLITE)

    async def work() -> None:
        target = CommandTarget(f"{sys.executable} server.py {{port}}", {"shared": "s"})
        try:
            await target.open()
        finally:
            target.hung = hung
            await target.close()
        assert target._process is not None
        assert target._process.returncode is not None

    asyncio.run(work())
    assert Path("politely").exists() is not hung
