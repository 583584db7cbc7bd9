"""The moves of `programs` as integers, so that a search does nothing but add and look up.

    state = container | A's knowledge << 7 | B's knowledge << 20 | ...

Each container and each knowledge has a number, given when it is first met. A move changes the container and what one
dispatcher knows, so it is one number to add. Where it ends the lock, what the others know grows old: one more number
each. Every entry is computed once, by asking the model; no rule of the contract stands here.
"""

from collections.abc import Callable
from typing import NamedTuple

from harness.explore.programs import (
    SHARED,
    Local,
    Move,
    Protocol,
    World,
    after_move,
    age,
    broken_by_state,
    holdings,
    moves,
)
from harness.model import Container

_CONTAINER_BITS, _LOCAL_BITS = 7, 13
_CONTAINER_MASK, _LOCAL_MASK = (1 << _CONTAINER_BITS) - 1, (1 << _LOCAL_BITS) - 1


class Choice(NamedTuple):
    """What dispatchers may do next: names of requests, from what one knows. Bounds the search."""

    of: Callable[[int, Local], tuple[str, ...]]  # (index of the dispatcher, what it knows)
    counts_from: int | None  # where each dispatcher's count of steps starts; None: not counted, so not bounded
    interchangeable: bool  # any two dispatchers may be swapped


class Entry(NamedTuple):
    """All moves of one dispatcher that knows one thing, about one container."""

    plain: tuple[int, ...]  # to add: the lock stays
    ending: tuple[int, ...]  # to add, and then the others' knowledge grows old
    watched: tuple[tuple[int, bool, bool, frozenset[str]], ...]
    """Those that may break an invariant: (to add, ends, breaks one by itself, what it would break with another)."""


class Tables:
    """Numbers for containers and knowledge, and the moves between them; filled as a search meets them."""

    def __init__(self, protocol: Protocol, choice: Choice, dispatchers: int, watch: frozenset[str]) -> None:
        self.protocol, self.choice, self.watch = protocol, choice, watch
        self.shifts = tuple(_CONTAINER_BITS + _LOCAL_BITS * index for index in range(dispatchers))
        self._containers: dict[Container, int] = {}
        self._container_of: list[Container] = []
        self._locals: dict[Local, int] = {}
        self._local_of: list[Local] = []
        self._aging: list[int | None] = []
        self._held: dict[int, frozenset[str]] = {}
        self._entries: tuple[dict[int, Entry], ...] = tuple({} for _ in self.shifts)

    def encode(self, world: World) -> int:
        """The number of a world."""
        state = self._container(world.container)
        for shift, local in zip(self.shifts, world.locals, strict=True):
            state |= self._local(local) << shift
        return state

    def decode(self, state: int) -> World:
        """The world of a number."""
        locals_ = tuple(self._local_of[(state >> shift) & _LOCAL_MASK] for shift in self.shifts)
        return World(self._container_of[state & _CONTAINER_MASK], locals_)

    def same(self, state: int) -> int:
        """The one number for all states that differ only in which dispatcher is which."""
        numbers = sorted([(state >> shift) & _LOCAL_MASK for shift in self.shifts])
        found = state & _CONTAINER_MASK
        for shift, number in zip(self.shifts, numbers, strict=True):
            found |= number << shift
        return found

    def successors(self, states: set[int]) -> tuple[set[int], list[tuple[int, int]], int]:
        """The states one move further, those moves that break something as (from, to), and how many moves."""
        found: set[int] = set()
        breaking: list[tuple[int, int]] = []
        made = 0
        seats = tuple(zip(self.shifts, self._entries, strict=True))
        for state in states:
            container = state & _CONTAINER_MASK
            for index, (shift, entries) in enumerate(seats):
                pair = container | ((state >> shift) & _LOCAL_MASK) << _CONTAINER_BITS
                entry = entries.get(pair) or self._entry(index, pair)
                made += len(entry.plain) + len(entry.ending)
                found.update([state + delta for delta in entry.plain])
                if entry.ending:
                    older = state + self._others_age(state, shift)
                    found.update([older + delta for delta in entry.ending])
                for delta, ends, breaks, raised in entry.watched:
                    after = (state + self._others_age(state, shift) if ends else state) + delta
                    if breaks or self._shared(after, shift, raised):
                        breaking.append((state, after))
        return found, breaking, made

    def broken(self, move: Move, after: World) -> set[str]:
        """Watched invariants that `move` broke, or that are broken in the world after it."""
        return (broken_by_state(self.protocol.rules, after) | set(move.broken)) & self.watch

    def steps(self, world: World) -> list[tuple[int, Move, World]]:
        """Every move from a world, by name: (dispatcher, move, world after it)."""
        return [
            (index, move, after_move(world, index, move))
            for index, local in enumerate(world.locals)
            for name in self.choice.of(index, local)
            for move in moves(self.protocol, world.container, local, name)
        ]

    def _shared(self, state: int, mine: int, raised: frozenset[str]) -> bool:
        """Whether another dispatcher holds what the one at `mine` has just come to hold."""
        container = state & _CONTAINER_MASK
        for shift in self.shifts:
            if shift != mine:
                pair = container | ((state >> shift) & _LOCAL_MASK) << _CONTAINER_BITS
                held = self._held.get(pair)
                if held is None:
                    held = holdings(
                        self.protocol.rules, self._container_of[container], self._local_of[pair >> _CONTAINER_BITS]
                    )
                    self._held[pair] = held
                if not held.isdisjoint(raised):
                    return True
        return False

    def _others_age(self, state: int, mine: int) -> int:
        total = 0
        for shift in self.shifts:
            if shift != mine:
                number = (state >> shift) & _LOCAL_MASK
                older = self._aging[number]
                if older is None:
                    older = self._aging[number] = self._local(age(self._local_of[number])) - number
                total += older << shift
        return total

    def _container(self, container: Container) -> int:
        number = self._containers.setdefault(container, len(self._container_of))
        if number == len(self._container_of):
            assert number <= _CONTAINER_MASK, "more containers than a state has bits for"
            self._container_of.append(container)
        return number

    def _local(self, local: Local) -> int:
        number = self._locals.setdefault(local, len(self._local_of))
        if number == len(self._local_of):
            assert number <= _LOCAL_MASK, "more knowledge than a state has bits for"
            self._local_of.append(local)
            self._aging.append(None)
        return number

    def _entry(self, index: int, pair: int) -> Entry:
        container = self._container_of[pair & _CONTAINER_MASK]
        number = pair >> _CONTAINER_BITS
        local = self._local_of[number]
        rules = self.protocol.rules
        held = holdings(rules, container, local)
        plain: list[int] = []
        ending: list[int] = []
        watched = []
        for name in self.choice.of(index, local):
            for move in moves(self.protocol, container, local, name, SHARED):
                moved = (self._local(move.local) - number) << self.shifts[index]
                delta = self._container(move.container) - (pair & _CONTAINER_MASK) + moved
                (ending if move.ends else plain).append(delta)
                breaks = not self.watch.isdisjoint(move.broken)
                raised = (holdings(rules, move.container, move.local) - held) & self.watch
                if breaks or raised:
                    watched.append((delta, move.ends, breaks, raised))
        entry = Entry(tuple(plain), tuple(ending), tuple(watched))
        self._entries[index][pair] = entry
        return entry
