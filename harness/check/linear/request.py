"""Operations as the model hears them: what was asked, what was answered, and nothing else.

Two operations with equal requests are the same to every order, so a request is also the key under which the
answers of the model are remembered.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import UNSET

from harness.history import Header, Operation, Shown

JUDGED_OPS = frozenset({"create", "lock", "unlock", "auth", "get", "update"})
"""Operations about one container that the model orders; listings are split into reads, see `reads_of_listing`."""

MUTATORS = frozenset({"create", "lock", "unlock", "update"})
"""Operations that can change a container: one of unknown outcome may have."""

READER = "reader"
"""The caller of what is judged as a read, whoever sent it."""

ANY: Any = UNSET
"""A field that the answer did not show."""


class Request(NamedTuple):
    """One operation without its times and its index.

    `caller` is a token's uuid, or its name where the header does not tell the uuid; None for a container auth, whose
    own uuid is then `auth` (None: not known). `outcome` is granted, refused, forbidden or unknown. The rest is what
    the answer showed, ANY where it did not.
    """

    op: str
    caller: str | None
    outcome: str
    attributes: tuple[tuple[str, Any], ...] = ()
    auth: str | None = None
    run_auth: str | None = None
    state: Any = ANY
    priority: Any = ANY
    locked_by: Any = ANY
    shown_auth: Any = ANY
    lock_count: Any = ANY
    shown_run_auth: Any = ANY

    @property
    def changes(self) -> bool:
        """Whether it can change the container."""
        return self.op in MUTATORS and self.outcome in {"granted", "unknown"}


class Translator:
    """Turns operations of one history into requests. It learns whose a saved token is from the answers to `auth`."""

    def __init__(self, header: Header) -> None:
        self._tokens = header.tokens
        self._counts = self._answers_as_then = header.level != "must"
        self._run_auths = header.level == "run_auth"
        self._auth_of_secret: dict[str, str] = {}

    def learn(self, operation: Operation) -> None:
        """Remember which auth a secret belongs to; call it for every operation before `request`."""
        value = operation.value
        if value is not None and value.secret is not UNSET and isinstance(value.auth_uuid, str):
            self._auth_of_secret[value.secret] = value.auth_uuid

    def request(self, operation: Operation) -> Request | None:
        """What the model hears of an operation; None when it constrains nothing."""
        if operation.op not in JUDGED_OPS or operation.phase == "cleanup":
            return None
        outcome = _outcome(operation)
        if outcome is None:
            return None
        caller, auth = self._caller(operation)
        run_auth = operation.run_auth if self._run_auths else None
        request = Request(operation.op, caller, outcome, _attributes(operation), auth, run_auth)
        if outcome == "granted" and operation.value is not None:
            request = self._with_shown(request, operation.value)
        return request if caller is not None else _by_container(request)

    def _caller(self, operation: Operation) -> tuple[str | None, str | None]:
        name = operation.token or "shared"
        if name in self._tokens:
            return self._tokens[name], None
        if "." not in name:
            return name, None
        return None, self._auth_of_secret.get(operation.secret or "")

    def _with_shown(self, request: Request, value: Shown) -> Request:
        if request.op == "auth":  # the answer is the token itself: no field of the container but its auth
            return request._replace(shown_auth=value.auth_uuid)
        if not self._answers_as_then and _is_from_before(request, value):
            return request
        return request._replace(
            state=value.state,
            priority=value.priority,
            locked_by=value.locked_by_uuid,
            shown_auth=value.auth_uuid,
            lock_count=value.lock_count if self._counts else ANY,
            shown_run_auth=value.run_auth if self._run_auths else ANY,
        )


def _is_from_before(request: Request, value: Shown) -> bool:
    """Whether a granted change was answered by the record as it was before.

    LOCK-5 forbids that at level arvados. Below, an answer may show anything, and only what it shows of the container
    after the change can be judged.
    """
    if value.state is not UNSET:
        match request.op:
            case "lock":
                return value.state != "Locked"
            case "unlock":
                return value.state not in {"Queued", "Cancelled"}
    asked = dict(request.attributes) if request.op == "update" else {}
    state, priority = asked.get("state", value.state), asked.get("priority", value.priority)
    return value.state not in {UNSET, state} or (value.priority not in {UNSET, priority} and state != "Cancelled")


def _by_container(request: Request) -> Request | None:
    """What a request made with a container auth says of the container.

    The auth need not die at the very moment at which its lock ends, only before that is answered (UNLOCK-3). So a
    refusal says nothing, and an answer that changes no state is a read. Whether it may unlock is open below arvados
    (UNLOCK-5): where it did, or may have, that counts.
    """
    if request.outcome in {"refused", "forbidden"}:
        return None
    if request.op == "unlock" or (request.op == "update" and "state" in dict(request.attributes)):
        return request
    read = request._replace(op="get", caller=READER, attributes=(), auth=None)
    return read if request.op in {"get", "update"} and request.outcome == "granted" else None


def reads_of_listing(operation: Operation) -> Iterable[tuple[str, Request]]:
    """What a granted listing says of each container it found: that it matched at some moment of the listing.

    What a listing leaves out is not judged here: an invariant does, which knows how it was paged.
    """
    value = operation.value
    if operation.outcome != "granted" or value is None or value.found is UNSET:
        return
    wanted: Mapping[str, Any] = operation.sent or {}
    read = Request(
        "get",
        READER,
        "granted",
        state=_one(wanted.get("state", ANY)),
        priority=_one(wanted.get("priority", ANY)),
        locked_by=_one(wanted.get("locked_by_uuid", ANY)),
    )
    for uuid in dict.fromkeys(value.found):
        yield uuid, read


def _one(wanted: Any) -> Any:
    """What a listing asked of a field; one that names several values shows none of them."""
    if isinstance(wanted, list | tuple) and len(wanted) == 1:
        return _one(wanted[0])
    return ANY if isinstance(wanted, list | tuple | dict) else wanted


def _outcome(operation: Operation) -> str | None:
    if operation.type == "info":
        return "unknown" if operation.op in MUTATORS and operation.op != "create" else None
    if operation.outcome in {"granted", "refused", "forbidden"}:
        return None if operation.op == "create" and operation.outcome != "granted" else operation.outcome
    return None  # limited, unauthenticated, missing: the container was not reached


def _attributes(operation: Operation) -> tuple[tuple[str, Any], ...]:
    """What was asked to be set, of fields that the model knows by value; of others only that they were named."""
    if operation.op == "create":
        priority = (operation.sent or {}).get("priority", UNSET)
        if priority is UNSET and operation.value is not None and isinstance(operation.value.priority, int):
            priority = operation.value.priority  # a default of the server's
        return (("priority", priority),) if isinstance(priority, int) else ()
    if operation.op != "update" or not operation.sent:
        return ()
    kept = []
    for name, value in sorted(operation.sent.items()):
        if name == "uuid" and value == operation.uuid:
            continue
        known = name in {"state", "priority", "locked_by_uuid", "auth_uuid"}
        plain = value is None or isinstance(value, str | int | float)
        kept.append((name, (value if plain else repr(value)) if known else None))
    return tuple(kept)
