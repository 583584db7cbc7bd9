"""For each invariant the smallest history that breaks it, beside a neighbour that does not.

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


SAMPLES: dict[str, Sample] = {
    "durable": Sample(
        bad="""
            A#1     lock    0-1 granted
            server  restart 2-3 granted
            B#1     get     4-5 granted state=Queued
            """,
        good="""
            A#1     lock    0-1 granted
            server  restart 2-3 granted
            B#1     get     4-5 granted state=Locked
            """,
    ),
    "no_server_error": Sample(
        bad="A#1 lock 0- indeterminate status=500",
        good="A#1 lock 0-1 limited status=503",
    ),
    "error_shape": Sample(
        bad="A#1 lock 0-1 refused status=422 problem=not_JSON",
        good="A#1 lock 0-1 refused status=422",
    ),
    "no_secret_leak": Sample(
        bad="A#1 get 0-1 granted state=Queued leaks=shared",
        good="A#1 get 0-1 granted state=Queued",
    ),
    "single_winner": Sample(
        bad="""
            A#1 lock 0-2 granted
            B#1 lock 1-3 granted
            """,
        good="""
            A#1 lock   0-2 granted
            B#1 lock   1-3 granted
            C#1 unlock 1-2 granted
            """,
    ),
    "lock_only_queued": Sample(
        bad="""
            A#1 lock 0-1 granted
            B#1 lock 2-3 granted
            """,
        good="""
            A#1 lock   0-1 granted
            A#1 unlock 1-  indeterminate
            B#1 lock   2-3 granted
            """,
    ),
    "foreign_token_refused": Sample(
        bad="""
            A#1 lock   0-1 granted in_full
            X#1 unlock 2-3 granted token=stranger in_full
            """,
        good="""
            A#1 lock   0-1 granted in_full
            X#1 unlock 2-3 forbidden token=stranger
            """,
    ),
    "unlock_only_locked": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 unlock 2-3 granted
            """,
        good="""
            A#1 create 0-1 granted
            B#1 lock   2-4 granted
            A#1 unlock 3-5 granted
            """,
    ),
    "only_holder_starts": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 update 2-3 granted asks.state=Running
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 update 2-3 forbidden asks.state=Running
            A#1 update 4-5 granted asks.state=Running with=ra
            """,
    ),
    "late_unlock_harmless": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            A#1 unlock 2-3 granted in_full with=ra
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 unlock 6-7 granted in_full with=ra
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            A#1 unlock 2-3 granted in_full with=ra
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 unlock 6-7 forbidden with=ra
            """,
    ),
    "told_of_loss": Sample(
        bad="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 unlock 2-3 granted in_full
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 auth   6-7 granted with=ra auth=auth2 secret=s2
            """,
        good="""
            A#1 lock   0-1 granted in_full run_auth=ra
            B#1 unlock 2-3 granted in_full
            B#1 lock   4-5 granted in_full auth=auth2 run_auth=rb
            A#1 auth   6-7 forbidden with=ra
            """,
    ),
    "legal_transitions": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.state=Running
            """,
        good="""
            A#1 create 0-1 granted
            A#1 update 2-4 granted asks.state=Running
            B#1 lock   3-5 granted
            """,
    ),
    "fields_protected": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.locked_by_uuid=uuid-of-shared
            """,
        good="""
            A#1 create 0-1 granted
            A#1 update 2-3 granted asks.locked_by_uuid=null
            """,
    ),
    "refusal_changes_nothing": Sample(
        bad="""
            A#1 lock   0-1 granted
            X#1 unlock 2-3 refused token=stranger
            A#1 get    4-5 granted state=Queued
            """,
        good="""
            A#1 lock   0-1 granted
            X#1 unlock 2-3 granted token=stranger
            A#1 get    4-5 granted state=Queued
            """,
    ),
    "no_lost_container": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 get    2-3 missing
            """,
        good="""
            A#1 get    0-1 missing
            A#1 create 0-1 granted
            """,
    ),
    "fresh_auth_per_lock": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            B#1 lock   4-5 granted
            B#1 auth   6-7 granted secret=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            B#1 lock   4-5 granted
            B#1 auth   6-7 granted secret=s2
            """,
    ),
    "owner_recorded": Sample(
        bad="""
            A#1 lock 0-1 granted
            B#1 get  2-3 granted state=Locked locked_by=null
            """,
        good="""
            A#1 lock 0-1 granted
            B#1 get  2-3 granted state=Locked locked_by=uuid-of-shared
            """,
    ),
    "unlock_clears": Sample(
        bad="""
            A#1 unlock 0-1 granted
            B#1 get    2-3 granted state=Queued locked_by=uuid-of-shared
            """,
        good="""
            A#1 unlock 0-1 granted
            B#1 get    2-3 granted state=Queued locked_by=null
            """,
    ),
    "lock_counted": Sample(
        bad="""
            A#1 create 0-1 granted lock_count=0
            A#1 lock   2-3 granted in_full
            A#1 get    4-5 granted state=Locked lock_count=0
            """,
        good="""
            A#1 create 0-1 granted lock_count=0
            A#1 lock   2-5 granted in_full
            A#1 get    3-4 granted state=Queued lock_count=0
            """,
    ),
    "attempt_limit": Sample(
        bad="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted in_full
            A#1 unlock 4-5 granted in_full
            """,
        good="""
            A#1 create 0-1 granted
            A#1 lock   2-3 granted in_full
            A#1 unlock 4-5 granted in_full state=Cancelled
            A#1 get    6-7 granted state=Cancelled error=gave_up
            """,
        limit=1,
    ),
    "revoked_auth_dead": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-3 granted
            A#1 use    4-5 granted sends=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-4 granted
            A#1 use    3-5 granted sends=s1
            """,
    ),
    "auth_works": Sample(
        bad="""
            A#1 auth   0-1 granted secret=s1
            A#1 use    2-3 unauthenticated sends=s1
            """,
        good="""
            A#1 auth   0-1 granted secret=s1
            B#1 unlock 2-  indeterminate
            A#1 use    2-3 unauthenticated sends=s1
            """,
    ),
    "auth_only_holder": Sample(
        bad="""
            A#1 lock   0-1 granted
            X#1 auth   2-3 granted token=stranger
            """,
        good="""
            A#1 lock   0-1 granted
            X#1 auth   2-3 forbidden token=stranger
            """,
    ),
    "single_holder": Sample(
        bad="""
            A#1 lock 0-1 granted in_full run_auth=ra
            A#1 auth 2-3 granted with=ra auth=auth1 secret=s1
            B#1 auth 4-5 granted auth=auth1 secret=s1
            """,
        good="""
            A#1 lock 0-1 granted in_full run_auth=ra
            A#1 auth 2-3 granted with=ra auth=auth1 secret=s1
            B#1 auth 4-5 forbidden
            """,
    ),
    "recoverable": Sample(
        bad="""
            A#1 lock   0-1 granted
            B#1 unlock 2-3 refused
            """,
        good="""
            A#1 lock   0-1 granted
            B#1 unlock 2-3 refused
            A#1 unlock 2-3 granted
            """,
    ),
    "transition_granted": Sample(
        bad="""
            A#1 lock   0-1 granted
            A#1 update 2-3 refused asks.state=Running
            """,
        good="""
            A#1 lock   0-1 granted
            B#1 unlock 2-4 granted
            A#1 update 3-5 refused asks.state=Running
            """,
    ),
    "list_complete": Sample(
        bad="""
            A#1 lock   0-1 granted
            A#1 list   2-3 granted asks.state=Locked found=c2
            """,
        good="""
            A#1 lock   0-1 granted
            A#1 list   2-3 granted asks.state=Locked found=c1
            """,
    ),
    "read_your_writes": Sample(
        bad="""
            A#1 lock   0-1 granted
            B#1 get    2-3 granted state=Queued
            """,
        good="""
            A#1 lock   0-2 granted
            B#1 get    1-3 granted state=Queued
            """,
    ),
    "no_deadlock": Sample(
        bad="""
            A#1 lock   0-  indeterminate problem=timeout
            B#1 lock   1-  indeterminate problem=timeout on=c2
            C#1 get    2-3 granted status=200 state=Queued
            """,
        good="""
            A#1 lock   0-  indeterminate problem=timeout
            B#1 lock   1-2 granted status=200 on=c2
            C#1 get    2-3 granted status=200 state=Queued
            """,
    ),
    "linearizable": Sample(
        bad="""
            A#1 get    0-1 granted state=Locked auth=auth1
            B#1 unlock 2-3 granted
            C#1 lock   4-5 granted
            A#1 get    6-7 granted state=Locked auth=auth1
            """,
        good="""
            A#1 get    0-1 granted state=Locked auth=auth1
            B#1 unlock 2-3 granted
            C#1 lock   4-5 granted
            A#1 get    6-7 granted state=Locked auth=auth2
            """,
    ),
}
"""Every invariant's sample, by its name."""
