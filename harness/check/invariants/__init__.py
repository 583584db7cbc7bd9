"""What is true of every history of a correct server: one registry that the check, explain and the docs read."""

from harness.check.invariants.findings import Accusation, Findings
from harness.check.invariants.registry import INVARIANTS, Invariant

__all__ = ["INVARIANTS", "Accusation", "Findings", "Invariant"]
