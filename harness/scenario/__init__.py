"""From a `*.race.yaml` file to scenarios: strict reading, expressions, diagnostics."""

from harness.scenario.expressions import Expression, World
from harness.scenario.scenario import (
    Clause,
    Fault,
    Fleet,
    GivenContainer,
    KnownRace,
    Mark,
    Retry,
    Scenario,
    Schedule,
    Session,
    Step,
)

__all__ = [
    "Clause",
    "Expression",
    "Fault",
    "Fleet",
    "GivenContainer",
    "KnownRace",
    "Mark",
    "Retry",
    "Scenario",
    "Schedule",
    "Session",
    "Step",
    "World",
]
