"""What the conductor of a population itself writes into the history: its header, and what is no request."""

import time
from datetime import UTC, datetime
from importlib.metadata import version

from harness.contract import FINAL_STATES
from harness.drive.population.choice import Population
from harness.drive.population.terms import PopulateOptions
from harness.drive.target import OpenTarget
from harness.history import Header, Operation

NAME = "population"
"""What histories of populations are called in their header."""


def header_of(population: Population, target: OpenTarget, options: PopulateOptions) -> Header:
    """The header of a population's history."""
    return Header(
        scenario=NAME,
        target=target.name,
        level=options.level,
        max_dispatch_attempts=options.max_dispatch_attempts,
        seed=population.seed,
        tokens={name: caller.uuid for name, caller in target.callers.items()},
        settings=options.settings or {},
        replays=[] if options.replay is None else [options.replay],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        version=version("lockrace"),
    )


def has_ended(operation: Operation) -> bool:
    """Whether a granted operation left, or saw, its container at its end."""
    if operation.op == "update" and (operation.sent or {}).get("state") in FINAL_STATES:
        return True
    return operation.value is not None and operation.value.state in FINAL_STATES


def event(op: str, process: str, began_ns: int, pid: int | None) -> Operation:
    """Something that is no request, from when it began until now."""
    return Operation(
        op=op,
        process=process,
        pid=pid,
        invoke_ns=began_ns,
        return_ns=time.monotonic_ns(),
        type="ok",
        outcome="granted",
    )
