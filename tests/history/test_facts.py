"""What one run's history says, question by question."""

from typing import Any

import pytest

from harness.history import Facts, Operation, Shown

TOKENS = {"shared": "uuid-of-shared", "stranger": "uuid-of-stranger"}


def call(process: str, op: str, moment: int, outcome: str = "granted", **more: Any) -> Operation:
    kind = {"granted": "ok", "indeterminate": "info"}.get(outcome, "fail")
    value = more.pop("value", None)
    return Operation(
        op=op,
        process=process,
        invoke_ns=moment,
        return_ns=None if kind == "info" else moment + more.pop("ticks", 1),
        type=kind,  # type: ignore[arg-type]
        outcome=outcome,  # type: ignore[arg-type]
        token=more.pop("token", "shared"),
        container=more.pop("container", "c1"),
        uuid=more.pop("uuid", "uuid-of-c1"),
        value=None if value is None else Shown(**value),
        **more,
    )


def test_steps_speak_of_their_last_try() -> None:
    facts = Facts(
        [
            call("A#1", "lock", 0, "indeterminate", step="a_lock"),
            call("A#2", "lock", 2, "refused", step="a_lock", status=422),
        ]
    )
    assert (facts.outcome("a_lock"), facts.status("a_lock")) == ("refused", 422)
    assert (facts.outcome("b_lock"), facts.status("b_lock"), facts.field("b_lock", "state")) == (None, None, None)


def test_fields_that_were_not_shown_are_none() -> None:
    facts = Facts([call("A#1", "get", 0, step="look", value={"state": "Locked", "locked_by_uuid": None})])
    assert facts.field("look", "state") == "Locked"
    assert facts.field("look", "locked_by_uuid") is None
    assert facts.field("look", "lock_count") is None


def test_saved_tokens_and_listings() -> None:
    facts = Facts(
        [
            call("A#1", "auth", 0, step="a_auth", saved_as="token", value={"secret": "s1"}),
            call("A#1", "list", 2, step="a_find", saved_as="found", value={"found": ["uuid-of-c1"]}),
            call("A#1", "auth", 4, "forbidden", step="a_again", saved_as="token"),
        ]
    )
    assert facts.saved("A", "token") == "s1"
    assert facts.saved("A", "found") == ["uuid-of-c1"]
    assert facts.saved("B", "token") is None
    assert facts.lists("a_find", "c1")
    assert not facts.lists("a_find", "c2")
    assert not facts.lists("never_sent", "c1")


def test_tokens_by_session() -> None:
    facts = Facts(
        [call("A#1", "lock", 0), call("X#1", "get", 2, token="stranger"), call("A#1", "update", 4, token="A.token")],
        TOKENS,
    )
    assert facts.session_token_uuid("A") == "uuid-of-shared"
    assert facts.session_token_uuid("X") == "uuid-of-stranger"
    assert facts.session_token_uuid("B") is None


@pytest.mark.parametrize(
    ("later", "believes"),
    [
        ([], True),
        ([("unlock", "granted", {})], False),
        ([("unlock", "refused", {})], False),
        ([("unlock", "indeterminate", {})], False),
        ([("unlock", "limited", {})], True),
        ([("lock", "refused", {})], False),
        ([("lock", "indeterminate", {})], False),
        ([("lock", "limited", {})], True),
        ([("auth", "granted", {})], True),
        ([("auth", "forbidden", {})], False),
        ([("update", "granted", {"sent": {"state": "Running"}})], True),
        ([("update", "refused", {"sent": {"state": "Running"}})], False),
        ([("update", "granted", {"sent": {"state": "Queued"}})], False),
        ([("update", "indeterminate", {"sent": {"state": "Cancelled"}})], False),
        ([("update", "granted", {"sent": {"priority": 2}})], True),
        ([("unlock", "granted", {}), ("update", "granted", {"sent": {"state": "Locked"}})], True),
        ([("get", "granted", {"value": {"state": "Queued"}})], False),
        ([("get", "granted", {"value": {"state": "Locked", "locked_by_uuid": "uuid-of-stranger"}})], False),
        ([("get", "granted", {"value": {"state": "Locked", "locked_by_uuid": "uuid-of-shared"}})], True),
        ([("crash", "granted", {})], False),
        ([("unlock", "granted", {"container": "c2", "uuid": "uuid-of-c2"})], True),
    ],
)
def test_what_a_dispatcher_believes_after_a_granted_lock(
    later: list[tuple[str, str, dict[str, Any]]], believes: bool
) -> None:
    operations = [call("A#1", "lock", 0, step="a_lock")]
    operations += [call("A#1", op, 2 * place, outcome, **more) for place, (op, outcome, more) in enumerate(later, 1)]
    facts = Facts(operations, TOKENS)
    assert facts.believes("A", "c1") is believes
    assert facts.holders("c1") == (["A"] if believes else [])
    assert not facts.believes("B", "c1")


def test_a_dispatcher_whose_own_auth_is_dead_knows_that_it_lost_the_lock() -> None:
    operations = [call("A#1", "lock", 0), call("A#1", "auth", 2, saved_as="token", value={"secret": "s1"})]
    probe = call("probe#1", "use", 4, "unauthenticated", secret="s1", phase="probe", container=None, uuid=None)
    assert Facts([*operations, probe]).believes("A", "c1")  # the harness looked; A did not
    own = call("A#1", "use", 4, "unauthenticated", secret="s1", container=None, uuid=None)
    assert not Facts([*operations, own]).believes("A", "c1")


def test_what_the_harness_does_itself_is_nobodys_belief() -> None:
    facts = Facts([call("given#1", "lock", 0, phase="setup")])
    assert facts.holders("c1") == []
    assert facts.state("c1") == "Locked"


def test_a_token_is_live_if_its_last_use_was_granted_and_a_probe_has_the_last_word() -> None:
    def use(moment: int, outcome: str, phase: Any = "run") -> Operation:
        return call("A#1", "use", moment, outcome, secret="s1", phase=phase, container=None, uuid=None)

    assert not Facts([]).live("s1")
    assert not Facts([use(0, "granted")]).live(None)
    assert not Facts([use(0, "granted")]).live("s2")
    assert Facts([use(0, "unauthenticated"), use(2, "granted")]).live("s1")
    assert not Facts([use(0, "unauthenticated", "probe"), use(2, "granted")]).live("s1")
    assert Facts([use(0, "granted"), use(2, "indeterminate")]).live("s1")


def test_the_state_is_what_was_last_shown_or_implied() -> None:
    operations = [call("given#1", "create", 0, phase="setup")]
    facts = Facts(operations)
    assert facts.state("c1") == "Queued"
    operations.append(call("A#1", "lock", 2))
    assert facts.state("c1") == "Locked"  # it follows the list while it grows
    operations.append(call("A#1", "unlock", 4, value={"state": "Cancelled"}))
    assert facts.state("c1") == "Cancelled"
    operations.append(call("A#1", "update", 6, "refused", sent={"state": "Running"}))
    assert facts.state("c1") == "Cancelled"
    assert facts.state("c2") is None


def test_members_of_a_fleet() -> None:
    facts = Facts([call(f"D[{number}]#1", "lock", number, step="lock") for number in (10, 2, 0)])
    assert facts.members("D") == ["D[0]", "D[2]", "D[10]"]
    assert facts.members("E") == []
    assert facts.outcome("D[2].lock") == "granted"
    assert facts.believes("D[10]", "c1")


def test_overlapping_counts_calls_of_others_from_their_release() -> None:
    facts = Facts(
        [
            call("A#1", "lock", 0, step="a_lock", ticks=10),
            call("B#1", "lock", 5, step="b_lock", ticks=10),
            call("C#1", "lock", 8, step="c_lock", ticks=10, release_ns=12),
            call("A#1", "get", 4, step="a_get"),
            call("probe#1", "get", 5, phase="probe"),
        ]
    )
    assert facts.overlapping("a_lock") == 1
    assert facts.overlapping("b_lock") == 3
    assert facts.overlapping("c_lock") == 1
    assert facts.overlapping("never_sent") == 0


def test_a_container_may_be_named_by_its_uuid_alone() -> None:
    facts = Facts([call("A#1", "create", 0, phase="setup"), call("A#1", "lock", 2, container=None)])
    assert facts.believes("A", "c1")
    assert Facts([call("A#1", "lock", 2, container=None)]).believes("A", "uuid-of-c1")
