"""Levels, container states and outcome words, in the order in which people list them."""

from typing import Literal, get_args

Level = Literal["must", "arvados", "run_auth"]
"""How much of the contract a run judges; each level includes those before it."""

State = Literal["Queued", "Locked", "Running", "Complete", "Cancelled"]

Outcome = Literal[
    "granted",  # 200
    "refused",  # 422: not possible in this state, or malformed
    "forbidden",  # 403
    "unauthenticated",  # 401
    "missing",  # 404
    "limited",  # 429, or 503 with Retry-After: not processed
    "indeterminate",  # timeout, reset, any other 5xx: it may have happened, now or later
    "garbled",  # an answer that is not what the API speaks
]

LEVELS: tuple[Level, ...] = get_args(Level)
STATES: tuple[State, ...] = get_args(State)
FINAL_STATES: frozenset[State] = frozenset({"Complete", "Cancelled"})
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "Queued": ("Locked", "Cancelled"),
    "Locked": ("Queued", "Running", "Cancelled"),
    "Running": ("Complete", "Cancelled"),
    "Complete": ("Cancelled",),  # at level must a server may also refuse it
    "Cancelled": (),
}
"""From a state to the states that an update may change it to."""


def covers(level: Level, other: Level) -> bool:
    """Whether a run at `level` also judges what is fixed at `other`."""
    return LEVELS.index(level) >= LEVELS.index(other)
