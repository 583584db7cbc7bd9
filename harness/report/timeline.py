"""One violation as a table in time order: what each dispatcher did, the container's state, the live tokens.

    sent - back    A                  B                  c1      live tokens
    0.0 - 1.1      lock: granted                         Locked  1
    1.2 - 2.0                         unlock: granted    Queued  none

Nothing is judged here: state and tokens are what the answers show so far, which is what a reader has to go by.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

from msgspec import UNSET, UnsetType

from harness.check.verdict import Violation
from harness.history import Operation
from harness.report.describe import HARNESS, answer_of, dispatcher_of, harmless, request_of, requirement_text
from harness.report.spelling import Spelling, spelling_of, told_apart

Overlap = Literal["", "first", "middle", "last"]
"""Where a row stands in a block of operations whose times overlap."""

CROWD = 6
"""Of more dispatchers than this, a picture shows first those that the violation is about."""

_WORD = re.compile(r"[A-Za-z_][\w.]*")

ENDS_AUTH = frozenset({"Queued", "Complete", "Cancelled"})
"""States in which a container has no auth; entering one ends the auth that it had."""


@dataclass(frozen=True)
class Row:
    """One operation of the timeline, and what is known once it is done."""

    index: int  # in the history's operations
    operation: Operation
    dispatcher: str
    sent_ms: float  # since the first row's invocation
    back_ms: float | None  # None: never answered
    state: str
    live: tuple[str, ...]  # the container's live tokens: number, and who was given it
    holders: tuple[str, ...]  # dispatchers that were told that they hold the lock
    token: str  # number of the container auth that an auth or a use was about; else empty
    violating: bool
    overlap: Overlap
    where: str = ""  # the container, where a timeline is about several
    spelling: Spelling = ""  # of the token that it sent, where that is what differs


@dataclass(frozen=True)
class Timeline:
    """All rows of one violation's run and container; reports show a window of them."""

    violation: Violation
    container: str
    first_state: str  # before the first row
    dispatchers: tuple[str, ...]  # columns, from left to right
    rows: tuple[Row, ...]


def timeline(operations: Sequence[Operation], violation: Violation) -> Timeline:
    """The timeline of the run and container that `violation` is about, from a history's operations."""
    evidence = _telling(operations, violation)
    mine = [(index, operation) for index, operation in enumerate(operations) if operation.run == violation.run]
    name, is_about = _container(mine, violation, evidence)
    mine = [(index, operation) for index, operation in mine if index in evidence or is_about(operation)]
    watches = _Watches(apart=is_about.wanted is None)
    shown: list[tuple[int, Operation]] = []
    for index, operation in sorted(mine, key=lambda pair: finished_ns(pair[1])):
        if index in evidence or operation.phase in ("run", "probe"):
            shown.append((index, operation))
        elif not shown and operation.phase == "setup":
            watches.of(operation).see(operation)
    first_state = watches.only.state
    start = min((operation.invoke_ns for _, operation in shown), default=0)
    overlaps = _overlaps([operation for _, operation in shown])
    apart = told_apart(operation for _, operation in shown)
    rows = []
    for (index, operation), overlap in zip(shown, overlaps, strict=True):
        watch = watches.of(operation)
        token = watch.see(operation)
        spelling: Spelling = spelling_of(operation) if operation.secret in apart else ""
        if spelling and operation.secret is not None:
            token = watch.names.get(operation.secret, "")
        back = None if operation.return_ns is None else (operation.return_ns - start) / 1e6
        rows.append(
            Row(
                index=index,
                operation=operation,
                dispatcher=dispatcher_of(operation),
                sent_ms=(operation.invoke_ns - start) / 1e6,
                back_ms=back,
                state=watch.state,
                live=watch.live(),
                holders=tuple(watch.holders),
                token=token,
                violating=index in evidence,
                overlap=overlap,
                where=harmless(operation.container or operation.uuid or "") if watches.apart else "",
                spelling=spelling,
            )
        )
    return Timeline(violation, name, "" if watches.apart else first_state, _columns(rows), tuple(rows))


def finished_ns(operation: Operation) -> int:
    """The moment a timeline sorts by: the answer, or the invocation where none came."""
    return operation.invoke_ns if operation.return_ns is None else operation.return_ns


def window(rows: Sequence[Row], most: int) -> list[Row | int]:
    """At most `most` rows around the violating ones; a number stands where so many rows were left out.

    Rows nearest to a violating row stay. With more violating rows than fit, the first and last of them do.
    """
    if len(rows) <= most:
        return list(rows)
    marked = [place for place, row in enumerate(rows) if row.violating] or [len(rows) - 1]
    if len(marked) > most:
        kept = set(marked[: most - most // 2] + marked[len(marked) - most // 2 :])
    else:
        kept = set(
            sorted(range(len(rows)), key=lambda place: (min(abs(place - mark) for mark in marked), place))[:most]
        )
    out: list[Row | int] = []
    for place, row in enumerate(rows):
        if place in kept:
            out.append(row)
        elif out and isinstance(out[-1], int):
            out[-1] += 1
        else:
            out.append(1)
    return out


def told(row: Row) -> str:
    """A row in a few words: "lock → 422 refused", "auth → 200 token 2", "unlock → no answer (lose reply)"."""
    operation = row.operation
    asked, answer = request_of(operation), answer_of(operation)
    if operation.op == "use" and row.token:
        asked, answer = f"use {token_of(row)}", str(operation.status or answer)
    elif row.spelling and row.token:
        asked, answer = f"{asked} by {token_of(row)}", str(operation.status or answer)
    elif operation.op == "auth" and row.token:
        answer = f"{operation.status or ''} token {row.token}".strip()
    elif operation.op == "get" and operation.value is not None and isinstance(operation.value.state, str):
        answer = harmless(f"{operation.status or ''} {operation.value.state}".strip())
    if row.where:
        asked = f"{asked} {row.where}"
    fault = f" ({harmless(operation.fault)})" if operation.fault else ""
    return f"{asked} → {answer}{fault}" if answer else f"{asked}{fault}"


def token_of(row: Row) -> str:
    """The token that a row is about by its number; with its spelling, where that is what differs."""
    return {"": "token", "bare": "bare token", "v2": "v2/UUID/token"}[row.spelling] + f" {row.token}"


def seen_sentence(violation: Violation) -> str:
    """What was seen, in one sentence that a terminal can take."""
    return harmless(violation.message) or requirement_text(violation.requirement)


def legal_order(operations: Sequence[Operation], violation: Violation) -> str:
    """The longest legal order of the counterexample and what ends it, in words; empty without one."""
    case = violation.counterexample
    if case is None or case.stuck is None:
        return ""
    names = [_named(operations[index]) for index in case.prefix]
    shown = ", ".join(names[-6:])
    before = f"{len(names) - 6} others, " if len(names) > 6 else ""
    next_one = _named(operations[case.stuck])
    if not names:
        return f"no legal order has {next_one} first"
    return f"a legal order gets as far as {before}{shown}; with {next_one} next it cannot be completed"


def _named(operation: Operation) -> str:
    return f"{dispatcher_of(operation)}'s {request_of(operation)}"


def _telling(operations: Sequence[Operation], violation: Violation) -> set[int]:
    """The evidence; of a clause, whose evidence is the whole run, what its text names: steps, tokens, believers."""
    if violation.source != "clause":
        return set(violation.operations)
    words = set(_WORD.findall(violation.message))
    steps = {word.partition(".")[0] for word in words}

    def named(operation: Operation) -> bool:
        if operation.step in steps or (operation.op == "use" and operation.token in words):
            return True
        return operation.op == "lock" and operation.type == "ok" and dispatcher_of(operation) in words

    return {index for index in violation.operations if named(operations[index])} or set(violation.operations)


def _container(mine: list[tuple[int, Operation]], violation: Violation, evidence: set[int]) -> tuple[str, "_About"]:
    """The container's name for readers, and which operations are about it; without one, all of the run are."""
    wanted = violation.container
    if wanted is None:
        about = [operation.container or operation.uuid for index, operation in mine if index in evidence]
        named = {name for name in about if name is not None}
        wanted = named.pop() if len(named) == 1 else None
    return harmless(wanted or "state"), _About(wanted)


@dataclass(frozen=True)
class _About:
    wanted: str | None

    def __call__(self, operation: Operation) -> bool:
        if self.wanted is None or (operation.container is None and operation.uuid is None):
            return True
        return self.wanted in (operation.container, operation.uuid)


def _columns(rows: Iterable[Row]) -> tuple[str, ...]:
    """Dispatchers by name, A left of B, and the harness last; of a crowd, first those that the violation is about."""
    marked: dict[str, bool] = {}
    for row in rows:
        marked[row.dispatcher] = marked.get(row.dispatcher, False) or row.violating
    crowd = len(marked) > CROWD
    return tuple(sorted(marked, key=lambda name: (name == HARNESS, crowd and not marked[name], len(name), name)))


def _overlaps(operations: Sequence[Operation]) -> list[Overlap]:
    """For operations in order of completion, where each stands in its block of overlapping ones.

    A block ends where everything still to come was sent after all of it had answered.
    """
    first_sent = list(accumulate(reversed([operation.invoke_ns for operation in operations]), min))[::-1]
    blocks: list[int] = []
    ends = -1
    for operation, sent in zip(operations, first_sent, strict=True):
        blocks.append(blocks[-1] + (sent >= ends) if blocks else 0)
        # An answer that never came ends nothing: else such a call would join all that follows into one block.
        ends = max(ends, finished_ns(operation))
    return [_place(blocks, place) for place in range(len(blocks))]


def _place(blocks: list[int], place: int) -> Overlap:
    before = place > 0 and blocks[place - 1] == blocks[place]
    after = place + 1 < len(blocks) and blocks[place + 1] == blocks[place]
    if before and after:
        return "middle"
    if before:
        return "last"
    return "first" if after else ""


class _Watches:
    """What is known of the timeline's container, or of each of several, kept apart."""

    def __init__(self, apart: bool) -> None:
        self.apart = apart
        self.only = _Watch()
        self._by_container: dict[str, _Watch] = {}

    def of(self, operation: Operation) -> "_Watch":
        """The watch that an operation belongs to; the use of a token, to the one that has seen the token."""
        if not self.apart:
            return self.only
        name = operation.container or operation.uuid
        if name is not None:
            return self._by_container.setdefault(name, _Watch())
        return next((one for one in self._by_container.values() if operation.secret in one.names), self.only)


@dataclass
class _Watch:
    """What the answers have shown so far of one container: its state and its tokens.

    A token is known by its uuid (as `auth_uuid`) or by its secret's hash; both name one token once an auth
    answered both. They are numbered in the order in which they came up.
    """

    state: str = "?"
    names: dict[str, str] = field(default_factory=dict)
    alive: dict[str, None] = field(default_factory=dict)  # in the order in which they came up
    count: int = 0
    held_by: dict[str, list[str]] = field(default_factory=dict)
    holders: list[str] = field(default_factory=list)

    def see(self, operation: Operation) -> str:
        """Take one completed operation in; the answer is the number of the token it was about, if any."""
        if operation.op == "use":
            return self._use(operation)
        if operation.type != "ok":
            return ""
        before = self.state
        self._state(operation)
        if operation.op == "auth":
            return self._auth(operation)
        if self.state in ENDS_AUTH:
            self._end()
        elif before in ENDS_AUTH | {"?"} or operation.op == "lock":
            self._begin(operation)
        return ""

    def live(self) -> tuple[str, ...]:
        """The tokens that work, as far as is known, each with the dispatchers that were given it."""
        found = []
        for name in sorted(self.alive, key=int):
            holders = ", ".join(self.held_by.get(name, []))
            found.append(f"{name} ({holders})" if holders else name)
        return tuple(found)

    def _state(self, operation: Operation) -> None:
        value = operation.value
        if value is not None and not isinstance(value.state, UnsetType):
            self.state = harmless(value.state)
        elif operation.op in ("lock", "unlock", "create"):
            self.state = "Locked" if operation.op == "lock" else "Queued"
        elif operation.op == "update" and operation.sent and "state" in operation.sent:
            self.state = harmless(str(operation.sent["state"]))

    def _begin(self, operation: Operation) -> None:
        """A lock, or the first sight of one: from now on its auth is the current one."""
        if operation.op in ("lock", "update") and dispatcher_of(operation) not in self.holders:
            self.holders.append(dispatcher_of(operation))
        uuid = operation.value.auth_uuid if operation.value is not None else UNSET
        if isinstance(uuid, str):
            self.alive.setdefault(self._name(uuid))

    def _end(self) -> None:
        self.alive.clear()
        self.holders.clear()

    def _auth(self, operation: Operation) -> str:
        value = operation.value
        keys = [key for key in (value.auth_uuid, value.secret) if isinstance(key, str)] if value else []
        if not keys:
            return ""
        name = next((self.names[key] for key in keys if key in self.names), None) or self._name(keys[0])
        for key in keys:
            self.names.setdefault(key, name)
        self.alive.setdefault(name)
        holders = self.held_by.setdefault(name, [])
        if operation.phase == "run" and dispatcher_of(operation) not in holders:
            holders.append(dispatcher_of(operation))
        return name

    def _use(self, operation: Operation) -> str:
        value = operation.value
        shown = value.auth_uuid if value is not None else UNSET
        keys = [key for key in (operation.secret, shown) if isinstance(key, str)]
        name = next((self.names[key] for key in keys if key in self.names), None)
        if name is None:
            return ""
        if operation.outcome == "granted":
            self.alive.setdefault(name)
        elif operation.outcome == "unauthenticated":
            self.alive.pop(name, None)
        return name

    def _name(self, key: str) -> str:
        if key not in self.names:
            self.count += 1
            self.names[key] = str(self.count)
        return self.names[key]
