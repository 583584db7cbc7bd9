"""From an exchange to the operation that the history keeps; secrets become hashes here."""

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from harness.drive.line import Exchange
from harness.history import Operation, OperationType, Shown
from harness.wire import Call

Hashed = Callable[[str], str]
_TYPES: dict[str, OperationType] = {"granted": "ok", "indeterminate": "info", "garbled": "info"}


def operation_of(
    call: Call, exchange: Exchange, process: str, hashed: Hashed, own: Collection[str], **more: Any
) -> Operation:
    """One operation of a dispatcher; of a listing only the containers in `own` are kept."""
    answer = exchange.answer
    kind: OperationType = _TYPES.get(answer.outcome, "fail")
    if exchange.swallowed:  # the dispatcher cannot know, the harness does: it never happened
        kind = "fail"
    uuid = call.uuid
    if call.op == "create" and answer.value is not None and isinstance(answer.value.uuid, str):
        uuid = answer.value.uuid
    fields: dict[str, Any] = {
        "op": call.op,
        "process": process,
        "pid": exchange.pid,
        "invoke_ns": exchange.invoke_ns,
        "release_ns": exchange.release_ns,
        "arrival_ns": exchange.arrival_ns,
        "return_ns": None if kind == "info" else exchange.return_ns,
        "type": kind,
        "outcome": answer.outcome,
        "status": exchange.status,
        "uuid": uuid,
        "sent": None if call.sent is None else dict(call.sent),
        "request_id": exchange.request_id,
        "value": _shown(exchange, hashed, own),
        "errors": answer.errors,
        "problem": answer.problem,
        "leaked": answer.leaked,
        "fault": exchange.fault,
        "run_auth": None if call.run_auth is None else hashed(call.run_auth),
    }
    return Operation(**(fields | more))


def _shown(exchange: Exchange, hashed: Hashed, own: Collection[str]) -> Shown | None:
    answer = exchange.answer
    value = answer.value
    if value is None:
        return None
    changes: dict[str, Any] = {}
    if answer.secret is not None:
        changes["secret"] = hashed(answer.secret)
    if answer.run_auth is not None:
        changes["run_auth"] = hashed(answer.run_auth)
    if isinstance(value.found, list):
        changes["found"] = [uuid for uuid in value.found if uuid in own]
    return msgspec.structs.replace(value, **changes) if changes else value
