"""The fast check: one pass over a lock history in order of return, which looks for a legal order as it goes.

It speaks of containers that are only ever Queued or Locked. A *section* is the time from one granted lock to the
unlock that ends it. The pass keeps one state and moves it as late as it can: only when an operation returns that
needs another state. An operation that only observes is content when its state held at some moment of its interval.

      lock A granted   |-----|                              c0(A): the first return that shows A's auth
      auth of A              |----|                         c1(A): the last invocation that shows it
      lock B refused     |-------|                          content: A's section began before it returned

An order that the pass finds is legal by construction. When it finds none it has proved nothing: it follows one choice
at each turn and takes back only some of them. The general search then decides.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from harness.check.linear.container import ContainerHistory
from harness.check.linear.section import (
    COUNTED,
    LOCKS,
    MOST_STATES,
    QUEUED,
    STATES,
    UNLOCKS,
    Event,
    Outline,
    Section,
    Unknowns,
    creates,
    outline,
)
from harness.check.linear.timed import NEVER
from harness.check.linear.trail import Trail
from harness.check.linear.waiting import Waiting
from harness.contract import covers
from harness.model import Rules

_MEMBERS = [tuple(bit for bit in range(MOST_STATES) if states >> bit & 1) for states in range(STATES + 1)]
"""The numbers of the states in a code without flags."""


class Trial(NamedTuple):
    """What the pass says: whether it found a legal order, and else the number of the last event that it got to."""

    found: bool
    stuck: int | None = None


def try_orders(history: ContainerHistory, codes: Sequence[int], rules: Rules, effort: int) -> Trial:
    """Look for a legal order of one container's history. Not finding one proves nothing.

    `effort` is how many events may be gone through again after choices that were taken back.
    """
    events, changes = history.in_order(), history.changes
    created = bool(events) and creates(events[0], codes)
    if created:
        events, changes = events[1:], [one for one in changes if one is not events[0]]
    trial = Trial(found=False)
    for bit in range(1 if created else MOST_STATES):
        read = outline(history.sections.values(), changes, history.unknown, codes)
        can_be_judged = read is not None and _can_be_judged(read, created, events, codes, rules)
        if read is not None and can_be_judged:
            trial = _Pass(events, read, codes, QUEUED << bit).run(effort)
            if trial.found:
                break
        for section in history.sections.values():
            section.renew()
        if not can_be_judged:
            break
    return trial


def _can_be_judged(read: Outline, created: bool, events: Sequence[Event], codes: Sequence[int], rules: Rules) -> bool:
    """Whether no unlock could cancel, and it is known how often the container was locked before where that is shown."""
    limit = rules.max_dispatch_attempts
    locks = len(read.locks) + sum(len(unknowns.invokes) for unknowns in read.unknown_locks)
    if limit is not None and covers(rules.level, "arvados") and locks >= limit:
        return False
    return created or not any(codes[event[2]] & COUNTED for event in events)


class _Dead(Exception):
    """No way on from here."""


class _Pass:
    """The state of the container, and what is left to take effect."""

    def __init__(self, events: Sequence[Event], outline: Outline, codes: Sequence[int], start: int) -> None:
        self.events = events
        self.outline = outline
        self.codes = codes
        self.state = start
        self.section = Section(None, -1)  # whose auth is not known, as long as that is so; when Queued, nobody's
        self.count = 0
        self.last = [-1] * MOST_STATES  # by state: when it was last left
        self.begins: list[int] = []  # by lock count less one
        self.ends: list[int] = []
        self.bits: list[int] = []
        self.waiting = Waiting(outline, codes)
        self.trail = Trail(self.waiting)
        self._resume = 0  # how many candidates of the turn that was gone back to have been tried

    def run(self, effort: int) -> Trial:  # noqa: C901 (inlined: this loop runs for every operation)
        """Go through the events; the loop holds what the common event needs, `_settle` does the rest."""
        events, codes, last = self.events, self.codes, self.last
        position = furthest = 0
        while True:
            state, current = self.state, self.section
            for event in islice(events, position, None):
                _, invoke, shape, section, _, _ = event
                code = codes[shape]
                if section is None:
                    if code & state:
                        continue
                    if code < LOCKS:
                        for one in _MEMBERS[code]:
                            if last[one] >= invoke:
                                break
                        else:
                            if not self._settle(event):
                                break
                            state, current = self.state, self.section
                        continue
                elif (section is current and code & state) or (
                    code < LOCKS and section.end >= 0 and section.bit & code
                ):
                    continue
                if not self._settle(event):
                    break
                state, current = self.state, self.section
            else:
                return Trial(found=True)
            here = self._position(event)
            furthest = max(furthest, here)
            before = self._take_back()
            if before is None:
                return Trial(found=False, stuck=events[furthest][5])
            position = self._position(before)
            effort -= here - position + 1
            if effort < 0:
                return Trial(found=False, stuck=events[furthest][5])

    def _position(self, event: Event) -> int:
        events = self.events
        position = bisect_left(events, event[0], key=itemgetter(0))
        while events[position] is not event:
            position += 1
        return position

    def _settle(self, event: Event) -> bool:
        """Move the container until the event is content; False when there is no way on.

        What can take effect without further thought, the common case, comes first.
        """
        now, _, shape, section, count, number = event
        code = self.codes[shape]
        try:
            if code & UNLOCKS:
                if number in self.waiting.used:
                    return True
                if code >> MOST_STATES & self.state and count is None and self.section.c1 <= now:
                    self._end(now, number)
                    return True
            elif section is not None and not section.begun and section.bit & code:
                if self.state != QUEUED:
                    self._finish(now)
                if section.c1 <= now or self._may_last(section, now):
                    self._begin(section, now)
                    return True
            while not self._content(event):
                self._move(event)
        except _Dead:
            return False
        return True

    def _content(self, event: Event) -> bool:
        _, invoke, shape, section, count, number = event
        code = self.codes[shape]
        if code & LOCKS:
            return self._section_of(event).begun
        if code & UNLOCKS:
            return number in self.waiting.used
        states = (code >> MOST_STATES if code & COUNTED else code) & STATES
        if section is not None:
            if not section.begun or not section.bit & states:
                return False
            return count in (None, section.count)  # what was invoked before the section ended: see _leave
        if count is not None:
            return self._held_at(count, states, invoke)
        return bool(states & self.state) or any(
            states >> one & 1 and moment >= invoke for one, moment in enumerate(self.last)
        )

    def _held_at(self, count: int, states: int, invoke: int) -> bool:
        """Whether one of `states` held with this lock count at some moment since `invoke`."""
        if states & QUEUED and len(self.ends) >= count:
            if len(self.begins) > count:
                if self.begins[count] >= invoke:
                    return True
            elif self.state == QUEUED and self.count == count:
                return True
        if not 0 < count <= len(self.bits) or not self.bits[count - 1] & states:
            return False
        return len(self.ends) < count or self.ends[count - 1] >= invoke

    def _move(self, event: Event) -> None:
        """Change the state once, towards what the event needs."""
        now, _, shape, section, count, number = event
        code = self.codes[shape]
        if code & LOCKS:
            self._begin_or_finish(event, self._section_of(event))
        elif code & UNLOCKS:
            states = code >> MOST_STATES & STATES
            if self.state == QUEUED:
                self._begin_any(event, states, now)
            elif self.state & states and count in (None, self.count):
                self._end(now, number)
            else:
                self._finish(now)
        elif section is not None:
            self._begin_or_finish(event, section)
        elif self.state == QUEUED:
            states = (code >> MOST_STATES if code & COUNTED else code) & STATES
            self._begin_any(event, states & ~QUEUED or STATES, NEVER)
        else:
            self._finish(now)

    def _section_of(self, lock: Event) -> Section:
        """The section that a granted lock begins."""
        return lock[3] or self.outline.nameless[lock[5]]

    def _begin_or_finish(self, event: Event, section: Section) -> None:
        """Begin this very section, or make way for it."""
        now = event[0]
        if section.begun:
            raise _Dead
        if self.state == QUEUED:
            if self._make_way(event, section):
                return
            self._begin(section, now)
            return
        if not section.locked and self.section.auth is None:
            self._bind(section)
        else:
            self._finish(now)

    def _make_way(self, event: Event, section: Section) -> bool:
        """Begin what has to come and go before a section that would outlast it; False when there is no such thing."""
        now = event[0]
        if section.c1 <= now:
            return False
        first = self.waiting.first_ripe(now)
        if first is not None and first is not section and first.c0 < section.c1:
            self._begin(first, now)
            return True
        unlock = self._blocked(section, now)
        if unlock is None:
            return False
        self._begin_any(event, self.codes[unlock[2]] >> MOST_STATES & STATES, now)
        return True

    def _may_last(self, section: Section, now: int) -> bool:
        """Whether nothing has to come and go before a section that lasts beyond `now`."""
        first = self.waiting.first_ripe(now)
        return (first is None or first.c0 >= section.c1) and self._blocked(section, now) is None

    def _begin_any(self, event: Event, states: int, by: int) -> None:
        """Begin some section in one of `states` that can end at `by`; remember what else it could have been."""
        now = event[0]
        taken, self._resume = self._resume, 0
        first = self.waiting.first_ripe(now) if taken == 0 else None
        if first is not None and first.locked and first.bit & states and first.wanted is None:
            self.trail.remember(event, 1, self.count, self.last)
            self._begin(first, now)
            return
        candidates = self._candidates(now, states, by)
        if taken >= len(candidates):
            raise _Dead
        if taken + 1 < len(candidates):
            self.trail.remember(event, taken + 1, self.count, self.last)
        chosen = candidates[taken]
        if isinstance(chosen, Unknowns):
            self._begin_unknown(chosen, now)
        else:
            self._begin(chosen, now)

    def _candidates(self, now: int, states: int, by: int) -> list[Section | Unknowns]:
        """What could begin now, most promising first: the lock that must return first, unless it stands in the way."""
        ripe, unripe = self.waiting.locks_due(now)
        unknown = [one for one in self.outline.unknown_locks if one.states & states and one.ready(now)]
        weighed = [
            section
            for section in (*ripe, *unripe)
            if section.c1 <= by
            and (section.bit & states if section.locked else unknown or self.waiting.first_nameless(now))
            and section.wanted in (None, self.count + 1)
        ]
        blocking = {id(section) for section in weighed if self._blocked(section, now)}
        good = [section for section in weighed if id(section) not in blocking]
        bad = [section for section in weighed if id(section) in blocking]
        return [*good, *unknown, *bad]

    def _blocked(self, section: Section, now: int) -> Event | None:
        """The unlock that has to take effect before, where the section would last beyond its return."""
        if section.c1 <= now:
            return None
        first = self.waiting.first_unlock(now)
        return first if first is not None and first[0] < section.c1 else None

    def _begin(self, section: Section, now: int) -> None:
        if section.invoke > now or section.wanted not in (None, self.count + 1):
            raise _Dead
        if not section.locked:
            self._begin_with_some_lock(section, now)
            return
        self.trail.steps.append(("begin", section))
        self._enter(section, section.bit, now)

    def _begin_with_some_lock(self, section: Section, now: int) -> None:
        """Begin a section whose lock is not known: by the lock that must return first of those that showed no auth."""
        lock = self.waiting.first_nameless(now)
        if lock is not None and lock.wanted in (None, self.count + 1):
            lock.begun = True
            self.trail.steps.append(("begin", lock))
            self.trail.steps.append(("begin", section))
            self._enter(section, lock.bit, now)
            return
        for unknowns in self.outline.unknown_locks:
            if unknowns.ready(now):
                self._begin_unknown(unknowns, now, section)
                return
        raise _Dead

    def _begin_unknown(self, unknowns: Unknowns, now: int, section: Section | None = None) -> None:
        """Let a lock of unknown outcome take effect, with the auth of `section` where one is given."""
        unknowns.used += 1
        self.trail.steps.append(("unknown", unknowns))
        if section is None:
            section = Section(None, now)
            section.bit = unknowns.states
            self._enter(section, unknowns.states, now)
        else:
            self.trail.steps.append(("begin", section))
            self._enter(section, unknowns.states, now)

    def _bind(self, section: Section) -> None:
        """The current section, whose auth is not known, is the one that shows this auth."""
        self.trail.steps.append(("begin", section))
        section.begun = True
        section.bit = self.state
        section.count = self.count
        self.section = section

    def _enter(self, section: Section, bit: int, now: int) -> None:
        self.last[0] = now
        self.state = section.bit = bit
        self.section = section
        self.count += 1
        section.begun = True
        section.count = self.count
        self.begins.append(now)
        self.bits.append(bit)

    def _finish(self, now: int) -> None:
        """End the current section by the unlock that must return first, else by one of unknown outcome."""
        unlock = self.waiting.unlock_that_ends(self.state, self.count, now)
        if unlock is not None:
            self._end(now, unlock[5])
            return
        for unknowns in self.outline.unknown_unlocks:
            if unknowns.states & self.state and unknowns.ready(now):
                unknowns.used += 1
                self.trail.steps.append(("unknown", unknowns))
                self._leave(now)
                return
        raise _Dead

    def _end(self, now: int, number: int) -> None:
        self._leave(now)
        self.waiting.used.add(number)
        if self.trail.choices:
            self.trail.steps.append(("unlock", number))

    def _leave(self, now: int) -> None:
        section = self.section
        if section.c1 > now:  # what shows its auth has yet to be invoked
            raise _Dead
        if self.trail.choices:
            self.trail.steps.append(("end", section))
        section.end = now
        self.last[self.state.bit_length() - 1] = now
        self.state = QUEUED
        self.ends.append(now)

    def _take_back(self) -> Event | None:
        """Go back to the newest choice and take its next candidate when its event is met again; None: none is left."""
        choice = self.trail.take_back()
        if choice is None:
            return None
        self.state, self._resume, self.count = QUEUED, choice.taken, choice.locks
        self.last[:] = choice.last
        del self.begins[self.count :], self.bits[self.count :], self.ends[self.count :]
        return choice.event
