"""A history sorted for the invariants: each container's operations by kind, and its calm.

    lock by A    |-----|
    unlock by B                    |-------|
    calm               |-- Locked -|       |-- Queued ...

It is calm while nothing that could change the container is under way. Only in calm is a state certain, whatever order
the server chose; a call whose answer was lost ends calm for good, because it may take effect at any later time.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from msgspec import UNSET

from harness.contract import STATES, TRANSITIONS
from harness.history import Operation
from harness.history.facts import session_of

NEVER = 1 << 62
"""The return of a call whose answer never came: it may take effect at any later time."""


class Calm(NamedTuple):
    """A stretch of time, both ends excluded, in which nothing could change a container.

    `state` is None where it is not certain. `lock` is the operation that took the lock which is held, where that is
    certain; `since` is the operation after which all this is known.
    """

    start: int
    end: int
    state: str | None
    lock: int | None
    since: int


@dataclass
class Timeline:
    """One container in one run; all lists hold indices of the history, in order of invocation."""

    run: int
    name: str
    uuid: str | None
    operations: Sequence[Operation] = field(repr=False)
    begins: Sequence[int] = field(repr=False)  # of every operation of the history: when it was invoked
    ends: Sequence[int] = field(repr=False)  # and when it had certainly taken effect
    all: list[int] = field(default_factory=list)
    by_op: dict[str, list[int]] = field(default_factory=dict)
    _merged: dict[tuple[str, ...], list[int]] = field(default_factory=dict, repr=False)

    def of(self, *ops: str) -> list[int]:
        """Operations of some kinds."""
        if len(ops) == 1:
            return self.by_op.get(ops[0], [])
        merged = self._merged.get(ops)
        if merged is None:
            merged = self._merged[ops] = sorted(
                (one for op in ops for one in self.by_op.get(op, [])), key=self.begins.__getitem__
            )
        return merged

    @cached_property
    def changers(self) -> list[int]:
        """Everything that changed the container's state, or may have."""
        return [
            index
            for index in self.of("create", "lock", "unlock", "update")
            if self.operations[index].type != "fail" and leaves(self.operations[index])
        ]

    @cached_property
    def locks(self) -> "Ends":
        """Everything that took a lock, or may have: locks and updates to Locked."""
        chosen = (self.operations[number] for number in self.changers)
        return Ends(one for one in chosen if leaves(one) == ("Locked",))

    @cached_property
    def enders(self) -> "Ends":
        """Everything that gave up a lock, or may have: unlocks, updates to Queued, Complete and Cancelled."""
        chosen = (self.operations[index] for index in self.changers)
        return Ends([one for one in chosen if not {"Locked", "Running"} & set(leaves(one)) and one.op != "create"])

    @cached_property
    def enders_granted(self) -> list[int]:
        """Granted unlocks and updates to Queued, Complete and Cancelled."""
        operations = self.operations
        return [
            number
            for number in self.changers
            if operations[number].type == "ok"
            and operations[number].op != "create"
            and not {"Locked", "Running"} & set(leaves(operations[number]))
        ]

    def updated_to(self, state: str, operation: Operation) -> bool:
        """Whether an update to a state may have taken effect before an operation returned."""
        first = self._first_updates.get(state)
        return first is not None and first <= ends_at(operation)

    @cached_property
    def _first_updates(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for number in self.of("update"):
            state = asked_state(self.operations[number])
            if state is not None and self.operations[number].type != "fail":
                found.setdefault(state, self.begins[number])
        return found

    def alone(self, operation: Operation) -> bool:
        """Whether nothing but a changer itself could change the container while it was under way."""
        return self._moves.within(operation.invoke_ns, ends_at(operation)) == 1

    @cached_property
    def _moves(self) -> "Ends":
        return Ends(self.operations[number] for number in self.changers)

    @cached_property
    def gets(self) -> list[int]:
        """Granted reads of the whole record that show a state."""
        operations = self.operations
        return [
            index
            for index in self.of("get")
            if operations[index].type == "ok" and shown(operations[index], "state") in STATES
        ]

    @cached_property
    def calms(self) -> list[Calm]:
        """The calm stretches, in order."""
        return _with_reads(self, _calms(self))

    @cached_property
    def _calm_starts(self) -> list[int]:
        return [calm.start for calm in self.calms]

    def calm(self, operation: Operation) -> Calm | None:
        """The calm that an operation lies in, whole."""
        at = bisect_left(self._calm_starts, operation.invoke_ns) - 1
        if at < 0 or ends_at(operation) >= self.calms[at].end:
            return None
        return self.calms[at]

    def calm_before(self, operation: Operation) -> Calm | None:
        """The calm that an operation ended, where it was the first after it."""
        at = bisect_left(self._calm_starts, operation.invoke_ns) - 1
        return self.calms[at] if at >= 0 and self.calms[at].end == operation.invoke_ns else None

    @cached_property
    def refusals(self) -> list[int]:
        """Locks, unlocks and updates that were refused or forbidden, in order of their return."""
        chosen = (number for number in self.of("lock", "unlock", "update"))
        turned_away = [one for one in chosen if self.operations[one].outcome in {"refused", "forbidden"}]
        return sorted(turned_away, key=self.ends.__getitem__)

    @cached_property
    def _refusal_ends(self) -> list[int]:
        return [self.ends[number] for number in self.refusals]

    def refused_between(self, start: int, operation: Operation, state: str | None = None) -> int | None:
        """The last call that was turned away at or after `start` and begun before an operation's return.

        With `state`, only one that would have left that state.
        """
        for number in reversed(self.refusals[bisect_left(self._refusal_ends, start) :]):
            other = self.operations[number]
            if other.invoke_ns <= ends_at(operation) and (state is None or state in leaves(other)):
                return number
        return None

    @cached_property
    def _priorities(self) -> tuple[list[int], list[int], list[int]]:
        """What set the priority: the indices, their invocations, and up to when any so far may take effect."""
        setters = [
            number
            for number in self.of("create", "update")
            if self.operations[number].type != "fail"
            and (self.operations[number].op == "create" or "priority" in (self.operations[number].sent or {}))
        ]
        ends = list(accumulate((self.ends[number] for number in setters), max))
        return setters, [self.begins[number] for number in setters], ends

    def priority(self, operation: Operation) -> tuple[int, int] | None:
        """The priority throughout an operation and what had set it, where that is certain."""
        setters, invoked, ends = self._priorities
        at = bisect_left(invoked, ends_at(operation) + 1) - 1
        if at < 0 or ends[at] >= operation.invoke_ns or (at > 0 and ends[at - 1] >= invoked[at]):
            return None
        setter = self.operations[setters[at]]
        value = (setter.sent or {}).get("priority", shown(setter, "priority"))
        return (setters[at], value) if isinstance(value, int) and not isinstance(value, bool) else None


class Ends:
    """Operations that may end something, ready to be asked how many were under way in a window of time."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        chosen = list(operations)
        self._invoked = sorted(one.invoke_ns for one in chosen)
        self._returned = sorted(ends_at(one) for one in chosen)

    def begun(self, moment: int) -> int:
        """How many were invoked before a moment."""
        return bisect_left(self._invoked, moment)

    def over(self, moment: int) -> int:
        """How many had returned before a moment."""
        return bisect_left(self._returned, moment)

    def within(self, start: int, end: int) -> int:
        """How many may have taken effect from `start` to `end`, both included."""
        return self.begun(end + 1) - self.over(start)


def ends_at(operation: Operation) -> int:
    """When an operation had certainly taken effect: its return, or never."""
    return NEVER if operation.return_ns is None or operation.type == "info" else operation.return_ns


def shown(operation: Operation, name: str) -> Any:
    """A field of the answer; UNSET where it was not shown, or there was no answer."""
    value = operation.value
    return UNSET if value is None else getattr(value, name)


def asked_state(operation: Operation) -> str | None:
    """The state that an update asks for."""
    state = (operation.sent or {}).get("state") if operation.op == "update" else None
    return state if isinstance(state, str) else None


_LEAVES: dict[str, tuple[str, ...]] = {
    "create": ("Queued",),
    "lock": ("Locked",),
    "unlock": ("Queued", "Cancelled"),  # the second at the attempt limit
}


def leaves(operation: Operation) -> tuple[str, ...]:
    """The states, one of which an operation leaves behind if it takes effect; none if it changes no state."""
    if operation.op != "update":
        return _LEAVES.get(operation.op, ())
    state = asked_state(operation)
    if state == "Queued":
        return _LEAVES["unlock"]
    return (state,) if state in STATES else ()


_BEFORE: dict[str, tuple[str, ...]] = {
    target: (target, *(state for state in STATES if target in TRANSITIONS[state])) for target in STATES
}
_NEEDS: dict[str, tuple[str, ...]] = {"lock": ("Queued",), "unlock": ("Locked",), "auth": ("Locked", "Running")}


def needs(operation: Operation) -> tuple[str, ...]:
    """The states, one of which a container must have been in for an operation to be granted; none if any will do."""
    if operation.op == "update":
        return _BEFORE.get(asked_state(operation) or "", ())
    if operation.op == "get":
        state = shown(operation, "state")
        return (state,) if state in STATES else ()
    return _NEEDS.get(operation.op, ())


def is_dispatch(operation: Operation) -> bool:
    """Whether an operation was sent with a dispatch token, and not with a container auth or no token at all."""
    return operation.token is not None and "." not in operation.token and operation.token not in {"none", "bogus"}


def session(operation: Operation) -> str:
    """The session that sent an operation."""
    return session_of(operation.process)


def _calms(timeline: Timeline) -> list[Calm]:
    """Calm between the changers, as they alone tell it."""
    operations = timeline.operations
    changers = timeline.changers
    found: list[Calm] = []
    latest = -1  # when the last changer so far had certainly taken effect
    for position, index in enumerate(changers):
        operation = operations[index]
        alone = latest < operation.invoke_ns
        latest = max(latest, ends_at(operation))
        if latest >= NEVER:
            break
        until = operations[changers[position + 1]].invoke_ns if position + 1 < len(changers) else NEVER
        if latest >= until:
            continue
        if alone:
            before = found[-1] if found and found[-1].end == operation.invoke_ns else None
            found.append(_calm_after(operation, index, before, until))
        else:
            found.append(Calm(latest, until, None, None, index))
    return found


def _calm_after(operation: Operation, index: int, before: Calm | None, until: int) -> Calm:
    """The calm that follows a changer which was alone."""
    start = ends_at(operation)
    states = leaves(operation)
    state = states[0] if len(states) == 1 else shown(operation, "state")
    if state not in states:
        state = None
    lock = None
    if operation.op == "lock":
        lock = index
    elif state in {"Locked", "Running"} and before is not None:
        took_it = state == "Locked" and before.state == "Queued"
        lock = index if took_it else before.lock
    return Calm(start, until, state, lock, index)


def _with_reads(timeline: Timeline, calms: list[Calm]) -> list[Calm]:
    """The same calms; where the state was open, certain from the first read on that shows it."""
    operations = timeline.operations
    reads = sorted((operations[index].return_ns or NEVER, index) for index in timeline.gets)
    found: list[Calm] = []
    position = 0
    for calm in calms:
        if calm.state is not None:
            found.append(calm)
            continue
        while position < len(reads) and operations[reads[position][1]].invoke_ns <= calm.start:
            position += 1
        if position < len(reads) and reads[position][0] < calm.end:
            returned, index = reads[position]
            found.append(calm._replace(end=returned))
            found.append(Calm(returned, calm.end, shown(operations[index], "state"), None, index))
        else:
            found.append(calm)
    return found
