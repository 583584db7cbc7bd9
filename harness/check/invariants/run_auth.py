"""Invariants of run_auth: one holder, who is told when it is no longer, and who alone may act on the lock.

Below level run_auth a server cannot keep them, because it cannot tell two dispatchers with one token apart; there they
count as known races.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.check.index import Index
from harness.check.invariants.findings import Findings, told
from harness.check.latest import Latest
from harness.check.timeline import Calm, Timeline, asked_state, is_dispatch, leaves, session, shown
from harness.history import Operation

_BY_HOLDER = frozenset({"Running", "Complete", "Cancelled"})


def single_holder(index: Index) -> Findings:
    """RUN-1: no two dispatchers are given one working auth."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        given: dict[str, dict[str, int]] = {}  # secret -> session -> its first reading
        for number in sorted(timeline.of("auth"), key=timeline.ends.__getitem__):
            operation = operations[number]
            secret = shown(operation, "secret")
            if operation.type != "ok" or not isinstance(secret, str) or not is_dispatch(operation):
                continue
            findings.judged["RUN-1"] += 1
            holders = given.setdefault(secret, {})
            other = next((first for name, first in holders.items() if name != session(operation)), None)
            if other is not None and session(operation) not in holders:
                text = f"{told(index, other)} and {told(index, number)} were given the same working auth"
                findings.accuse(timeline, "RUN-1", text, other, number)
            holders.setdefault(session(operation), number)
    return findings


def told_of_loss(index: Index) -> Findings:
    """RUN-2: who acts on a lock that was taken away is told so."""
    findings = Findings()
    for timeline in index.timelines:
        for late in _late_acts(index, timeline, ("auth", "update")):
            operation = index.operations[late.number]
            if operation.op == "update" and asked_state(operation) == "Running":
                continue  # only_holder_starts judges it
            if late.given_back:
                continue  # it knows: it gave the lock back itself
            findings.judged["RUN-2"] += 1
            if operation.type == "ok":
                text = (
                    f"{told(index, late.number)} was granted on the strength of {told(index, late.lock)}, "
                    f"which {told(index, late.ender)} had ended"
                )
                findings.accuse(timeline, "RUN-2", text, late.lock, late.ender, late.number)
    return findings


def late_unlock_harmless(index: Index) -> Findings:
    """RUN-3: an unlock for a lock that has ended does not end the next one."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        for late in _late_acts(index, timeline, ("unlock",)):
            operation = operations[late.number]
            if operation.run_auth is None and not late.given_back:
                continue  # whoever has the token may unlock
            findings.judged["RUN-3"] += 1
            if operation.type == "ok" and (operation.run_auth or _undid_another(index, timeline, operation)):
                text = (
                    f"{told(index, late.number)} was granted for {told(index, late.lock)}, which "
                    f"{told(index, late.ender)} had ended: it undid another lock"
                )
                findings.accuse(timeline, "RUN-3", text, late.lock, late.ender, late.number)
    return findings


def only_holder_starts(index: Index) -> Findings:
    """RUN-4: only the dispatcher whose lock it is makes the container Running."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        for number in timeline.of("update"):
            operation = operations[number]
            if asked_state(operation) != "Running" or not is_dispatch(operation) or operation.type == "info":
                continue
            calm = timeline.calm_before(operation) if operation.type == "ok" else timeline.calm(operation)
            if calm is None or calm.state != "Locked" or calm.lock is None or _is_given(index, calm):
                continue
            findings.judged["RUN-4"] += 1
            if operation.type == "ok" and timeline.alone(operation) and not _is_holders(index, calm, operation):
                text = f"{told(index, number)} was granted; {told(index, calm.lock)} held the lock"
                findings.accuse(timeline, "RUN-4", text, calm.lock, number)
    return findings


@dataclass(frozen=True)
class _Late:
    """An act on a lock that had certainly ended: the lock, what ended it, the act.

    `given_back`: the dispatcher had asked itself to give the lock back.
    """

    lock: int
    ender: int
    number: int
    given_back: bool


def _late_acts(index: Index, timeline: Timeline, ops: tuple[str, ...]) -> Iterable[_Late]:
    """Acts of dispatchers on locks that had certainly ended, by an answer that came before the act.

    An act belongs to the lock whose run_auth it sends. One without a run_auth belongs to its session's last lock, if
    that was granted without one and the session has not crashed since.
    """
    operations = index.operations
    latest = Latest(index, timeline.enders_granted)
    by_run_auth: dict[str, int] = {}
    by_session: dict[str, int] = {}
    given_back: set[str] = set()
    for number in timeline.all:
        operation = operations[number]
        who = session(operation)
        if operation.op in ops and is_dispatch(operation) and operation.type != "info" and _acts(operation):
            own = by_session.get(who) if operation.run_auth is None else by_run_auth.get(operation.run_auth)
            ender = None if own is None else latest.invoked_after(index.ends[own], operation)
            if own is not None and ender is not None and not index.crashed(who, operations[own], operation):
                yield _Late(own, ender, number, operation.run_auth is None and who in given_back)
        if operation.op == "lock":
            by_session.pop(who, None)
            given_back.discard(who)
            run_auth = shown(operation, "run_auth")
            if operation.type == "ok":
                if isinstance(run_auth, str):
                    by_run_auth[run_auth] = number
                else:
                    by_session[who] = number
        elif operation.type != "fail" and "Queued" in leaves(operation):
            given_back.add(who)


def _acts(operation: Operation) -> bool:
    """Whether an operation acts on a lock: an update does if it changes the state as only a holder does."""
    return operation.op != "update" or asked_state(operation) in _BY_HOLDER


def _undid_another(index: Index, timeline: Timeline, operation: Operation) -> bool:
    """Whether a granted unlock certainly ended a lock of another session."""
    calm = timeline.calm_before(operation)
    if calm is None or calm.state != "Locked" or calm.lock is None or not timeline.alone(operation):
        return False
    return session(index.operations[calm.lock]) != session(operation)


def _is_given(index: Index, calm: Calm) -> bool:
    """Whether a lock was taken only to bring the container to its given state: it is no dispatcher's."""
    assert calm.lock is not None
    lock = index.operations[calm.lock]
    return lock.phase == "setup" and not isinstance(shown(lock, "run_auth"), str)


def _is_holders(index: Index, calm: Calm, operation: Operation) -> bool:
    """Whether an operation is sent by the dispatcher whose lock it is: with its run_auth, where there is one."""
    assert calm.lock is not None
    lock = index.operations[calm.lock]
    run_auth = shown(lock, "run_auth")
    return operation.run_auth == run_auth if isinstance(run_auth, str) else session(lock) == session(operation)
