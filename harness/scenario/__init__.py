"""From a `*.race.yaml` file to scenarios: strict reading, expressions, diagnostics."""

from harness.scenario.compiler import parse_expression
from harness.scenario.diagnostics import Diagnostic, ScenarioError, near_name
from harness.scenario.expressions import Expression, ExpressionError, Names, World
from harness.scenario.loader import load, load_text
from harness.scenario.marks import Mark
from harness.scenario.scenario import (
    Clause,
    Fault,
    Fleet,
    GivenContainer,
    KnownRace,
    Retry,
    Scenario,
    Schedule,
    Session,
    SessionToken,
    Step,
    UuidOf,
    blank,
)
from harness.scenario.schema import scenario_schema
from harness.scenario.shelf import find, load_all, near_term, select, shipped

__all__ = [
    "Clause",
    "Diagnostic",
    "Expression",
    "ExpressionError",
    "Fault",
    "Fleet",
    "GivenContainer",
    "KnownRace",
    "Mark",
    "Names",
    "Retry",
    "Scenario",
    "ScenarioError",
    "Schedule",
    "Session",
    "SessionToken",
    "Step",
    "UuidOf",
    "World",
    "blank",
    "find",
    "load",
    "load_all",
    "load_text",
    "near_name",
    "near_term",
    "parse_expression",
    "scenario_schema",
    "select",
    "shipped",
]
