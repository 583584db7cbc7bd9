"""Races: the runs of `schedule: race`, in batches; provisioned, released together, looked at, tidied up.

Between batches the aim learns: the first rounds all leave together and show how long a program takes; then the
distances between early and late racers are swept, and the places where outcomes change get most of the rounds.
"""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from statistics import median
from typing import TypeVar

from harness.drive.aim import Aim, Shot
from harness.drive.conductor import Ensemble
from harness.drive.fleet_messages import Company, Ended, Round
from harness.drive.gate import GateKind
from harness.drive.line import TargetLost
from harness.drive.pace import absence_ns
from harness.drive.provision import provision, tidy_up
from harness.drive.release import ReleaseChoice
from harness.drive.roster import Member, most_requests, roster, spread
from harness.drive.secrets import Vault
from harness.drive.squad import PROCESSES, Squad
from harness.drive.stage import Stage
from harness.drive.target import OpenTarget
from harness.history import Operation
from harness.history.facts import session_of
from harness.history.overlap import ReleaseTrial, start_of_round
from harness.plan import Plan

_T = TypeVar("_T")

FIRST_BATCH = 8
_BATCH = 16
_BATCH_OPERATIONS = 2000  # about so many at most, however large the fleet: they are held in memory until written
_TOLD_APART = 6  # up to so many members an outcome says who did what, beyond only how many


class Races:
    """The races of one plan against one target."""

    def __init__(self, plan: Plan, target: OpenTarget, ensemble: Ensemble, vault: Vault, squad: Squad) -> None:
        self._plan = plan
        self._target = target
        self._ensemble = ensemble
        self._vault = vault
        self._squad = squad
        self._members = roster(plan.scenario)
        self._requests = most_requests(self._members)
        self._aim: Aim | None = None
        self._kind: GateKind = "burst"
        self._trial: ReleaseTrial | None = None  # that the kind was chosen by

    async def muster(self, release: ReleaseChoice) -> None:
        """Make the processes ready and choose the release."""
        scenario = self._plan.scenario
        callers = self._target.callers
        places = spread(scenario, self._members, PROCESSES)
        secrets_of = {name: caller.secret for name, caller in callers.items()}
        uuids_of = {name: caller.uuid for name, caller in callers.items()}
        await self._squad.muster(
            [
                Company(
                    scenario=scenario,
                    secrets_of=secrets_of,
                    uuids_of=uuids_of,
                    salt=self._vault.salt,
                    members=[(number, self._members[number]) for number in numbers],
                    legs=max(len(member.legs) for member in self._members),
                    place=place,
                    processes=len(places),
                    seed=f"{self._plan.seed}:{scenario.name}",
                    page_pause_s=self._page_pause_s(),
                )
                for place, numbers in enumerate(places)
            ]
        )
        if self._target.pace is not None and release == "auto":
            release = "burst"  # to measure takes hundreds of requests
        self._kind = await self._squad.release(release, len(self._members), secrets_of["shared"])
        if release == "auto" and (measured := self._squad.measured) is not None:
            self._trial = ReleaseTrial(measured.gate_ns, measured.burst_ns, measured.early)

    def batches(self, fitting: Callable[[int], int] = lambda runs: runs) -> Iterator[range]:
        """The run numbers of the plan, in batches; `fitting` says how many of so many there is time for."""
        steps = sum(len(leg) for member in self._members for leg in member.legs)
        size = max(1, min(_BATCH, _BATCH_OPERATIONS // max(1, steps)))
        begin = 0
        while begin < self._plan.race_runs:
            wanted = min(size, FIRST_BATCH) if begin == 0 else size
            end = min(self._plan.race_runs, begin + fitting(wanted))
            yield range(begin, end)
            begin = end

    async def play(self, runs: range, stages: list[Stage], *, keep: bool) -> None:
        """Play one batch; `stages` gets a stage for each run at once, and holds what happened however this ends."""
        stages += [self._ensemble.stage(run) for run in runs]
        line = self._target.line
        reached = await _all(provision(stage, line, self._target.endpoint.supply) for stage in stages)
        ready = [stage for stage, there in zip(stages, reached, strict=True) if there]
        shots = {stage.run: self._shot() for stage in ready}
        for stage in ready:
            stage.operations.append(
                start_of_round(stage.run, time.monotonic_ns(), self._kind, shots[stage.run].distance_ns, self._trial)
            )
        ended = await self._play([self._round(stage, shots[stage.run]) for stage in ready])
        self._take(ended, ready)
        for one in ended:
            if one.lost is not None:
                raise TargetLost(one.lost)
        self._learn(ready, shots)
        await _all(self._ensemble.probe(stage) for stage in ready)
        if not keep:
            await self.tidy(stages)

    async def tidy(self, stages: Sequence[Stage]) -> None:
        """Cancel what the runs made."""
        await _all(tidy_up(stage, self._target.line) for stage in stages)

    async def _play(self, rounds: Sequence[Round]) -> list[Ended]:
        """Play rounds, one after the other; where the pace is limited, each when there is room for all its requests."""
        pace = self._target.pace
        if pace is None:
            return await self._squad.play(rounds)
        ended: list[Ended] = []
        for one in rounds:
            async with pace.room(self._requests):
                ended += await self._squad.play([one])
            if any(each.lost is not None for each in ended):
                break
        return ended

    def _page_pause_s(self) -> float | None:
        pace = self._target.pace
        return None if pace is None else absence_ns(self._requests, pace.per_second) / 1e9

    def _shot(self) -> Shot:
        return Shot((False,) * len(self._members), 0) if self._aim is None else self._aim.next()

    def _round(self, stage: Stage, shot: Shot) -> Round:
        return Round(stage.run, stage.uuids, stage.phantoms, shot.offsets_ns(), self._kind)

    def _take(self, ended: Sequence[Ended], stages: Sequence[Stage]) -> None:
        for one in ended:
            for bare, name in one.secrets:
                self._vault.keep(bare, name)
        by_run = {stage.run: stage for stage in stages}
        for operation in in_order_of_completion([one.operations for one in ended]):
            stage = by_run[operation.run]
            stage.operations.append(operation)
            value = operation.value
            if operation.saved_as is not None and value is not None and isinstance(value.secret, str):
                stage.saved[f"{session_of(operation.process)}.{operation.saved_as}"] = value.secret

    def _learn(self, stages: Sequence[Stage], shots: dict[int, Shot]) -> None:
        if self._aim is None:
            spans = [span for stage in stages if (span := _span_ns(stage.operations)) is not None]
            seed = f"{self._plan.seed}:{self._plan.scenario.name}"
            self._aim = Aim(seed, len(self._members), round(median(spans or [0])))
        for stage in stages:
            self._aim.learn(shots[stage.run], outcome_of(stage.operations, self._members))


def in_order_of_completion(lists: Iterable[Sequence[Operation]]) -> Iterator[Operation]:
    """Merge what processes recorded; each list is in order already, an operation without a return keeps its place."""

    def timed(operations: Sequence[Operation]) -> Iterator[tuple[int, Operation]]:
        latest = 0
        for operation in operations:
            latest = max(latest, operation.invoke_ns if operation.return_ns is None else operation.return_ns)
            yield latest, operation

    for _, operation in heapq.merge(*map(timed, lists), key=lambda pair: pair[0]):
        yield operation


def outcome_of(operations: Iterable[Operation], members: Sequence[Member]) -> Hashable:
    """What came of a run, as the aim compares it."""
    told = [
        (session_of(operation.process) if len(members) <= _TOLD_APART else "", operation.step, operation.outcome)
        for operation in operations
        if operation.phase == "run" and not operation.sent_again
    ]
    return frozenset(Counter(told).items())


def _span_ns(operations: Iterable[Operation]) -> int | None:
    """From the first release of a run to its last return."""
    raced = [operation for operation in operations if operation.phase == "run" and operation.release_ns is not None]
    ends = [operation.return_ns for operation in raced if operation.return_ns is not None]
    if not ends:
        return None
    return max(ends) - min(operation.release_ns for operation in raced if operation.release_ns is not None)


async def _all(works: Iterable[Awaitable[_T]]) -> list[_T]:
    """The results of all; the first failure is raised when none is left running."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
