"""Nothing is left behind, whatever ends the run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.limits import LIMIT_S
from tests.processes import all_gone


def started_run(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A run that would go on for very long, once its dispatchers and its server are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", "run", "--select", "two_lockers", "--runs", "100000"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    parent = psutil.Process(process.pid)
    limit = time.monotonic() + LIMIT_S
    history = folder / "lockrace-out" / "histories" / "two_lockers.jsonl"
    while time.monotonic() < limit and process.poll() is None:
        children = parent.children(recursive=True)
        if len(children) >= 3 and history.exists() and history.stat().st_size > 50_000:
            return process, children
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the run did not start: {process.communicate()[0]}")


def test_ctrl_c_reports_what_was_finished_and_leaves_nothing_behind(tmp_path: Path) -> None:
    process, children = started_run(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert "what was finished is reported" in output
    assert "Traceback" not in output
    assert all_gone(children)


def test_sigterm_is_as_ctrl_c(tmp_path: Path) -> None:
    process, children = started_run(tmp_path)
    process.terminate()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert all_gone(children)


def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    process, children = started_run(tmp_path)
    process.kill()
    process.wait(LIMIT_S)
    assert all_gone(children)
    assert process.stdout is not None
    process.stdout.close()


def test_kill_9_takes_a_paused_dispatcher_along(tmp_path: Path) -> None:
    process, children = started_run(tmp_path)
    for child in children:
        if "spawn_main" in " ".join(child.cmdline()):
            child.suspend()
    process.kill()
    process.wait(LIMIT_S)
    assert all_gone(children)
    assert process.stdout is not None
    process.stdout.close()


def test_a_server_of_the_users_ends_with_the_run_and_its_children_too(tmp_path: Path) -> None:
    script = tmp_path / "server.sh"
    script.write_text(f'#!/bin/sh\n"{sys.executable}" -m reference_server --port "$1" &\nwait\n')
    script.chmod(0o755)
    supervised = subprocess.Popen(
        [sys.executable, "-m", "harness.drive.supervise", str(script), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert supervised.stdout is not None
    assert supervised.stdin is not None
    for line in supervised.stdout:
        if "ready" in line:
            break
    children = psutil.Process(supervised.pid).children(recursive=True)
    assert len(children) >= 2
    supervised.stdin.close()  # what the harness's end does, however it comes
    supervised.wait(LIMIT_S)
    assert all_gone(children)
    supervised.stdout.close()
