"""The words of the contract, as data: levels, states, outcomes, requirements, known races.

Every stage may import this package; it imports only the standard library and decides nothing.
"""

from harness.contract.races import KNOWN_RACES, KnownRaceText
from harness.contract.requirements import REQUIREMENTS, Requirement
from harness.contract.words import (
    FINAL_STATES,
    LEVELS,
    OUTCOMES,
    STATES,
    TRANSITIONS,
    Level,
    Outcome,
    State,
    covers,
)

__all__ = [
    "FINAL_STATES",
    "KNOWN_RACES",
    "LEVELS",
    "OUTCOMES",
    "REQUIREMENTS",
    "STATES",
    "TRANSITIONS",
    "KnownRaceText",
    "Level",
    "Outcome",
    "Requirement",
    "State",
    "covers",
]
