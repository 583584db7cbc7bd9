"""The specification, requirement by requirement."""

from typing import Any

import pytest

from harness.contract import STATES, TRANSITIONS, Level
from harness.model import RUN_AUTH_RULES, Call, Container, Result, Rules, permitted

MUST, ARVADOS, RUN_AUTH = Rules("must"), Rules("arvados"), Rules("run_auth")
D1, D2 = "zzzzz-gj3su-000000000000001", "zzzzz-gj3su-000000000000002"
QUEUED = Container()
LOCKED = Container("Locked", 1, D1, 7, 1)
RUNNING = LOCKED._replace(state="Running")
COMPLETE = Container("Complete", lock_count=1)
CANCELLED = Container("Cancelled", lock_count=1)
HELD = LOCKED._replace(run_auth=7)  # the same lock where locks answer a run_auth
ALL = (QUEUED, LOCKED, RUNNING, COMPLETE, CANCELLED)


def ask(rules: Rules, container: Container | None, op: str, caller: str | None = D1, **more: Any) -> tuple[Result, ...]:
    return permitted(rules, container, Call(op, caller, **more), 8)


def put(rules: Rules, container: Container, caller: str | None = D1, **more: Any) -> tuple[Result, ...]:
    keys = {key: more.pop(key) for key in ("auth", "run_auth") if key in more}
    return permitted(rules, container, Call("update", caller, tuple(more.items()), **keys), 8)


def outcomes(results: tuple[Result, ...]) -> list[str]:
    return [result.outcome for result in results]


@pytest.mark.parametrize("level", ["must", "arvados", "run_auth"])
def test_lock_of_a_queued_container_is_granted_and_nothing_else(level: Level) -> None:
    (result,) = ask(Rules(level), QUEUED, "lock")
    assert result.outcome == "granted"
    expected = Container("Locked", 1, D1, 8, 1, 8 if level == "run_auth" else None)
    assert result.container == result.shown == expected


@pytest.mark.parametrize("container", ALL[1:], ids=lambda c: c.state)
def test_lock_in_any_other_state_is_refused(container: Container) -> None:
    assert ask(MUST, container, "lock") == (Result("refused", container),)


def test_priority_0_is_fixed_from_level_arvados() -> None:
    container = Container(priority=0)
    assert ask(ARVADOS, container, "lock") == (Result("refused", container),)
    assert outcomes(ask(MUST, container, "lock")) == ["refused", "granted"]


@pytest.mark.parametrize("container", [QUEUED, RUNNING, COMPLETE, CANCELLED], ids=lambda c: c.state)
def test_unlock_of_what_is_not_locked_is_refused_to_all(container: Container) -> None:
    for caller in (D1, D2):
        assert ask(MUST, container, "unlock", caller) == (Result("refused", container),)


def test_unlock_by_the_holder_clears_and_may_cancel_where_the_limit_is_unknown() -> None:
    results = ask(ARVADOS, LOCKED, "unlock")
    assert [result.container for result in results] == [Container(lock_count=1), CANCELLED]
    assert outcomes(results) == ["granted", "granted"]


@pytest.mark.parametrize(("count", "state"), [(2, "Queued"), (3, "Cancelled"), (4, "Cancelled")])
def test_a_known_attempt_limit_fixes_the_state_after_unlock(count: int, state: str) -> None:
    container = LOCKED._replace(lock_count=count)
    results = ask(Rules("arvados", 3), container, "unlock")
    assert [result.container and result.container.state for result in results] == [state]
    at_must = ask(Rules("must", 3), container, "unlock")
    assert at_must[0].container is not None
    assert at_must[0].container.state == state
    assert len(at_must) == 2


def test_foreign_unlock_is_open_at_must_and_forbidden_from_arvados() -> None:
    assert outcomes(ask(MUST, LOCKED, "unlock", D2)) == ["forbidden", "refused", "granted", "granted"]
    assert ask(ARVADOS, LOCKED, "unlock", D2) == (Result("forbidden", LOCKED),)


@pytest.mark.parametrize("container", ALL, ids=lambda c: c.state)
def test_the_auth_goes_to_the_holder_in_locked_and_running_only(container: Container) -> None:
    (mine,) = ask(MUST, container, "auth")
    assert mine.outcome == ("granted" if container.state in {"Locked", "Running"} else "forbidden")
    if mine.shown is not None:
        assert mine.shown.auth == container.auth
    assert ask(MUST, container, "auth", D2) == (Result("forbidden", container),)


def test_an_auth_works_during_its_lock_and_never_after() -> None:
    for container in ALL:
        (result,) = ask(MUST, container, "use", None, auth=7)
        assert result.outcome == ("granted" if container.state in {"Locked", "Running"} else "unauthenticated")
    relocked = LOCKED._replace(auth=8)
    assert outcomes(ask(MUST, relocked, "use", None, auth=7)) == ["unauthenticated"]


@pytest.mark.parametrize("op", ["lock", "unlock", "auth", "get", "list", "update", "use", "create"])
def test_no_token_or_a_dead_one_is_unauthenticated_before_anything_else(op: str) -> None:
    container = None if op == "create" else LOCKED
    assert outcomes(ask(MUST, container, op, None)) == ["unauthenticated"]
    assert outcomes(ask(MUST, container, op, None, auth=6)) == ["unauthenticated"]


@pytest.mark.parametrize("op", ["lock", "unlock", "auth", "get", "update"])
def test_what_was_never_created_is_missing(op: str) -> None:
    assert ask(MUST, None, op) == (Result("missing", None),)


def test_create_makes_a_queued_container_and_refuses_a_malformed_priority() -> None:
    (made,) = permitted(MUST, None, Call("create", D1, (("priority", 3),)), 1)
    assert made == Result("granted", Container(priority=3), Container(priority=3))
    for priority in (-1, "1", True, None):
        assert outcomes(permitted(MUST, None, Call("create", D1, (("priority", priority),)), 1)) == ["refused"]


@pytest.mark.parametrize("container", ALL, ids=lambda c: c.state)
@pytest.mark.parametrize("state", [*STATES, "Flubber", None])
def test_no_update_leaves_the_table(container: Container, state: str | None) -> None:
    for rules in (MUST, ARVADOS, RUN_AUTH):
        for caller in (D1, D2):
            for result in put(rules, container, caller, state=state):
                assert result.container is not None
                if state not in TRANSITIONS[container.state]:
                    assert result.container == container
                    assert result.outcome != "granted" or state == container.state
                elif result.outcome == "granted":
                    assert result.container.state in {state, "Cancelled"}  # Cancelled: the attempt limit
                else:
                    assert result.container == container


@pytest.mark.parametrize(
    ("container", "state"),
    [(LOCKED, "Running"), (LOCKED, "Cancelled"), (RUNNING, "Complete"), (RUNNING, "Cancelled"), (QUEUED, "Cancelled")],
    ids=lambda value: value if isinstance(value, str) else value.state,
)
def test_the_locking_token_moves_its_container(container: Container, state: str) -> None:
    (result,) = put(MUST, container, state=state)
    assert result.outcome == "granted"
    assert result.container is not None
    assert (result.container.locked_by, result.container.auth) == ((D1, 7) if state == "Running" else (None, None))
    if container.state != "Queued":
        assert set(outcomes(put(MUST, container, D2, state=state))) == {"granted", "refused", "forbidden"}


def test_the_container_auth_may_complete_and_report_while_running() -> None:
    assert outcomes(put(MUST, RUNNING, None, auth=7, state="Complete", output="x")) == ["granted"]
    assert put(MUST, RUNNING, None, auth=7, progress=0.5) == (Result("granted", RUNNING, RUNNING),)
    assert outcomes(put(MUST, RUNNING, None, auth=6, progress=0.5)) == ["unauthenticated"]


def test_a_lock_by_update_is_a_lock_from_level_arvados_and_open_at_must() -> None:
    assert put(ARVADOS, QUEUED, state="Locked") == ask(ARVADOS, QUEUED, "lock")
    assert put(ARVADOS, LOCKED, state="Queued") == ask(ARVADOS, LOCKED, "unlock")
    assert outcomes(put(ARVADOS, LOCKED, D2, state="Queued")) == ["forbidden"]
    assert set(outcomes(put(MUST, QUEUED, state="Locked"))) == {"granted", "refused", "forbidden"}
    assert set(outcomes(put(MUST, LOCKED, state="Queued"))) == {"granted", "refused", "forbidden"}


def test_a_second_lock_by_update_changes_nothing_and_shows_the_first() -> None:
    results = put(ARVADOS, LOCKED, state="Locked")
    assert outcomes(results) == ["granted", "refused"]
    assert {result.container for result in results} == {LOCKED}


def test_completing_is_final_but_for_a_cancel_that_is_open() -> None:
    assert set(outcomes(put(MUST, COMPLETE, state="Cancelled"))) == {"granted", "refused", "forbidden"}


@pytest.mark.parametrize("name", ["locked_by_uuid", "auth_uuid", "uuid"])
def test_protected_fields_cannot_be_changed(name: str) -> None:
    assert put(MUST, LOCKED, **{name: D2}) == (Result("refused", LOCKED), Result("forbidden", LOCKED))
    assert {result.container for result in put(MUST, LOCKED, locked_by_uuid=D1)} == {LOCKED}


def test_priority_is_set_or_rejected_as_a_whole() -> None:
    first, *others = put(MUST, QUEUED, priority=0)
    assert (first.outcome, first.container) == ("granted", Container(priority=0))
    assert outcomes(tuple(others)) == ["refused", "forbidden"]
    assert outcomes(put(MUST, QUEUED, priority=-1)) == ["refused"]
    assert outcomes(put(MUST, CANCELLED, priority=5))[0] == "refused"


@pytest.mark.parametrize("container", ALL, ids=lambda c: c.state)
def test_reads_show_the_row_and_never_the_run_auth(container: Container) -> None:
    row = container._replace(run_auth=9)
    for op in ("get", "list"):
        (result,) = ask(RUN_AUTH, row, op)
        assert (result.container, result.shown) == (row, container)


def test_only_the_granted_lock_hands_the_run_auth_out() -> None:
    for result in (*put(RUN_AUTH, HELD, state="Locked", run_auth=7), *ask(RUN_AUTH, HELD, "auth", run_auth=7)):
        assert result.shown is None or result.shown.run_auth is None
    (by_update,) = put(RUN_AUTH, QUEUED, state="Locked")
    assert by_update.shown is not None
    assert by_update.shown.run_auth == 8


def test_a_run_auth_that_is_not_the_current_locks_is_forbidden() -> None:
    for results in (
        ask(RUN_AUTH, HELD, "auth", run_auth=6),
        ask(RUN_AUTH, HELD, "unlock", run_auth=6),
        put(RUN_AUTH, HELD, state="Running", run_auth=6),
        put(RUN_AUTH, HELD, state="Cancelled", run_auth=6),
        put(RUN_AUTH, HELD, priority=2, run_auth=6),
    ):
        assert results == (Result("forbidden", HELD),)
    assert outcomes(ask(RUN_AUTH, QUEUED, "unlock", run_auth=6)) == ["forbidden", "refused"]


def test_without_a_run_auth_unlock_and_cancel_work_and_auth_and_start_do_not() -> None:
    released = ask(RUN_AUTH, HELD, "unlock")[0].container
    assert released is not None
    assert (released.state, released.run_auth) == ("Queued", None)
    assert outcomes(put(RUN_AUTH, HELD, state="Cancelled")) == ["granted"]
    assert outcomes(ask(RUN_AUTH, HELD, "auth")) == ["forbidden"]
    assert outcomes(put(RUN_AUTH, HELD, state="Running")) == ["forbidden"]


def test_with_its_run_auth_the_holder_has_every_right_of_the_locking_token() -> None:
    assert outcomes(ask(RUN_AUTH, HELD, "auth", run_auth=7)) == ["granted"]
    assert outcomes(put(RUN_AUTH, HELD, state="Running", run_auth=7)) == ["granted"]
    assert outcomes(put(RUN_AUTH, HELD._replace(state="Running"), state="Complete", run_auth=7)) == ["granted"]


DIFFERENCE = {  # rule -> a call that is answered otherwise without it
    "answered_on_update": (QUEUED, Call("update", D1, (("state", "Locked"),))),
    "own_per_lock": (QUEUED, Call("lock", D1)),
    "shown_once": (HELD, Call("get", D1)),
    "checked_on_auth": (HELD, Call("auth", D1, run_auth=6)),
    "checked_on_unlock": (HELD, Call("unlock", D1, run_auth=6)),
    "checked_on_update": (HELD, Call("update", D1, (("state", "Cancelled"),), run_auth=6)),
    "needed_for_auth": (HELD, Call("auth", D1)),
    "needed_to_start": (HELD, Call("update", D1, (("state", "Running"),))),
    "ends_with_lock": (HELD, Call("auth", D1, run_auth=6)),
    "bare_unlock_works": (HELD, Call("unlock", D1)),
    "bare_cancel_works": (HELD, Call("update", D1, (("state", "Cancelled"),))),
}


@pytest.mark.parametrize("rule", RUN_AUTH_RULES)
def test_each_rule_of_run_auth_can_be_dropped_and_matters(rule: str) -> None:
    container, call = DIFFERENCE[rule]
    without = Rules("run_auth", dropped=frozenset({rule}))
    assert permitted(RUN_AUTH, container, call, 8)[0] != permitted(without, container, call, 8)[0]
    assert permitted(Rules("arvados", dropped=frozenset({rule})), container, call, 8) == permitted(
        ARVADOS, container, call, 8
    )


def test_an_op_that_is_no_request_about_a_container_is_an_error() -> None:
    with pytest.raises(ValueError, match="'crash' is not a request"):
        ask(MUST, QUEUED, "crash")
    with pytest.raises(ValueError, match="exists already"):
        ask(MUST, QUEUED, "create")
