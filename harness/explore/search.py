"""Breadth first through every state that dispatchers can reach on the model: the first violation is a shortest one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.explore.programs import CRASH, Local, Move, Protocol, World
from harness.explore.tables import Choice, Tables
from harness.model import Container

_ENOUGH_STATES = 20_000_000  # about 2 GB


@dataclass(frozen=True)
class Taken:
    """One step of a counterexample: who did what, with what came of it, and the world before."""

    dispatcher: int  # numbered in the order in which they first act
    move: Move
    before: World


@dataclass
class Search:
    """What a search over the model found."""

    states: int = 0  # distinct ones
    moves: int = 0  # followed, each from its state
    complete: bool = False  # nothing reachable was left out
    broken: tuple[str, ...] = ()  # names of the invariants that the last step breaks
    steps: tuple[Taken, ...] = ()
    seconds: float = 0.0
    depth: int = 0  # moves of the longest way that was followed
    interchangeable: bool = False  # states that differ only in who is who counted once
    levels: list[int] = field(default_factory=list)  # states first reached by 0, 1, 2, ... moves


def any_program(calls: tuple[str, ...], requests: int | None) -> Choice:
    """Each dispatcher may make any of `calls` at any time, `requests` of them; None: as many as it likes."""

    def of(_index: int, local: Local) -> tuple[str, ...]:
        return calls if local.done is None or requests is None or local.done < requests else ()

    return Choice(of, None if requests is None else 0, interchangeable=True)


def fixed_programs(programs: tuple[tuple[str, ...], ...]) -> Choice:
    """Dispatcher i makes the calls of `programs[i]` in order."""

    def of(index: int, local: Local) -> tuple[str, ...]:
        done = local.done or 0
        return programs[index][done : done + 1]

    return Choice(of, 0, interchangeable=len(set(programs)) == 1)


def search(
    protocol: Protocol,
    choice: Choice,
    dispatchers: int,
    watch: tuple[str, ...],
    *,
    most_states: int = _ENOUGH_STATES,
    budget_s: float | None = None,
    progress: Callable[[Search], None] | None = None,
) -> Search:
    """Search until an invariant of `watch` breaks, every state was seen, or a bound is met (then not complete).

    `progress` is called after each level.
    """
    started = time.monotonic()
    tables = Tables(protocol, choice, dispatchers, frozenset(watch))
    symmetric = choice.interchangeable and dispatchers > 1
    start = tables.encode(World(Container(), (Local(choice.counts_from),) * dispatchers))
    levels = [{start}]
    seen = {start}
    found = Search(states=1, interchangeable=symmetric, levels=[1])
    while levels[-1]:
        reached, breaking, made = tables.successors(levels[-1])
        found.moves += made
        if breaking:
            found.steps, found.broken = _rebuild(tables, levels, min(breaking)[0])
            break
        reached -= seen
        if symmetric:
            reached = {tables.same(state) for state in reached} - seen
        seen |= reached
        levels.append(reached)
        found.levels.append(len(reached))
        found.states, found.depth, found.seconds = len(seen), len(levels) - 1, time.monotonic() - started
        if progress is not None:
            progress(found)
        if len(seen) > most_states or (budget_s is not None and found.seconds > budget_s):
            break
    else:
        found.complete = True
        found.depth -= 1
        found.levels.pop()
    found.seconds = time.monotonic() - started
    return found


def _rebuild(tables: Tables, levels: list[set[int]], last: int) -> tuple[tuple[Taken, ...], tuple[str, ...]]:
    """The steps that lead to state `last` and on to a violation, and the invariants that this breaks.

    Levels hold states only, which is what makes the search small; so walk back for the states, then forward for the
    names, where a state stands for all that differ only in who is who.
    """
    same = tables.same if tables.choice.interchangeable else int
    way = [last]
    for level in reversed(levels[:-1]):
        way.append(next(state for state in sorted(level) if way[-1] in _next(tables, state, same)))
    world = tables.decode(way.pop())
    steps: list[Taken] = []
    for target in reversed(way):
        index, move, after = next(step for step in tables.steps(world) if same(tables.encode(step[2])) == target)
        steps.append(Taken(index, move, world))
        world = after
    index, move, after = next(step for step in tables.steps(world) if tables.broken(step[1], step[2]))
    steps.append(Taken(index, move, world))
    return _in_order_of_appearance(steps), tuple(sorted(tables.broken(move, after)))


def _next(tables: Tables, state: int, same: Callable[[int], int]) -> set[int]:
    return {same(after) for after in tables.successors({state})[0]}


def _in_order_of_appearance(steps: list[Taken]) -> tuple[Taken, ...]:
    """The dispatcher that acts first is number 0, and so on; the worlds before are put in the same order."""
    order = list(dict.fromkeys(step.dispatcher for step in steps))
    order += [index for index in range(len(steps[0].before.locals)) if index not in order]
    return tuple(
        Taken(
            order.index(step.dispatcher),
            step.move,
            World(step.before.container, tuple(step.before.locals[index] for index in order)),
        )
        for step in steps
    )


def requests_of(steps: tuple[Taken, ...]) -> int:
    """How many of the steps are requests."""
    return sum(step.move.name != CRASH for step in steps)
