"""Who is to blame for an operation that no order explains: itself, or an earlier call that cannot have been harmless.

cancel by B   |------|
lock by A        |------|
auth by A                  |---|   granted: so A's lock took a container that B had cancelled
"""

from typing import NamedTuple

from harness.check.index import Index
from harness.check.invariants.findings import Findings, told
from harness.check.possible import Impossible
from harness.check.timeline import Timeline, leaves, needs

_LOOKED_BACK = 64
"""How many changers before the one in question are looked at: more are never under way at once in practice."""


class Blame(NamedTuple):
    """The call to blame and why: "turned away", "at once" with an acknowledged change, or "itself"."""

    why: str
    culprit: int


def blame(timeline: Timeline, one: Impossible) -> Blame:
    """Whom to blame for one operation that no order explains."""
    operation = timeline.operations[one.number]
    if one.since != one.number:
        wanted = set(needs(operation))
        at_once = _overlapping(timeline, one, wanted)
        if at_once is not None:
            return Blame("at once", at_once)
        if operation.op in {"get", "lock"}:
            (state,) = wanted
            turned_away = timeline.refused_between(timeline.begins[one.since], operation, state)
            if turned_away is not None:
                return Blame("turned away", turned_away)
    return Blame("itself", one.number)


def accuse_blamed(index: Index, findings: Findings, op: str, requirement: str) -> set[int]:
    """Accuse every call of one kind that is to blame for what no order explains.

    The answer holds the operations that showed it, whoever is to blame for them.
    """
    showed = set()
    for timeline, one in index.unexplained:
        found = blame(timeline, one)
        showed.add(one.number)
        if found.why == "turned away" or index.operations[found.culprit].op != op:
            continue
        state = index.state_text(one.since)
        if found.why == "itself":
            verb = f"shows state {index.state_text(one.number)}" if op == "get" else "was granted"
            text = f"{told(index, one.number)} {verb} on a container that {told(index, one.since)} had left {state}"
        else:
            text = (
                f"{told(index, found.culprit)} and {told(index, one.since)} were granted at once; the second left the "
                f"container {state}, and yet {told(index, one.number)} found what the first leaves"
            )
        earlier = [] if found.culprit == one.number else [found.culprit]
        findings.accuse(timeline, requirement, text, *earlier, one.since, one.number)
        findings.judged[requirement] += 1
    return showed


def _overlapping(timeline: Timeline, one: Impossible, wanted: set[str]) -> int | None:
    """A granted change that was under way at once with the one since which `wanted` is out of reach, and leaves it."""
    operations, begins, ends = timeline.operations, timeline.begins, timeline.ends
    if not leaves(operations[one.since]):
        return None  # a read: it changed nothing that could have been overwritten
    near = [number for number in timeline.changers if begins[number] <= ends[one.since]]
    for number in reversed(near[-_LOOKED_BACK:]):
        if number in {one.number, one.since} or operations[number].type != "ok" or ends[number] < begins[one.since]:
            continue
        if wanted & set(leaves(operations[number])):
            return number
    return None
