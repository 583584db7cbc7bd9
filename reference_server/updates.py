"""The rule of updates: which attributes and states a PUT may change, for whom, and what follows from it.

    new state             attributes that may change with it
    Queued                priority
    Locked                priority, lock_count; for the locking token also runtime_status, log
    Running               priority; for the locking token and the container auth the progress attributes
    Complete, Cancelled   on leaving Running the progress attributes, on leaving Queued or Locked log,
                          runtime_status, cost; afterwards nothing

The container auth may write while Running only, and neither priority nor log.
"""

import json

import msgspec
from msgspec.structs import replace

from reference_server.objects import Container, Token, container_record, details_of
from reference_server.rules import (
    FINAL,
    FORBIDDEN,
    FOREIGN,
    MISSING,
    NO_RUN_AUTH,
    STALE_RUN_AUTH,
    TRANSITIONS,
    Call,
    Change,
    Decision,
    Refusal,
    cannot_lock,
    has_stale_run_auth,
    locked,
    readable,
    refused,
    released,
    unlocked,
)

PROGRESS = (
    "output_properties",
    "gateway_address",
    "progress",
    "runtime_status",
    "subrequests_cost",
    "cost",
    "log",
    "output",
    "exit_code",
)
LAST_WORDS = ("log", "runtime_status", "cost")
LARGEST_INTEGER = 2**63 - 1
_LONGEST_SHOWN = 200  # characters of a value in an error

_TYPES: dict[str, tuple[type, ...]] = {
    "command": (list,),
    "container_image": (str,),
    "cwd": (str,),
    "environment": (dict,),
    "mounts": (dict,),
    "output_path": (str,),
    "runtime_constraints": (dict,),
    "scheduling_parameters": (dict,),
    "output": (str, type(None)),
    "log": (str, type(None)),
    "exit_code": (int, type(None)),
    "progress": (int, float, type(None)),
    "output_properties": (dict,),
    "gateway_address": (str, type(None)),
    "cost": (int, float),
    "subrequests_cost": (int, float),
    "runtime_status": (dict,),
}


def update(row: Container, call: Call) -> Decision:
    """STATE-1 to STATE-4: the attributes that change are checked together and written together, or not at all."""
    if not readable(row, call.caller):
        return MISSING
    if has_stale_run_auth(row, call):
        return STALE_RUN_AUTH
    if not (call.caller.is_admin or (row.state == "Running" and call.caller.uuid == row.auth_uuid)):
        return FORBIDDEN
    changes = changed(row, call.attributes)
    if not changes:
        return Change(row)
    state = changes.get("state", row.state)
    lock_refusal = refusal_of_lock_step(row, call, changes)
    if lock_refusal:
        return lock_refusal
    errors = state_errors(row, changes, call) + attribute_errors(row, state, changes, call)
    if errors:
        return refused(*errors)
    return after_update(row, str(state), changes, call)


def changed(row: Container, attributes: dict[str, object]) -> dict[str, object]:
    """The attributes whose value differs from the container's: the same value again is no change."""
    record = container_record(row)
    return {name: value for name, value in attributes.items() if record.get(name) != value}


def refusal_of_lock_step(row: Container, call: Call, changes: dict[str, object]) -> Refusal | None:
    """STATE-4, RUN-4: what a lock, an unlock or a start is refused for, whichever way it is asked for."""
    state = changes.get("state")
    if (row.state, state) == ("Queued", "Locked"):
        priority = changes.get("priority", row.priority)
        if isinstance(priority, int) and priority <= 0:
            return cannot_lock("priority<=0")
        step = locked(row, call)
        return step if isinstance(step, Refusal) else None
    if (row.state, state) == ("Locked", "Queued") and changes.get(
        "locked_by_uuid", row.locked_by_uuid
    ) != call.caller.uuid:
        return FOREIGN
    if (row.state, state) == ("Locked", "Running") and call.with_run_auth:
        if call.run_auth is None:
            return NO_RUN_AUTH
        if row.locked_by_uuid != call.caller.uuid:
            return FOREIGN
    return None


def state_errors(row: Container, changes: dict[str, object], call: Call) -> list[str]:
    """STATE-1: a state that cannot be reached from this one."""
    if "state" not in changes or changes["state"] in TRANSITIONS[row.state]:
        return []
    state = changes["state"]
    errors = [f"State cannot change from {row.state} to {'' if state is None else shorten(str(state))}"]
    if state == "Complete" and row.state not in FINAL:
        errors.append(f"Finished at cannot be modified in state 'Complete' (nil, {call.now})")
    return errors


def attribute_errors(row: Container, state: object, changes: dict[str, object], call: Call) -> list[str]:
    """STATE-2 and the table above: attributes that may not change now, or not to this value."""
    allowed = writable(row, state, call.caller)
    record = container_record(row)
    errors = []
    for name, value in changes.items():
        if name == "state":
            continue
        if name not in allowed:
            old_and_new = f"({ruby(record.get(name))}, {ruby(value)})"
            errors.append(f"{title(name)} cannot be modified in state '{state}' {old_and_new}")
        else:
            errors += value_errors(name, value)
    if "locked_by_uuid" in changes:
        holder = holder_in(row, state, call.caller)
        if changes["locked_by_uuid"] != holder:
            errors.append(f"Locked by uuid can only change to {holder or ''}")
    if "auth_uuid" in changes:
        errors.append("Auth uuid is readonly")
    return errors


def writable(row: Container, state: object, caller: Token) -> tuple[str, ...]:
    """The attributes that this caller may change while the container is, or enters, `state`."""
    if caller.uuid == row.auth_uuid and not caller.is_admin:
        return tuple(name for name in PROGRESS if name != "log")
    is_holder = row.locked_by_uuid in (None, caller.uuid)
    if state == "Queued":
        return ("priority",)
    if state == "Locked":
        return ("priority", "lock_count", *(("runtime_status", "log") if is_holder else ()))
    if state == "Running":
        return ("priority", *(PROGRESS if is_holder else ()))
    if row.state in FINAL or not is_holder:
        return ()
    return PROGRESS if row.state == "Running" else LAST_WORDS


def holder_in(row: Container, state: object, caller: Token) -> str | None:
    """The only `locked_by_uuid` that the container can have in `state`."""
    if state == "Locked" and row.state == "Queued":
        return caller.uuid
    return row.locked_by_uuid if state in ("Locked", "Running") else None


def value_errors(name: str, value: object) -> list[str]:
    """What is wrong with a value of an attribute that may be written."""
    if name in ("priority", "lock_count"):
        return integer_errors(name, value)
    if type(value) not in _TYPES[name]:
        return [f"{title(name)} is of the wrong type"]
    if name == "exit_code" and value is not None:
        return [] if abs(int(str(value))) <= LARGEST_INTEGER else ["Exit code is out of range"]
    if name == "runtime_status" and isinstance(value, dict):
        known = ("error", "errorDetail", "warning", "warningDetail", "activity")
        return [f"{key} value must be a string" for key in known if not isinstance(value.get(key, ""), str)]
    return []


def integer_errors(name: str, value: object) -> list[str]:
    """What is wrong with an integer that must not be negative."""
    if type(value) is not int:
        return [f"{title(name)} is not a number"]
    if value < 0:
        return [f"{title(name)} must be greater than or equal to 0"]
    return [] if value <= LARGEST_INTEGER else [f"{title(name)} must be less than or equal to {LARGEST_INTEGER}"]


def after_update(row: Container, state: str, changes: dict[str, object], call: Call) -> Decision:
    """The row with the changes, and with all that follows from a change of state."""
    written = with_attributes(row, {name: value for name, value in changes.items() if name != "state"})
    if state == row.state:
        return Change(written)
    if state == "Locked":
        return locked(written, call)
    if state == "Queued":
        return unlocked(written, call)
    if state == "Running":
        return Change(replace(written, state=state, started_at=call.now))
    ended = replace(released(written, state), runtime_status=written.runtime_status)
    return Change(replace(ended, finished_at=row.finished_at or call.now), revoke=row.auth_uuid)


def with_attributes(row: Container, values: dict[str, object]) -> Container:
    """The row with these attributes written into it."""
    columns: dict[str, object] = {}
    details = details_of(row)
    for name, value in values.items():
        if name == "runtime_status":
            columns[name] = msgspec.json.encode(value).decode()
        elif name in ("priority", "lock_count"):
            columns[name] = value
        else:
            details[name] = value
    return replace(row, details=msgspec.json.encode(details).decode(), **columns)


def title(name: str) -> str:
    """An attribute's name as error texts spell it: "locked_by_uuid" is "Locked by uuid"."""
    return name.replace("_", " ").capitalize()


def ruby(value: object) -> str:
    """A value as Arvados writes it in an error: nil, "text", [1, 2], {"key"=>"value"}."""
    return shorten(_ruby(value))


def _ruby(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_ruby(key)}=>{_ruby(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_ruby(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def shorten(text: str) -> str:
    """A text that cannot fill an answer: cut off where it gets long."""
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def creation_errors(attributes: dict[str, object]) -> list[str]:
    """What keeps a container from being created with these attributes."""
    errors = [
        f"{title(name)} can't be blank"
        for name in ("command", "container_image", "output_path")
        if not attributes.get(name)
    ]
    for name, value in attributes.items():
        if name == "priority":
            errors += integer_errors(name, value)
        elif name == "state":
            errors += [] if value == "Queued" else [f"State cannot change from  to {shorten(str(value))}"]
        elif name in _TYPES and name not in PROGRESS:
            errors += [] if type(value) in _TYPES[name] else [f"{title(name)} is of the wrong type"]
        elif name != "owner_uuid":
            errors.append(f"{title(name)} cannot be modified in state 'Queued' (nil, {ruby(value)})")
    return errors
