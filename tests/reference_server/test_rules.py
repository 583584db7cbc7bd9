"""The pure rules against the contract's own table: every state, every call, the locking token and another one."""

from typing import Any

import pytest
from msgspec.structs import replace

from reference_server import rules, updates
from reference_server.objects import STATES, Container, Token
from reference_server.rules import Call, Change, Decision, Refusal

HOLDER = Token(uuid="holder", secret="a", is_admin=True)
OTHER = Token(uuid="other", secret="b", is_admin=True)
OWN_AUTH = Token(uuid="auth", secret="c", user_uuid="user")
FRESH = Token(uuid="fresh", secret="d")
NOW = "2026-01-01T00:00:00.000000000Z"

GRANTED_TO_HOLDER = {
    ("Queued", "lock"): "Locked",
    ("Locked", "unlock"): "Queued",
    ("Queued", "Locked"): "Locked",
    ("Queued", "Cancelled"): "Cancelled",
    ("Locked", "Queued"): "Queued",
    ("Locked", "Running"): "Running",
    ("Locked", "Cancelled"): "Cancelled",
    ("Running", "Complete"): "Complete",
    ("Running", "Cancelled"): "Cancelled",
    ("Complete", "Cancelled"): "Cancelled",
} | {(state, state): state for state in STATES}
FORBIDDEN_TO_OTHERS = [("Locked", "unlock"), ("Locked", "Queued")]


def container(state: str) -> Container:
    row = Container(uuid="c", state=state, priority=1, requested_by_uuid="user", lock_count=1)
    return replace(row, locked_by_uuid="holder", auth_uuid="auth") if state in rules.HELD else row


def decide(row: Container, what: str, caller: Token, **values: object) -> Decision:
    verb = what if what in ("lock", "unlock") else "update"
    call: dict[str, Any] = {"verb": verb, "caller": caller, "now": NOW, "fresh": FRESH} | values
    if verb == "update":
        call |= {"attributes": {"state": what}}
    rule = {"lock": rules.lock, "unlock": rules.unlock, "update": updates.update}[verb]
    return rule(row, Call(**call))


@pytest.mark.parametrize("caller", [HOLDER, OTHER], ids=["holder", "other"])
@pytest.mark.parametrize("what", ["lock", "unlock", *STATES])
@pytest.mark.parametrize("state", STATES)
def test_every_state_and_call(state, what, caller):
    row = container(state)
    decision = decide(row, what, caller)
    if (state, what) in FORBIDDEN_TO_OTHERS and caller is OTHER:
        assert decision == rules.FOREIGN
    elif expected := GRANTED_TO_HOLDER.get((state, what)):
        assert isinstance(decision, Change)
        assert decision.after.state == expected
        consequences(row, decision, caller)
    else:
        assert isinstance(decision, Refusal)
        assert decision.status == 422


def consequences(before: Container, change: Change, caller: Token) -> None:
    """What must be true after every granted change, whichever it was."""
    after = change.after
    if after.state == before.state:
        assert after is before
        assert (change.issue, change.revoke) == (None, None)
    elif after.state == "Locked":
        assert (after.locked_by_uuid, after.auth_uuid, after.lock_count) == (caller.uuid, "fresh", 2)
        assert change.issue == replace(FRESH, user_uuid="user", container_uuid="c")
    elif after.state == "Running":
        assert (after.locked_by_uuid, after.auth_uuid, change.revoke) == ("holder", "auth", None)
    else:
        assert (after.locked_by_uuid, after.auth_uuid) == (None, None)
        assert change.revoke == before.auth_uuid


def test_priority_zero_cannot_be_locked():
    row = replace(container("Queued"), priority=0)
    for what in ("lock", "Locked"):
        assert decide(row, what, HOLDER) == rules.cannot_lock("priority<=0")


def test_nobody_asks_for_it():
    row = replace(container("Queued"), requested_by_uuid=None)
    for what in ("lock", "Locked"):
        assert decide(row, what, HOLDER) == rules.NOBODY_ASKS


@pytest.mark.parametrize(("limit", "state"), [(None, "Queued"), (2, "Queued"), (1, "Cancelled")])
@pytest.mark.parametrize("what", ["unlock", "Queued"])
def test_the_attempt_limit(what, limit, state):
    decision = decide(container("Locked"), what, HOLDER, max_dispatch_attempts=limit)
    assert isinstance(decision, Change)
    assert decision.after.state == state
    assert ("lock_count=1" in decision.after.runtime_status) == (state == "Cancelled")


def test_who_cannot_read_a_container_does_not_learn_of_it():
    nobody = Token(uuid="nobody", secret="e", user_uuid="someone")
    for what in ("lock", "unlock", "Cancelled"):
        assert decide(container("Locked"), what, nobody) == rules.MISSING


@pytest.mark.parametrize("name", ["locked_by_uuid", "auth_uuid", "uuid"])
@pytest.mark.parametrize("value", [None, "something", 5, ["x"], {"a": 1}])
@pytest.mark.parametrize("state", STATES)
def test_protected_fields_never_change(state, name, value):
    call = Call(verb="update", caller=HOLDER, now=NOW, fresh=FRESH, attributes={name: value})
    row = container(state)
    decision = updates.update(row, call)
    if getattr(row, name) == value:
        assert decision == Change(row)
    else:
        assert isinstance(decision, Refusal)


@pytest.mark.parametrize(
    ("attributes", "state", "is_granted"),
    [
        ({"priority": 0}, "Queued", True),
        ({"priority": -1}, "Queued", False),
        ({"priority": "x"}, "Queued", False),
        ({"priority": True}, "Locked", True),  # equals the 1 that it has: no change
        ({"priority": 1.5}, "Queued", False),
        ({"priority": 2**63}, "Queued", False),
        ({"runtime_status": {"error": "e"}}, "Locked", True),
        ({"runtime_status": {"error": 1}}, "Locked", False),
        ({"runtime_status": "e"}, "Locked", False),
        ({"exit_code": 1}, "Locked", False),
        ({"exit_code": 1}, "Running", True),
        ({"exit_code": "1"}, "Running", False),
        ({"log": "l"}, "Locked", True),
        ({"log": "l"}, "Running", True),
        ({"command": ["other"]}, "Queued", False),
        ({"state": "Cancelled", "exit_code": 1}, "Running", True),
        ({"state": "Cancelled", "exit_code": 1}, "Queued", False),
        ({"state": "Cancelled", "runtime_status": {"error": "e"}}, "Locked", True),
        ({"state": "Running", "progress": 0.5}, "Locked", True),
        ({"progress": 0.5}, "Cancelled", False),
        ({"state": None}, "Queued", False),
        ({"state": ["Locked"]}, "Queued", False),
    ],
)
def test_attributes(attributes, state, is_granted):
    call = Call(verb="update", caller=HOLDER, now=NOW, fresh=FRESH, attributes=attributes)
    assert isinstance(updates.update(container(state), call), Change) == is_granted


@pytest.mark.parametrize(
    ("attributes", "state", "is_granted"),
    [
        ({"progress": 0.5}, "Running", True),
        ({"state": "Complete", "exit_code": 0}, "Running", True),
        ({"log": "l"}, "Running", False),
        ({"priority": 9}, "Running", False),
        ({"progress": 0.5}, "Locked", False),
        ({"state": "Running"}, "Locked", False),
        ({"state": "Cancelled"}, "Locked", False),
    ],
)
def test_what_the_container_auth_may_write(attributes, state, is_granted):
    call = Call(verb="update", caller=OWN_AUTH, now=NOW, fresh=FRESH, attributes=attributes)
    decision = updates.update(container(state), call)
    assert isinstance(decision, Change) == is_granted
    assert is_granted or isinstance(decision, Refusal)


def test_errors_cannot_grow_without_end():
    call = Call(verb="update", caller=HOLDER, now=NOW, fresh=FRESH, attributes={"command": ["x" * 10_000]})
    decision = updates.update(container("Queued"), call)
    assert isinstance(decision, Refusal)
    assert len(decision.errors[0]) < 1_000
