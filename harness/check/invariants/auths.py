"""Invariants of the container auth: new for each lock, working while it lasts, dead once it has ended, its holder's."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from harness.check.index import Index
from harness.check.invariants.blame import accuse_blamed
from harness.check.invariants.findings import Findings, told
from harness.check.latest import Latest
from harness.check.timeline import NEVER, Ends, Timeline, asked_state, ends_at, is_dispatch, leaves, shown
from harness.history import Operation

_TURNED_AWAY = frozenset({"refused", "forbidden", "unauthenticated", "missing"})


def revoked_auth_dead(index: Index) -> Findings:
    """UNLOCK-3, AUTH-5: after the answer to what ended a lock, its auth is dead for good."""
    findings = Findings()
    operations = index.operations
    for use in dead_uses(index):
        requirement = "UNLOCK-3" if "Queued" in leaves(operations[use.ender]) else "AUTH-5"
        findings.judged[requirement] += 1
        outcome = operations[use.number].outcome
        if outcome in {"granted", "refused", "forbidden"}:  # it was let in, whatever it was told then
            text = (
                f"{told(index, use.number)} was {outcome}: the auth that {told(index, use.first)} had answered was "
                f"still alive after {told(index, use.ender)}"
            )
            findings.accuse(use.timeline, requirement, text, use.first, use.ender, use.number)
    return findings


def fresh_auth_per_lock(index: Index) -> Findings:
    """AUTH-3: no two locks, of one container or of two, have the same auth."""
    findings = Findings()
    operations = index.operations
    seen: dict[tuple[int, str], tuple[Timeline, int]] = {}  # run, auth -> first lock or reading that showed it
    for timeline in index.timelines:
        ended: dict[str, int] = {}  # auth or secret -> the end of its first reading
        enders = [number for number in timeline.enders_granted if operations[number].op == "unlock"]
        bounds = Latest(index, enders)
        begun: int | None = None  # when the first auth of the container was answered
        for number in timeline.of("lock", "auth"):
            operation = operations[number]
            if operation.type != "ok" or (operation.op == "lock" and shown(operation, "state") != "Locked"):
                continue  # below arvados a lock may be answered by the record as it was before
            begun = ends_at(operation) if begun is None else begun
            findings.judged["AUTH-3"] += bounds.invoked_after(begun, operation) is not None
            for name in ("auth_uuid", "secret"):
                auth = shown(operation, name)
                if not isinstance(auth, str):
                    continue
                other, first = seen.setdefault((timeline.run, auth), (timeline, number))
                twice = first != number and operation.op == "lock" and operations[first].op == "lock"
                if other is not timeline or twice:
                    text = f"{told(index, first)} and {told(index, number)} were given one auth"
                    findings.accuse(timeline, "AUTH-3", text, first, number)
                    break
                between = bounds.invoked_after(ended.setdefault(auth, ends_at(operation)), operation)
                if between is not None:
                    text = f"{told(index, number)} was given the auth of the lock that {told(index, between)} had ended"
                    findings.accuse(timeline, "AUTH-3", text, first, between, number)
                    break
    return findings


def auth_works(index: Index) -> Findings:
    """AUTH-1, AUTH-4: the holder is given the auth, always the same during one lock, and it works."""
    findings = Findings()
    for timeline in index.timelines:
        for number in timeline.of("auth"):
            operation = index.operations[number]
            if operation.type == "ok" and operation.problem is not None and is_dispatch(operation):
                findings.accuse(timeline, "AUTH-1", f"{told(index, number)}: {operation.problem}", number)
            _auth_given(index, findings, timeline, number)
        _auth_stays(index, findings, timeline)
    for number, issued in _uses(index):
        operation = index.operations[number]
        if ends_at(operation) >= NEVER or operation.outcome == "limited":
            continue
        dead = operation.outcome in (_TURNED_AWAY if operation.op == "use" else {"unauthenticated"})
        reading = index.operations[issued.first]
        timeline = issued.timeline
        if operation.invoke_ns <= ends_at(reading) or timeline.enders.within(reading.invoke_ns, ends_at(operation)):
            continue
        findings.judged["AUTH-4"] += 1
        if dead:
            text = (
                f"{told(index, number)} was {operation.outcome}, though nothing had ended the lock whose auth "
                f"{told(index, issued.first)} had answered"
            )
            findings.accuse(timeline, "AUTH-4", text, issued.first, number)
    return findings


def auth_only_holder(index: Index) -> Findings:
    """AUTH-2: the auth is for the locking token alone, while Locked or Running; anyone else is forbidden."""
    findings = Findings()
    operations = index.operations
    accuse_blamed(index, findings, "auth", "AUTH-2")
    for timeline in index.timelines:
        for number in timeline.of("auth"):
            operation = operations[number]
            if not is_dispatch(operation) or ends_at(operation) >= NEVER:
                continue
            if operation.outcome == "refused":
                text = f"{told(index, number)} was refused; who may not have the auth is forbidden"
                findings.accuse(timeline, "AUTH-2", text, number)
            calm = timeline.calm(operation)
            if calm is None:
                continue
            if calm.state not in {"Locked", "Running", None}:
                findings.judged["AUTH-2"] += 1
            elif calm.state is not None and _held_by_other(index, calm.lock, operation):
                findings.judged["AUTH-2"] += 1
                if operation.type == "ok":
                    assert calm.lock is not None
                    text = (
                        f"{told(index, number)} was granted with the token {operation.token}; "
                        f"{told(index, calm.lock)} had locked it with the token {operations[calm.lock].token}"
                    )
                    findings.accuse(timeline, "AUTH-2", text, calm.lock, number)
    return findings


def no_secret_leak(index: Index) -> Findings:
    """AUTH-6: no record, list or error holds a secret."""
    findings = Findings()
    for number, operation in enumerate(index.operations):
        if operation.value is None and operation.errors is None and operation.leaked is None:
            continue
        findings.judged["AUTH-6"] += operation.op not in {"auth", "use"} or operation.type != "ok"
        if operation.leaked:
            timeline = index.timeline(operation)
            text = f"the answer to {told(index, number)} holds a secret: {', '.join(operation.leaked)}"
            findings.accuse_run(operation, timeline, "AUTH-6", text, number)
    return findings


class DeadUse(NamedTuple):
    """A definite answer to a call with an auth that was certainly dead: who was given it first, and what ended it."""

    timeline: Timeline
    first: int
    ender: int
    number: int


def dead_uses(index: Index) -> Iterable[DeadUse]:
    """Every definite answer to a call that sent a container auth whose lock had certainly ended before."""
    enders: dict[int, _Enders] = {}
    for number, issued in _uses(index):
        operation = index.operations[number]
        if operation.outcome in {"limited", "indeterminate", "garbled"}:
            continue
        timeline = issued.timeline
        ended = enders.get(id(timeline)) or enders.setdefault(id(timeline), _Enders(index, timeline))
        ender = ended.after(issued, operation)
        if ender is not None:
            yield DeadUse(timeline, issued.first, ender, number)


@dataclass(frozen=True)
class _Issued:
    """A container auth: of which container it is, and the reading that answered it first."""

    timeline: Timeline
    first: int


def first_readings(timeline: Timeline) -> dict[str | None, int]:
    """The secrets of a container's auths, each with the reading that answered it first."""
    found: dict[str | None, int] = {}
    for number in sorted(timeline.of("auth"), key=timeline.ends.__getitem__):
        secret = shown(timeline.operations[number], "secret")
        if isinstance(secret, str):
            found.setdefault(secret, number)
    return found


def _uses(index: Index) -> Iterable[tuple[int, _Issued]]:
    """Every call that sent the secret of a container auth, with what is known of that auth."""
    issued: dict[tuple[int, str | None], _Issued] = {}
    for timeline in index.timelines:
        for secret, first in first_readings(timeline).items():
            issued.setdefault((timeline.run, secret), _Issued(timeline, first))
    for number, operation in enumerate(index.operations):
        if operation.secret is not None and operation.phase != "cleanup":
            known = issued.get((operation.run, operation.secret))
            if known is not None:
                yield number, known


class _Enders:
    """What certainly ended a lock, and what may have: an auth need be dead only once that has answered."""

    def __init__(self, index: Index, timeline: Timeline) -> None:
        operations = index.operations
        by_update = index.covers("arvados")  # at level must an update to Queued need not revoke
        certain = [
            number
            for number in timeline.enders_granted
            if by_update or operations[number].op == "unlock" or asked_state(operations[number]) != "Queued"
        ]
        self._index = index
        self._latest = Latest(index, certain)
        self._under_way: Ends = timeline.enders

    def after(self, issued: _Issued, use: Operation) -> int | None:
        """What had certainly ended an auth's lock and answered before the use, where nothing else may have ended it."""
        if self._under_way.begun(use.invoke_ns) > self._under_way.over(use.invoke_ns):
            return None
        return self._latest.invoked_after(ends_at(self._index.operations[issued.first]), use)


def _auth_given(index: Index, findings: Findings, timeline: Timeline, number: int) -> None:
    """AUTH-1: a reading with the locking token, and its run_auth where the lock answered one, is granted."""
    operation = index.operations[number]
    calm = timeline.calm(operation) if is_dispatch(operation) else None
    if calm is None or calm.state not in {"Locked", "Running"} or calm.lock is None:
        return
    lock = index.operations[calm.lock]
    if index.holder(lock) != index.holder(operation) or lock.op != "lock":
        return
    run_auth = shown(lock, "run_auth")
    if (run_auth if isinstance(run_auth, str) else None) != operation.run_auth:
        return
    findings.judged["AUTH-1"] += operation.type != "info" and operation.outcome != "limited"
    if operation.outcome in {"refused", "forbidden", "missing"}:
        text = (
            f"{told(index, number)} was {operation.outcome} with the locking token while {told(index, calm.lock)} held"
        )
        findings.accuse(timeline, "AUTH-1", text, calm.lock, number)


def _auth_stays(index: Index, findings: Findings, timeline: Timeline) -> None:
    """AUTH-4: two readings with nothing between them that may end the lock answer one auth."""
    operations = index.operations
    names = ("auth_uuid", "secret")
    showing = [
        number
        for number in (timeline.of("auth", "lock") if index.covers("arvados") else timeline.of("auth"))
        if operations[number].type == "ok" and any(isinstance(shown(operations[number], name), str) for name in names)
    ]
    for before, after in pairwise(showing):
        one, other = operations[before], operations[after]
        if {one.op, other.op} == {"lock"} or timeline.enders.within(one.invoke_ns, max(ends_at(one), ends_at(other))):
            continue
        findings.judged["AUTH-4"] += 1
        for name in names:
            first, second = shown(one, name), shown(other, name)
            if isinstance(first, str) and isinstance(second, str) and first != second:
                text = f"{told(index, before)} and {told(index, after)} were given two auths during one lock"
                findings.accuse(timeline, "AUTH-4", text, before, after)
                break


def _held_by_other(index: Index, lock: int | None, operation: Operation) -> bool:
    """Whether a lock was certainly taken with another token than an operation's."""
    if lock is None:
        return False
    taken = index.operations[lock]
    holder = shown(taken, "locked_by_uuid")
    certain = taken.op == "lock" or holder == index.holder(taken)
    return certain and is_dispatch(taken) and index.holder(taken) != index.holder(operation)
