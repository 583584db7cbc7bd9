"""Invariants of what is read: the newest state, complete listings, nothing lost, nothing unsaid after a restart."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from harness.check.index import Index
from harness.check.invariants.blame import accuse_blamed
from harness.check.invariants.findings import Accusation, Findings, told
from harness.check.timeline import Calm, Timeline, ends_at, is_dispatch, shown
from harness.contract import REQUIREMENTS, STATES
from harness.history import Operation

_UNPAGED = frozenset({"state", "locked_by_uuid", "uuid"})
"""What a listing may ask for so that its answer can be judged."""
PAGE_SIZE = 1000
"""A listing of this many may go on on the next page."""


def read_your_writes(index: Index) -> Findings:
    """GET-1: a read shows the newest acknowledged state."""
    findings = Findings()
    operations = index.operations
    accuse_blamed(index, findings, "get", "GET-1")
    for timeline in index.timelines:
        calms = [(number, timeline.calm(operations[number])) for number in timeline.gets]
        findings.judged["GET-1"] += sum(calm is not None and calm.state is not None for _, calm in calms)
        for (one, calm), (other, next_calm) in pairwise(calms):
            if calm is None or calm != next_calm or timeline.refused_between(calm.start, operations[other]) is not None:
                continue
            for name in ("locked_by_uuid", "auth_uuid"):
                first, second = shown(operations[one], name), shown(operations[other], name)
                known = all(value is None or isinstance(value, str) for value in (first, second))
                if known and first != second:
                    text = f"{name} changed between {told(index, one)} and {told(index, other)}, and nothing asked"
                    findings.accuse(timeline, "GET-1", text, one, other)
                    break
    return findings


def list_complete(index: Index) -> Findings:
    """LIST-1: what matches throughout a listing is in it, and what does not match throughout is not."""
    findings = Findings()
    listings: dict[int, list[int]] = {}
    for number, operation in enumerate(index.operations):
        if operation.op == "list" and operation.type == "ok" and _judgeable(operation):
            listings.setdefault(operation.run, []).append(number)
    for run, numbers in listings.items():
        numbers.sort(key=lambda number: index.operations[number].invoke_ns)
        _judge_listings(index, findings, run, numbers)
    return findings


def durable(index: Index, across: Iterable[Findings]) -> Findings:
    """DUR-1: what was acknowledged before a restart is so after it; `across` is what other invariants found."""
    findings = Findings()
    for run, restarts in index.restarts.items():
        first = min(returned for _, returned in restarts)
        for timeline in index.in_run(run):
            known = any(index.ends[number] < first for number in timeline.changers)
            later = (index.operations[number] for number in timeline.all)
            findings.judged["DUR-1"] += known * sum(one.invoke_ns > first and one.type != "info" for one in later)
    for found in across:
        for one in found.accusations:
            if index.covers(REQUIREMENTS[one.requirement].level) and crosses_restart(index, one):
                again = f"{one.message}; the server had been restarted between"
                last = index.operations[one.operations[-1]]
                findings.accuse_run(last, index.timeline(last), "DUR-1", again, *one.operations)
    return findings


def crosses_restart(index: Index, accusation: Accusation) -> bool:
    """Whether the server was restarted after the last but one and before the last of an accusation's operations.

    That a lock at priority 0 is granted needs no restart to explain it.
    """
    evidence = accusation.operations
    if len(evidence) < 2 or not index.restarts or accusation.requirement == "LOCK-4":
        return False
    before, after = index.operations[evidence[-2]], index.operations[evidence[-1]]
    return index.restarted(after.run, ends_at(before), after.invoke_ns)


def no_lost_container(index: Index) -> Findings:
    """LIVE-1: a container that a token was once told of is never missing for it."""
    findings = Findings()
    operations = index.operations
    for timeline in index.timelines:
        known: dict[str | None, int] = {}  # token -> the first answer about this container
        for number in sorted(timeline.all, key=timeline.ends.__getitem__):
            operation = operations[number]
            if operation.type == "ok" and is_dispatch(operation):
                known.setdefault(operation.token, number)
        for number in timeline.all:
            operation = operations[number]
            first = known.get(operation.token)
            if first is None or index.ends[first] >= operation.invoke_ns or operation.type == "info":
                continue
            calm = timeline.calm(operation) if operation.op == "auth" else None
            if calm is not None and calm.state in {"Locked", "Running"}:
                continue  # it is the auth that may be missing; auth_works judges that
            findings.judged["LIVE-1"] += 1
            if operation.outcome == "missing" and operation.phase != "cleanup":
                text = f"{told(index, number)} was told that it is missing; {told(index, first)} was granted before"
                findings.accuse(timeline, "LIVE-1", text, first, number)
    return findings


def _judgeable(operation: Operation) -> bool:
    asked = operation.sent or {}
    found = shown(operation, "found")
    return bool(asked) and set(asked) <= _UNPAGED and isinstance(found, list) and len(found) < PAGE_SIZE


def _matches(index: Index, timeline: Timeline, calm: Calm, asked: Mapping[str, Any]) -> bool | None:
    """Whether a container matches a listing's filters throughout a calm; None where that is not certain."""
    answers = [
        _is_among(calm.state, asked["state"]) if "state" in asked else True,
        _is_among(timeline.uuid, asked["uuid"]) if "uuid" in asked else True,
        _is_among(_holder(index, calm), asked["locked_by_uuid"]) if "locked_by_uuid" in asked else True,
    ]
    if False in answers:
        return False
    return None if None in answers else True


def _is_among(value: str | None, wanted: Any) -> bool | None:
    if value is None:
        return None
    return value in wanted if isinstance(wanted, list | tuple) else value == wanted


def _holder(index: Index, calm: Calm) -> str | None:
    """Whose lock it is throughout a calm; "" where nobody's."""
    if calm.state in {"Queued", "Complete", "Cancelled"}:
        return ""
    if calm.state is None or calm.lock is None or index.operations[calm.lock].op != "lock":
        return None
    lock = index.operations[calm.lock]
    return index.header.tokens.get(lock.token or "")


def _judge_listings(index: Index, findings: Findings, run: int, numbers: list[int]) -> None:
    """One sweep over a run: the calms that are open when each listing begins, and last until it ends."""
    opened = sorted(
        ((calm.start, place, calm) for place, one in enumerate(index.in_run(run)) for calm in one.calms),
        key=lambda entry: entry[:2],
    )
    timelines = index.in_run(run)
    open_now: dict[str, dict[int, Calm]] = {state: {} for state in STATES}  # state -> timeline's place -> its calm
    state_of: dict[int, str] = {}
    position = 0
    for number in numbers:
        operation = index.operations[number]
        while position < len(opened) and opened[position][0] < operation.invoke_ns:
            _, place, calm = opened[position]
            open_now.get(state_of.pop(place, ""), {}).pop(place, None)
            if calm.state is not None:
                open_now[calm.state][place] = calm
                state_of[place] = calm.state
            position += 1
        _judge_listing(index, findings, number, timelines, open_now)


def _judge_listing(
    index: Index,
    findings: Findings,
    number: int,
    timelines: list[Timeline],
    open_now: Mapping[str, Mapping[int, Calm]],
) -> None:
    operation = index.operations[number]
    asked: Mapping[str, Any] = operation.sent or {}
    end = ends_at(operation)
    found = set(shown(operation, "found"))
    states = [state for state in STATES if "state" not in asked or _is_among(state, asked["state"])]
    for state in states:
        for place, calm in open_now[state].items():
            timeline = timelines[place]
            if calm.end > end and timeline.uuid not in found and timeline.uuid is not None:
                if _matches(index, timeline, calm, asked):
                    text = f"{told(index, number)} leaves out a container that {told(index, calm.since)} had made match"
                    findings.accuse(timeline, "LIST-1", text, calm.since, number)
                findings.judged["LIST-1"] += 1
    for uuid in found:
        named = index.named(operation.run, uuid)
        calm_now = None if named is None else named.calm(operation)
        if named is None or calm_now is None:
            continue
        matches = _matches(index, named, calm_now, asked)
        findings.judged["LIST-1"] += matches is not None
        if matches is False:
            text = f"{told(index, number)} holds a container that {told(index, calm_now.since)} had made not match"
            findings.accuse(named, "LIST-1", text, calm_now.since, number)
