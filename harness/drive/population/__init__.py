"""A population: many dispatchers that do what real ones do, until every container of a queue has ended.

    conductor ──spawn──► worker process 1   dispatchers D0, D2, D4 ...   (asyncio, one connection each)
        ▲    ──spawn──► worker process 2   dispatchers D1, D3, D5 ...
        └──────────────── finished operations, in batches, on disk at once

Nothing is judged here; `harness.check.population` reads the history that is left.
"""

from harness.drive.population.choice import (
    FAULT_RATES,
    FAULT_TIMES,
    POLICY_NAMES,
    Faults,
    Population,
    parse_faults,
    parse_mix,
)
from harness.drive.population.conductor import populate
from harness.drive.population.records import NAME
from harness.drive.population.terms import Onlooker, Populated, PopulateOptions

__all__ = [
    "FAULT_RATES",
    "FAULT_TIMES",
    "NAME",
    "POLICY_NAMES",
    "Faults",
    "Onlooker",
    "PopulateOptions",
    "Populated",
    "Population",
    "parse_faults",
    "parse_mix",
    "populate",
]
