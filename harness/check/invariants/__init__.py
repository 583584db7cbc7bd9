"""What is true of every history of a correct server: one registry that the check, explain and the docs read."""

from harness.check.invariants.findings import Accusation, Findings
from harness.check.invariants.registry import INVARIANTS, POPULATION_INVARIANTS, Invariant, Property

__all__ = ["INVARIANTS", "POPULATION_INVARIANTS", "Accusation", "Findings", "Invariant", "Property"]
