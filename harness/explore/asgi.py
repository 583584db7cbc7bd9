"""A Python server interleaved at every await, on a deterministic loop: the same choices give the same run, always.

Each dispatcher is a task; whenever more than one task could go on, a strategy chooses. Which one finds a bug depends on
the bug: a double grant falls to random choices, a late arrival to priorities (PCT) of depth 1, and bounded exhaustive
search proves a little instead of finding a lot. So the default takes them by turns, after asyncio's own order.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import detangle
from detangle.strategies import DFS, FIFO, PCT, Portfolio, RandomWalk, Strategy

from harness.contract import Level
from harness.drive.conductor import EVENTS, Ensemble
from harness.drive.line import Trouble, trouble_of
from harness.drive.provision import provision
from harness.drive.roster import Member, roster
from harness.drive.script import Script
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.drive.target import Endpoint, OpenTarget, introduce
from harness.explore.asgi_app import AsgiApp, RunningApp
from harness.explore.asgi_line import AsgiLine, Clock
from harness.explore.player import Broken, Played, judge, shape
from harness.explore.sessions import search_sessions
from harness.explore.shrink import Shrunk, shrink
from harness.history import Facts, Header, History
from harness.model import Rules
from harness.scenario import Scenario, Step
from harness.scenario.precedence import predecessors
from harness.wire import ARVADOS, Wire

STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "random": RandomWalk,
    "pct1": lambda seed: PCT(seed, depth=1),
    "pct2": lambda seed: PCT(seed, depth=2),
    "pct3": lambda seed: PCT(seed, depth=3),
    "exhaustive": lambda _seed: DFS(max_delays=2),
}
"""By name, from a seed. `exhaustive` follows every run that departs from asyncio's order at most twice."""

_LINES_SHOWN = 24
_FEWEST_RUNS, _MOST_RUNS = 40, 400  # to see whether a smaller scenario still violates
_STEPS_LIMIT = 50_000  # of the loop in one run: beyond it the server is taken to go round in circles
_SALT = bytes(16)  # hashes of secrets must be the same in every run; none of them leaves this process


@dataclass
class AsgiSearch:
    """What a search over interleavings came to."""

    runs: int = 0
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter)  # outcome -> runs
    seconds: float = 0.0
    inconclusive: int = 0  # runs of which nothing could be judged
    exhausted: bool = False  # every run within the strategy's bound was made
    broken: Broken = field(default_factory=dict)
    message: str = ""
    strategy: str = ""  # the one that found it
    replay: str = ""  # text that gives the same run again
    deviations: int = 0  # from asyncio's own order
    interleaving: str = ""  # for people
    replayed: int = 0  # of three replays so many violated again


class ViolationFound(AssertionError):
    """A run that violates; the library tells violations apart by the class, so each kind has its own."""

    broken: Broken


class AsgiRun:
    """Runs one scenario on one application, again and again; what was seen is counted here."""

    def __init__(
        self,
        scenario: Scenario,
        make_app: Callable[[], AsgiApp],
        secrets: dict[str, str],
        level: Level,
        *,
        progress: Callable[[AsgiSearch], None] | None = None,
        wire: Wire = ARVADOS,
    ) -> None:
        self._wire = wire
        self.found = AsgiSearch()
        self._scenario, self._make_app, self._level, self._progress = scenario, make_app, level, progress
        used: set[str] = {"shared", *scenario.tokens.values()}
        self._secrets = {name: secret for name, secret in secrets.items() if name in used}
        self._judged: dict[str, Played] = {}
        self._members = roster(scenario)
        self._before = {step: others for step, others in predecessors(scenario).items() if others}
        self._kinds: dict[frozenset[str], type[ViolationFound]] = {}
        self._started = time.monotonic()
        self._violated = False

    @property
    def names(self) -> list[str]:
        """The dispatchers."""
        return [member.name for member in self._members]

    async def __call__(self) -> None:
        """One run on the running loop; raises ViolationFound, and TargetRefused where a token is not accepted."""
        played = await self._play()
        if not self._violated:  # what follows a violation only shrinks and replays it
            self.found.runs += 1
            self.found.rows[played.row()] += 1
            self.found.inconclusive += played.verdict.runs_judged == 0
            self.found.seconds = time.monotonic() - self._started
            if self._progress is not None:
                self._progress(self.found)
        if broken := played.broken:
            kind = self._kinds.setdefault(
                frozenset(broken), type(f"Violation{len(self._kinds)}", (ViolationFound,), {})
            )
            told = (one.message for one in played.verdict.violations if one.name in broken)
            error = kind("; ".join(told))
            error.broken = broken
            self._violated = True
            raise error

    async def _play(self) -> Played:
        clock = Clock()
        async with RunningApp(self._make_app()) as app:
            line = AsgiLine(app, clock, self._wire)
            endpoint = Endpoint("asgi:", self._secrets, disposable=True, wire=self._wire)
            callers = {name: await introduce(line, endpoint, name) for name in self._secrets}
            vault = Vault(_SALT)
            uuids = {name: caller.uuid for name, caller in callers.items()}
            script = Script(self._scenario, self._secrets, uuids, vault)
            opened = OpenTarget("asgi", endpoint, line, callers)
            ensemble = Ensemble(self._scenario, opened, vault)
            stage = ensemble.stage(0)
            if await provision(stage, line):
                await _Race(script, stage, line, clock, self._before).run(self._members)
                await ensemble.probe(stage)
        header = Header(
            scenario=self._scenario.name, text=self._scenario.text, target="asgi", level=self._level, tokens=uuids
        )
        history = History(header, stage.operations)
        return self._judge(history)

    def _judge(self, history: History) -> Played:
        """What the run came to; histories that differ only in names that the server chose are judged once."""
        key = shape(history.operations)
        if key not in self._judged:
            self._judged[key] = judge(self._scenario, history)
        return self._judged[key]


class _Race:
    """One run of all dispatchers at once."""

    def __init__(
        self, script: Script, stage: Stage, line: AsgiLine, clock: Clock, before: dict[str, frozenset[str]]
    ) -> None:
        self._script, self._stage, self._line, self._clock, self._before = script, stage, line, clock, before
        self._facts = Facts(stage.operations, script.token_uuids)
        self._done: dict[str, asyncio.Event] = {}
        self._held: dict[str, list[tuple[Trouble, asyncio.Task[str | None]]]] = {}

    async def run(self, members: Sequence[Member]) -> None:
        """Leg after leg: all dispatchers meet at each barrier."""
        actors = [Actor(member.name, member.token, desk=0) for member in members]
        for index in range(max(len(member.legs) for member in members)):
            legs = [member.legs[index] if index < len(member.legs) else () for member in members]
            async with asyncio.TaskGroup() as group:
                for actor, leg in zip(actors, legs, strict=True):
                    group.create_task(self._dispatcher(actor, leg), name=actor.name)
        await self._let_go(list(self._held))

    async def _dispatcher(self, actor: Actor, steps: Sequence[Step]) -> None:
        for step in steps:
            for other in sorted(self._before.get(step.id, ())):
                await self._event(other).wait()
            await self._step(actor, step)
            self._event(step.id).set()
            await self._let_go([step.id])

    async def _step(self, actor: Actor, step: Step) -> None:
        if step.when is not None and not step.when.evaluate(self._facts):
            return
        if step.verb in EVENTS:
            if step.verb == "crash":
                self._stage.event(actor, step, self._clock.tick(), None)
                actor.forget()
            return
        trouble = trouble_of(step.fault)
        if trouble is not None and step.fault is not None and step.fault.hold is not None:
            task = asyncio.create_task(self._send(actor, step, trouble), name=f"{actor.name}, held")
            self._held.setdefault(step.fault.until or "", []).append((trouble, task))
            return
        for _ in range(1 + (step.retry.times if step.retry else 0)):
            outcome = await self._send(actor, step, trouble_of(step.fault))
            if step.retry is None or outcome not in step.retry.outcomes:
                return

    async def _send(self, actor: Actor, step: Step, trouble: Trouble | None) -> str | None:
        """Send what a step asks for; how it came out, or None where it has nothing to send."""
        ready = self._script.ready(self._stage, actor, step)
        if ready is None:
            return None
        await asyncio.sleep(0)  # requests arrive in any order too
        detangle.note(f"{step.id} is sent")
        exchange = await self._line.call(0, ready.call, self._script.vault.names, trouble)
        operation = self._script.note(self._stage, ready, exchange)
        detangle.note(f"{step.id} is {operation.outcome}")
        return operation.outcome

    async def _let_go(self, step_ids: Sequence[str]) -> None:
        """Let go what was held until one of these steps, and wait for how it ends."""
        for step_id in step_ids:
            for trouble, task in self._held.pop(step_id, []):
                self._line.let_go(trouble)
                await task

    def _event(self, step: str) -> asyncio.Event:
        return self._done.setdefault(step, asyncio.Event())


def search_interleavings(
    run: AsgiRun,
    strategy: str | None = None,
    *,
    seed: int = 0,
    runs: int = 10_000,
    budget_s: float | None = None,
    shrinks: bool = True,
) -> AsgiSearch:
    """Run until one violates, the runs or the budget are spent, or the strategy has no more. Not inside a loop.

    A violation is shrunk to the fewest choices away from asyncio's own order, unless `shrinks` is false.
    """
    named = STRATEGIES[strategy](seed) if strategy else Portfolio([FIFO(), *(one(seed) for one in STRATEGIES.values())])
    try:
        stats = detangle.explore(
            run,
            strategy=named,
            runs=runs,
            seed=seed,
            max_duration=budget_s,
            database="",
            name=strategy or "all",
            shrink=shrinks,
            max_steps=_STEPS_LIMIT,
        )
        run.found.exhausted = stats.exhausted
    except detangle.BugFound as bug:
        _report(run, bug.report)
    return run.found


def _report(run: AsgiRun, report: detangle.BugReport) -> None:
    found = run.found
    found.strategy, found.replay, found.deviations = report.strategy, report.token, report.deviations
    found.broken, found.message = _what(report.failure)
    found.interleaving = _interleaving(run, report.trace.render(limit=0)) if report.trace is not None else ""
    for _ in range(3):
        found.replayed += replay(run, report.token) == found.broken


def _interleaving(run: AsgiRun, trace: str) -> str:
    """The lines of a trace in which a dispatcher goes on, and where the server awaited then."""
    names = "|".join(re.escape(name) for name in run.names)
    theirs = re.compile(rf"[\s*]*\d+\s+\S+\s+(?:{names})\s")
    here = re.compile(rf"\s+(?:\S*/)?{re.escape(Path(__file__).parent.name)}/asgi(?:_app|_line)?\.py:\d+\b.*")
    lines = [
        here.sub("", line)
        for line in trace.splitlines()
        if theirs.match(line) and (" note " in line or not (here.search(line) or line.endswith(" return")))
    ]
    return "\n".join(lines[:_LINES_SHOWN])


def _what(failure: detangle.Failure) -> tuple[Broken, str]:
    """The names of what was violated; a run that stands still or never ends breaks LIVE-1."""
    error = failure.exception
    if isinstance(error, ViolationFound):
        return error.broken, str(error)
    if failure.kind in {"deadlock", "step-limit", "time-limit"}:
        return {"no_deadlock": "LIVE-1"}, failure.message
    if error is not None and failure.kind == "exception":
        raise error
    return {"no_server_error": "ERR-2"}, failure.message


def replay(run: AsgiRun, text: str) -> Broken:
    """What the run that `text` describes violates, if anything. Raises ValueError for a text that describes none."""
    result = detangle.replay(run, text, raise_on_failure=False)
    return _what(result.failure)[0] if result.failure is not None else {}


async def smallest_race(
    scenario: Scenario, found: AsgiSearch, make_run: Callable[[Scenario], AsgiRun], rules: Rules, seed: int = 0
) -> Shrunk:
    """The smallest scenario of which some interleaving violates the same, as a race that any server can be given.

    Raises CannotShrinkError.
    """
    runs = min(_MOST_RUNS, max(_FEWEST_RUNS, 4 * found.runs))

    async def on_target(candidate: Scenario) -> Broken:
        run = make_run(candidate)
        search = partial(search_interleavings, run, seed=seed, runs=runs, shrinks=False)
        return (await asyncio.to_thread(search)).broken  # a loop of its own, which this one may not hold

    async def on_model(candidate: Scenario) -> Broken:
        return (await search_sessions(candidate, rules)).broken

    return await shrink(scenario, None, found.broken, on_target, on_model, most=60)
