"""The model as a target: what the calls of a run are answered."""

import asyncio
from typing import Any

import pytest

from harness.drive.target import OpenTarget
from harness.explore.model_line import open_model
from harness.model import Rules
from harness.wire import Answer, Call


def ask(target: OpenTarget, op: str, uuid: str | None = None, token: str = "shared", **more: Any) -> Answer:
    secret = target.callers[token].secret if token in target.callers else token
    return asyncio.run(target.line.call(0, Call(op=op, token=secret, uuid=uuid, **more), {})).answer


@pytest.fixture
def target() -> OpenTarget:
    return open_model(Rules("arvados"))


@pytest.fixture
def uuid(target: OpenTarget) -> str:
    made = ask(target, "create", sent={"priority": 1})
    assert made.value is not None
    assert isinstance(made.value.uuid, str)
    return made.value.uuid


def test_a_lock_shows_the_five_fields_and_its_auth_works(target: OpenTarget, uuid: str) -> None:
    locked = ask(target, "lock", uuid)
    assert locked.value is not None
    assert (locked.value.uuid, locked.value.state, locked.value.priority) == (uuid, "Locked", 1)
    assert locked.value.locked_by_uuid == target.callers["shared"].uuid
    auth = ask(target, "auth", uuid)
    assert auth.value is not None
    assert auth.value.auth_uuid == locked.value.auth_uuid
    assert auth.secret is not None
    for spelling in (auth.secret, f"v2/{auth.value.auth_uuid}/{auth.secret}"):
        used = ask(target, "use", token=spelling)
        assert used.value is not None
        assert used.value.auth_uuid == locked.value.auth_uuid


def test_an_auth_is_dead_after_unlock_and_after_the_next_lock(target: OpenTarget, uuid: str) -> None:
    ask(target, "lock", uuid)
    secret = ask(target, "auth", uuid).secret
    assert secret is not None
    ask(target, "unlock", uuid)
    assert ask(target, "use", token=secret).outcome == "unauthenticated"
    ask(target, "lock", uuid)
    assert ask(target, "use", token=secret).outcome == "unauthenticated"
    assert ask(target, "auth", uuid).secret != secret


def test_a_container_auth_completes_its_container_and_no_other(target: OpenTarget, uuid: str) -> None:
    ask(target, "lock", uuid)
    secret = ask(target, "auth", uuid).secret
    assert secret is not None
    ask(target, "update", uuid, sent={"state": "Running"})
    assert ask(target, "update", uuid, token=secret, sent={"progress": 0.5}).outcome == "granted"
    assert ask(target, "update", uuid, token=secret, sent={"state": "Complete"}).outcome == "granted"
    assert ask(target, "update", uuid, token=secret, sent={"state": "Cancelled"}).outcome == "unauthenticated"


def test_listings_find_by_what_is_asked(target: OpenTarget, uuid: str) -> None:
    other = ask(target, "create", sent={"priority": 0}).value
    assert other is not None
    ask(target, "lock", uuid)
    mine = target.callers["shared"].uuid
    for sent, expected in (
        ({"state": "Locked"}, [uuid]),
        ({"locked_by_uuid": mine}, [uuid]),
        ({"state": ["Queued", "Locked"]}, [uuid, other.uuid]),
        ({"uuid": [other.uuid], "state": "Queued"}, [other.uuid]),
        ({"priority": 7}, []),
    ):
        listed = ask(target, "list", sent=sent).value
        assert listed is not None
        assert listed.found == expected


@pytest.mark.parametrize(
    ("op", "token", "outcome"),
    [
        ("lock", "nobody", "unauthenticated"),
        ("list", "nobody", "unauthenticated"),
        ("create", "nobody", "unauthenticated"),
        ("unlock", "stranger", "forbidden"),
        ("auth", "stranger", "forbidden"),
        ("lock", "stranger", "refused"),
    ],
)
def test_who_may_not_is_told_so(target: OpenTarget, uuid: str, op: str, token: str, outcome: str) -> None:
    ask(target, "lock", uuid)
    answer = ask(target, op, None if op in {"list", "create"} else uuid, token)
    assert answer.outcome == outcome
    assert answer.errors


@pytest.mark.parametrize("op", ["lock", "unlock", "auth", "get", "update"])
def test_a_container_that_nobody_made_is_missing(target: OpenTarget, op: str) -> None:
    sent = {"state": "Locked"} if op == "update" else None
    assert ask(target, op, "zzzzz-dz642-000000000000099", sent=sent).outcome == "missing"


def test_the_attempt_limit_says_why_it_cancels() -> None:
    target = open_model(Rules("arvados", 1))
    uuid = ask(target, "create", sent={"priority": 1}).value.uuid  # type: ignore[union-attr]
    assert isinstance(uuid, str)
    ask(target, "lock", uuid)
    unlocked = ask(target, "unlock", uuid).value
    assert unlocked is not None
    assert unlocked.state == "Cancelled"
    assert unlocked.runtime_error


def test_protected_fields_of_the_same_value_are_no_change(target: OpenTarget, uuid: str) -> None:
    shown = ask(target, "lock", uuid).value
    assert shown is not None
    for sent in ({"auth_uuid": shown.auth_uuid}, {"uuid": uuid}, {"locked_by_uuid": shown.locked_by_uuid}):
        assert ask(target, "update", uuid, sent=sent).outcome == "granted"
    for sent in ({"auth_uuid": None}, {"uuid": "zzzzz-dz642-000000000000099"}, {"locked_by_uuid": "x"}):
        assert ask(target, "update", uuid, sent=sent).outcome == "refused"


def test_a_run_auth_is_handed_out_once_and_checked() -> None:
    target = open_model(Rules("run_auth"))
    uuid = ask(target, "create", sent={"priority": 1}).value.uuid  # type: ignore[union-attr]
    run_auth = ask(target, "lock", uuid).run_auth
    assert run_auth is not None
    assert ask(target, "auth", uuid).outcome == "forbidden"
    held = ask(target, "auth", uuid, run_auth=run_auth)
    assert (held.outcome, held.run_auth) == ("granted", None)
    assert ask(target, "unlock", uuid, run_auth="made up").outcome == "forbidden"
    assert ask(target, "unlock", uuid).outcome == "granted"
    ask(target, "lock", uuid)
    assert ask(target, "unlock", uuid, run_auth=run_auth).outcome == "forbidden"


def test_clocks_never_stand_still(target: OpenTarget) -> None:
    exchanges = [
        asyncio.run(target.line.call(0, Call(op="use", token=target.callers["shared"].secret), {})) for _ in range(50)
    ]
    times = [moment for one in exchanges for moment in (one.invoke_ns, one.return_ns)]
    assert times == sorted(set(times))
