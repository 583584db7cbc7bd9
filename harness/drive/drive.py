"""Drive one plan against an open target: every run in turn, every operation on disk before anything is judged."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.contract import Level
from harness.drive.conductor import Ensemble
from harness.drive.line import TargetLost
from harness.drive.provision import tidy_up
from harness.drive.race import Races
from harness.drive.release import ReleaseChoice
from harness.drive.secrets import Vault
from harness.drive.stage import Stage
from harness.drive.target import OpenTarget
from harness.history import Header, HistoryWriter
from harness.plan import Plan, replay_text

_TIDY_LIMIT_S = 5.0
_FIRST_OF_A_BUDGET = 3  # rounds of a race, before it is known how long one takes
_MOST_STALLED = 3  # of one scenario: what a deadlock does is known by then, and each costs the whole time limit


@dataclass(frozen=True)
class DriveOptions:
    """How a plan is driven; all of it is written into the history's header."""

    level: Level = "must"
    seed: int = 0
    max_dispatch_attempts: int | None = None
    keep: bool = False  # leave the run's containers as they are
    budget_s: float | None = None  # stop starting new runs after so long
    cut_off_s: float | None = None  # cut off what is under way after so long
    release: ReleaseChoice = "auto"  # of races
    settings: dict[str, Any] | None = None


@dataclass
class Driven:
    """What driving came to; the history itself is at `path`."""

    path: Path
    runs: int = 0
    lost: str | None = None  # the target went away in the middle
    cut_off: bool = False  # time was up in the middle
    short: str | None = None  # why there were too few containers for all runs


async def drive(
    plan: Plan,
    target: OpenTarget,
    options: DriveOptions,
    path: Path,
    after_run: Callable[[int], None] = lambda _: None,
) -> Driven:
    """Play every run of a plan; the history is complete on disk when this returns, however it ends."""
    vault = Vault()
    for name, secret in target.endpoint.secrets.items():
        vault.keep(secret, f"{name} token")
    with HistoryWriter(path, _header(plan, target, options)) as writer:
        driving = _Driving(plan, target, options, Driven(path), writer, after_run)
        ensemble = Ensemble(plan.scenario, target, vault)
        try:
            async with asyncio.timeout(options.cut_off_s) as limit:
                if plan.race_runs:
                    assert target.squad is not None  # a target without fleet processes is never given a race
                    await _play_races(driving, Races(plan, target, ensemble, vault, target.squad))
                else:
                    await _play_orders(driving, ensemble)
        except TargetLost as lost:
            driving.driven.lost = str(lost)
        except TimeoutError:
            if not limit.expired():
                raise
            driving.driven.cut_off = True
    return driving.driven


@dataclass
class _Driving:
    """What playing orders and playing races have in common: when to stop, and how a run is put on disk."""

    plan: Plan
    target: OpenTarget
    options: DriveOptions
    driven: Driven
    writer: HistoryWriter
    after_run: Callable[[int], None]
    begun_ns: int = field(init=False)
    stalled: int = 0  # runs in which a call that nobody disturbed was never answered

    def __post_init__(self) -> None:
        self.begun_ns = time.monotonic_ns()

    @property
    def keep(self) -> bool:
        """Whether the runs' containers stay as they are."""
        return self.options.keep or self.target.endpoint.disposable

    def over(self) -> bool:
        """Whether budget or containers are spent, or the target has stalled often enough; one run is always made."""
        if self.stalled >= _MOST_STALLED or self.driven.short is not None:
            return True
        budget_s = self.options.budget_s
        return budget_s is not None and self.driven.runs > 0 and self._spent_s() >= budget_s

    def fitting(self, runs: int) -> int:
        """How many of so many runs in a row the budget allows: at first a few, then by the time that those took."""
        budget_s, done = self.options.budget_s, self.driven.runs
        if budget_s is None:
            return runs
        if done == 0:
            return min(runs, _FIRST_OF_A_BUDGET)
        return max(1, min(runs, int((budget_s - self._spent_s()) * done / max(self._spent_s(), 1e-9))))

    def _spent_s(self) -> float:
        return (time.monotonic_ns() - self.begun_ns) / 1e9

    def write(self, stage: Stage) -> None:
        """Put on disk what happened in a run."""
        for operation in stage.operations:
            self.writer.add(operation)
        self.driven.short = self.driven.short or stage.short
        self.stalled += any(one.problem == "timeout" and one.fault is None for one in stage.operations)

    async def tidy(self, work: Callable[[], Awaitable[None]], stages: Sequence[Stage]) -> None:
        """Tidy up after what was cut off, as far as that is possible in a short time."""
        if self.keep:
            return
        requests, pace = sum(len(stage.uuids) for stage in stages), self.target.pace
        limit_s = _TIDY_LIMIT_S + (2 * requests / pace.per_second if pace else 0)
        with contextlib.suppress(TimeoutError, TargetLost):
            async with asyncio.timeout(limit_s):
                await work()

    def count(self, run: int) -> None:
        """One run is over."""
        self.driven.runs += 1
        self.after_run(run)


async def _play_orders(driving: _Driving, ensemble: Ensemble) -> None:
    for run, order in enumerate(driving.plan.orders):
        if driving.over():
            return
        stage = ensemble.stage(run)
        try:
            await ensemble.play(stage, order, keep=driving.keep)
        except TargetLost:
            stage.cut_off()
            raise
        except asyncio.CancelledError:
            stage.cut_off()
            await driving.tidy(partial(tidy_up, stage, driving.target.line), [stage])
            raise
        finally:
            driving.write(stage)
        driving.count(run)


async def _play_races(driving: _Driving, races: Races) -> None:
    await races.muster(driving.options.release)
    for runs in races.batches(driving.fitting):
        if driving.over():
            return
        stages: list[Stage] = []
        try:
            await races.play(runs, stages, keep=driving.keep)
        except TargetLost:
            for stage in stages:
                stage.cut_off()
            raise
        except asyncio.CancelledError:
            for stage in stages:
                stage.cut_off()
            await driving.tidy(partial(races.tidy, stages), stages)
            raise
        finally:
            for stage in stages:
                driving.write(stage)
        for run in runs:
            driving.count(run)


def _header(plan: Plan, target: OpenTarget, options: DriveOptions) -> Header:
    scenario = plan.scenario
    return Header(
        scenario=scenario.name,
        text=scenario.text,
        path=str(scenario.path),
        target=target.name,
        level=options.level,
        max_dispatch_attempts=options.max_dispatch_attempts,
        seed=options.seed,
        tokens={name: caller.uuid for name, caller in target.callers.items()},
        settings=options.settings or {},
        replays=_replays(plan),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("lockrace"),
    )


def _replays(plan: Plan) -> list[str]:
    texts = [replay_text(plan.scenario, order) for order in plan.orders] or [replay_text(plan.scenario, None)]
    return texts[:1] if len(set(texts)) == 1 else texts
