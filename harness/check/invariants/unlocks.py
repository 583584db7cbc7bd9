"""Invariants of unlock: from which state, by whom, and what it leaves behind."""

from msgspec import UNSET

from harness.check.index import Index
from harness.check.invariants.blame import accuse_blamed
from harness.check.invariants.findings import Findings, told
from harness.check.possible import surplus
from harness.check.timeline import Calm, Ends, Timeline, ends_at, is_dispatch, leaves, session, shown
from harness.history import Operation

_DEFINITE = frozenset({"refused", "forbidden"})


def unlock_only_locked(index: Index) -> Findings:
    """UNLOCK-2: only a Locked container can be unlocked."""
    findings = Findings()
    operations = index.operations
    accuse_blamed(index, findings, "unlock", "UNLOCK-2")
    for timeline in index.timelines:
        granted = [number for number in timeline.of("unlock") if operations[number].type == "ok"]
        locks = [number for number in timeline.changers if "Locked" in leaves(operations[number])]
        for found in surplus(timeline, granted, locks):
            names = " and ".join(told(index, number) for number in found.grants[:4])
            text = f"{names} were all granted, with at most {found.releases} locks between them"
            findings.accuse(timeline, "UNLOCK-2", text, *found.grants)
            findings.judged["UNLOCK-2"] += 1
        for number in timeline.of("unlock"):
            calm = timeline.calm(operations[number]) if operations[number].type == "fail" else None
            findings.judged["UNLOCK-2"] += calm is not None and calm.state not in {None, "Locked"}
    return findings


def unlock_clears(index: Index) -> Findings:
    """UNLOCK-1: an unlocked container has no holder and no auth. STATE-3: nor has one that has ended."""
    findings = Findings()
    for timeline in index.timelines:
        numbers = timeline.of("get", "unlock") if index.covers("arvados") else timeline.of("get")
        for number in numbers:
            operation = index.operations[number]
            state = shown(operation, "state")
            if operation.type != "ok" or state not in {"Queued", "Complete", "Cancelled"}:
                continue
            if state == "Queued" and not index.covers("arvados") and timeline.updated_to("Queued", operation):
                continue  # what such an update clears is left open
            requirement = "UNLOCK-1" if state == "Queued" or operation.op == "unlock" else "STATE-3"
            findings.judged[requirement] += 1
            for name in ("locked_by_uuid", "auth_uuid"):
                value = shown(operation, name)
                if value is not UNSET and value is not None:
                    text = f"{told(index, number)} shows state {state}, and still {name} {value}"
                    findings.accuse(timeline, requirement, text, *_last_ender(timeline, operation), number)
                    break
        if index.covers("arvados"):
            _unlock_answers_end(index, findings, timeline)
    return findings


def foreign_token_refused(index: Index) -> Findings:
    """UNLOCK-5: a token that does not hold the lock cannot give it back; it is told forbidden."""
    findings = Findings()
    if not index.covers("arvados"):
        return findings
    operations = index.operations
    for timeline in index.timelines:
        for number in timeline.of("unlock", "update"):
            operation = operations[number]
            if (operation.op == "update" and "Queued" not in leaves(operation)) or not is_dispatch(operation):
                continue
            calm = timeline.calm_before(operation) if operation.type == "ok" else timeline.calm(operation)
            if calm is None or calm.state != "Locked" or calm.lock is None or operation.type == "info":
                continue
            holder, caller = index.holder(operations[calm.lock]), index.holder(operation)
            if holder is None or holder == caller or not is_dispatch(operations[calm.lock]):
                continue
            if not _lock_is_callers(index, calm):
                continue
            findings.judged["UNLOCK-5"] += 1
            if operation.type == "ok" and timeline.alone(operation):
                text = f"{told(index, number)} was granted with the token {operation.token}; {_held(index, calm)}"
                findings.accuse(timeline, "UNLOCK-5", text, calm.lock, number)
            elif operation.op == "unlock" and operation.outcome == "refused":
                text = f"{told(index, number)} was refused, not forbidden; {_held(index, calm)}"
                findings.accuse(timeline, "UNLOCK-5", text, calm.lock, number)
    return findings


def recoverable(index: Index) -> Findings:
    """UNLOCK-4: the locking token is enough to unlock. UNLOCK-1: and it may."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        for number in timeline.of("unlock"):
            operation = operations[number]
            granted = operation.type == "ok"
            calm = timeline.calm_before(operation) if granted else timeline.calm(operation)
            if calm is None or calm.state != "Locked" or calm.lock is None or operation.type == "info":
                continue
            lock = operations[calm.lock]
            if index.holder(lock) is None or index.holder(lock) != index.holder(operation):
                continue
            if lock.op != "lock" and not index.covers("arvados"):
                continue  # whose lock an update takes is left open
            requirement = "UNLOCK-1" if session(lock) == session(operation) else "UNLOCK-4"
            findings.judged[requirement] += granted or operation.outcome in _DEFINITE
            wrong_run_auth = operation.run_auth is not None and operation.run_auth != shown(lock, "run_auth")
            if operation.outcome in _DEFINITE and not wrong_run_auth:
                text = f"{told(index, number)} was {operation.outcome} with the locking token; {_held(index, calm)}"
                findings.accuse(timeline, requirement, text, calm.lock, number)
    return findings


def attempt_limit(index: Index) -> Findings:
    """UNLOCK-6: an unlock cancels exactly when lock_count has reached the limit, and says so."""
    findings = Findings()
    if not index.covers("arvados"):
        return findings
    operations = index.operations
    limit = index.header.max_dispatch_attempts
    for timeline in index.timelines:
        locks = [number for number in timeline.changers if "Locked" in leaves(operations[number])]
        possible = Ends(operations[number] for number in locks)
        certain = Ends(operations[number] for number in locks if operations[number].op == "lock" and _ok(index, number))
        fresh = any(_ok(index, number) for number in timeline.of("create"))
        for number in timeline.of("unlock"):
            operation = operations[number]
            state = shown(operation, "state")
            if operation.type != "ok" or state not in {"Queued", "Cancelled"} or limit is None:
                continue
            most = possible.begun(ends_at(operation))
            least = certain.over(operation.invoke_ns)
            findings.judged["UNLOCK-6"] += 1
            if state == "Queued" and least >= limit:
                text = f"{told(index, number)} left it Queued after {least} locks; the limit is {limit}"
                findings.accuse(timeline, "UNLOCK-6", text, number)
            elif state == "Cancelled" and fresh and most < limit:
                text = f"{told(index, number)} cancelled it after at most {most} locks; the limit is {limit}"
                findings.accuse(timeline, "UNLOCK-6", text, number)
        _limit_says_why(index, findings, timeline)
    return findings


def _limit_says_why(index: Index, findings: Findings, timeline: Timeline) -> None:
    """A container that only an unlock can have cancelled says why in runtime_status.error."""
    operations = index.operations
    by_update = any(
        "Cancelled" in leaves(operations[number]) and operations[number].op == "update" for number in timeline.changers
    )
    cancelled = [
        number
        for number in timeline.of("unlock")
        if _ok(index, number) and shown(operations[number], "state") == "Cancelled"
    ]
    if not cancelled:
        return
    for number in timeline.gets:
        operation = operations[number]
        earlier = not by_update or _cancelled_after(timeline, operation)
        if operation.invoke_ns <= index.ends[cancelled[0]] or not earlier:
            continue
        error = shown(operation, "runtime_error")
        if error is UNSET or shown(operation, "state") != "Cancelled":
            continue
        findings.judged["UNLOCK-6"] += 1
        if not error:
            text = f"{told(index, cancelled[0])} cancelled it, and {told(index, number)} shows no runtime_status.error"
            findings.accuse(timeline, "UNLOCK-6", text, cancelled[0], number)


def _cancelled_after(timeline: Timeline, operation: Operation) -> bool:
    """Whether every update to Cancelled came after an operation."""
    operations = timeline.operations
    return all(
        operations[number].invoke_ns > ends_at(operation)
        for number in timeline.changers
        if operations[number].op == "update" and "Cancelled" in leaves(operations[number])
    )


def _unlock_answers_end(index: Index, findings: Findings, timeline: Timeline) -> None:
    for number in timeline.of("unlock"):
        operation = index.operations[number]
        state = shown(operation, "state")
        if operation.type == "ok" and isinstance(state, str) and state not in {"Queued", "Cancelled"}:
            findings.accuse(timeline, "LOCK-5", f"the answer to {told(index, number)} shows state {state}", number)


def _last_ender(timeline: Timeline, operation: Operation) -> list[int]:
    """The last unlock or update before an operation that gave up a lock, as evidence."""
    operations = timeline.operations
    for number in reversed(timeline.changers):
        if timeline.ends[number] < operation.invoke_ns and "Locked" not in leaves(operations[number]):
            return [number]
    return []


def _lock_is_callers(index: Index, calm: Calm) -> bool:
    """Whether the lock was certainly taken for its caller: by a lock, or by an update that shows so."""
    assert calm.lock is not None
    lock = index.operations[calm.lock]
    holder = shown(lock, "locked_by_uuid")
    return lock.op == "lock" or holder is UNSET or holder == index.holder(lock)


def _held(index: Index, calm: Calm) -> str:
    assert calm.lock is not None
    return f"{told(index, calm.lock)} had locked it with the token {index.operations[calm.lock].token}"


def _ok(index: Index, number: int) -> bool:
    return index.operations[number].type == "ok"
