"""What no order of a container's operations can explain, found in one pass each.

`impossible` asks of each granted operation whether the container can have been in a state that allows it. A state is
possible while some operation that leaves it may be the last that took effect:

    lock by A   |---|
    get: Queued          |---|     A's lock came back before, and nothing that may leave Queued came after: impossible
    unlock by B        |-------|   with this one it is possible

`surplus` counts: two grants of one lock need a release between them, n grants need n - 1.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.check.timeline import NEVER, Timeline, ends_at, leaves, needs
from harness.contract import STATES
from harness.history import Operation

_PLACE: dict[str, int] = {state: place for place, state in enumerate(STATES)}
_RANK = {"Queued": 0, "Locked": 0, "Running": 1, "Complete": 2, "Cancelled": 3}
"""No legal change ever lowers it."""
_EVERY = range(len(STATES))


class Impossible(NamedTuple):
    """A granted operation that no order explains, and the operation after which its state was out of reach."""

    number: int
    since: int


class _Front:
    """What is known of a container at one moment of the sweep."""

    def __init__(self) -> None:
        self.floor = [-1] * len(STATES)  # state -> latest invocation of a known fact that excludes it
        self.floor_by = [-1] * len(STATES)
        self.rank = 0  # lowest rank that is still possible
        self.rank_by = -1
        self.best = [(-1, -1)] * len(STATES)  # state -> latest end of what may leave it, and which operation
        self.second = [(-1, -1)] * len(STATES)

    def may_leave(self, place: int, end: int, index: int) -> None:
        """An operation that may leave a state was invoked."""
        if end >= self.best[place][0]:
            self.second[place] = self.best[place]
            self.best[place] = (end, index)
        elif end > self.second[place][0]:
            self.second[place] = (end, index)

    def limits(self, wanted: Sequence[str]) -> list[tuple[int, int, int]]:
        """Of the wanted states those that can still be: place, floor, and who set it."""
        places = (_PLACE[state] for state in wanted if _RANK[state] >= self.rank)
        return [(place, self.floor[place], self.floor_by[place]) for place in places]

    def reachable(self, place: int, floor: int, index: int) -> bool:
        """Whether a state can have been there although a fact invoked at `floor` excluded it."""
        end, by = self.best[place] if self.best[place][1] != index else self.second[place]
        return floor < 0 or (by >= 0 and end >= floor)

    def learn(self, operation: Operation, index: int, states: Sequence[str]) -> None:
        """A fact: at some moment of the operation the container was in one of `states`."""
        for place in _EVERY:
            if STATES[place] not in states and operation.invoke_ns > self.floor[place]:
                self.floor[place] = operation.invoke_ns
                self.floor_by[place] = index
        rank = min(_RANK[state] for state in states)
        if rank > self.rank:
            self.rank, self.rank_by = rank, index


def impossible(timeline: Timeline) -> list[Impossible]:
    """Granted operations that no order of the container's operations explains, in order of their return."""
    operations = timeline.operations
    begins, ends = timeline.begins, timeline.ends
    relevant = [
        index for index in timeline.all if operations[index].type != "fail" and _says_something(operations[index])
    ]
    returning = sorted((index for index in relevant if ends[index] < NEVER), key=ends.__getitem__)
    front = _Front()
    limits: dict[int, list[tuple[int, int, int]]] = {}
    blamed: dict[int, int] = {}
    found: list[Impossible] = []
    begun = 0
    for index in returning:
        end = ends[index]
        while begun < len(relevant) and begins[relevant[begun]] <= end:
            _begin(front, operations[relevant[begun]], relevant[begun], limits, blamed)
            begun += 1
        operation = operations[index]
        wanted = limits.pop(index, None)
        if wanted is not None and not any(front.reachable(place, floor, index) for place, floor, _ in wanted):
            since = max((by for _, _, by in wanted), default=blamed.get(index, -1))
            found.append(Impossible(index, since if since >= 0 else index))
        blamed.pop(index, None)
        if operation.type == "ok":
            front.learn(operation, index, leaves(operation) or needs(operation))
    return found


def _says_something(operation: Operation) -> bool:
    return bool(leaves(operation)) or (operation.type == "ok" and bool(needs(operation)))


def _begin(
    front: _Front,
    operation: Operation,
    index: int,
    limits: dict[int, list[tuple[int, int, int]]],
    blamed: dict[int, int],
) -> None:
    end = ends_at(operation)
    for state in leaves(operation):
        front.may_leave(_PLACE[state], end, index)
    wanted = needs(operation)
    if operation.type == "ok" and wanted:
        limits[index] = front.limits(wanted)
        blamed[index] = front.rank_by


class Surplus(NamedTuple):
    """More grants in a window of time than the releases that may lie in it allow."""

    grants: tuple[int, ...]
    releases: int


def surplus(timeline: Timeline, grants: Sequence[int], releases: Iterable[int]) -> list[Surplus]:
    """Windows in which grants outnumber the possible releases by more than one; disjoint, in order.

    A grant counts where it lies inside the window, a release where it touches it. Let L, R count the grants and
    releases that have begun, and l, r those that have ended. A window from a to b holds at least
    l(b) - L(a) grants and at most R(b) - r(a) releases, so one pass over the moments finds the worst a for each b.
    """
    begins, ends = timeline.begins, timeline.ends
    if len(grants) < 2:
        return []
    events = [(begins[index], 0, index) for index in grants]
    events += [(ends[index], 3, index) for index in grants]
    for index in releases:
        events.append((begins[index], 1, index))
        if ends[index] < NEVER:
            events.append((ends[index], 2, index))
    events.sort()
    found: list[Surplus] = []
    balance_begun = balance_ended = 0  # L - r and l - R
    lowest: int | None = None
    window: list[int] = []  # grants begun since the window's start
    for moment, kind, index in events:
        if kind == 0:
            if lowest is None or balance_begun <= lowest:
                lowest, window = balance_begun, []
            window.append(index)
            balance_begun += 1
        elif kind == 1:
            balance_ended -= 1
        elif kind == 2:
            balance_begun -= 1
        else:
            balance_ended += 1
            if lowest is not None and balance_ended - lowest > 1:
                inside = tuple(one for one in window if ends[one] <= moment)
                found.append(Surplus(inside, len(inside) - (balance_ended - lowest)))
                lowest, window = None, []
    return found
