"""Mutants: the reference server with one defect each. Every one must be killed by the harness.

The modules are imported for the entries that they make.
"""

from reference_server.mutants import races, states
from reference_server.mutants.catalogue import MUTANTS

__all__ = ["MUTANTS", "races", "states"]
