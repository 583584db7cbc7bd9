"""The sequential rules of the contract: a container, a caller and a call in, one decision out.

Pure: no clock, no chance, no database. A store runs a rule on the row that it holds still, so whatever these
functions decide is decided at one instant. Each rule names the requirements that it keeps.

    from        to
    Queued      Locked, Cancelled
    Locked      Queued, Running, Cancelled
    Running     Complete, Cancelled
    Complete    Cancelled
    Cancelled   nothing

Error texts are those that Arvados servers answer; clients match on some of them.
"""

import hmac
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from reference_server.objects import Container, Token, hash_of

TRANSITIONS: dict[str, tuple[str, ...]] = {
    "Queued": ("Locked", "Cancelled"),
    "Locked": ("Queued", "Running", "Cancelled"),
    "Running": ("Complete", "Cancelled"),
    "Complete": ("Cancelled",),
    "Cancelled": (),
}
Verb = Literal["lock", "unlock", "update", "auth", "get"]
HELD = ("Locked", "Running")
FINAL = ("Complete", "Cancelled")


class Call(Struct, frozen=True):
    """Who asks, when, and what a lock would hand out; the same for every rule."""

    verb: Verb
    caller: Token
    now: str
    fresh: Token  # the container auth that a lock issues
    max_dispatch_attempts: int | None = None  # null: no limit
    with_run_auth: bool = False  # whether the server serves the run_auth extension
    run_auth: str | None = None  # what the caller sent
    fresh_run_auth: str = ""  # what a lock answers
    attributes: dict[str, object] = {}  # of an update: name -> value


class Refusal(Struct, frozen=True):
    """The call is turned down and changes nothing."""

    status: int
    errors: tuple[str, ...]


class Change(Struct, frozen=True):
    """The call is granted. `after` is the row as it is then: the very same one where nothing changes."""

    after: Container
    issue: Token | None = None
    revoke: str | None = None  # uuid of the container auth that dies
    run_auth: str | None = None  # told to the caller once
    shown: Container | None = None  # what the answer shows, where that differs from `after`


Decision = Refusal | Change
Rule = Callable[[Container, Call], Decision]

MISSING = Refusal(404, ("Path not found",))
FORBIDDEN = Refusal(403, ("#<ArvadosModel::PermissionDeniedError: ArvadosModel::PermissionDeniedError>",))
FOREIGN = Refusal(403, ("#<ArvadosModel::PermissionDeniedError: locked by a different token>",))
NOT_YOURS = Refusal(403, ("#<ArvadosModel::PermissionDeniedError: Not locked by your token>",))
STALE_RUN_AUTH = Refusal(403, ("run_auth is not the current lock's",))
NO_RUN_AUTH = Refusal(403, ("run_auth of the current lock is required",))
TOO_MANY_ATTEMPTS = (
    "Failed to start container.  Cancelled after exceeding 'Containers.MaxDispatchAttempts' (lock_count={lock_count})"
)
NOBODY_ASKS = Refusal(422, ("Auth uuid cannot be assigned because priority <= 0",))


def refused(*errors: str) -> Refusal:
    """The call is not possible in this state, or malformed."""
    return Refusal(422, errors)


def readable(row: Container, caller: Token) -> bool:
    """Whether the caller may know that the container exists."""
    return caller.is_admin or caller.uuid == row.auth_uuid or caller.user_uuid == row.requested_by_uuid


def read(row: Container, call: Call) -> Decision:
    """GET-1: whoever may know of a container may read it."""
    return Change(row) if readable(row, call.caller) else MISSING


def lock(row: Container, call: Call) -> Decision:
    """LOCK-1, LOCK-2, LOCK-4: only a Queued container of priority above 0 that someone asks for."""
    if not readable(row, call.caller):
        return MISSING
    if row.state != "Queued":
        return cannot_lock(row.state)
    if row.priority <= 0:
        return cannot_lock("priority<=0")
    if not call.caller.is_admin:
        return FORBIDDEN
    return locked(row, call)


def cannot_lock(why: str) -> Refusal:
    """A lock that comes when it may not: in another state, or at priority 0."""
    return refused(f"#<ArvadosModel::LockFailedError: cannot lock when {why}>")


def locked(row: Container, call: Call) -> Decision:
    """LOCK-1, LOCK-6, AUTH-3: the Queued container in the hands of the caller, with an auth never issued before."""
    if row.requested_by_uuid is None:
        return NOBODY_ASKS
    issued = replace(call.fresh, user_uuid=row.requested_by_uuid, container_uuid=row.uuid)
    after = replace(
        row,
        state="Locked",
        locked_by_uuid=call.caller.uuid,
        auth_uuid=issued.uuid,
        lock_count=row.lock_count + 1,
        run_auth_hash=hash_of(call.fresh_run_auth) if call.with_run_auth else None,
    )
    return Change(after, issue=issued, run_auth=call.fresh_run_auth if call.with_run_auth else None)


def unlock(row: Container, call: Call) -> Decision:
    """UNLOCK-1, UNLOCK-2, UNLOCK-4, UNLOCK-5: only a Locked container, only by the token that locked it."""
    if not readable(row, call.caller):
        return MISSING
    if row.state != "Locked":
        return refused(f"#<ArvadosModel::InvalidStateTransitionError: cannot unlock when {row.state}>")
    if row.locked_by_uuid != call.caller.uuid:
        return FOREIGN
    if has_stale_run_auth(row, call):
        return STALE_RUN_AUTH
    return unlocked(row, call)


def unlocked(row: Container, call: Call) -> Change:
    """UNLOCK-1, UNLOCK-3, UNLOCK-6: back in the queue, or Cancelled at the attempt limit; the auth is dead."""
    limit = call.max_dispatch_attempts
    if limit is None or row.lock_count < limit:
        return Change(released(row, "Queued"), revoke=row.auth_uuid)
    why = TOO_MANY_ATTEMPTS.format(lock_count=row.lock_count)
    cancelled = replace(released(row, "Cancelled"), runtime_status=msgspec.json.encode({"error": why}).decode())
    # Arvados takes the priority to 0 just after it has answered.
    return Change(replace(cancelled, priority=0), revoke=row.auth_uuid, shown=cancelled)


def released(row: Container, state: str) -> Container:
    """The container in no one's hands: neither holder, nor auth, nor run_auth."""
    return replace(row, state=state, locked_by_uuid=None, auth_uuid=None, run_auth_hash=None, runtime_status="{}")


def read_auth(row: Container, call: Call) -> Decision:
    """AUTH-1, AUTH-2: the container auth, for the token that locked and during its lock only."""
    if not readable(row, call.caller):
        return MISSING
    if row.state not in HELD or row.auth_uuid is None or row.locked_by_uuid != call.caller.uuid:
        return NOT_YOURS
    if has_stale_run_auth(row, call):
        return STALE_RUN_AUTH
    if call.with_run_auth and call.run_auth is None:
        return NO_RUN_AUTH
    return Change(row)


def has_stale_run_auth(row: Container, call: Call) -> bool:
    """RUN-2, RUN-3: whether the caller speaks of a lock that is not the current one."""
    if not call.with_run_auth or call.run_auth is None:
        return False
    return not hmac.compare_digest(hash_of(call.run_auth), row.run_auth_hash or "")
