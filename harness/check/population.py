"""What a population came to: how each container ended, who ran it, and which known races were met on the way.

    D1  lock |--|              Running |--|  ...          both ran it, each under a lock of its own:
    D2             lock |--|       Running |--|  ...      legal only if something gave the lock back between the two

Pure, like every check. The contract lets one token do much that its dispatchers would not want: a container that two
dispatchers ran because of that is counted as the known race that it is, and is no violation.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.check.check import check
from harness.check.invariants import POPULATION_INVARIANTS
from harness.check.timeline import asked_state, ends_at
from harness.check.verdict import KnownRaceSeen, Verdict, Violation
from harness.contract import KNOWN_RACES
from harness.history import History, Operation
from harness.history.facts import session_of

RAN_ONCE = "ran_once"
"""The name of this module's own invariant."""


@dataclass
class Tally:
    """A population in numbers; `races` counts containers, a container may meet several."""

    containers: int = 0
    completed: int = 0
    cancelled: int = 0
    unfinished: list[str] = field(default_factory=list)  # names of those that had not ended
    run_once: int = 0  # started by one dispatcher
    run_twice: int = 0  # started by two or more
    operations: int = 0
    dispatchers: int = 0
    faults: Counter[str] = field(default_factory=Counter)  # what the harness did -> how often
    races: Counter[str] = field(default_factory=Counter)


@dataclass
class _Life:
    """One container's calls by kind, each as an index into the history, in order of invocation."""

    name: str
    locks: list[int] = field(default_factory=list)  # granted
    unheard_locks: list[int] = field(default_factory=list)
    refused_locks: list[int] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)  # unlocks, and updates to Queued: granted or unheard
    auths: list[int] = field(default_factory=list)  # granted
    starts: list[int] = field(default_factory=list)  # granted updates to Running
    cancels: list[int] = field(default_factory=list)  # granted
    calls: list[int] = field(default_factory=list)  # of dispatchers about a lock of theirs
    state: str | None = None  # as a granted answer last showed it, or left it


def judge_population(history: History) -> tuple[Verdict, Tally]:
    """Judge a population's history: the contract first, then what its containers went through."""
    verdict = check(history)
    operations = history.operations
    tally = Tally(operations=len(operations))
    lives, crashes = _sort(operations, tally)
    judged = 0
    for life in lives.values():
        _count(life, operations, tally)
        judged += len(life.starts) > 0
        story = _Story(life, operations, crashes)
        tally.races.update(story.races())
        verdict.violations += story.violations()
    verdict.judged[RAN_ONCE] = judged
    _say_what_is_open(verdict, tally)
    seen = {race.id for race in verdict.known_races}
    verdict.known_races += [
        KnownRaceSeen(race, 1, verdict.runs, KNOWN_RACES[race].text, 0, declared=False)
        for race in sorted(tally.races)
        if race not in seen
    ]
    return verdict, tally


def _sort(operations: Sequence[Operation], tally: Tally) -> tuple[dict[str, _Life], dict[str, list[int]]]:
    """Each container's life, and when each dispatcher crashed."""
    lives: dict[str, _Life] = {}
    crashes: dict[str, list[int]] = {}
    dispatchers = set()
    for number, operation in enumerate(operations):
        _count_fault(operation, tally, crashes)
        if operation.uuid is None or operation.phase == "cleanup":
            continue
        if operation.op == "create" and operation.type == "ok":
            lives[operation.uuid] = _Life(operation.container or operation.uuid, state="Queued")
        elif (life := lives.get(operation.uuid)) is not None:
            if operation.phase == "run" and operation.op != "get":
                dispatchers.add(session_of(operation.process))
                _file(life, number, operation)
            if operation.type == "ok":
                life.state = _state_after(operation) or life.state
    tally.dispatchers = len(dispatchers)
    for life in lives.values():
        for numbers in (life.locks, life.releases, life.auths, life.starts, life.cancels, life.calls):
            numbers.sort(key=lambda number: operations[number].invoke_ns)
    for moments in crashes.values():
        moments.sort()
    return lives, crashes


def _count_fault(operation: Operation, tally: Tally, crashes: dict[str, list[int]]) -> None:
    if operation.fault is not None:
        tally.faults[operation.fault] += 1
    elif operation.op in {"crash", "pause", "restart"}:
        tally.faults[operation.op] += 1
    if operation.op == "crash":
        crashes.setdefault(session_of(operation.process), []).append(operation.invoke_ns)


def _file(life: _Life, number: int, operation: Operation) -> None:
    state = asked_state(operation)
    granted = operation.type == "ok"
    life.calls.append(number)
    if operation.op == "lock":
        of_kind = {"ok": life.locks, "info": life.unheard_locks, "fail": life.refused_locks}
        of_kind[operation.type].append(number)
    elif operation.op == "auth" and granted:
        life.auths.append(number)
    elif (operation.op == "unlock" or state == "Queued") and operation.type != "fail":
        life.releases.append(number)
    elif granted and state == "Running":
        life.starts.append(number)
    elif granted and state == "Cancelled":
        life.cancels.append(number)


def _state_after(operation: Operation) -> str | None:
    state = asked_state(operation)
    if state is not None and state != "Queued":  # at the attempt limit Cancelled: the answer tells
        return state
    shown = operation.value.state if operation.value is not None else None
    return shown if isinstance(shown, str) else None


def _count(life: _Life, operations: Sequence[Operation], tally: Tally) -> None:
    tally.containers += 1
    tally.completed += life.state == "Complete"
    tally.cancelled += life.state == "Cancelled"
    if life.state not in {"Complete", "Cancelled"}:
        tally.unfinished.append(f"{life.name} ({life.state})")
    runners = {session_of(operations[number].process) for number in life.starts}
    tally.run_once += len(runners) == 1
    tally.run_twice += len(runners) > 1


def _say_what_is_open(verdict: Verdict, tally: Tally) -> None:
    if not tally.containers:
        verdict.inconclusive.append("no container was made: there was nothing to work on")
    if tally.unfinished:
        some = ", ".join(tally.unfinished[:3]) + (", ..." if len(tally.unfinished) > 3 else "")
        verdict.inconclusive.append(f"{len(tally.unfinished)} of {tally.containers} containers had not ended: {some}")


class _Story:
    """One container's life, asked who took what from whom."""

    def __init__(self, life: _Life, operations: Sequence[Operation], crashes: dict[str, list[int]]) -> None:
        self._life = life
        self._operations = operations
        self._crashes = crashes

    def violations(self) -> list[Violation]:
        """Two runs under two locks with nothing between the locks that can have given the first one back."""
        for first, second in self._pairs_of_runs():
            locks = self._locks_of(first, second)
            if locks is None or self._releases_between(*locks):
                continue
            one, other = self._who(first), self._who(second)
            text = (
                f"{one} and {other} both ran it, each under a lock that was granted to it, and nothing that can have "
                "given the first lock back came between"
            )
            requirement = POPULATION_INVARIANTS[RAN_ONCE].requirements[0]
            return [Violation("invariant", RAN_ONCE, requirement, text, 0, (*locks, first, second), self._life.name)]
        return []

    def races(self) -> set[str]:
        """Known races that this container met."""
        found = set()
        for first, second in self._pairs_of_runs():
            locks = self._locks_of(first, second)
            if locks is None:
                found.add("adopted_running")
                continue
            releases = self._releases_between(*locks)
            if releases:
                found.add(self._kind_of_theft(locks[0], releases))
        if any(self._cancels_a_live_run(cancel) for cancel in self._life.cancels):
            found.add("adopted_running")
        if any(self._ends_anothers_lock_late(release) for release in self._life.releases):
            found.add("late_unlock")
        if any(self._retries_a_lost_lock(lock) for lock in self._life.refused_locks):
            found.add("lost_lock_reply")
        return found

    def _pairs_of_runs(self) -> Iterable[tuple[int, int]]:
        """The first run, with the first one of each other dispatcher."""
        firsts: dict[str, int] = {}
        for number in self._life.starts:
            firsts.setdefault(self._who(number), number)
        first, *others = firsts.values() if firsts else (None,)
        return [(first, other) for other in others] if first is not None else []

    def _locks_of(self, first: int, second: int) -> tuple[int, int] | None:
        """The two locks under which two dispatchers ran it, in order; None where one of them had locked nothing."""
        locks = [self._own_lock(number) for number in (first, second)]
        if locks[0] is None or locks[1] is None:
            return None
        one, other = sorted((locks[0], locks[1]), key=self._invoke)
        return one, other

    def _own_lock(self, number: int) -> int | None:
        """The latest lock that was granted to a dispatcher before it did something."""
        mine = [lock for lock in self._life.locks if self._who(lock) == self._who(number)]
        before = [lock for lock in mine if self._invoke(lock) < self._invoke(number)]
        return before[-1] if before else None

    def _releases_between(self, one: int, other: int) -> list[int]:
        """What may have taken effect after a lock and before another one."""
        start, end = self._invoke(one), ends_at(self._operations[other])
        return [
            release
            for release in self._life.releases
            if self._invoke(release) < end and ends_at(self._operations[release]) > start
        ]

    def _kind_of_theft(self, lock: int, releases: Sequence[int]) -> str:
        if any(self._is_late(release) for release in releases):
            return "late_unlock"
        victim = self._who(lock)
        read = [
            auth for auth in self._life.auths if self._who(auth) == victim and self._invoke(auth) > self._invoke(lock)
        ]
        early = any(ends_at(self._operations[auth]) < self._invoke(releases[0]) for auth in read)
        return "stolen_lock_early_auth" if early else "stolen_lock"

    def _is_late(self, release: int) -> bool:
        """Whether its sender had asked for the same before, since its own last lock."""
        lock = self._own_lock(release)
        since = -1 if lock is None else self._invoke(lock)
        return any(
            since < self._invoke(other) < self._invoke(release) and self._who(other) == self._who(release)
            for other in self._life.releases
        )

    def _ends_anothers_lock_late(self, release: int) -> bool:
        """A granted unlock, asked for again, of a lock that another dispatcher has taken meanwhile."""
        if self._operations[release].type != "ok" or not self._is_late(release):
            return False
        before = [lock for lock in self._life.locks if self._invoke(lock) < self._invoke(release)]
        return bool(before) and self._who(before[-1]) != self._who(release)

    def _cancels_a_live_run(self, cancel: int) -> bool:
        """Whether a dispatcher cancelled what another one was running, which then still thought it its own."""
        earlier = [start for start in self._life.starts if self._invoke(start) < self._invoke(cancel)]
        if not earlier or self._who(earlier[-1]) == self._who(cancel):
            return False
        victim, since = self._who(earlier[-1]), self._invoke(earlier[-1])
        later = [
            call for call in self._life.calls if self._who(call) == victim and self._invoke(call) > self._invoke(cancel)
        ]
        return bool(later) and not self._crashed(victim, since, self._invoke(later[0]))

    def _retries_a_lost_lock(self, refused: int) -> bool:
        """A refused lock, asked for again since no answer had come to the one before."""
        who, asked = self._who(refused), self._invoke(refused)
        unheard = [lock for lock in self._life.unheard_locks if self._who(lock) == who and self._invoke(lock) < asked]
        return bool(unheard) and not self._crashed(who, self._invoke(unheard[-1]), asked)

    def _crashed(self, who: str, start: int, end: int) -> bool:
        moments = self._crashes.get(who, [])
        return bisect_left(moments, start) < bisect_right(moments, end)

    def _who(self, number: int) -> str:
        return session_of(self._operations[number].process)

    def _invoke(self, number: int) -> int:
        return self._operations[number].invoke_ns
