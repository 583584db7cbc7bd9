"""What has been invoked and has not taken effect, by the moment at which it must have: the queues of the fast check."""

from collections.abc import Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, TypeVar

from harness.check.linear.section import MOST_STATES, Event, Outline, Section

_T = TypeVar("_T", bound=tuple[Any, ...])
_Heap = list[tuple[int, int, Section]]
"""Sections by c0; the number between only keeps sections from being compared."""

WEIGHED = 3  # of what could come next, how many are looked at


class Waiting:
    """Heaps that are filled as time goes on. After a step back in time they may hold what is yet to be invoked."""

    def __init__(self, outline: Outline, codes: Sequence[int]) -> None:
        self.used: set[int] = set()  # numbers of unlocks that have taken effect
        self._outline = outline
        self._codes = codes
        self._unlocks: list[Event] = []
        self._ripe: _Heap = []
        self._locks: _Heap = []
        self._nameless: _Heap = []
        self._next_ripe = 0
        self._next_lock = 0
        self._next_unlock = 0
        self._unlock_of: dict[int, Event] = {}  # by number, filled when one is first put back

    def first_ripe(self, now: int) -> Section | None:
        """Of the sections that can begin and end at once, the one that must begin first."""
        ripening = self._outline.ripening
        while self._next_ripe < len(ripening) and ripening[self._next_ripe].c1 <= now:
            section = ripening[self._next_ripe]
            if not section.begun:
                heappush(self._ripe, (section.c0, id(section), section))
            self._next_ripe += 1
        return _first(self._ripe, "c1", now) if self._ripe else None

    def first_nameless(self, now: int) -> Section | None:
        """Of the granted locks that showed no auth, the one that must begin first."""
        self._invoke_locks(now)
        return _first(self._nameless, "invoke", now)

    def locks_due(self, now: int) -> tuple[list[Section], list[Section]]:
        """A few sections that could begin: those that can end at once, in order of c0, and others in order of c1."""
        self.first_ripe(now)
        self._invoke_locks(now)
        ripe = [one for _, _, one in _smallest(self._ripe) if not one.begun and one.c1 <= now]
        others = [one for _, _, one in _smallest(self._locks) if not one.begun and one.invoke <= now < one.c1]
        return ripe, sorted(others, key=attrgetter("c1"))

    def _invoke_locks(self, now: int) -> None:
        locks = self._outline.locks
        while self._next_lock < len(locks) and locks[self._next_lock].invoke <= now:
            section = locks[self._next_lock]
            if not section.begun:
                heappush(self._locks, (section.c0, id(section), section))
                if section.auth is None:
                    heappush(self._nameless, (section.c0, id(section), section))
            self._next_lock += 1
        while self._locks and self._locks[0][2].begun:
            heappop(self._locks)

    def first_unlock(self, now: int) -> Event | None:
        """The unlock that must take effect first."""
        unlocks, waiting, used = self._outline.unlocks, self._unlocks, self.used
        while self._next_unlock < len(unlocks) and unlocks[self._next_unlock][1] <= now:
            if unlocks[self._next_unlock][5] not in used:
                heappush(waiting, unlocks[self._next_unlock])
            self._next_unlock += 1
        while waiting and waiting[0][5] in used:
            heappop(waiting)
        return waiting[0] if waiting else None

    def unlock_that_ends(self, state: int, count: int, now: int) -> Event | None:
        """The first unlock that can end a section in this state with this lock count now."""
        first = self.first_unlock(now)
        if first is None or self._fits(first, state, count, now):
            return first
        return next((one for one in _smallest(self._unlocks) if self._fits(one, state, count, now)), None)

    def _fits(self, unlock: Event, state: int, count: int, now: int) -> bool:
        _, invoke, shape, _, shown, number = unlock
        return (
            number not in self.used
            and invoke <= now
            and bool(self._codes[shape] >> MOST_STATES & state)
            and shown in (None, count)
        )

    def put_back(self, section: Section) -> None:
        """The section has not begun after all."""
        entry = (section.c0, id(section), section)
        heappush(self._locks, entry)
        if section.c1 <= section.c0:
            heappush(self._ripe, entry)
        if section.auth is None:
            heappush(self._nameless, entry)

    def put_back_unlock(self, number: int) -> None:
        """The unlock has not taken effect after all."""
        self.used.discard(number)
        if not self._unlock_of:
            self._unlock_of = {unlock[5]: unlock for unlock in self._outline.unlocks}
        heappush(self._unlocks, self._unlock_of[number])


def _first(heap: _Heap, begins: str, now: int) -> Section | None:
    """The first of a heap that has not begun, if it could by now."""
    while heap and heap[0][2].begun:
        heappop(heap)
    first = heap[0][2] if heap else None
    return first if first is not None and getattr(first, begins) <= now else None


def _smallest(heap: list[_T]) -> list[_T]:
    """The WEIGHED smallest of a heap: they stand in its first three layers."""
    return sorted(heap[:7])[:WEIGHED]
