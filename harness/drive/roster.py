"""Who runs in a race, and what each does between one barrier and the next.

A *leg* is the steps between two barriers; the first requests of a leg leave together, the rest as they come.

    D[0]  | lock  auth            D: [{barrier: ready}, {lock: c1}, {auth: c1}] is one leg,
    D[1]  | lock  auth            [{lock: c1}, {barrier: held}, {auth: c1}] would be two
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.scenario import Fleet, Scenario, Step

Leg = tuple[Step, ...]


@dataclass(frozen=True)
class Member:
    """One dispatcher of a race."""

    name: str
    token: str
    legs: tuple[Leg, ...]


def roster(scenario: Scenario) -> list[Member]:
    """Every session, then every member of every fleet, in the order of the file."""
    members = [Member(session.name, session.token, _legs(session.steps)) for session in scenario.sessions]
    for fleet in scenario.fleets:
        for number in range(fleet.count):
            own = [_own(step, fleet, number) for step in fleet.steps]
            members.append(Member(f"{fleet.name}[{number}]", fleet.token, _legs(own)))
    return members


def most_requests(members: Iterable[Member]) -> int:
    """How many requests a round makes at most: every step with all its tries, each listing as one page."""
    steps = (step for member in members for leg in member.legs for step in leg if step.verb not in {"crash", "pause"})
    return sum(1 + (step.retry.times if step.retry else 0) for step in steps)


def spread(scenario: Scenario, members: Sequence[Member], processes: int) -> list[list[int]]:
    """Which members each process gets, by turns; all go to one where steps wait for or ask about others' steps."""
    if len(members) < 2 or _entangled(scenario):
        return [list(range(len(members)))]
    places = min(processes, len(members))
    return [list(range(place, len(members), places)) for place in range(places)]


def _entangled(scenario: Scenario) -> bool:
    """Whether one dispatcher must know what another did: only within a process it can."""
    owners = {session.name: session.steps for session in scenario.sessions}
    owners |= {fleet.name: fleet.steps for fleet in scenario.fleets}
    for owner, steps in owners.items():
        own = {step.id for step in steps} | {f"{owner}.{step.id}" for step in steps}
        for step in steps:
            borrowed = [saved for saved in (step.argument if step.verb == "use" else None, step.credential) if saved]
            if (
                step.after
                or step.before
                or (step.fault is not None and step.fault.until is not None)
                or any(saved.partition(".")[0] != owner for saved in borrowed)
                or (step.when is not None and not step.when.steps <= own)
            ):
                return True
    return False


def _legs(steps: Iterable[Step]) -> tuple[Leg, ...]:
    legs: list[list[Step]] = [[]]
    for step in steps:
        if step.verb == "barrier":
            legs.append([])
        else:
            legs[-1].append(step)
    if not legs[0] and len(legs) > 1:  # a barrier before everything is what every race begins with
        del legs[0]
    return tuple(tuple(leg) for leg in legs)


def _own(step: Step, fleet: Fleet, number: int) -> Step:
    """A fleet's step as one member does it: "c[member]" and "D.token" become its own."""

    def container(name: Any) -> Any:
        return name.replace("[member]", f"[{number}]") if isinstance(name, str) else name

    def saved(name: str | None) -> str | None:
        owner, _, rest = (name or "").partition(".")
        return f"{fleet.name}[{number}].{rest}" if owner == fleet.name else name

    argument = step.argument
    if step.verb == "use":
        argument = saved(argument)
    elif step.verb == "list" and "uuid" in argument:
        argument = {**argument, "uuid": tuple(container(name) for name in argument["uuid"])}
    return replace(
        step,
        id=f"{fleet.name}.{step.id}",
        container=container(step.container),
        argument=argument,
        credential=saved(step.credential),
    )
