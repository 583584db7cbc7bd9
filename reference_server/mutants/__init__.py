"""Mutants: the reference server with one defect each. Every one must be killed by the harness.

The modules are imported for the entries that they make.
"""

from reference_server.mutants import answers, locks, races, run_auths, storage, tokens, updates
from reference_server.mutants.catalogue import MUTANTS

__all__ = ["MUTANTS", "answers", "locks", "races", "run_auths", "storage", "tokens", "updates"]
