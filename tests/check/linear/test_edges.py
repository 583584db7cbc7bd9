"""Small histories at the edges of the contract, right ones and wrong ones; nearly each was once judged wrongly."""

from typing import Any

import pytest

from harness.check.linearizable import ContainerResult, linearize
from harness.history import Header, Operation, Shown

SHARED, STRANGER = "zzzzz-gj3su-000000000000001", "zzzzz-gj3su-000000000000002"
FREE = Shown(state="Queued", priority=1, locked_by_uuid=None, auth_uuid=None)


def did(name: str, outcome: str = "granted", value: Shown | None = None, **more: Any) -> dict[str, Any]:
    return {"op": name, "outcome": outcome, "value": value, **more}


def held(auth: str = "a", **more: Any) -> Shown:
    return Shown(**{"state": "Locked", "priority": 1, "locked_by_uuid": SHARED, "auth_uuid": auth, **more})


def judged(*calls: dict[str, Any], level: str = "must") -> ContainerResult:
    """What is said of calls one after the other, but for those that say when they were."""
    operations = [
        Operation(
            **{
                "process": "A#1",
                "token": "shared",
                "uuid": None if call["op"] == "list" else "u",
                "invoke_ns": 10 * number,
                "return_ns": 10 * number + 5,
                "type": "ok" if call["outcome"] == "granted" else "fail",
                **call,
            }
        )
        for number, call in enumerate(calls)
    ]
    header = Header(level=level, tokens={"shared": SHARED, "stranger": STRANGER})
    (result,) = linearize(operations, header).containers
    return result


def verdict(*calls: dict[str, Any], level: str = "must") -> str:
    return judged(*calls, level=level).verdict


CREATE = did("create", sent={"priority": 1})
BARE = did("create")
TO = {state: {"state": state} for state in ("Queued", "Locked", "Running", "Complete")}

RIGHT = {
    "an update to Queued may keep the holder below arvados": (
        *(CREATE, did("lock", value=Shown(auth_uuid="a")), did("update", sent=TO["Queued"])),
        *(did("get", value=Shown(state="Queued", locked_by_uuid=SHARED)), did("lock", value=Shown(auth_uuid="b"))),
    ),
    "an update to Locked may come upon a lock": (
        did("lock", "refused"),
        did("update", value=held(), sent=TO["Locked"]),
        did("get", value=held(lock_count=1)),
    ),
    "the holder that an update names may be the one before the history": (
        did("update", value=Shown(state="Locked"), sent={"locked_by_uuid": STRANGER}),
    ),
    "priority goes to 0 when a container is complete": (
        *(CREATE, did("lock", value=held()), did("update", sent=TO["Running"]), did("update", sent=TO["Complete"])),
        did("get", value=Shown(state="Complete", priority=0, locked_by_uuid=None, auth_uuid=None)),
    ),
    "a container auth may unlock below arvados": (
        *(CREATE, did("lock", value=held()), did("auth", value=Shown(auth_uuid="a", secret="s"))),
        *(did("unlock", value=FREE, token="A.token", secret="s"), did("lock", value=held("b"))),
    ),
    "a creation that tells no priority leaves it open": (
        *(BARE, did("get", value=Shown(state="Queued", priority=1000)), did("lock", value=held(priority=1000))),
    ),
    "it may be 0": (BARE, did("lock", "refused")),
    "a container that nobody's request made may have been found before": (
        *(did("list", value=Shown(found=["u"]), sent={"state": ["Queued"]}), CREATE, did("lock", value=held())),
    ),
    "it may have been changed before it is seen": (
        *(BARE, did("update", sent={"priority": 5}, return_ns=40), did("get", value=Shown(priority=5))),
        did("get", value=Shown(priority=5)),
    ),
}
AT_ARVADOS = {"an update to Locked may come upon a lock", "priority goes to 0 when a container is complete"}

WRONG = {
    "a lock from before the history has one holder": (
        *(did("get", value=held(locked_by_uuid=SHARED)), did("get", value=held(locked_by_uuid=STRANGER))),
    ),
    "the holder from before the history may unlock": (
        *(did("get", value=Shown(state="Locked", locked_by_uuid=SHARED)), did("unlock", "forbidden")),
    ),
    "a listing by one state shows that state": (
        *(CREATE, did("lock", value=held())),
        did("list", value=Shown(found=["u"]), sent={"state": ["Queued"]}),
    ),
    "a listing may come before all else that is known of a container": (
        *(did("list", value=Shown(found=["u"]), sent={"state": "Locked"}), did("lock", value=held())),
    ),
    "a priority that was seen stays": (
        *(BARE, did("get", value=Shown(priority=7)), did("get", value=Shown(priority=8))),
    ),
}


@pytest.mark.parametrize("what", RIGHT)
def test_nobody_is_accused_of(what: str) -> None:
    assert verdict(*RIGHT[what], level="arvados" if what in AT_ARVADOS else "must") == "linearizable"


@pytest.mark.parametrize("what", WRONG)
def test_it_is_seen_that(what: str) -> None:
    assert verdict(*WRONG[what]) == "violated"


def test_a_container_auth_may_not_unlock_from_arvados_on() -> None:
    assert verdict(*RIGHT["a container auth may unlock below arvados"], level="arvados") == "violated"


def test_a_container_that_a_request_made_was_not_found_before() -> None:
    found = did("list", value=Shown(found=["u"]), sent={"state": ["Queued"]})
    assert verdict(found, CREATE | {"status": 200}) == "violated"


def test_a_counterexample_holds_for_every_priority() -> None:
    example = judged(BARE, did("get", value=Shown(priority=7)), did("get", value=Shown(priority=8))).counterexample
    assert example is not None
    assert {1, 2} <= set(example.operations)


def test_a_history_that_shows_a_priority_for_every_read_is_not_tried_with_each() -> None:
    reads = [did("get", value=Shown(priority=number)) for number in range(2, 40)]
    result = judged(BARE, *reads)
    assert result.verdict == "unknown"
    assert "a priority that nothing tells" in result.reason
