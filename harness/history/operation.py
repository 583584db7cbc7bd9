"""One operation, from the first byte sent to the last byte read, and a history of them.

    invoke_ns        release_ns     arrival_ns       return_ns
       |----------------|--------------|----------------|
       first byte may   the rest was   the server saw   answer complete, null if it
       have left        let go         it, by its word  may still take effect later

Release and arrival tell how close requests were; nothing is judged by them.

Times are nanoseconds of CLOCK_MONOTONIC, one clock for all processes of a machine.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from harness.contract import Level, Outcome

OperationType = Literal["ok", "fail", "info"]
"""`ok` was granted; `fail` certainly did not happen; `info` may take effect at any later time."""

Phase = Literal["setup", "run", "probe", "cleanup"]
"""Why an operation was sent: to provision, as a step, to look at the end, to tidy up (never judged)."""

OPS = (
    "create",
    "lock",
    "unlock",
    "auth",  # read the container auth of the current lock
    "get",
    "list",
    "update",
    "use",  # use a token: ask who it is
    "crash",  # these five are events, not requests: they have no status and no outcome but granted
    "pause",
    "resume",
    "restart",
    "barrier",
)


class Shown(Struct, omit_defaults=True, frozen=True, gc=False):
    """What an answer showed of the contract's fields; UNSET where it did not show the field at all.

    Secrets are salted hashes (the salt is not kept): equal within one history, useless outside.
    """

    uuid: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    priority: int | UnsetType | None = UNSET
    locked_by_uuid: str | UnsetType | None = UNSET
    auth_uuid: str | UnsetType | None = UNSET  # of a container; in the answer to auth and use, the token's own uuid
    lock_count: int | UnsetType = UNSET
    runtime_error: str | UnsetType | None = UNSET  # runtime_status.error
    secret: str | UnsetType = UNSET  # hash of the secret that an auth answered
    run_auth: str | UnsetType = UNSET  # hash of the run_auth that a lock answered
    found: list[str] | UnsetType = UNSET  # uuids that a list answered, cut to those of the run


SHOWN_FIELDS: tuple[str, ...] = Shown.__struct_fields__


class Operation(Struct, omit_defaults=True, frozen=True, kw_only=True):
    """One invocation with its completion, as one line of a history file."""

    op: str
    process: str  # one incarnation of a dispatcher: "A#1", after a crash or an indeterminate call "A#2"
    invoke_ns: int
    type: OperationType
    outcome: Outcome
    return_ns: int | None = None  # null exactly for info
    release_ns: int | None = None
    arrival_ns: int | None = None  # as the server stamped it (X-Arrival-Ns), where it has the same clock and does so
    run: int = 0
    phase: Phase = "run"
    step: str | None = None
    uuid: str | None = None  # of the container
    container: str | None = None  # its name in the scenario
    pid: int | None = None
    status: int | None = None
    token: str | None = None  # name of the token sent: shared, stranger, or what was saved, "A.token"
    secret: str | None = None  # hash of the secret that a use sent
    run_auth: str | None = None  # hash of the run_auth that was sent
    sent: dict[str, Any] | None = (
        None  # attributes of a create or update; of a list what it asked for: {"state": "Queued"}
    )
    request_id: str | None = None
    saved_as: str | None = None  # the name under which the dispatcher saved the answer: "token"
    value: Shown | None = None
    errors: list[str] | None = None  # the server's error texts, secrets taken out
    problem: str | None = None  # what is wrong with the answer's shape (ERR-1, LOCK-5)
    leaked: list[str] | None = None  # whose secret stood where none may stand (AUTH-6)
    fault: str | None = None  # what the harness did to this call: "lose reply"
    sent_again: bool = False  # the target turned it away (limited), and the next try of the same call came after it


class Header(Struct, omit_defaults=True, kw_only=True):
    """The first line of a history file: what is needed to judge it again years later."""

    format: Literal[1] = 1
    kind: Literal["lockrace-history"] = "lockrace-history"
    scenario: str | None = None  # the instance's name
    text: str | None = None  # the scenario file, whole
    path: str | None = None  # where it was read from
    target: str | None = None
    level: Level = "must"
    max_dispatch_attempts: int | None = None
    seed: int | None = None
    tokens: dict[str, str] = msgspec.field(default_factory=dict)  # name -> token uuid
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    replays: list[str] = msgspec.field(default_factory=list)  # for `lockrace replay`: one for all runs, or one a run
    clock: str = "CLOCK_MONOTONIC"
    started: str | None = None  # wall clock, ISO 8601, for readers only
    version: str | None = None  # of lockrace


class History(Struct):
    """A header and its operations, in the order in which they completed."""

    header: Header
    operations: list[Operation]
