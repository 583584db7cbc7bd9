"""What a check found: the nouns that reports draw from. No decision is made here."""

from dataclasses import dataclass, field
from typing import Literal

from harness.scenario import Mark

Linearizability = Literal["linearizable", "violated", "unknown"]


@dataclass(frozen=True)
class Counterexample:
    """The fewest operations of one container that still violate; indices into the history's operations.

    `prefix` is the longest legal order found; `stuck` is the operation that no order can place after it.
    """

    operations: tuple[int, ...]
    prefix: tuple[int, ...] = ()
    stuck: int | None = None


@dataclass(frozen=True)
class Violation:
    """One thing that the contract, or the scenario, forbids and the history shows."""

    source: Literal["invariant", "clause", "expect"]
    name: str  # invariant's name, clause's name, or step id
    requirement: str  # its ID
    message: str  # one sentence: what was seen, and against what
    run: int
    operations: tuple[int, ...]  # evidence, indices into the history's operations
    container: str | None = None  # its name, else its uuid
    mark: Mark | None = None  # in the scenario file
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class ClauseCount:
    """In how many of the judged runs a clause's expression held."""

    name: str
    kind: str
    held: int
    judged: int


@dataclass(frozen=True)
class HistogramRow:
    """One distinct outcome (values of the scenario's `show` columns) and in how many runs it came."""

    values: tuple[str, ...]
    runs: int
    first_run: int
    mark: Literal["", "violation", "known race"] = ""


@dataclass(frozen=True)
class KnownRaceSeen:
    """Whether the contract's own race came out: reproduced in `reproduced` of `judged` runs, else closed."""

    id: str
    reproduced: int
    judged: int
    because: str
    first_run: int | None = None
    declared: bool = True  # by the scenario; else an invariant of level run_auth saw it below that level


@dataclass
class Verdict:
    """All that one check says of one history."""

    violations: list[Violation] = field(default_factory=list)
    inconclusive: list[str] = field(default_factory=list)  # reasons, a sentence each
    linearizability: Linearizability = "linearizable"
    judged: dict[str, int] = field(default_factory=dict)  # invariant -> observations judged
    exercised: dict[str, int] = field(default_factory=dict)  # requirement -> observations judged
    clauses: list[ClauseCount] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    histogram: list[HistogramRow] = field(default_factory=list)
    known_races: list[KnownRaceSeen] = field(default_factory=list)
    runs: int = 0  # runs in the history
    runs_judged: int = 0  # without those that faults or limits made inconclusive
    operations: int = 0
    more_violations: int = 0  # further ones of the kinds that `violations` names, left out for brevity
    raced: int | None = None  # schedule race: judged runs in which calls of two dispatchers overlapped
