"""Invariants of the service itself: every call is answered, in the shape that the contract asks for."""

from collections.abc import Sequence

from harness.check.index import Index
from harness.check.invariants.auths import dead_uses
from harness.check.invariants.findings import Findings, told
from harness.history import Operation
from harness.history.facts import EVENTS

_REFUSALS = frozenset({"refused", "forbidden", "unauthenticated", "missing"})
_FAR_LONGER = 4
NO_ANSWER = "timeout"
"""What the history says is wrong with a call that was given up after its time limit."""


def no_deadlock(index: Index) -> Findings:
    """LIVE-1: two calls that wait for each other are never answered, while the server answers others."""
    findings = Findings()
    for numbers in index.runs.values():
        operations = [index.operations[number] for number in numbers]
        if any(one.fault or one.op in {"crash", "pause", "restart"} for one in operations):
            continue  # the harness itself kept calls from being answered
        findings.judged["LIVE-1"] += sum(one.op not in EVENTS for one in operations)
        stuck = [number for number in numbers if _unanswered(index.operations[number])]
        if len(stuck) < 2:
            continue
        last = max(index.operations[number].invoke_ns for number in stuck)
        answered = [
            number
            for number in numbers
            if index.operations[number].status is not None and index.operations[number].invoke_ns > last
        ]
        if answered and _waited_far_longer(index, numbers, stuck, answered[0]):
            names = " and ".join(told(index, number) for number in stuck[:4])
            text = f"{names} were never answered, though {told(index, answered[0])} was, which was asked later"
            operation = index.operations[stuck[-1]]
            findings.accuse_run(operation, index.timeline(operation), "LIVE-1", text, *stuck[:8])
    return findings


def _waited_far_longer(index: Index, numbers: Sequence[int], stuck: Sequence[int], later: int) -> bool:
    """Whether the unanswered calls waited far longer than any answered one: else the server is slow, not stuck."""
    answered = [index.operations[number] for number in numbers if index.operations[number].status is not None]
    times_ns = [one.return_ns - one.invoke_ns for one in answered if one.return_ns is not None]
    if not times_ns:  # nothing but errors came: the server is failing, which is told by its statuses
        return False
    slowest_ns = max(times_ns)
    until_ns = index.operations[later].invoke_ns
    waited_ns = min(until_ns - index.operations[number].invoke_ns for number in stuck)
    return waited_ns >= _FAR_LONGER * slowest_ns


def no_server_error(index: Index) -> Findings:
    """ERR-2: no answer is a 5xx."""
    findings = Findings()
    for number, operation in enumerate(index.operations):
        if operation.status is None:
            continue
        findings.judged["ERR-2"] += 1
        if operation.status >= 500 and operation.outcome != "limited" and operation.fault is None:
            text = f"{told(index, number)} was answered with status {operation.status}"
            findings.accuse_run(operation, index.timeline(operation), "ERR-2", text, number)
    return findings


def error_shape(index: Index) -> Findings:
    """ERR-1: a refusal is JSON with error texts; who has no valid token is unauthenticated before anything else."""
    findings = Findings()
    for use in dead_uses(index):
        outcome = index.operations[use.number].outcome
        findings.judged["ERR-1"] += 1
        if outcome == "missing":  # granted, refused or forbidden, the token is not dead: revoked_auth_dead
            text = f"{told(index, use.number)} was missing, not unauthenticated, with a token that was dead"
            findings.accuse(use.timeline, "ERR-1", text, use.first, use.ender, use.number)
    for number, operation in enumerate(index.operations):
        if operation.op in EVENTS or operation.fault is not None:
            continue
        wrong = _wrong(operation)
        anonymous = operation.token in {"none", "bogus"}
        findings.judged["ERR-1"] += operation.outcome in _REFUSALS or bool(wrong)
        if anonymous and operation.outcome in {"granted", "refused", "forbidden", "missing"}:
            wrong = f"was {operation.outcome} without a valid token"
        if wrong:
            text = f"{told(index, number)} {wrong}"
            findings.accuse_run(operation, index.timeline(operation), "ERR-1", text, number)
    return findings


def _unanswered(operation: Operation) -> bool:
    return operation.type == "info" and operation.status is None and operation.problem == NO_ANSWER


def _wrong(operation: Operation) -> str:
    """What is wrong with the shape of an answer, in words; empty if nothing is."""
    status = "" if operation.status is None else f" with status {operation.status}"
    if operation.outcome == "garbled" and operation.status is not None:
        reason = operation.problem or "it is not what the API speaks"
        return f"was answered{status}, but {reason}"
    if operation.outcome in _REFUSALS and operation.problem:
        return f"was {operation.outcome}{status}, but {operation.problem}"
    if operation.outcome == "granted" and operation.problem and operation.op != "auth":
        return f"was granted{status}, but {operation.problem}"
    return ""
