"""What an invariant hands back, and the words in which it accuses."""

from collections import Counter
from dataclasses import dataclass, field

from harness.check.index import Index
from harness.check.timeline import Timeline, asked_state
from harness.check.verdict import Counterexample
from harness.history import Operation


@dataclass(frozen=True)
class Accusation:
    """One thing that no order which the contract accepts explains. `operations` are the evidence, the last one last."""

    requirement: str
    message: str
    run: int
    container: str | None
    operations: tuple[int, ...]
    counterexample: Counterexample | None = None


@dataclass
class Findings:
    """What one invariant found: how many observations it judged, by requirement, and whom it accuses."""

    judged: Counter[str] = field(default_factory=Counter)
    accusations: list[Accusation] = field(default_factory=list)

    def accuse(self, timeline: Timeline, requirement: str, message: str, *operations: int) -> None:
        """Accuse the last of `operations`, of one container."""
        evidence = tuple(dict.fromkeys(operations))
        self.accusations.append(Accusation(requirement, message, timeline.run, timeline.name, evidence))

    def accuse_run(
        self, operation: Operation, timeline: Timeline | None, requirement: str, message: str, *operations: int
    ) -> None:
        """Accuse one operation that need not be of a container."""
        name = timeline.name if timeline is not None else operation.container or operation.uuid
        self.accusations.append(Accusation(requirement, message, operation.run, name, operations))


_CALLS = {
    "create": "create",
    "lock": "lock",
    "unlock": "unlock",
    "auth": "reading of the auth",
    "get": "reading",
    "list": "listing",
    "use": "use of a token",
}


def told(index: Index, number: int) -> str:
    """Who did what, as in "A#1's lock (a_lock)"."""
    return told_of(index.operations[number])


def told_of(operation: Operation) -> str:
    """Who did what, as in "A#1's update to Running (a_run)"."""
    what = _CALLS.get(operation.op, operation.op)
    if operation.op == "update":
        state = asked_state(operation)
        fields = ", ".join(sorted(operation.sent or {}))
        what = f"update to {state}" if state else f"update of {fields}"
    step = f" ({operation.step})" if operation.step else ""
    return f"{operation.process}'s {what}{step}"
