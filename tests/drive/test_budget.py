"""A budget: after it no run begins, a race tries a few rounds first, and what never ends is cut off."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.check import check
from harness.drive import drive as module
from harness.drive.drive import Driven, DriveOptions, drive
from harness.drive.line import Exchange
from harness.drive.target import OpenTarget
from harness.explore.model_line import open_model
from harness.history import read_history
from harness.model import Rules
from harness.plan import make_plan
from harness.scenario import load, shipped
from harness.wire import Call

Turn = Callable[[float], None]


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Turn:
    """Stop the clock, which then goes on only by so many seconds a call."""
    now_ns = time.monotonic_ns()

    def go_on(seconds: float) -> None:
        nonlocal now_ns
        now_ns += round(seconds * 1e9)

    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ns)
    return go_on


def driven(folder: Path, options: DriveOptions, after_run: Callable[[int], None], target: OpenTarget) -> Driven:
    (path,) = shipped().rglob("every_interleaving.race.yaml")
    plan = make_plan(load(path)[0], seed=1)
    assert plan.runs == 10
    return asyncio.run(drive(plan, target, options, folder / "h.jsonl", after_run))


@pytest.mark.parametrize(("budget_s", "runs"), [(0.0, 1), (2.5, 3), (3.0, 3), (3.5, 4), (100.0, 10), (None, 10)])
def test_no_run_begins_after_the_end_and_the_first_is_always_made(
    budget_s: float | None, runs: int, turn: Turn, tmp_path: Path
) -> None:
    done = driven(tmp_path, DriveOptions(budget_s=budget_s), lambda _: turn(1.0), open_model(Rules("must")))
    assert (done.runs, done.cut_off) == (runs, False)


def test_a_race_tries_a_few_rounds_first_and_then_as_many_as_fit(turn: Turn, tmp_path: Path) -> None:
    (path,) = shipped().rglob("two_lockers.race.yaml")
    plan = make_plan(load(path)[0], seed=1)
    target = open_model(Rules("must"))
    driving = module._Driving(plan, target, DriveOptions(budget_s=10), Driven(tmp_path), None, lambda _: None)  # type: ignore[arg-type]
    assert driving.fitting(8) == 3
    driving.driven.runs = 3
    turn(6.0)
    assert driving.fitting(16) == 2
    turn(3.9)
    assert driving.fitting(16) == 1
    driving.options = DriveOptions()
    assert driving.fitting(16) == 16


@pytest.mark.parametrize("disposable", [True, False])
def test_what_never_ends_is_cut_off_proves_nothing_and_is_tidied_up(disposable: bool, tmp_path: Path) -> None:
    target = open_model(Rules("must"))
    object.__setattr__(target.endpoint, "disposable", disposable)
    call = target.line.call

    async def never_unlocks(desk: int, what: Call, secrets: Any, trouble: Any = None) -> Exchange:
        if what.op == "unlock":
            await asyncio.get_running_loop().create_future()
        return await call(desk, what, secrets, trouble)

    target.line.call = never_unlocks  # type: ignore[method-assign]
    done = driven(tmp_path, DriveOptions(budget_s=0.01, cut_off_s=1.0), lambda _: None, target)
    assert (done.runs, done.cut_off) == (0, True)
    history = read_history(done.path)
    cleaned = [one.phase for one in history.operations if one.phase == "cleanup"]
    assert cleaned == ([] if disposable else ["cleanup"])
    assert [one.problem for one in history.operations if one.phase == "probe"] == ["cut off"]
    verdict = check(history)
    assert not verdict.violations
    assert verdict.inconclusive
