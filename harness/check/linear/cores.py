"""Proof of most violations at a glance: the cores of sections.

The core of a section is the time from the first return that shows its auth to the last invocation that shows it. An
auth is issued once, so the container is Locked with this auth at every moment of the core, whatever else happened.
Two locks that show one auth, two cores that meet, another section that must begin and end inside a core, or an
operation inside a core that cannot take effect then: each is a violation that a handful of operations prove, in a
history of any length.

      core of A      c0 =================== c1
      auth of B             |------|                 B's section cannot lie before c0 nor after c1
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from harness.check.linear.container import ContainerHistory
from harness.check.linear.section import (
    COUNTED,
    CREATES,
    LOCKS,
    MOST_STATES,
    OTHER,
    QUEUED,
    STATES,
    UNLOCKS,
    Event,
    Section,
)


class _Zone:
    """The operations that show one auth: which of them returned first, and which was invoked last."""

    __slots__ = ("bit", "first", "last")

    def __init__(self, event: Event) -> None:
        self.first = self.last = event
        self.bit = 0  # the state of its section, 0 when no granted lock tells it


class _Core(NamedTuple):
    """An interval of a section in which nothing else can hold, without its ends."""

    begin: int
    end: int
    section: Section
    zone: _Zone


def clash(history: ContainerHistory, codes: Sequence[int]) -> list[int] | None:
    """The numbers of a few operations that contradict each other by cores, None when there are none.

    Of a history that is none of locks alone it says nothing.
    """
    events = history.in_order()
    if any(codes[event[2]] & OTHER for some in (events, history.unknown) for event in some):
        return None
    zones = _zones(events, codes)
    spans = [_Core(zone.first[0], zone.last[1], section, zone) for section, zone in zones.items()]
    cores = sorted((core for core in spans if core.begin < core.end), key=attrgetter("begin", "end"))
    for one, other in pairwise(cores):
        if other.begin < one.end:
            return _numbers(one.zone.first, one.zone.last, other.zone.first, other.zone.last)
    begins = [core.begin for core in cores]
    for section, zone in zones.items():
        core = _around(cores, begins, zone.last[1], zone.first[0])
        if core is not None and core.section is not section:
            inside = [e for e in events if e[3] is section and core.begin < e[1] and e[0] < core.end]
            return _numbers(core.zone.first, core.zone.last, *(inside[:1] or (zone.first, zone.last)))
    if not events or not codes[events[0][2]] & CREATES:
        return None  # it may have been Running before the history, and then be still
    for event in events:
        core = _around(cores, begins, event[1], event[0])
        if core is not None and event[3] is None and not _possible(codes[event[2]], core.zone.bit):
            return _numbers(events[0], core.zone.first, core.zone.last, event)
    return None


def issued_twice(history: ContainerHistory, codes: Sequence[int]) -> list[int] | None:
    """The numbers of two granted locks that show one auth, None when there are none; of any history."""
    locks: dict[Section, Event] = {}
    for event in history.in_order():
        if event[3] is not None and codes[event[2]] & LOCKS:
            before = locks.setdefault(event[3], event)
            if before is not event:
                return _numbers(before, event)
    return None


def _zones(events: Sequence[Event], codes: Sequence[int]) -> dict[Section, _Zone]:
    zones: dict[Section, _Zone] = {}
    for event in events:
        section = event[3]
        if section is not None:
            zone = zones.get(section)
            if zone is None:
                zone = zones[section] = _Zone(event)
            elif event[1] > zone.last[1]:
                zone.last = event
            if codes[event[2]] & LOCKS:
                zone.bit = codes[event[2]] >> MOST_STATES & STATES
    return zones


def _around(cores: Sequence[_Core], begins: Sequence[int], invoke: int, return_: int) -> _Core | None:
    """The core that lies around an interval, its ends included."""
    place = bisect_left(begins, invoke) - 1
    return cores[place] if place >= 0 and return_ < cores[place].end else None


def _possible(code: int, bit: int) -> bool:
    """Whether an operation may take effect in a section of this state (0: of any holder)."""
    if code & (CREATES | LOCKS | UNLOCKS):
        return False
    states = (code >> MOST_STATES if code & COUNTED else code) & STATES
    return bool(states & (bit or STATES & ~QUEUED))


def _numbers(*events: Event) -> list[int]:
    return list(dict.fromkeys(event[5] for event in events))
