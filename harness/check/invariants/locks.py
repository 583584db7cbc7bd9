"""Invariants of lock: who wins, from which state, and what is recorded of the winner."""

from bisect import bisect_left, bisect_right
from itertools import pairwise

from msgspec import UNSET

from harness.check.index import Index
from harness.check.invariants.blame import accuse_blamed
from harness.check.invariants.findings import Findings, told
from harness.check.possible import Surplus, surplus
from harness.check.timeline import NEVER, Timeline, asked_state, ends_at, is_dispatch, leaves, shown
from harness.history import Operation


def single_winner(index: Index) -> Findings:
    """LOCK-3, STATE-4: of locks at once one is granted."""
    findings = Findings()
    for timeline in index.timelines:
        locks = _granted_locks(timeline)
        findings.judged["LOCK-3"] += _contended(timeline)
        for found in surplus(timeline, locks, _releases(timeline)):
            if _at_once(index, found):
                _accuse_winners(index, findings, timeline, "LOCK-3", found)
        if index.covers("arvados"):
            _one_lock_by_update(index, findings, timeline, locks)
    return findings


def lock_only_queued(index: Index) -> Findings:
    """LOCK-2: only a Queued container can be locked. LOCK-4: and only above priority 0."""
    findings = Findings()
    operations = index.operations
    showed = accuse_blamed(index, findings, "lock", "LOCK-2")
    for timeline in index.timelines:
        for found in surplus(timeline, _granted_locks(timeline), _releases(timeline)):
            if not _at_once(index, found) and found.grants[-1] not in showed:
                _accuse_winners(index, findings, timeline, "LOCK-2", found)
                findings.judged["LOCK-2"] += 1
        for number in timeline.of("lock"):
            calm = timeline.calm(operations[number]) if operations[number].type == "fail" else None
            findings.judged["LOCK-2"] += calm is not None and calm.state not in {None, "Queued"}
            _priority_zero(index, findings, timeline, number)
    return findings


def owner_recorded(index: Index) -> Findings:
    """LOCK-1: a locked container names its holder and its auth. LOCK-5: the answers show it."""
    findings = Findings()
    for timeline in index.timelines:
        if index.covers("arvados"):
            for number in timeline.of("lock", "unlock"):
                _answer_complete(index, findings, timeline, number)
        for number in timeline.of("get", "update"):
            if index.operations[number].type == "ok":
                _record_names_holder(index, findings, timeline, number)
    return findings


def lock_counted(index: Index) -> Findings:
    """LOCK-6: lock_count grows by one with each lock, and with nothing else."""
    findings = Findings()
    if not index.covers("arvados"):
        return findings
    operations = index.operations
    for timeline in index.timelines:
        counts = [number for number in timeline.all if _shows_count(operations[number])]
        if len(counts) < 2:
            continue
        certain = _certain_locks(timeline)
        for before, after in pairwise(counts):
            one, other = operations[before], operations[after]
            if ends_at(one) >= other.invoke_ns:
                continue
            least = certain.inside(ends_at(one), other.invoke_ns) + (after in certain.numbers)
            most = timeline.locks.within(one.invoke_ns, ends_at(other)) - (leaves(one) == ("Locked",))
            grown = shown(other, "lock_count") - shown(one, "lock_count")
            findings.judged["LOCK-6"] += 1
            if not least <= grown <= most:
                span = str(least) if least == most else f"{least} to {most}"
                text = (
                    f"lock_count went from {shown(one, 'lock_count')} to {shown(other, 'lock_count')} from "
                    f"{told(index, before)} to {told(index, after)}, with {span} locks after the first"
                )
                findings.accuse(timeline, "LOCK-6", text, before, after)
    return findings


class _Certain:
    """Operations that certainly took a lock, ready to be counted."""

    def __init__(self, timeline: Timeline, numbers: list[int]) -> None:
        spans = sorted((timeline.begins[number], timeline.ends[number]) for number in numbers)
        self.numbers = set(numbers)
        self._spans = spans

    def inside(self, start: int, end: int) -> int:
        """How many lie between two moments, whole."""
        first = bisect_right(self._spans, (start, NEVER))
        last = bisect_left(self._spans, (end, 0))
        return sum(returned < end for _, returned in self._spans[first:last])


def _certain_locks(timeline: Timeline) -> _Certain:
    """Granted locks, and granted updates to Locked that nothing else could make of a Queued container."""
    operations = timeline.operations
    found = _granted_locks(timeline)
    for number in timeline.of("update"):
        operation = operations[number]
        if operation.type != "ok" or asked_state(operation) != "Locked" or not timeline.alone(operation):
            continue
        calm = timeline.calm_before(operation)
        if calm is not None and calm.state == "Queued":
            found.append(number)
    return _Certain(timeline, found)


def _granted_locks(timeline: Timeline) -> list[int]:
    return [number for number in timeline.of("lock") if timeline.operations[number].type == "ok"]


def _releases(timeline: Timeline) -> list[int]:
    """Everything after which a held container may be Queued again."""
    return [number for number in timeline.changers if "Queued" in leaves(timeline.operations[number])]


def _contended(timeline: Timeline) -> int:
    """Locks that were answered while another one was under way."""
    operations = timeline.operations
    latest = -1
    count = 0
    first: int | None = None
    for number in timeline.of("lock"):
        operation = operations[number]
        if operation.type == "info" or operation.outcome == "limited":
            continue
        if operation.invoke_ns <= latest:
            count += 1 if first is None else 2
            first = None
        else:
            first = number
        latest = max(latest, ends_at(operation))
    return count


def _at_once(index: Index, found: Surplus) -> bool:
    """Whether any two of the grants were under way at once."""
    spans = sorted((index.begins[number], index.ends[number]) for number in found.grants)
    return any(one[1] >= other[0] for one, other in pairwise(spans))


def _accuse_winners(index: Index, findings: Findings, timeline: Timeline, requirement: str, found: Surplus) -> None:
    first = list(found.grants[:4])
    if _at_once(index, found):  # then who came back first says nothing
        first.sort(key=lambda number: index.operations[number].process)
    names = " and ".join(told(index, number) for number in first)
    more = f" and {len(found.grants) - 4} more" if len(found.grants) > 4 else ""
    between = "nothing" if found.releases == 0 else f"at most {found.releases} operations"
    every = "both" if len(found.grants) == 2 else "all"
    text = f"{names}{more} were {every} granted, with {between} between them that gives the lock back"
    findings.accuse(timeline, requirement, text, *found.grants)


def _one_lock_by_update(index: Index, findings: Findings, timeline: Timeline, locks: list[int]) -> None:
    """Two answers that show two locks, of which at least one is an update's, need a release between them."""
    operations = index.operations
    updates = [
        number
        for number in timeline.of("update")
        if operations[number].type == "ok" and asked_state(operations[number]) == "Locked"
    ]
    if not updates:
        return
    findings.judged["STATE-4"] += len(updates)
    if any(shown(operations[number], "auth_uuid") is UNSET for number in locks):
        return  # such a lock may be the one that an update shows
    by_auth: dict[str, int] = {}  # the first answer that shows each auth
    holders: dict[str, int] = {}
    for number in sorted([*updates, *locks], key=timeline.ends.__getitem__):
        auth, holder = shown(operations[number], "auth_uuid"), shown(operations[number], "locked_by_uuid")
        if not isinstance(auth, str):
            continue
        first = by_auth.setdefault(auth, number)
        named = holders.setdefault(auth, number) if isinstance(holder, str) else number
        if shown(operations[named], "locked_by_uuid") != holder and isinstance(holder, str):
            text = f"{told(index, named)} and {told(index, number)} show one auth with two holders"
            findings.accuse(timeline, "STATE-4", text, named, number)
        if first != number and operations[number].op == "lock":
            by_auth[auth] = number
    for found in surplus(timeline, list(by_auth.values()), _releases(timeline)):
        if any(operations[number].op == "update" for number in found.grants):
            _accuse_winners(index, findings, timeline, "STATE-4", found)


def _priority_zero(index: Index, findings: Findings, timeline: Timeline, number: int) -> None:
    operation = index.operations[number]
    if shown(operation, "priority") == 0 and operation.type == "ok":
        text = f"{told(index, number)} was granted, and its answer shows priority 0"
        findings.accuse(timeline, "LOCK-4", text, number)
        findings.judged["LOCK-4"] += 1
        return
    known = timeline.priority(operation)
    if known is None or operation.type == "info" or operation.outcome == "limited":
        return
    since, priority = known
    findings.judged["LOCK-4"] += priority == 0
    if priority == 0 and operation.type == "ok":
        text = f"{told(index, number)} was granted although {told(index, since)} had left priority 0"
        findings.accuse(timeline, "LOCK-4", text, since, number)


def _answer_complete(index: Index, findings: Findings, timeline: Timeline, number: int) -> None:
    """LOCK-5: what a granted lock or unlock answers, and that it is so."""
    operation = index.operations[number]
    if operation.type != "ok" or operation.value is None:
        return
    findings.judged["LOCK-5"] += 1
    names = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid")
    absent = [name for name in names if shown(operation, name) is UNSET]
    if absent:
        text = f"the answer to {told(index, number)} does not show {', '.join(absent)}"
        findings.accuse(timeline, "LOCK-5", text, number)
        return
    if operation.op == "unlock":
        return  # what it shows is unlock_clears'
    holder, auth, state = (shown(operation, name) for name in ("locked_by_uuid", "auth_uuid", "state"))
    mine = index.holder(operation)
    wrong = ""
    if state != "Locked":
        wrong = f"state {state}"
    elif not isinstance(auth, str):
        wrong = "no auth_uuid"
    elif mine is not None and operation.token in index.header.tokens and holder != mine:
        wrong = f"locked_by_uuid {holder}, not {mine}, the caller's token"
    if wrong:
        findings.accuse(timeline, "LOCK-5", f"the answer to {told(index, number)} shows {wrong}", number)


def _record_names_holder(index: Index, findings: Findings, timeline: Timeline, number: int) -> None:
    """LOCK-1, STATE-3: what a record shows of the holder while it is Locked or Running."""
    operations = index.operations
    operation = operations[number]
    state = shown(operation, "state")
    if state not in {"Locked", "Running"}:
        return
    requirement = "LOCK-1" if state == "Locked" else "STATE-3"
    if not index.covers("arvados") and timeline.updated_to("Locked", operation):
        return  # what such an update records is left open
    findings.judged[requirement] += 1
    for name in ("locked_by_uuid", "auth_uuid"):
        if shown(operation, name) is None:
            text = f"{told(index, number)} shows state {state} and no {name}"
            findings.accuse(timeline, requirement, text, number)
            return
    calm = timeline.calm(operation)
    if calm is None or calm.lock is None or timeline.refused_between(calm.start, operation) is not None:
        return
    lock = operations[calm.lock]
    holder, mine = shown(operation, "locked_by_uuid"), index.holder(lock)
    if is_dispatch(lock) and lock.token in index.header.tokens and isinstance(holder, str) and holder != mine:
        text = f"{told(index, number)} shows locked_by_uuid {holder}; {told(index, calm.lock)} had locked it for {mine}"
        findings.accuse(timeline, requirement, text, calm.lock, number)


def _shows_count(operation: Operation) -> bool:
    return operation.type == "ok" and isinstance(shown(operation, "lock_count"), int)
