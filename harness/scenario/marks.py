"""Places in a scenario file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mark:
    """A place in a scenario file; both count from 1."""

    line: int
    column: int


START = Mark(1, 1)
