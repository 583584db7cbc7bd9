"""From a history to its verdict: invariants, linearizability, and what the scenario wanted."""

from harness.check.check import check
from harness.check.verdict import (
    ClauseCount,
    Counterexample,
    HistogramRow,
    KnownRaceSeen,
    Linearizability,
    Verdict,
    Violation,
)

__all__ = [
    "ClauseCount",
    "Counterexample",
    "HistogramRow",
    "KnownRaceSeen",
    "Linearizability",
    "Verdict",
    "Violation",
    "check",
]
