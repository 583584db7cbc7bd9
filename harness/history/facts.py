"""What one run's history says: the answers to what the expressions of a scenario ask.

    Facts(operations, header.tokens).believes("A", "c1")

It answers from the operations alone, and follows the list while it grows: the driver asks it for each `when` on what
was done so far, the check asks it the same questions at the end.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import UNSET

from harness.history.operation import Operation

_MEMBER = re.compile(r"(?P<fleet>.+)\[(?P<number>\d+)\]")
_TOLD = frozenset({"refused", "forbidden", "missing"})
"""Answers that tell a dispatcher that the lock it thought it had is not there."""
_ENDED = frozenset({"Queued", "Complete", "Cancelled"})
EVENTS = frozenset({"crash", "pause", "resume", "restart", "barrier"})
"""Operations that are no requests."""


def session_of(process: str) -> str:
    """The session of a process, or a fleet's member: "A" of "A#2", "D[3]" of "D[3]#1"."""
    return process.partition("#")[0]


class Facts:
    """Facts of one run, from its operations in order of completion; `tokens` maps a token's name to its uuid.

    Not for operations of several runs: a step's name would mean several operations.
    """

    def __init__(self, operations: Sequence[Operation], tokens: Mapping[str, str] | None = None) -> None:
        self._operations = operations
        self._tokens = dict(tokens or {})
        self._read = 0
        self._last: dict[str, Operation] = {}  # step, also as "D[3].step" -> its last try
        self._saved: dict[tuple[str, str], Any] = {}
        self._beliefs: dict[tuple[str, str], bool] = {}
        self._uses: dict[str, tuple[bool, bool]] = {}  # secret -> seen by a probe, granted
        self._states: dict[str, str] = {}
        self._names: dict[str, str] = {}  # uuid -> the container's name
        self._uuids: dict[str, str] = {}
        self._token_names: dict[str, str] = {}  # session -> token it sends
        self._issued_for: dict[str, str] = {}  # secret of a container auth -> container

    def outcome(self, step: str) -> str | None:
        """How the last try of a step came out."""
        operation = self._operation(step)
        return None if operation is None else operation.outcome

    def status(self, step: str) -> int | None:
        """The HTTP status of the last try of a step."""
        operation = self._operation(step)
        return None if operation is None else operation.status

    def field(self, step: str, name: str) -> Any:
        """A field of the answer to a step."""
        operation = self._operation(step)
        if operation is None or operation.value is None:
            return None
        shown = getattr(operation.value, name, None)
        return None if shown is UNSET else shown

    def saved(self, session: str, name: str) -> Any:
        """What a session saved under a name: the hash of a token, or the uuids that a listing found."""
        self._catch_up()
        return self._saved.get((session, name))

    def session_token_uuid(self, session: str) -> str | None:
        """The uuid of the token that a session sends."""
        self._catch_up()
        return self._tokens.get(self._token_names.get(session, ""))

    def believes(self, session: str, container: str) -> bool:
        """Whether a session's last lock of a container was granted and nothing since told it otherwise.

        An update to Locked is a lock here: the server said yes to it. A lock whose reply is lost is not believed,
        and who asked to give a lock back, or crashed, believes nothing.
        """
        self._catch_up()
        return self._beliefs.get((session, container), False)

    def live(self, secret: str | None) -> bool:
        """Whether the last use of a token was granted; the look at the end of the run counts more than a step."""
        self._catch_up()
        return secret is not None and self._uses.get(secret, (False, False))[1]

    def state(self, container: str) -> str | None:
        """The state of a container that the last granted answer showed, or that it implies."""
        self._catch_up()
        return self._states.get(container)

    def holders(self, container: str) -> list[str]:
        """The sessions that believe that they hold a container."""
        self._catch_up()
        return sorted(session for (session, one), held in self._beliefs.items() if held and one == container)

    def lists(self, step: str, container: str) -> bool:
        """Whether the answer to a list step has a container in it."""
        found = self.field(step, "found")
        return bool(found) and self._uuids.get(container, container) in found

    def overlapping(self, step: str) -> int:
        """How many calls of other sessions were under way while the last try of a step was."""
        one = self._operation(step)
        if one is None or one.op in EVENTS:
            return 0
        mine = session_of(one.process)
        others = (each for each in self._operations if each.phase == "run" and each.op not in EVENTS)
        return sum(session_of(other.process) != mine and _overlap(one, other) for other in others)

    def members(self, fleet: str) -> list[str]:
        """The members of a fleet that did anything, in the order of their numbers."""
        self._catch_up()
        seen = {step.rpartition(".")[0] for step in self._last}
        found = [match for name in seen if (match := _MEMBER.fullmatch(name)) and match["fleet"] == fleet]
        return [match[0] for match in sorted(found, key=lambda match: int(match["number"]))]

    def _operation(self, step: str) -> Operation | None:
        self._catch_up()
        return self._last.get(step)

    def _catch_up(self) -> None:
        for position in range(self._read, len(self._operations)):
            self._learn(self._operations[position])
        self._read = len(self._operations)

    def _learn(self, operation: Operation) -> None:
        if operation.phase == "cleanup":
            return
        container = self._container(operation)
        if container is not None:
            self._see_state(operation, container)
        if (
            operation.secret is not None
            and operation.op == "use"
            and operation.outcome in {"granted", "unauthenticated"}
        ):
            probe = operation.phase == "probe"
            if probe or not self._uses.get(operation.secret, (False, False))[0]:
                self._uses[operation.secret] = (probe, operation.outcome == "granted")
        if operation.phase == "run":
            self._learn_step(operation, container)

    def _container(self, operation: Operation) -> str | None:
        """The name of an operation's container; its uuid where no operation says the name."""
        if operation.uuid is not None and operation.container is not None:
            self._names[operation.uuid] = operation.container
            self._uuids[operation.container] = operation.uuid
        if operation.container is not None or operation.uuid is None:
            return operation.container
        return self._names.get(operation.uuid, operation.uuid)

    def _see_state(self, operation: Operation, container: str) -> None:
        if operation.type != "ok":
            return
        shown = None if operation.value is None else operation.value.state
        state = shown if isinstance(shown, str) else _implied_state(operation)
        if state is not None:
            self._states[container] = state

    def _learn_step(self, operation: Operation, container: str | None) -> None:
        session = session_of(operation.process)
        if operation.token is not None and "." not in operation.token:
            self._token_names[session] = operation.token
        if operation.step is not None:
            self._last[operation.step] = operation
            self._last[f"{session}.{operation.step.rpartition('.')[2]}"] = operation
        if operation.value is not None and operation.type == "ok":
            self._save(operation, session, container)
        self._believe(operation, session, container)

    def _save(self, operation: Operation, session: str, container: str | None) -> None:
        assert operation.value is not None
        kept = operation.value.secret if operation.value.secret is not UNSET else operation.value.found
        if kept is UNSET:
            return
        if operation.saved_as is not None:
            self._saved[session, operation.saved_as] = kept
        if isinstance(kept, str) and container is not None:
            self._issued_for[kept] = container

    def _believe(self, operation: Operation, session: str, container: str | None) -> None:
        if operation.op == "crash":
            for key in [key for key in self._beliefs if key[0] == session]:
                self._beliefs[key] = False
            return
        if operation.op == "use":
            if operation.outcome == "unauthenticated":  # its own auth is dead: so is the lock it came from
                self._beliefs[session, self._issued_for.get(operation.secret or "", "")] = False
            return
        told = _TELLS.get(operation.op)
        belief = None if told is None or operation.outcome == "limited" else told(operation, self._tokens)
        if belief is not None and container is not None:
            self._beliefs[session, container] = belief


def _overlap(one: Operation, other: Operation) -> bool:
    """Whether two calls were under way at once, counted from where each was let go."""
    begins = max(one.release_ns or one.invoke_ns, other.release_ns or other.invoke_ns)
    return all(each.return_ns is None or begins <= each.return_ns for each in (one, other))


def _implied_state(operation: Operation) -> str | None:
    """The state in which a granted operation leaves its container, where its answer does not show it."""
    asked = (operation.sent or {}).get("state") if operation.op == "update" else None
    return {"create": "Queued", "lock": "Locked", "unlock": "Queued"}.get(operation.op, asked)


def _after_lock(operation: Operation, _tokens: Mapping[str, str]) -> bool | None:
    return operation.outcome == "granted"


def _after_unlock(operation: Operation, _tokens: Mapping[str, str]) -> bool | None:
    return None if operation.outcome == "unauthenticated" else False  # who asks to give it back no longer acts on it


def _after_auth(operation: Operation, _tokens: Mapping[str, str]) -> bool | None:
    return False if operation.outcome in _TOLD else None


def _after_update(operation: Operation, _tokens: Mapping[str, str]) -> bool | None:
    asked = (operation.sent or {}).get("state")
    if asked == "Locked":
        return operation.outcome == "granted"
    gives_up = asked in _ENDED and operation.outcome != "unauthenticated"
    return False if gives_up or operation.outcome in _TOLD else None


def _after_get(operation: Operation, tokens: Mapping[str, str]) -> bool | None:
    if operation.outcome == "missing":
        return False
    value = operation.value
    if operation.outcome != "granted" or value is None:
        return None
    holder, mine = value.locked_by_uuid, tokens.get(operation.token or "")
    taken = isinstance(holder, str) and mine is not None and holder != mine
    return False if value.state in _ENDED or taken else None


_TELLS: dict[str, Callable[[Operation, Mapping[str, str]], bool | None]] = {
    "lock": _after_lock,
    "unlock": _after_unlock,
    "auth": _after_auth,
    "update": _after_update,
    "get": _after_get,
}
"""What an answer tells the dispatcher that asked: it holds the lock, it does not, or nothing new (None)."""
