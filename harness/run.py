"""The program in order: drive every plan, check its history; then one result that all reports draw from."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from harness.agenda import Agenda, Turn
from harness.check import check
from harness.check.verdict import Verdict
from harness.contract import REQUIREMENTS, Level, covers
from harness.drive.crew import HarnessFault
from harness.drive.drive import DriveOptions, drive
from harness.drive.line import TargetLost
from harness.drive.pace import Pace
from harness.drive.release import ReleaseChoice
from harness.drive.served import CommandTarget, ReferenceTarget, log_end, one_for_each
from harness.drive.target import TOKEN_NAMES, OpenTarget, Target, TargetRefused, UrlTarget, connected
from harness.explore.asgi_target import AsgiTarget
from harness.explore.model_line import ModelTarget, open_model
from harness.history import History, Operation, exclusion, race_figures, read_history, release_sentence
from harness.model import Rules
from harness.plan import Plan
from harness.report.baseline import BaselineFile
from harness.report.decision import Known, decide, notes
from harness.report.result import RunResult, ScenarioResult
from harness.scenario import Scenario

_STARTED = ReferenceTarget | CommandTarget
_OVERTIME = 0.05  # of the budget: what is under way at its end may take so much more, then it is cut off


@dataclass(frozen=True)
class RunOptions:
    """What a user may choose about a run."""

    level: Level = "must"
    seed: int = 0  # what sampled orders were drawn from, for reports and replays
    budget_s: float | None = None  # for everything together
    begun: float | None = None  # moment of the monotonic clock from which the budget counts; unset, from the call
    jobs: int = 1  # scenarios at a time
    timeout_s: float = 10.0  # of one request
    known: Known = "any"
    baseline: BaselineFile | None = None
    release: ReleaseChoice = "auto"
    max_rps: int | None = None
    cluster: str | None = None  # what uuids that nobody has begin with
    max_dispatch_attempts: int | None = None
    keep: bool = False
    fail_fast: bool = False
    out: Path = Path("lockrace-out")
    settings: dict[str, Any] = field(default_factory=dict)  # what was chosen and where, for reports


class Watcher(Protocol):
    """Who wants to see the run while it goes on."""

    def started(self, plans: Sequence[Plan]) -> None:
        """The target answered; these plans will be driven."""

    def planned(self, plan: Plan) -> None:
        """The next scenario begins."""

    def ran(self, plan: Plan, run: int) -> None:
        """One run of a scenario is over."""

    def finished(self, result: ScenarioResult) -> None:
        """The scenario was judged."""


async def run(plans: Sequence[Plan], target: Target, options: RunOptions, watcher: Watcher) -> RunResult:
    """Drive and judge every plan against one target; Ctrl-C ends it early, with what was finished."""
    result = RunResult(
        target=target.name,
        level=options.level,
        seed=options.seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=options.settings,
        out=options.out,
    )
    began = time.monotonic()
    pace = None if options.max_rps is None else Pace(options.max_rps)
    try:
        async with opened_target(target, options, pace) as opened:
            chosen = _chosen(plans, opened, options.level, result.skipped)
            watcher.started(chosen)
            await _Jobs(target, opened, pace, options, result, watcher).run(chosen)
    except TargetRefused as refused:
        result.unreachable = str(refused)
    except TargetLost as lost:
        result.unreachable = str(lost)
    except HarnessFault as fault:
        result.fault = str(fault)
    except asyncio.CancelledError:
        result.interrupted = True
    result.seconds = time.monotonic() - began
    result.not_exercised = not_exercised(result)
    result.untried = options.baseline.untried(result) if options.baseline is not None else []
    return result


@contextlib.asynccontextmanager
async def opened_target(target: Target, options: RunOptions, pace: Pace | None = None) -> AsyncIterator[OpenTarget]:
    """A target that answers, as the options want it used. Raises TargetRefused."""
    async with _opened(target, options, pace) as opened:
        opened.cluster = options.cluster
        yield opened


@contextlib.asynccontextmanager
async def _opened(target: Target, options: RunOptions, pace: Pace | None) -> AsyncIterator[OpenTarget]:
    """There is nobody to connect to where a target is in this process."""
    if isinstance(target, ModelTarget):
        yield open_model(Rules(options.level, options.max_dispatch_attempts))
        return
    if isinstance(target, AsgiTarget):
        try:
            yield await target.connect(options.timeout_s, options.seed)
        finally:
            await target.close()
        return
    async with connected(target, options.timeout_s, pace) as opened:
        yield opened


def _chosen(plans: Sequence[Plan], opened: OpenTarget, level: Level, skipped: list[str]) -> list[Plan]:
    """Plans that this run can judge; why the others are left out goes into `skipped`."""
    chosen = []
    for plan in plans:
        if reason := left_out(plan.scenario, opened, level):
            skipped.append(f"{plan.scenario.name}: {reason}")
        else:
            chosen.append(plan)
    return chosen


def left_out(scenario: Scenario, opened: OpenTarget, level: Level) -> str | None:
    """Why a run at `level` against this target cannot try a scenario, or None."""
    missing = sorted({token for token in scenario.tokens.values() if token in TOKEN_NAMES} - set(opened.callers))
    if not covers(level, scenario.level):
        return f"it judges level {scenario.level}"
    if missing:
        return f"it needs the {missing[0]} token"
    if opened.squad is None and scenario.schedule.kind == "race":
        here = "; `lockrace explore` interleaves it here" if opened.name.startswith("asgi:") else ""
        return f"a race needs a target over HTTP{here}"
    if opened.endpoint.restart is None and _restarts(scenario):
        return "this run cannot restart the server (--start, --restart-command)"
    return None


def _restarts(scenario: Scenario) -> bool:
    return any(step.verb == "restart" for step in scenario.steps().values())


@dataclass
class _Jobs:
    """Plays the scenarios of one run, `options.jobs` at a time; their results stand in the order of the plans."""

    target: Target
    opened: OpenTarget  # the one of the first job
    pace: Pace | None
    options: RunOptions
    result: RunResult
    watcher: Watcher
    done: dict[int, ScenarioResult] = field(default_factory=dict)  # by the place of the plan

    async def run(self, plans: Sequence[Plan]) -> None:
        """Play all; where jobs share a server, what restarts it comes last, one after the other."""
        options = self.options
        jobs = 1 if self.opened.squad is None else options.jobs  # a target in this process does one thing at a time
        shared = jobs > 1 and isinstance(self.target, UrlTarget)
        alone = [place for place, plan in enumerate(plans) if shared and _restarts(plan.scenario)]
        begun = time.monotonic() if options.begun is None else options.begun
        agenda = Agenda(plans, jobs, None if options.budget_s is None else begun + options.budget_s, alone)
        try:
            targets = one_for_each(self.target, agenda.jobs)
            await _all([self._job(agenda, target, place == 0) for place, target in enumerate(targets)])
            for turn in agenda.turns(alone=True):
                await self._take(turn, agenda, self.target, self.opened)
        finally:
            self.result.results = [self.done[place] for place in sorted(self.done)]
        if options.budget_s is not None and not agenda.stopped:
            self.result.not_begun = [plan.scenario.name for plan in agenda.not_begun()]

    async def _job(self, agenda: Agenda, target: Target, first: bool) -> None:
        async with contextlib.AsyncExitStack() as stack:
            opened = self.opened
            if not first:
                opened = await stack.enter_async_context(opened_target(target, self.options, self.pace))
            for turn in agenda.turns():
                await self._take(turn, agenda, target, opened)

    async def _take(self, turn: Turn, agenda: Agenda, target: Target, opened: OpenTarget) -> None:
        self.watcher.planned(turn.plan)
        began = time.monotonic()
        cut_off_s = None if turn.left_s is None else turn.left_s + _OVERTIME * (self.options.budget_s or 0)
        one, lost = await run_one(turn.plan, opened, self.options, turn.share_s, self.watcher, cut_off_s=cut_off_s)
        if cut_off_s is not None and time.monotonic() - began > cut_off_s and isinstance(target, _STARTED):
            target.hung = True
        self.done[turn.place] = one
        self.watcher.finished(one)
        if lost is not None:
            log = target.log if isinstance(target, CommandTarget | AsgiTarget) else None
            words = f"; the end of its log:\n{log_end(log)}" if log is not None and log.exists() else ""
            raise TargetLost(f"{lost}{words}")
        if self.options.fail_fast and one.label == "violation":
            agenda.stop()


async def _all(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first failure, or a cancellation, ends the others too, and none is left running."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_one(
    plan: Plan,
    opened: OpenTarget,
    options: RunOptions,
    budget_s: float | None,
    watcher: Watcher,
    *,
    cut_off_s: float | None = None,
) -> tuple[ScenarioResult, str | None]:
    """Drive one plan, then judge the history that it left on disk; and how the target was lost meanwhile.

    After `budget_s` no new run begins; what is under way after `cut_off_s` is cut off and proves nothing.
    """
    began = time.monotonic()
    how = DriveOptions(
        level=options.level,
        seed=options.seed,
        max_dispatch_attempts=options.max_dispatch_attempts,
        keep=options.keep,
        budget_s=budget_s,
        cut_off_s=cut_off_s,
        settings=options.settings,
        release=options.release,
    )
    path = options.out / "histories" / f"{file_name(plan.scenario.name)}.jsonl"
    driven = await drive(plan, opened, how, path, partial(watcher.ran, plan))
    history, verdict = await asyncio.to_thread(_check, path, plan.scenario)  # other jobs go on meanwhile
    if driven.lost is not None:
        verdict.inconclusive.append(driven.lost)
    if driven.cut_off and verdict.inconclusive:
        verdict.inconclusive.insert(0, f"time was up in the middle of run {driven.runs}; give more with --budget")
    if driven.short is not None:
        verdict.inconclusive.insert(0, driven.short)
    one = judged(plan.scenario, history, verdict, path, known=options.known, baseline=options.baseline)
    one.seconds = time.monotonic() - began
    return one, driven.lost


def _check(path: Path, scenario: Scenario) -> tuple[History, Verdict]:
    history = read_history(path)
    return history, check(history, scenario)


def judged(
    scenario: Scenario,
    history: History,
    verdict: Verdict,
    path: Path,
    *,
    known: Known = "any",
    baseline: BaselineFile | None = None,
) -> ScenarioResult:
    """What reports need to know of one judged history."""
    excused = (
        baseline.of(scenario.name, datetime.now(UTC).date(), history.header.level) if baseline is not None else None
    )
    replays = history.header.replays
    requests = [operation for operation in history.operations if operation.request_id is not None]
    return ScenarioResult(
        scenario=scenario,
        history=history,
        verdict=verdict,
        label=decide(verdict, known, excused),
        race=_race_sentence(scenario, history, verdict),
        release=release_sentence(history.operations) if scenario.schedule.kind == "race" else None,
        notes=notes(verdict, known, excused),
        history_path=path,
        replay=replays[0] if replays else scenario.name,
        replays=dict(enumerate(replays)) if len(replays) > 1 else {},
        seconds=0.0,
        requests=len(requests),
        processes=len({operation.pid for operation in requests if operation.pid is not None}),
    )


def _race_sentence(scenario: Scenario, history: History, verdict: Verdict) -> str | None:
    """How hard the rounds of a race tried and, where they were clean, what that excludes."""
    if scenario.schedule.kind != "race":
        return None
    runs: dict[int, list[Operation]] = {}
    for operation in history.operations:
        runs.setdefault(operation.run, []).append(operation)
    figures = race_figures(runs)
    worth = "" if verdict.violations else f"; {exclusion(figures.raced)}"
    return figures.sentence() + worth


def not_exercised(result: RunResult) -> list[str]:
    """Requirements of the run's level that no observation of any scenario judged."""
    exercised: set[str] = set()
    for one in result.results:
        exercised |= {requirement for requirement, count in one.verdict.exercised.items() if count}
        exercised |= {violation.requirement for violation in one.verdict.violations}
    level: Level = result.level
    return [one.id for one in REQUIREMENTS.values() if covers(level, one.level) and one.id not in exercised]


def file_name(name: str) -> str:
    """A scenario's name as a file name: "thundering_herd[size=10]" as "thundering_herd-size=10"."""
    return "".join(letter if letter.isalnum() or letter in "-_=.," else "-" for letter in name).strip("-")
