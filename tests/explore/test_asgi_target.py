"""A Python application as the target of a run: judged as any server, and limited in every way in which it can fail."""

import asyncio
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli.options import TargetChoice, make_target
from harness.explore.asgi_target import AsgiTarget, by_turns
from harness.plan import Plan, make_plan, parse_replay, with_order
from harness.report.decision import exit_code
from harness.report.result import RunResult, ScenarioResult
from harness.report.terminal import Look, failure_report, summary
from harness.run import RunOptions, run
from harness.scenario import load, shipped
from tests.explore import misbehaving

TOKENS = {"shared": "a" * 40, "stranger": "b" * 40}
FAITHFUL = "reference_server.asgi:make_app:"
BROKEN = "tests.explore.misbehaving:app:"


class Unwatched:
    def started(self, plans: Sequence[Plan]) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def ran(self, *_: object) -> None: ...
    def finished(self, result: ScenarioResult) -> None: ...


@pytest.fixture(autouse=True)
def _told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_TOKEN", TOKENS["shared"])
    monkeypatch.setenv("LOCKRACE_TOKEN2", TOKENS["stranger"])


def plans(*names: str, runs: int | None = None) -> list[Plan]:
    files = {path.name.removesuffix(".race.yaml"): path for path in shipped().rglob("*.race.yaml")}
    return [make_plan(scenario, 1, runs) for name in names for scenario in load(files[name])]


def tried(spec: str, what: list[Plan], out: Path, timeout_s: float = 5.0, seed: int = 1) -> RunResult:
    target = AsgiTarget(spec, TOKENS, frozenset(), out / "server.log")
    return asyncio.run(run(what, target, RunOptions(timeout_s=timeout_s, seed=seed, out=out), Unwatched()))


def test_orders_are_judged_as_on_any_server_and_races_are_left_out_with_the_reason(tmp_path: Path) -> None:
    result = tried(FAITHFUL, plans("stolen_lock", "held_unlock", "two_lockers", "thundering_herd"), tmp_path)
    assert {one.scenario.name: one.label for one in result.results} == {
        "stolen_lock": "known race",
        "held_unlock": "known race",
        "two_lockers": "conforms",
    }
    assert all("a race needs a target over HTTP; `lockrace explore`" in text for text in result.skipped)
    assert result.skipped
    assert exit_code(result) == 0
    assert not (tmp_path / "server.log").exists()


def test_a_mutant_is_named_and_its_replay_shows_it_again(tmp_path: Path) -> None:
    result = tried(FAITHFUL + "keep_auth", plans("stolen_lock_early_auth"), tmp_path)
    assert exit_code(result) == 1
    assert result.results[0].verdict.violations[0].name == "revoked_auth_dead"
    name, order = parse_replay(result.results[0].replay)
    assert name == "stolen_lock_early_auth"
    assert order is not None
    again = tried(FAITHFUL + "keep_auth", [with_order(result.results[0].scenario, order)], tmp_path)
    assert exit_code(again) == 1
    text = failure_report(result, Look())
    assert f"--target asgi:{FAITHFUL}keep_auth" in text


def test_requests_that_are_sent_together_meet_inside_the_application(tmp_path: Path) -> None:
    result = tried(FAITHFUL + "check_before_lock", plans("two_lockers"), tmp_path)
    assert "single_winner" in {one.name for one in result.results[0].verdict.violations}
    first, second = [one for one in result.results[0].history.operations if one.op == "lock"][:2]
    assert max(first.invoke_ns, second.invoke_ns) < min(first.return_ns or 0, second.return_ns or 0)


def test_who_goes_first_comes_from_the_seed(tmp_path: Path) -> None:
    def winners(seed: int) -> list[str]:
        (one,) = tried(FAITHFUL, plans("two_lockers", runs=12), tmp_path / str(seed), seed=seed).results
        return [op.process for op in one.history.operations if op.op == "lock" and op.type == "ok"]

    assert winners(3) == winners(3)
    assert winners(3) != winners(4)
    assert len(set(winners(3))) == 2


@pytest.mark.parametrize(
    "name", ["raises", "says_nothing", "says_no_status", "says_text_for_bytes", "says_the_end_first"]
)
def test_what_an_application_does_wrong_is_a_500_and_the_log_says_what(tmp_path: Path, name: str) -> None:
    result = tried(BROKEN + name, plans("stolen_lock"), tmp_path)
    assert exit_code(result) == 1
    assert "no_server_error" in {one.name for one in result.results[0].verdict.violations}
    if name == "says_nothing":
        return
    log = (tmp_path / "server.log").read_text()
    assert f"in {name}" in log
    assert TOKENS["shared"] not in log
    assert f"\nserver   {tmp_path / 'server.log'}\n" in failure_report(result, Look(width=300))


@pytest.mark.parametrize("name", ["stops_half_way", "never_ends_its_answer"])
def test_half_an_answer_is_none(tmp_path: Path, name: str) -> None:
    result = tried(BROKEN + name, plans("stolen_lock"), tmp_path)
    locks = [one for one in result.results[0].history.operations if one.op == "lock"]
    assert [(one.type, one.problem) for one in locks] == [("info", "reset")] * 2


@pytest.mark.parametrize("name", ["waits_for_the_client_to_go", "works_on_after_its_answer"])
def test_an_answer_counts_from_its_end_on(tmp_path: Path, name: str) -> None:
    result = tried(BROKEN + name, plans("stolen_lock"), tmp_path)
    locks = [one for one in result.results[0].history.operations if one.op == "lock"]
    assert [one.status for one in locks] == [422, 422]


def test_an_application_that_hangs_is_named_for_it(tmp_path: Path) -> None:
    result = tried(BROKEN + "hangs", plans("stolen_lock"), tmp_path, timeout_s=2.0)
    assert "no_deadlock" in {one.name for one in result.results[0].verdict.violations}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("blocks", "kept its event loop from going on for 2 s; it is in"),
        ("exits", "has ended its event loop: SystemExit: 3"),
        ("stops_its_loop", "has ended its event loop: RuntimeError"),
    ],
)
def test_an_application_that_ends_or_stops_its_loop_is_lost(tmp_path: Path, name: str, said: str) -> None:
    try:
        result = tried(BROKEN + name, plans("stolen_lock", "two_lockers"), tmp_path, timeout_s=2.0)
    finally:
        misbehaving.NEVER.set()
        for thread in threading.enumerate():
            if thread.name.startswith("asgi:"):
                thread.join(10)
        misbehaving.NEVER.clear()
    assert exit_code(result) == 4
    assert said in (result.unreachable or "")
    assert [one.label for one in result.results] == ["inconclusive"]
    assert said.partition(";")[0] in " ".join(summary(result, Look(width=300)).split())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("no.such.module:app", "asgi:no.such.module:app: ModuleNotFoundError: No module named 'no'"),
        ("tests.explore.misbehaving:app:no_such", "app('no_such'): KeyError"),
        ("tests.explore.misbehaving:does_not_start", "did not start: no database"),
        ("tests.explore.misbehaving:takes_nothing", "takes_nothing() takes 0 positional arguments but 3 were given"),
        ("tests.explore.misbehaving:NEVER", "NEVER is no application, it cannot be called"),
    ],
)
def test_what_is_no_application_or_does_not_start_is_refused(tmp_path: Path, spec: str, said: str) -> None:
    result = tried(spec, plans("stolen_lock"), tmp_path)
    assert exit_code(result) == 4
    assert said in (result.unreachable or "")
    assert result.results == []


def test_requests_see_what_the_start_has_made(tmp_path: Path) -> None:
    result = tried("tests.explore.misbehaving:keeps_a_state", plans("stolen_lock"), tmp_path)
    assert exit_code(result) == 0, result.unreachable


def choice(target: str, out: Path, token: str | None = None, token2: str | None = None) -> TargetChoice:
    return TargetChoice(target, "must", token, token2, None, False, None, "/", None, out=out)


def test_tokens_that_nobody_gave_are_made_up_and_told_to_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCKRACE_TOKEN")
    monkeypatch.delenv("LOCKRACE_TOKEN2")
    target = make_target(choice(f"asgi:{FAITHFUL}", tmp_path))
    assert os.environ["LOCKRACE_TOKEN"] != os.environ["LOCKRACE_TOKEN2"]
    options = RunOptions(out=tmp_path)
    what = plans("each_its_own", "foreign_unlock", "auth_is_the_holders")
    result = asyncio.run(run(what, target, options, Unwatched()))
    assert [one.label for one in result.results] == ["conforms"]  # which needs the stranger


def test_a_token_that_the_application_does_not_know(tmp_path: Path) -> None:
    application = f"asgi:{FAITHFUL}"
    what = plans("stolen_lock", "auth_is_the_holders")
    options = RunOptions(out=tmp_path)
    known = make_target(choice(application, tmp_path))  # the application learns from the environment who is known
    assert isinstance(known, AsgiTarget)

    def refused(secrets: dict[str, str], made_up: set[str]) -> RunResult:
        target = AsgiTarget(FAITHFUL, secrets, frozenset(made_up), tmp_path / "server.log")
        return asyncio.run(run(what, target, options, Unwatched()))

    other = "c" * 40
    assert "refused the stranger token (401)" in (refused(TOKENS | {"stranger": other}, set()).unreachable or "")
    assert "refused the shared token (401)" in (refused(TOKENS | {"shared": other}, set()).unreachable or "")
    made_up = refused(TOKENS | {"shared": other}, {"shared", "stranger"})
    assert "none was given, so one was made up" in (made_up.unreachable or "")
    left_out = refused(TOKENS | {"stranger": other}, {"stranger"})
    assert left_out.skipped == ["auth_is_the_holders: it needs the stranger token"]
    assert [one.scenario.name for one in left_out.results] == ["stolen_lock"]


def test_turns_pass_on_results_exceptions_and_cancellation() -> None:
    async def work(worked: asyncio.Event) -> int:
        try:
            await asyncio.sleep(0)
            await asyncio.wait_for(asyncio.sleep(0), 1)  # noqa: TID251 (an application may)
            worked.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return 7
        return 0

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def all_of_it() -> None:
        for seed in range(20):
            worked = asyncio.Event()
            task = asyncio.create_task(by_turns(work(worked), random.Random(seed)))
            await worked.wait()
            task.cancel()
            assert await task == 7
            with pytest.raises(KeyError):
                await by_turns(fails(), random.Random(seed))

    asyncio.run(all_of_it())
