"""A lock history that an unheard update may have left: what no order of locks explains, that update does."""

import pytest

from harness.check.linearizable import linearize
from harness.contract import Level
from harness.history import Header, Operation, Shown

TOKEN, UUID = "zzzzz-gj3su-000000000000000", "zzzzz-dz642-000000000000000"
RUNNING = Shown(state="Running", auth_uuid="auth", locked_by_uuid=TOKEN, priority=1)


def answered(op: str, start: int, value: Shown, sent: dict[str, str] | None = None) -> Operation:
    return Operation(
        op=op,
        process="A#1",
        invoke_ns=start,
        return_ns=start + 1,
        type="ok",
        outcome="granted",
        token="shared",
        uuid=None if op == "list" else UUID,
        sent=sent,
        value=value,
    )


def unheard(op: str, start: int, sent: dict[str, str] | None = None) -> Operation:
    return Operation(
        op=op,
        process="A#1",
        invoke_ns=start,
        type="info",
        outcome="indeterminate",
        token="shared",
        uuid=UUID,
        sent=sent,
    )


def history(*unanswered: Operation) -> list[Operation]:
    return [
        answered("create", 1, Shown(uuid=UUID, state="Queued", priority=1)),
        *unanswered,
        answered("get", 10, RUNNING),
        answered("list", 12, Shown(found=[UUID]), {"state": "Running", "locked_by_uuid": TOKEN}),
        answered("get", 14, RUNNING),
    ]


@pytest.mark.parametrize("level", ["must", "arvados"])
def test_an_unheard_lock_and_an_unheard_update_explain_a_run(level: Level) -> None:
    both = history(unheard("lock", 3), unheard("update", 5, {"state": "Running"}))
    assert linearize(both, Header(level=level, tokens={"shared": TOKEN})).verdict == "linearizable"


@pytest.mark.parametrize("level", ["must", "arvados"])
def test_a_lock_alone_does_not(level: Level) -> None:
    alone = history(unheard("lock", 3))
    assert linearize(alone, Header(level=level, tokens={"shared": TOKEN})).verdict == "violated"
