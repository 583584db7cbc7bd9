"""Small histories as text, for pages and tests.

A line is one operation: process, call, from-to, outcome, and what was asked and shown. Without a second time the answer
never came. Every process sends the token `shared` about the container c1 unless the line says otherwise. `in_full` is
an answer that shows the five fields of LOCK-5.
"""

import json
import re
from typing import Any, NamedTuple

from harness.contract import Level
from harness.history import Header, History, Operation, Shown

TOKENS = {"shared": "uuid-of-shared", "stranger": "uuid-of-stranger"}

_LINE = re.compile(r"(?P<process>\S+) +(?P<op>\w+) +(?P<start>\d+)-(?P<end>\d*) +(?P<outcome>\w+)(?P<rest>.*)")
_SHOWN = {
    "state": "state",
    "priority": "priority",
    "locked_by": "locked_by_uuid",
    "auth": "auth_uuid",
    "lock_count": "lock_count",
    "error": "runtime_error",
    "secret": "secret",
    "run_auth": "run_auth",
    "found": "found",
    "uuid": "uuid",
}
_SENT = {"token": "token", "sends": "secret", "with": "run_auth", "on": "container", "step": "step", "phase": "phase"}
_NOTED = {"status": "status", "problem": "problem", "leaks": "leaked"}
_IN_FULL: dict[str, dict[str, Any]] = {
    "lock": {"uuid": "c1", "state": "Locked", "priority": 1, "locked_by_uuid": TOKENS["shared"], "auth_uuid": "auth1"},
    "unlock": {"uuid": "c1", "state": "Queued", "priority": 1, "locked_by_uuid": None, "auth_uuid": None},
}
_EVENTS = frozenset({"restart", "crash"})


class Sample(NamedTuple):
    """A history that breaks an invariant and one that does not, as text."""

    bad: str
    good: str
    limit: int | None = None  # --max-dispatch-attempts


def read_sample(text: str, level: Level, limit: int | None = None) -> History:
    """The history that a text spells."""
    operations = [_operation(line) for line in text.strip().splitlines()]
    operations.sort(key=lambda one: one.invoke_ns if one.return_ns is None else one.return_ns)
    return History(Header(level=level, tokens=TOKENS, max_dispatch_attempts=limit), operations)


def _operation(line: str) -> Operation:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise ValueError(f"not a line of a sample: {line!r}")
    outcome = found["outcome"]
    kind = {"granted": "ok", "indeterminate": "info", "garbled": "info"}.get(outcome, "fail")
    fields: dict[str, Any] = {"token": "shared", "container": "c1"}
    asked: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for word in found["rest"].split():
        name, _, value = word.partition("=")
        if word == "in_full":
            values |= _IN_FULL[found["op"]]
        elif name.startswith("asks."):
            asked[name.removeprefix("asks.")] = _value(value)
        elif name in _SHOWN:
            values[_SHOWN[name]] = value.split(",") if name == "found" else _value(value)
        elif name in _NOTED:
            fields[_NOTED[name]] = [value] if name == "leaks" else _value(value)
        else:
            fields[_SENT[name]] = value
    if found["op"] in {"list", "use", *_EVENTS}:
        fields["container"] = None
    if found["op"] in _EVENTS:
        fields["token"] = None
    return Operation(
        op=found["op"],
        process=found["process"],
        invoke_ns=int(found["start"]),
        return_ns=int(found["end"]) if found["end"] and kind != "info" else None,
        type=kind,  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        uuid=fields["container"],
        sent=asked or None,
        value=Shown(**values) if values else None,
        **fields,
    )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
