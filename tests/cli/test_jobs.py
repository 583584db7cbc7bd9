"""Several scenarios at a time: the same results in the same order, a server each, and nothing left behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.history import read_history
from harness.plan import Plan, make_plan
from harness.report.result import ScenarioResult
from harness.run import RunOptions, run
from harness.scenario import load_all, select, shipped
from tests.cli.conftest import Lockrace, Served
from tests.drive.watched import watched
from tests.limits import LIMIT_S
from tests.processes import all_gone

SOME = "stolen_lock,every_interleaving,two_lockers,restart_keeps_lock,thundering_herd,transition_table"


def results_of(folder: Path, out: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / out / "results.json").read_text())
    return content


def test_results_and_histories_are_those_of_one_at_a_time(lockrace: Lockrace, tmp_path: Path) -> None:
    told = {}
    for jobs in ("1", "3"):
        what = ("run", "--select", SOME, "--runs", "4", "--seed", "7", "--jobs", jobs, "--out", jobs)
        done = lockrace(*what, "--release", "burst")
        assert done.returncode == 0, done.stdout + done.stderr
        content = results_of(tmp_path, jobs)
        assert content["settings"]["jobs"] == int(jobs)
        told[jobs] = [(one["name"], one["label"], one["runs"], one["replay"]) for one in content["scenarios"]]
    assert len(told["1"]) > 40
    assert told["1"] == told["3"]
    for name in ("stolen_lock", "every_interleaving", "restart_keeps_lock"):
        one, other = (read_history(tmp_path / out / "histories" / f"{name}.jsonl") for out in ("1", "3"))
        assert one.header.replays == other.header.replays
        done_in = [
            [(each.run, each.phase, each.process, each.op, each.step, each.outcome) for each in history.operations]
            for history in (one, other)
        ]
        assert done_in[0] == done_in[1]


def test_each_job_has_a_server_of_the_users_own_with_a_log_of_its_own(
    lockrace: Lockrace, served: Served, tmp_path: Path
) -> None:
    start = f"{sys.executable} -m reference_server --port {{port}} --database {tmp_path}/{{port}}.sqlite"
    done = lockrace(
        *("run", "--select", "stolen_lock,restart_keeps_lock,restart_keeps_revocation", "--jobs", "2"),
        *("--start", start, "--token-file", str(served.token_file)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("*.sqlite"))) == 2
    assert {log.name for log in (tmp_path / "lockrace-out").glob("server*.log")} == {"server.log", "server-2.log"}


def test_a_server_that_dies_ends_the_run_with_the_end_of_its_own_log(
    lockrace: Lockrace, served: Served, tmp_path: Path
) -> None:
    server = tmp_path / "server.py"
    server.write_text(
        "import os, subprocess, sys\n"
        "word = [sys.executable, '-m', 'reference_server', '--port', sys.argv[1], '--database', 'memory:']\n"
        "process = subprocess.Popen(word)\n"
        "try: os.mkdir('first'); first = True\n"
        "except FileExistsError: first = False\n"
        "import time\n"
        "while first or not os.path.exists('lockrace-out/histories/two_unlockers.jsonl'): time.sleep(0.01)\n"
        "print('the second one ends here', flush=True)\n"
        "process.kill()\n"
    )
    done = lockrace(
        *("run", "--select", "two_lockers,two_unlockers", "--runs", "100000", "--jobs", "2"),
        *("--start", f"{sys.executable} {server} {{port}}", "--token-file", str(served.token_file)),
    )
    assert done.returncode == 4, done.stdout + done.stderr
    assert "the second one ends here" in done.stdout


def test_what_restarts_a_shared_server_runs_alone(lockrace: Lockrace, served: Served, tmp_path: Path) -> None:
    done = lockrace(
        *("run", "--select", "restart_keeps_lock,stolen_lock,every_interleaving,restart_keeps_revocation"),
        *("--jobs", "4", "--target", served.url, "--token-file", str(served.token_file)),
        *("--restart-command", f"{sys.executable} -c pass"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    histories = {path.stem: read_history(path) for path in (tmp_path / "lockrace-out" / "histories").glob("*.jsonl")}
    assert len(histories) == 4
    spans = {
        name: (
            min(one.invoke_ns for one in history.operations),
            max(one.return_ns or one.invoke_ns for one in history.operations),
        )
        for name, history in histories.items()
    }
    for name in ("restart_keeps_lock", "restart_keeps_revocation"):
        begins, ends = spans.pop(name)
        assert all(other_ends < begins or ends < other_begins for other_begins, other_ends in spans.values())


def test_at_the_first_violation_nothing_more_begins(lockrace: Lockrace, tmp_path: Path) -> None:
    done = lockrace("run", "--target", "reference:lock_noop", "--fail-fast", "--jobs", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    content = results_of(tmp_path, "lockrace-out")
    assert any(one["label"] == "violation" for one in content["scenarios"])
    assert len(content["scenarios"]) < 100
    assert content["not_begun"] == []


def test_the_model_plays_one_at_a_time_whatever_was_asked(lockrace: Lockrace) -> None:
    done = lockrace("run", "--target", "model", "--select", "stolen_lock,every_interleaving", "--jobs", "5")
    assert done.returncode == 0, done.stdout + done.stderr


class Unwatched:
    def started(self, plans: Sequence[Plan]) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def ran(self, plan: Plan, run: int) -> None: ...
    def finished(self, result: ScenarioResult) -> None: ...


def test_the_pace_counts_over_all_jobs(tmp_path: Path) -> None:
    per_second, came = 15, list[int]()
    scenarios = select(load_all([shipped()]), ["stolen_lock", "two_lockers", "stolen_lock_early_auth"])
    plans = [make_plan(one, seed=1, runs=2) for one in scenarios]

    async def work() -> None:
        async with watched(came) as target:
            options = RunOptions(jobs=3, max_rps=per_second, out=tmp_path, timeout_s=20)
            result = await run(plans, target, options, Unwatched())
        assert [one.label for one in result.results] == ["known race", "known race", "conforms"]

    asyncio.run(work())
    assert len(came) > 3 * per_second
    assert all(later - earlier > 10**9 for earlier, later in zip(came, came[per_second:], strict=False))


def test_a_budget_that_is_over_begins_nothing_and_is_never_green(lockrace: Lockrace, tmp_path: Path) -> None:
    done = lockrace("run", "--select", "stolen_lock,two_lockers", "--budget", "0s", "--format", "junit")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "stolen_lock, two_lockers: the budget was spent before" in done.stdout
    content = results_of(tmp_path, "lockrace-out")
    assert (content["exit_code"], content["not_begun"]) == (3, ["stolen_lock", "two_lockers"])
    assert 'name="not begun"' in (tmp_path / "lockrace-out" / "junit.xml").read_text()


def started(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A run of two jobs that would go on for very long, once both write their histories."""
    names = ["two_lockers", "two_unlockers"]
    words = ["run", "--select", ",".join(names), "--runs", "100000", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.cli", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + LIMIT_S
    histories = [folder / "lockrace-out" / "histories" / f"{name}.jsonl" for name in names]
    while time.monotonic() < limit and process.poll() is None:
        if all(history.exists() and history.stat().st_size > 50_000 for history in histories):
            return process, psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"the run did not start: {process.communicate()[0]}")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_two_jobs_are_ended_nothing_is_left_behind(how: signal.Signals, tmp_path: Path) -> None:
    process, children = started(tmp_path)
    assert sum("reference_server" in " ".join(child.cmdline()) for child in children) >= 2
    if how is signal.SIGINT:
        os.killpg(process.pid, how)  # what a terminal does
    else:
        process.send_signal(how)
    output, _ = process.communicate(timeout=LIMIT_S)
    if how is signal.SIGKILL:
        assert process.returncode == -how
    else:
        assert process.returncode == 130
        assert "what was finished is reported" in output
        assert "Traceback" not in output
    assert all_gone(children)


def test_uuids_that_nobody_has_begin_with_the_cluster_that_was_given(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "ghost.race.yaml").write_text(
        """format: 1
scenario: ghost
summary: a container that nobody has
level: must
requires: [ERR-1]
given:
  containers: {ghost: {uuid: unknown}}
  tokens: {A: shared}
sessions:
  A: [{id: a_get, get: ghost, expect: missing}]
schedule: {order: [a_get]}
"""
    )
    for target in ("reference", "model"):
        done = lockrace("run", "ghost.race.yaml", "--cluster", "ab1cd", "--target", target)
        assert done.returncode == 0, done.stdout + done.stderr
        (asked,) = read_history(tmp_path / "lockrace-out" / "histories" / "ghost.jsonl").operations
        assert (asked.uuid or "").startswith("ab1cd-dz642-")
    done = lockrace("run", "ghost.race.yaml")
    assert done.returncode == 0
    (asked,) = read_history(tmp_path / "lockrace-out" / "histories" / "ghost.jsonl").operations
    assert (asked.uuid or "")[:5] == "zzzzz"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "--cluster", "ZZZZZ"), "want five small letters or digits"),
        (("run", "--cluster", "zzzzz-dz642"), "is no cluster"),
        (("run", "--max-rps", "0"), "--max-rps"),
        (("run", "--jobs", "0"), "--jobs"),
        (("simulate", "--max-rps", "5"), "lockrace run --max-rps N"),
    ],
)
def test_what_cannot_be_meant_is_refused(lockrace: Lockrace, words: tuple[str, ...], hint: str) -> None:
    done = lockrace(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert hint in done.stderr


def test_a_replay_keeps_the_pace_of_a_site_that_others_use(lockrace: Lockrace, served: Served) -> None:
    what = ("--target", served.url, "--token-file", str(served.token_file), "--max-rps", "50", "--cluster", "zzzzz")
    done = lockrace("run", "--select", "stolen_lock", "--known", "closed", *what)
    assert done.returncode == 1, done.stdout + done.stderr
    assert lockrace("replay", "stolen_lock:a_lock,b_unlock,b_lock,a_auth,b_auth", *what).returncode == 0
    assert lockrace("explore", "stolen_lock", *what, "--budget", "5m").returncode == 0
    assert lockrace("doctor", *what[:-2]).returncode == 0
