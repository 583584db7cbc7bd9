"""What the fast check knows of a container's history before it starts: its sections, its unlocks, what is unknown."""

from bisect import bisect_left
from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import NamedTuple

from harness.check.linear.timed import NEVER

Event = tuple[int, int, int, str | None, int | None, int]
"""One operation: (return, invoke, number of its shape, auth shown, lock count shown, number in the history)."""

QUEUED = 1
"""The bit of state Queued; the bits above it are Locked, one for each holder."""

MOST_STATES = 6
STATES = (1 << MOST_STATES) - 1
LOCKS = 1 << 20
UNLOCKS = 1 << 21
COUNTED = 1 << 22
CREATES = 1 << 23
OTHER = 1 << 24
"""Flags of a code: it begins a section, it ends one, it shows a lock count, it creates, it is not of a lock history.

A code without flags is the bits of the states in which an operation that only observes is content. With a flag, the
states stand MOST_STATES bits higher, so that no state's bit meets them: in which a section ends, or to which one
begins. A lock that shows its auth has its state in both places: while its section is current there is nothing to do.
"""


class Section:
    """One lock of the history, or an auth that was shown and whose lock was not.

    `c0` is the first return and `c1` the last invocation of what shows it. `end` is the moment at which the pass ended
    it, -1 before.
    """

    __slots__ = ("auth", "begun", "bit", "c0", "c1", "count", "end", "invoke", "locked", "wanted")

    def __init__(self, auth: str | None, c0: int) -> None:
        self.auth = auth
        self.c0 = c0
        self.c1 = -1
        self.invoke = -1
        self.bit = 0
        self.wanted: int | None = None  # the lock count that its lock showed
        self.count = 0  # the lock count at which the pass began it
        self.locked = False  # whether a granted lock shows it
        self.begun = False
        self.end = -1


class Unlock(NamedTuple):
    """One granted unlock; `states` are those that it can end."""

    return_: int
    invoke: int
    number: int
    states: int
    shown: int | None  # the lock count


class Unknowns:
    """Operations of one shape and of unknown outcome: each may take effect at any time after its invocation."""

    __slots__ = ("invokes", "states", "used")

    def __init__(self, states: int) -> None:
        self.states = states
        self.invokes: list[int] = []
        self.used = 0

    def ready(self, now: int) -> bool:
        return self.used < len(self.invokes) and self.invokes[self.used] <= now


class Outline(NamedTuple):
    """All that the pass needs beside the events; unlocks and unknowns in order of invocation."""

    events: Sequence[Event]  # of known outcome, in order of return
    sections: dict[str, Section]
    section_of: dict[int, Section]  # by the number of its lock
    locks: list[Section]  # those with a granted lock, in order of its invocation
    ripening: list[Section]  # all, in order of c1
    unlocks: list[Unlock]
    unknown_locks: list[Unknowns]
    unknown_unlocks: list[Unknowns]
    created: bool  # whether the first event, left out here, created the container


def creates(event: Event, codes: Sequence[int]) -> bool:
    """Whether an event created the container, and showed nothing else of it than what a fresh one is."""
    _, _, shape, _, count, _ = event
    return bool(codes[shape] & CREATES) and count in (None, 0)


def outline(events: Sequence[Event], codes: Sequence[int]) -> Outline | None:
    """Read events in order of return; None where they are not of a lock history or two locks show one auth."""
    known = bisect_left(events, NEVER, key=itemgetter(0))
    created = bool(events) and creates(events[0], codes)
    unknown = events[known:]
    events = events[created:known]
    sections: dict[str, Section] = {}
    section_of: dict[int, Section] = {}
    unlocks: list[Unlock] = []
    section: Section | None
    for return_, invoke, shape, auth, count, number in events:
        code = codes[shape]
        if auth is not None:
            section = sections.get(auth)
            if section is None:
                sections[auth] = section = Section(auth, return_)
            if invoke > section.c1:  # noqa: PLR1730 (a call of max costs more than all the rest here)
                section.c1 = invoke
            if code & (LOCKS | CREATES | OTHER):
                if section.locked or not code & LOCKS:
                    return None
                _lock(section, invoke, code, count)
                section_of[number] = section
        elif code >= LOCKS:
            if code & LOCKS:
                section_of[number] = section = Section(None, return_)
                section.c1 = invoke
                _lock(section, invoke, code, count)
            elif code & (CREATES | OTHER):
                return None
            elif code & UNLOCKS:
                unlocks.append(Unlock(return_, invoke, number, code >> MOST_STATES & STATES, count))
    locks = list(section_of.values())
    everything = [*sections.values(), *(section for section in locks if section.auth is None)]
    locks.sort(key=attrgetter("invoke"))
    everything.sort(key=attrgetter("c1"))
    unlocks.sort(key=itemgetter(1))
    return Outline(
        events,
        sections,
        section_of,
        locks,
        everything,
        unlocks,
        _unknowns(unknown, codes, LOCKS),
        _unknowns(unknown, codes, UNLOCKS),
        created,
    )


def _lock(section: Section, invoke: int, code: int, count: int | None) -> None:
    section.locked = True
    section.invoke = invoke
    section.bit = code >> MOST_STATES & STATES
    section.wanted = count


def _unknowns(events: Sequence[Event], codes: Sequence[int], flag: int) -> list[Unknowns]:
    found: dict[int, Unknowns] = {}
    for _, invoke, shape, _, _, _ in events:
        if codes[shape] & flag:
            states = codes[shape] >> MOST_STATES & STATES
            found.setdefault(states, Unknowns(states)).invokes.append(invoke)
    for unknowns in found.values():
        unknowns.invokes.sort()
    return list(found.values())
