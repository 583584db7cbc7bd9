"""What has been invoked and has not taken effect, by the moment at which it must have: the queues of the fast check."""

from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, TypeVar

from harness.check.linear.section import Outline, Section, Unlock

_T = TypeVar("_T", bound="tuple[Any, ...]")
_Heap = list[tuple[int, int, Section]]
"""Sections by c0; the number between only keeps sections from being compared."""

WEIGHED = 3  # of what could come next, how many are looked at


class Waiting:
    """Heaps that are filled as time goes on. After a step back in time they may hold what is yet to be invoked."""

    def __init__(self, outline: Outline) -> None:
        self.used: set[int] = set()  # numbers of unlocks that have taken effect
        self.unlocks: list[Unlock] = []
        self._outline = outline
        self._ripe: _Heap = []
        self._locks: _Heap = []
        self._nameless: _Heap = []
        self._next_ripe = 0
        self._next_lock = 0
        self._next_unlock = 0
        self._unlock_of: dict[int, Unlock] = {}  # by number, filled when one is first put back

    def first_ripe(self, now: int) -> Section | None:
        """Of the sections that can begin and end at once, the one that must begin first."""
        ripening = self._outline.ripening
        while self._next_ripe < len(ripening) and ripening[self._next_ripe].c1 <= now:
            section = ripening[self._next_ripe]
            if not section.begun:
                heappush(self._ripe, (section.c0, id(section), section))
            self._next_ripe += 1
        return _first(self._ripe, "c1", now)

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

    def first_unlock(self, now: int) -> Unlock | None:
        """The unlock that must take effect first."""
        unlocks = self._outline.unlocks
        while self._next_unlock < len(unlocks) and unlocks[self._next_unlock].invoke <= now:
            heappush(self.unlocks, unlocks[self._next_unlock])
            self._next_unlock += 1
        while self.unlocks and self.unlocks[0].number in self.used:
            heappop(self.unlocks)
        return self.unlocks[0] if self.unlocks else None

    def unlock_that_ends(self, state: int, count: int, now: int) -> Unlock | None:
        """The first unlock that can end a section in this state with this lock count now."""
        first = self.first_unlock(now)
        if first is None or self._fits(first, state, count, now):
            return first
        return next((one for one in _smallest(self.unlocks) if self._fits(one, state, count, now)), None)

    def _fits(self, unlock: Unlock, state: int, count: int, now: int) -> bool:
        return (
            unlock.number not in self.used
            and unlock.invoke <= now
            and bool(unlock.states & state)
            and unlock.shown in (None, count)
        )

    def put_back(self, section: Section) -> None:
        """The section has not begun after all."""
        entry = (section.c0, id(section), section)
        heappush(self._locks, entry)
        heappush(self._ripe, entry)
        if section.auth is None:
            heappush(self._nameless, entry)

    def put_back_unlock(self, number: int) -> None:
        """The unlock has not taken effect after all."""
        self.used.discard(number)
        if not self._unlock_of:
            self._unlock_of = {unlock.number: unlock for unlock in self._outline.unlocks}
        heappush(self.unlocks, self._unlock_of[number])


def _first(heap: _Heap, begins: str, now: int) -> Section | None:
    """The first of a heap that has not begun, if it could by now."""
    while heap and heap[0][2].begun:
        heappop(heap)
    first = heap[0][2] if heap else None
    return first if first is not None and getattr(first, begins) <= now else None


def _smallest(heap: list[_T]) -> list[_T]:
    """The WEIGHED smallest of a heap: they stand in its first three layers."""
    return sorted(heap[:7])[:WEIGHED]
