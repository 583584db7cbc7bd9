"""A whole history sorted by run and container, and what the invariants share; made once, in one pass."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.check.linearizable import LinearResult, linearize
from harness.check.possible import Impossible, impossible
from harness.check.timeline import Timeline, ends_at, leaves, needs
from harness.contract import Level, covers
from harness.history import Header, Operation
from harness.history.facts import EVENTS, session_of


@dataclass
class Index:
    """A whole history, ready for every invariant."""

    header: Header
    operations: Sequence[Operation]
    begins: list[int] = field(default_factory=list)  # of every operation: when it was invoked
    ends: list[int] = field(default_factory=list)  # and when it had certainly taken effect
    timelines: list[Timeline] = field(default_factory=list)
    runs: dict[int, list[int]] = field(default_factory=dict)
    restarts: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # run -> (invoked, returned)
    crashes: dict[tuple[int, str], list[int]] = field(default_factory=dict)  # run, session -> moments
    places: dict[tuple[int, str], Timeline] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        """The level that is judged."""
        return self.header.level

    def covers(self, level: Level) -> bool:
        """Whether a level is judged."""
        return covers(self.header.level, level)

    def timeline(self, operation: Operation) -> Timeline | None:
        """The timeline of an operation's container."""
        key = operation.uuid or operation.container
        return None if key is None else self.places.get((operation.run, key))

    def named(self, run: int, uuid: str) -> Timeline | None:
        """The timeline of a container by its uuid."""
        return self.places.get((run, uuid))

    def in_run(self, run: int) -> list[Timeline]:
        """The containers of one run."""
        return self._by_run.get(run, [])

    @cached_property
    def _by_run(self) -> dict[int, list[Timeline]]:
        found: dict[int, list[Timeline]] = {}
        for timeline in self.timelines:
            found.setdefault(timeline.run, []).append(timeline)
        return found

    @cached_property
    def unexplained(self) -> list[tuple[Timeline, Impossible]]:
        """Every granted operation that no order of its container's operations explains."""
        return [(timeline, one) for timeline in self.timelines for one in impossible(timeline)]

    @cached_property
    def linear(self) -> LinearResult:
        """Whether each container's operations have a legal order."""
        return linearize(self.operations, self.header)

    def restarted(self, run: int, start: int, end: int) -> bool:
        """Whether the server was restarted between two moments."""
        return any(start <= invoked and returned <= end for invoked, returned in self.restarts.get(run, ()))

    def crashed(self, session: str, start: Operation, end: Operation) -> bool:
        """Whether a session crashed, and so forgot what it knew, between two operations."""
        moments = self.crashes.get((start.run, session), ())
        return any(start.invoke_ns <= moment <= end.invoke_ns for moment in moments)

    def state_text(self, number: int) -> str:
        """In which state an operation had left, or seen, its container."""
        operation = self.operations[number]
        return " or ".join(leaves(operation) or needs(operation))

    def holder(self, operation: Operation) -> str | None:
        """Whose token an operation was sent with: its uuid where the header says it, else its name."""
        name = operation.token
        return None if name is None else self.header.tokens.get(name, name)


def make_index(header: Header, operations: Sequence[Operation]) -> Index:
    """Sort a history by run, container and kind, in one pass."""
    index = Index(header, operations)
    index.begins = [operation.invoke_ns for operation in operations]
    index.ends = [ends_at(operation) for operation in operations]
    places = index.places
    for number, operation in enumerate(operations):
        index.runs.setdefault(operation.run, []).append(number)
        if operation.op in EVENTS:
            if operation.op == "restart":
                index.restarts.setdefault(operation.run, []).append((operation.invoke_ns, ends_at(operation)))
            elif operation.op == "crash":
                index.crashes.setdefault((operation.run, session_of(operation.process)), []).append(operation.invoke_ns)
            continue
        key = operation.uuid or operation.container
        if key is None or operation.op in {"list", "use"}:
            continue
        timeline = places.get((operation.run, key))
        if timeline is None:
            timeline = _place(index, operation)
        timeline.all.append(number)
        of_kind = timeline.by_op.get(operation.op)
        if of_kind is None:
            timeline.by_op[operation.op] = [number]
        else:
            of_kind.append(number)
    for timeline in index.timelines:
        for numbers in (timeline.all, *timeline.by_op.values()):
            numbers.sort(key=index.begins.__getitem__)
    return index


def _place(index: Index, operation: Operation) -> Timeline:
    """The timeline of a container that is met under a new name; its name and its uuid lead to the same one."""
    places = index.places
    keys = [(operation.run, key) for key in (operation.uuid, operation.container) if key is not None]
    timeline = None
    if operation.uuid is None or operation.container is None:
        timeline = next((places[key] for key in keys if key in places), None)
    elif (known := places.get((operation.run, operation.container))) is not None and known.uuid is None:
        known.uuid = operation.uuid
        timeline = known
    if timeline is None:
        timeline = Timeline(
            operation.run,
            operation.container or operation.uuid or "",
            operation.uuid,
            index.operations,
            index.begins,
            index.ends,
        )
        index.timelines.append(timeline)
    for key in keys:
        places.setdefault(key, timeline)
    return timeline
