"""What a caller hands to `populate`, and what comes back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.contract import Level


class Onlooker(Protocol):
    """Who wants to see the population while it works."""

    def at(self, ended: int, created: int, operations: int) -> None:
        """How far it has come."""


@dataclass(frozen=True)
class PopulateOptions:
    """How a population is driven; all of it is written into the history's header."""

    level: Level = "must"
    timeout_s: float = 10.0
    budget_s: float = 300.0
    max_dispatch_attempts: int | None = None
    keep: bool = False  # leave containers that have not ended as they are
    settings: dict[str, Any] | None = None
    replay: str | None = None  # the command that asks for the same again


@dataclass
class Populated:
    """What it came to; the history itself is at `path`."""

    path: Path
    created: int = 0
    ended: int = 0
    operations: int = 0
    unsent: int = 0  # calls that found nobody to take them: they did not happen, and are not in the history
    seconds: float = 0.0
    out_of_time: bool = False
    short: str | None = None  # why there were too few containers
    lost: str | None = None  # the target went away, or said nothing that could be understood
