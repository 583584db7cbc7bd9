"""Expressions of scenarios: what they may ask, and what they need to be judged.

    believes(A, c1) and not live(A.token)
    count(D.lock.granted) == 1
    look.state == "Queued" and look.locked_by_uuid == none

`parse_expression` checks every name against the scenario, so an expression that was read never fails later. `evaluate`
asks a World, which answers from one run's history alone.
"""

import keyword
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.contract import OUTCOMES


class World(Protocol):
    """What an expression may ask of one run; `harness.history.Facts` answers it.

    A step that was not performed, a token that was never saved and a field that was not shown are None. Members of
    fleets go by their full names: session "D[3]", step "D[3].lock", container "c[3]".
    """

    def outcome(self, step: str) -> str | None: ...
    def status(self, step: str) -> int | None: ...
    def field(self, step: str, name: str) -> Any: ...
    def saved(self, session: str, name: str) -> Any: ...
    def session_token_uuid(self, session: str) -> str | None: ...
    def believes(self, session: str, container: str) -> bool: ...
    def live(self, secret: str | None) -> bool: ...
    def state(self, container: str) -> str | None: ...
    def holders(self, container: str) -> list[str]: ...
    def lists(self, step: str, container: str) -> bool: ...
    def overlapping(self, step: str) -> int: ...
    def members(self, fleet: str) -> list[str]: ...


FIELDS = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid", "lock_count", "runtime_error")
"""Fields of an answer that an expression may name."""

STEP_WORDS = (*OUTCOMES, "status", *FIELDS)
"""What may stand after a step's name."""

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "believes": ("session", "container"),
    "live": ("token",),
    "state": ("container",),
    "holders": ("container",),
    "lists": ("step", "container"),
    "overlapping": ("step",),
    "uuid": ("session",),
    "count": ("...",),
}
"""Functions and what they are given."""

RESERVED = frozenset({*FUNCTIONS, *keyword.kwlist, "none", "true", "false", "member"})
"""Names that no session, step, fleet or container may have; Python's own words cannot stand in an expression."""


@dataclass(frozen=True)
class Names:
    """The names that an expression of one scenario may use.

    `saved` holds pairs of session (or fleet) and what one of its steps saves. `each` maps a container of which every
    member of a fleet has its own to that fleet. `fleet` is set for a `when` inside a fleet, whose own steps stand
    there by their short names.
    """

    steps: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    fleets: dict[str, frozenset[str]] = field(default_factory=dict)  # fleet -> ids of its steps
    containers: frozenset[str] = frozenset()
    each: dict[str, str] = field(default_factory=dict)
    saved: frozenset[tuple[str, str]] = frozenset()
    fleet: str | None = None


class ExpressionError(Exception):
    """An expression that cannot be used. `offset` counts characters from its start; `near` is the name meant."""

    def __init__(self, message: str, offset: int = 0, near: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.near = near


@dataclass(frozen=True)
class Expression:
    """A checked expression with its source text, and what it asks.

    `steps` are the steps it names ("D.lock" of a fleet); `containers` those whose final state it asks, each of which
    needs a `get` at the end of the run; `saved_tokens` those that it asks to be live ("A.token"), each of which
    needs a `use`. `beliefs` are the pairs of session and container of `believes`.
    """

    text: str
    names: Names = field(repr=False, compare=False)
    steps: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()
    saved_tokens: frozenset[str] = frozenset()
    beliefs: frozenset[tuple[str, str]] = frozenset()
    code: Callable[[World, str | None], Any] = field(default=lambda *_: None, repr=False, compare=False)

    def evaluate(self, world: World, member: str | None = None) -> Any:
        """The value in `world`. `member` ("D[3]") is whose step it is, for a `when` inside a fleet."""
        return self.code(world, member)

    def __reduce__(self) -> tuple[Callable[..., "Expression"], tuple[str, Names, bool]]:
        return _parse_again, (self.text, self.names, False)  # code cannot travel between processes; the text can


def _parse_again(text: str, names: Names, condition: bool) -> Expression:
    from harness.scenario.compiler import parse_expression  # noqa: PLC0415 (the compiler needs this module)

    return parse_expression(text, names, condition=condition)
