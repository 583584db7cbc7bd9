"""Which steps must come before which, whatever the schedule.

    session A   a_lock --> a_auth         a session's steps run in order;
                   \\
    session B       `----> b_unlock       `after: a_lock`, or a barrier, orders steps of two sessions

Barriers are no steps of an order: they say that all before them, in every session that has one of the same name, comes
before all that follows them.
"""

import itertools
from collections.abc import Iterator

from harness.scenario.scenario import Scenario, Step

Chains = tuple[tuple[str, ...], ...]
"""Step ids of each session in order, and each step of the nemesis alone."""


def chains(scenario: Scenario) -> Chains:
    """The steps that an order places: those of sessions and of the nemesis, without barriers and fleets."""
    sessions = tuple(
        tuple(step.id for step in session.steps if step.verb != "barrier") for session in scenario.sessions
    )
    return (*(chain for chain in sessions if chain), *((step.id,) for step in scenario.nemesis))


def predecessors(scenario: Scenario) -> dict[str, frozenset[str]]:
    """For each step of `chains` the steps that must be done before it, as far as the scenario says directly."""
    found: dict[str, set[str]] = {step: set() for chain in chains(scenario) for step in chain}
    for chain in chains(scenario):
        for earlier, later in itertools.pairwise(chain):
            found[later].add(earlier)
    for step in _placed(scenario):
        for other in step.after:
            if other in found:
                found[step.id].add(other)
        for other in step.before:
            if other in found:
                found[other].add(step.id)
    for earlier, later in _across_barriers(scenario):
        found[later].add(earlier)
    return {step: frozenset(before) for step, before in found.items()}


def _placed(scenario: Scenario) -> Iterator[Step]:
    for session in scenario.sessions:
        yield from (step for step in session.steps if step.verb != "barrier")
    yield from scenario.nemesis


def _across_barriers(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Pairs of a step right before a barrier in one session and one right after it in another."""
    ends: dict[str, tuple[list[str], list[str]]] = {}
    for session in scenario.sessions:
        for index, step in enumerate(session.steps):
            if step.verb != "barrier":
                continue
            before, after = ends.setdefault(str(step.argument), ([], []))
            before += [one.id for one in session.steps[:index] if one.verb != "barrier"][-1:]
            after += [one.id for one in session.steps[index:] if one.verb != "barrier"][:1]
    for before, after in ends.values():
        yield from ((earlier, later) for earlier in before for later in after)


def in_a_circle(before: dict[str, frozenset[str]]) -> list[str]:
    """Steps that wait for one another for ever, in file order; empty where an order exists."""
    waiting = dict(before)
    while True:
        ready = [step for step, others in waiting.items() if not others & waiting.keys()]
        if not ready:
            return list(waiting)
        for step in ready:
            del waiting[step]
