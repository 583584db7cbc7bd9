"""Invariants of states and fields: which changes are granted, which are not, and what a refusal leaves alone."""

from typing import Any

from msgspec import UNSET

from harness.check.index import Index
from harness.check.invariants.auths import first_readings
from harness.check.invariants.blame import accuse_blamed, blame
from harness.check.invariants.findings import Findings, told
from harness.check.timeline import Calm, Timeline, asked_state, is_dispatch, needs, shown
from harness.contract import STATES, TRANSITIONS
from harness.history import Operation

_TURNED_AWAY = frozenset({"refused", "forbidden"})
_PROTECTED = ("locked_by_uuid", "auth_uuid", "uuid")
_BY_HOLDER = {"Locked": ("Running", "Cancelled"), "Running": ("Complete", "Cancelled")}
"""What STATE-3 lets the locking token change: from a state, to which."""


def legal_transitions(index: Index) -> Findings:
    """STATE-1: a state changes only along the table."""
    findings = Findings()
    operations = index.operations
    accuse_blamed(index, findings, "update", "STATE-1")
    for timeline in index.timelines:
        for number in timeline.of("update"):
            operation = operations[number]
            asked = asked_state(operation)
            if asked is None:
                continue
            if asked not in STATES:
                findings.judged["STATE-1"] += operation.type != "info"
                if operation.type == "ok":
                    findings.accuse(timeline, "STATE-1", f"{told(index, number)} was granted: no such state", number)
                continue
            calm = timeline.calm_before(operation) if operation.type == "ok" else timeline.calm(operation)
            known = calm is not None and calm.state is not None and operation.type != "info"
            findings.judged["STATE-1"] += known
        for number in timeline.all:
            seen = shown(operations[number], "state")
            if isinstance(seen, str) and seen not in STATES:
                text = f"{told(index, number)} shows the state {seen!r}, which the contract does not know"
                findings.accuse(timeline, "STATE-1", text, number)
    return findings


def transition_granted(index: Index) -> Findings:
    """STATE-3: what the table lets a lock's holder do is granted. LOCK-1: as is a lock of a Queued container."""
    findings = Findings()
    locks_work = any(one.op == "lock" and one.type == "ok" for one in index.operations)
    for timeline in index.timelines:
        auths = first_readings(timeline)
        for number in timeline.of("lock", "update"):
            operation = index.operations[number]
            if operation.type == "ok":
                calm = timeline.calm_before(operation)
            else:
                calm = timeline.calm(operation) if operation.outcome in _TURNED_AWAY else None
            if calm is None or calm.state is None:
                continue
            basis = [calm.since] if calm.lock is None else [calm.lock, calm.since]
            due = False
            if operation.op == "lock":
                due = locks_work and is_dispatch(operation) and _lock_due(timeline, operation, calm)
            elif is_dispatch(operation):
                due = _update_due(index, operation, calm)
            elif operation.secret in auths:
                basis = [auths[operation.secret], calm.since]
                due = _completion_due(timeline, operation, calm, index.operations[basis[0]])
            if not due:
                continue
            requirement = "LOCK-1" if operation.op == "lock" else "STATE-3"
            findings.judged[requirement] += 1
            if operation.type != "ok":
                text = f"{told(index, number)} was {operation.outcome} although the container was {calm.state}"
                findings.accuse(timeline, requirement, text, *basis, number)
    return findings


def fields_protected(index: Index) -> Findings:
    """STATE-2: no update changes holder, auth or uuid."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        for number in timeline.of("update"):
            operation = operations[number]
            named = [name for name in _PROTECTED if name in (operation.sent or {})]
            if not named or operation.type == "info":
                continue
            findings.judged["STATE-2"] += operation.type == "ok" or operation.outcome in _TURNED_AWAY
            if operation.type != "ok":
                continue
            for name in named:
                value = (operation.sent or {})[name]
                if _certainly_other(index, timeline, operation, name, value):
                    text = f"{told(index, number)} was granted, and asks for another {name}: {value!r}"
                    findings.accuse(timeline, "STATE-2", text, number)
                    break
    return findings


def refusal_changes_nothing(index: Index) -> Findings:
    """LOCK-2, LOCK-4, UNLOCK-2, UNLOCK-5, STATE-1: what was refused or forbidden did not happen."""
    findings = Findings()
    operations = index.operations
    for timeline, one in index.unexplained:
        number, since = one
        operation = operations[number]
        why, culprit = blame(timeline, one)
        if why == "turned away":
            state = needs(operation)[0]
            verb = "shows" if operation.op == "get" else "found"
            text = (
                f"{told(index, culprit)} was {operations[culprit].outcome}, and yet {told(index, number)} {verb} "
                f"state {state}, which nothing else can have left"
            )
            findings.accuse(timeline, _of_refusal(index, timeline, culprit), text, since, culprit, number)
    for timeline in index.timelines:
        _records_kept(index, findings, timeline)
    return findings


def _records_kept(index: Index, findings: Findings, timeline: Timeline) -> None:
    """Two reads in one calm, with a refused call between them, show one record."""
    operations = index.operations
    before: dict[Calm, int] = {}
    for number in timeline.gets:
        operation = operations[number]
        calm = timeline.calm(operation)
        if calm is None:
            continue
        first = before.setdefault(calm, number)
        basis = calm.start if first == number else index.ends[first]
        culprit = timeline.refused_between(basis, operation)
        if culprit is None:
            continue
        requirement = _of_refusal(index, timeline, culprit)
        findings.judged[requirement] += 1
        since = calm.since if first == number else first
        changed = _changed(index, operations[since], operation)
        if changed is not None:
            text = (
                f"{told(index, culprit)} was {operations[culprit].outcome}, and yet {changed} between "
                f"{told(index, since)} and {told(index, number)}"
            )
            findings.accuse(timeline, requirement, text, since, culprit, number)


def _changed(index: Index, one: Operation, other: Operation) -> str | None:
    """Which field of the container changed between two answers, in words."""
    if one.op not in {"get", "create"} and not index.covers("arvados"):
        return None  # what else answers is left open at level must
    for name in ("state", "locked_by_uuid", "auth_uuid"):
        first, second = shown(one, name), shown(other, name)
        if UNSET not in (first, second) and first != second:
            return f"{name} changed from {first or 'null'} to {second or 'null'}"
    return None


def _of_refusal(index: Index, timeline: Timeline, number: int) -> str:
    """The requirement that says that a call, turned away, changes nothing."""
    operation = index.operations[number]
    if operation.op == "update":
        return "STATE-1"
    if operation.op == "unlock":
        return "UNLOCK-5" if operation.outcome == "forbidden" and index.covers("arvados") else "UNLOCK-2"
    priority = timeline.priority(operation)
    return "LOCK-4" if priority is not None and priority[1] == 0 and index.covers("arvados") else "LOCK-2"


def _lock_due(timeline: Timeline, operation: Operation, calm: Calm) -> bool:
    priority = timeline.priority(operation)
    return calm.state == "Queued" and priority is not None and priority[1] > 0


def _update_due(index: Index, operation: Operation, calm: Calm) -> bool:
    """Whether an update asks for nothing but a change of state that STATE-3 grants its sender."""
    target = asked_state(operation)
    if set(operation.sent or {}) != {"state"} or target is None or target not in TRANSITIONS[calm.state or "Queued"]:  # type: ignore[index]
        return False
    if calm.state == "Queued":
        plain = operation.token == "shared" and operation.run_auth is None
        return target == "Cancelled" and plain
    if calm.lock is None or target not in _BY_HOLDER.get(calm.state or "", ()):
        return False
    lock = index.operations[calm.lock]
    run_auth = shown(lock, "run_auth")
    has_run_auth = isinstance(run_auth, str)
    fits = operation.run_auth == (run_auth if has_run_auth else None)
    bare_cancel = target == "Cancelled" and operation.run_auth is None
    return lock.op == "lock" and index.holder(lock) == index.holder(operation) and (fits or bare_cancel)


def _completion_due(timeline: Timeline, operation: Operation, calm: Calm, reading: Operation) -> bool:
    """Whether an update asks for nothing but Complete, with the auth of the lock under which the container runs."""
    asked = set(operation.sent or {}) == {"state"} and asked_state(operation) == "Complete"
    ended = timeline.enders.within(reading.invoke_ns, operation.invoke_ns - 1)
    return asked and calm.state == "Running" and not ended


def _certainly_other(index: Index, timeline: Timeline, operation: Operation, name: str, value: Any) -> bool:
    """Whether a protected field certainly had another value: the same value again is no change."""
    if name == "uuid":
        return operation.uuid is not None and value != operation.uuid
    calm = timeline.calm(operation)
    if calm is None:
        return False
    if calm.state in {"Queued", "Complete", "Cancelled"}:
        return value is not None
    if calm.state is None:
        return False
    if name == "auth_uuid":
        shown_auths = {shown(index.operations[number], "auth_uuid") for number in timeline.all}
        return value not in shown_auths
    if calm.lock is None:
        return value is None
    lock = index.operations[calm.lock]
    return lock.op == "lock" and lock.token in index.header.tokens and value != index.holder(lock)
