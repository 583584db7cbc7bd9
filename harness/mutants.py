"""The mutation table: every mutant of the reference server must be killed, no variant may be accused.

A harness that reports nothing may be right about a correct server, or blind. Mutants tell the two apart: each is the
reference server with one defect, and the shipped scenarios have to find it, by the invariant that is meant for it.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.check.verdict import Violation
from harness.contract import Level
from harness.drive.served import ReferenceTarget
from harness.plan import Plan, make_plan
from harness.report.result import RunResult, ScenarioResult
from harness.run import RunOptions, run
from harness.scenario import Scenario

Kind = Literal["mutant", "variant"]
_MUTANT_TIMEOUT_S = 3.0  # of one request: a mutant may hang, and waiting longer shows no more


@dataclass(frozen=True)
class Departure:
    """A mutant or variant as the reference server's own catalogue describes it."""

    name: str
    kind: Kind
    level: Level
    summary: str
    invariant: str | None = None  # the one that shall name it first; variants have none
    breaks: tuple[str, ...] = ()
    seen: str = ""
    needs: dict[str, Any] = field(default_factory=dict)

    def arguments(self) -> tuple[str, ...]:
        """How the reference server is started so that this departure can show."""
        words = [f"--{self.kind}", self.name]
        if self.level == "run_auth" or self.needs.get("run_auth"):
            words.append("--run-auth")
        if "database" in self.needs:
            words += ["--database", "embedded-postgres" if self.needs["database"] != "sqlite" else "sqlite"]
        if "workers" in self.needs:
            words += ["--workers", str(self.needs["workers"])]
        return tuple(words)


@dataclass(frozen=True)
class Trial:
    """What the shipped scenarios made of one departure."""

    departure: Departure
    violation: Violation | None  # the first that was named
    scenario: str | None  # that showed it
    requests: int  # until then, or in all
    seconds: float
    inconclusive: tuple[str, ...] = ()
    unreachable: str | None = None

    @property
    def as_wanted(self) -> bool:
        """A mutant was killed by the invariant meant for it; a variant was not accused."""
        if self.unreachable is not None:
            return False
        if self.departure.kind == "variant":
            return self.violation is None
        return self.violation is not None and self.violation.name == self.departure.invariant


class _Unseen:
    """Watches nothing."""

    def started(self, plans: Sequence[Plan]) -> None: ...
    def planned(self, plan: Plan) -> None: ...
    def ran(self, plan: Plan, run: int) -> None: ...
    def finished(self, result: ScenarioResult) -> None: ...


def departures(catalogue: dict[str, Any]) -> list[Departure]:
    """Mutants, then variants, in the catalogue's order."""
    return [
        Departure(
            name=entry["name"],
            kind=kind,
            level=entry.get("level", "must"),
            summary=entry.get("summary", ""),
            invariant=entry.get("invariant"),
            breaks=tuple(entry.get("breaks", ())),
            seen=entry.get("seen", ""),
            needs=dict(entry.get("needs", {})),
        )
        for kind in ("mutant", "variant")
        for entry in catalogue[f"{kind}s"]
    ]


async def try_all(
    chosen: Sequence[Departure],
    scenarios: Sequence[Scenario],
    jobs: int,
    seed: int,
    tried: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Try every departure, `jobs` of them at a time; `tried` is told each as it ends."""
    turns = asyncio.Semaphore(jobs)

    async def one(departure: Departure) -> Trial:
        async with turns:
            trial = await try_one(departure, scenarios, seed)
            tried(trial)
            return trial

    return list(await asyncio.gather(*map(one, chosen)))


async def try_one(departure: Departure, scenarios: Sequence[Scenario], seed: int) -> Trial:
    """Run scenarios against one departure: a mutant until it is killed, a variant to the end.

    The scenarios that judge what a mutant breaks go first, as a user who suspects something would choose them, and of
    those the ones with the fewest steps, since what they show is the easiest to read.
    """
    broken = set(departure.breaks)
    ordered = sorted(scenarios, key=lambda one: (not set(one.requires) & broken, len(one.steps())))
    plans = [make_plan(scenario, seed) for scenario in ordered]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lockrace-mutants-") as folder:
        options = RunOptions(
            level=departure.level,
            seed=seed,
            fail_fast=departure.kind == "mutant",
            timeout_s=_MUTANT_TIMEOUT_S if departure.kind == "mutant" else RunOptions.timeout_s,
            out=Path(folder),
            max_dispatch_attempts=departure.needs.get("max_dispatch_attempts"),
        )
        target = ReferenceTarget(departure.arguments(), departure.name)
        result = await run(plans, target, options, _Unseen())
    return _trial(departure, result, time.monotonic() - began)


def _trial(departure: Departure, result: RunResult, seconds: float) -> Trial:
    accused = next((one for one in result.results if one.verdict.violations), None)
    return Trial(
        departure=departure,
        violation=accused.verdict.violations[0] if accused else None,
        scenario=accused.scenario.family if accused else None,
        requests=sum(one.requests for one in result.results),
        seconds=seconds,
        inconclusive=tuple(reason for one in result.results for reason in one.verdict.inconclusive),
        unreachable=result.unreachable or result.fault,
    )


def complaints(trials: Sequence[Trial], invariants: Sequence[str]) -> list[str]:
    """Why the table is not as it should be: survivors, accused variants, invariants that no mutant shows."""
    found = [_complaint(trial) for trial in trials if not trial.as_wanted]
    named = {trial.violation.name for trial in trials if trial.departure.kind == "mutant" and trial.violation}
    found += [f"the invariant {name} is named first for no mutant" for name in invariants if name not in named]
    return found


def _complaint(trial: Trial) -> str:
    departure = trial.departure
    if trial.unreachable is not None:
        return f"{departure.kind} {departure.name} could not be tried: {trial.unreachable}"
    if departure.kind == "variant":
        assert trial.violation is not None
        return f"variant {departure.name} was accused by {trial.violation.name}: {trial.violation.message}"
    if trial.violation is None:
        return f"mutant {departure.name} survived"
    return f"mutant {departure.name} was killed by {trial.violation.name}, not by {departure.invariant}"


def as_markdown(trials: Sequence[Trial]) -> str:
    """The table as README carries it."""
    lines = ["| mutant | killed by | requirement | in scenario | requests | seconds |", "|---|---|---|---|---|---|"]
    for trial in trials:
        if trial.departure.kind == "mutant":
            violation = trial.violation
            named = (violation.name, violation.requirement) if violation else ("**survived**", "")
            cells = [f"`{trial.departure.name}`", *named, trial.scenario or "", str(trial.requests)]
            lines.append(f"| {' | '.join([*cells, f'{trial.seconds:.1f}'])} |")
    lines += ["", "| variant | accused | requests | seconds |", "|---|---|---|---|"]
    for trial in trials:
        if trial.departure.kind == "variant":
            accused = f"**by {trial.violation.name}**" if trial.violation else "never"
            lines.append(f"| `{trial.departure.name}` | {accused} | {trial.requests} | {trial.seconds:.1f} |")
    return "\n".join(lines) + "\n"
