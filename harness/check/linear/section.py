"""Events, the sections that they are of, and what the fast check knows of both before it starts."""

from collections.abc import Iterable, Sequence
from operator import attrgetter, itemgetter
from typing import NamedTuple, Union

Event = tuple[int, int, int, Union["Section", None], int | None, int]
"""One operation: (return, invoke, number of its shape, section whose auth it showed, lock count that it showed, number
in the history). The return of one of unknown outcome is NEVER."""

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

    def renew(self) -> None:
        """Forget what an outline and a pass have found out."""
        self.bit, self.locked, self.begun, self.end = 0, False, False, -1


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

    nameless: dict[int, Section]  # of locks that showed no auth, by the number of the lock
    locks: list[Section]  # those with a granted lock, in order of its invocation
    ripening: list[Section]  # in order of c1, those that may be waiting still when they could begin and end at once
    unlocks: list[Event]
    unknown_locks: list[Unknowns]
    unknown_unlocks: list[Unknowns]


def creates(event: Event, codes: Sequence[int]) -> bool:
    """Whether an event created the container, and showed nothing else of it than what a fresh one is."""
    _, _, shape, _, count, _ = event
    return bool(codes[shape] & CREATES) and count in (None, 0)


def outline(
    sections: Iterable[Section], changes: Iterable[Event], unknown: Iterable[Event], codes: Sequence[int]
) -> Outline | None:
    """Read what can change a container; None where that is not of a lock history or two locks show one auth.

    `sections` are all whose auth was shown, `changes` what may have changed the container, without its creation,
    `unknown` what may have and whose outcome is unknown.
    """
    locks: list[Section] = []
    nameless: dict[int, Section] = {}
    unlocks: list[Event] = []
    for event in changes:
        return_, invoke, shape, shown, count, number = event
        code = codes[shape]
        if code & (CREATES | OTHER):
            return None
        if code & LOCKS:
            if shown is None:
                shown = nameless[number] = Section(None, return_)
                shown.c1 = invoke
            elif shown.locked:
                return None
            shown.locked = True
            shown.invoke = invoke
            shown.bit = code >> MOST_STATES & STATES
            shown.wanted = count
            locks.append(shown)
        elif code & UNLOCKS:
            unlocks.append(event)
    locks.sort(key=attrgetter("invoke"))
    # At c0 a section begins at the latest: of those with c1 after it none waits when it could end at once.
    ripening = [one for some in (sections, nameless.values()) for one in some if one.c1 <= one.c0]
    ripening.sort(key=attrgetter("c1"))
    unlocks.sort(key=itemgetter(1))
    return Outline(
        nameless, locks, ripening, unlocks, _unknowns(unknown, codes, LOCKS), _unknowns(unknown, codes, UNLOCKS)
    )


def _unknowns(events: Iterable[Event], codes: Sequence[int], flag: int) -> list[Unknowns]:
    found: dict[int, Unknowns] = {}
    for _, invoke, shape, _, _, _ in events:
        if codes[shape] & flag:
            states = codes[shape] >> MOST_STATES & STATES
            found.setdefault(states, Unknowns(states)).invokes.append(invoke)
    for unknowns in found.values():
        unknowns.invokes.sort()
    return list(found.values())
