"""What each single rule of run_auth is good for: the race that comes back without it, or the ability that is lost."""

from collections.abc import Iterator
from typing import NamedTuple

from harness.explore.counterexample import Done, race_of
from harness.explore.programs import (
    CRASH,
    INVARIANTS,
    REQUESTS,
    RUN_AUTH_INVARIANTS,
    SHARED,
    Local,
    Protocol,
    World,
    after_move,
    moves,
)
from harness.explore.search import any_program, search
from harness.model import RUN_AUTH_RULES, Container, Rules

_CALLS = (*REQUESTS, CRASH)
_RACES = ("both_hold", "late_unlock_harmless")  # invariants whose break is one of the contract's known races

ABILITIES: dict[str, tuple[tuple[int, str], ...]] = {
    "a dispatcher that locked by an update cannot read its auth or start": (
        (0, "Locked"),
        (0, "auth"),
        (0, "Running"),
        (0, "Complete"),
    ),
    "nobody can give back the lock of a dispatcher that crashed": ((0, "lock"), (0, CRASH), (0, "unlock"), (1, "lock")),
    "nobody can cancel what a dispatcher that crashed had locked": ((0, "lock"), (0, CRASH), (0, "Cancelled")),
    "the holder cannot run its container": ((0, "lock"), (0, "auth"), (0, "Running"), (0, "Complete")),
    "the holder cannot give its lock back": ((0, "lock"), (0, "unlock"), (1, "lock"), (1, "auth")),
}
"""What must stay possible: (dispatcher, call) in order, every call granted; by what is lost when it is not."""


class Loss(NamedTuple):
    """What dropping one rule costs."""

    rule: str
    lost: str  # an invariant's name, or one of ABILITIES
    race: str | None  # the known race that is back
    order: str  # the fewest steps that show it: "A lock, B get"


def losses(rules: Rules | None = None, dispatchers: int = 2) -> Iterator[Loss]:
    """What dropping each rule of run_auth brings back, every loss in its fewest steps."""
    base = rules or Rules("run_auth")
    for rule in RUN_AUTH_RULES:
        without = Protocol(base._replace(dropped=base.dropped | {rule}))
        for invariant in RUN_AUTH_INVARIANTS:
            found = search(without, any_program(_CALLS, None), dispatchers, (invariant,))
            if found.steps:
                order = tuple(Done(step.dispatcher, step.move.name) for step in found.steps)
                race = race_of(invariant, order)[0] if invariant in _RACES else None
                yield Loss(rule, invariant, race, told(order))
        for lost, order_ in ABILITIES.items():
            if not is_possible(without, order_):
                yield Loss(rule, lost, None, told(order_))


def is_possible(protocol: Protocol, order: tuple[tuple[int, str], ...]) -> bool:
    """Whether every call of `order` is granted when each gets the model's first answer."""
    world = World(Container(), (Local(),) * 2)
    for dispatcher, name in order:
        move = next(moves(protocol, world.container, world.locals[dispatcher], name, SHARED))
        if move.outcome != "granted":
            return False
        world = after_move(world, dispatcher, move)
    return True


def told(order: tuple[tuple[int, str], ...]) -> str:
    """An order in words: "A lock, B unlock"."""
    return ", ".join(f"{chr(ord('A') + dispatcher)} {name}" for dispatcher, name in order)


def as_markdown(rows: Iterator[Loss]) -> str:
    """The table of losses for the documentation."""
    lines = ["| without the rule that | broken or lost | in the fewest steps |", "|---|---|---|"]
    for row in rows:
        lost = row.lost
        if lost in INVARIANTS:
            requirement = INVARIANTS[lost].partition(":")[0]
            lost = f"`{lost}` ({requirement})" + (f": `{row.race}` is back" if row.race else "")
        lines.append(f"| {RUN_AUTH_RULES[row.rule]} | {lost} | {row.order} |")
    return "\n".join(lines) + "\n"
