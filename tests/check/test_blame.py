"""Who is named when an answer is impossible: the call that was wrong, not the one that showed it."""

import pytest

from harness.check import Verdict, check
from harness.check.invariants.sample import read_sample
from harness.contract import Level


def verdict(text: str, level: Level = "must") -> Verdict:
    return check(read_sample(text, level))


def first(text: str, level: Level = "must") -> tuple[str, str]:
    found = verdict(text, level).violations[0]
    return found.name, found.requirement


@pytest.mark.parametrize(
    ("history", "named"),
    [
        pytest.param(
            """
            A#1 auth   0-1 granted secret=s1
            A#1 unlock 2-3 granted
            A#1 update 4-5 forbidden sends=s1 status=403
            """,
            ("revoked_auth_dead", "UNLOCK-3"),
            id="a dead auth was let in and then told no",
        ),
        pytest.param(
            """
            A#1 auth   0-1 granted secret=s1
            A#1 unlock 2-3 granted
            A#1 update 4-5 missing sends=s1 status=404
            """,
            ("error_shape", "ERR-1"),
            id="who came with a dead auth was told of the container",
        ),
        pytest.param(
            """
            A#1 lock   0-1 granted state=Locked auth=a
            B#1 unlock 2-3 granted
            B#1 lock   4-5 granted state=Locked auth=a
            """,
            ("fresh_auth_per_lock", "AUTH-3"),
            id="two locks showed one auth",
        ),
        pytest.param(
            """
            U#1 update 0-5 granted asks.state=Cancelled
            A#1 lock   3-6 granted
            A#1 auth   7-8 granted secret=s1
            """,
            ("lock_only_queued", "LOCK-2"),
            id="a lock took what was cancelled at once",
        ),
        pytest.param(
            """
            A#1 lock   0-1 granted
            A#1 update 2-5 granted asks.state=Running
            B#1 unlock 3-6 granted
            B#1 get    7-8 granted state=Queued
            """,
            ("unlock_only_locked", "UNLOCK-2"),
            id="an unlock put back what was started at once",
        ),
        pytest.param(
            """
            A#1 lock   0-1 granted
            X#1 unlock 2-3 forbidden token=stranger
            B#1 lock   4-5 granted
            """,
            ("refusal_changes_nothing", "UNLOCK-2"),
            id="a forbidden unlock was done, as the next lock shows",
        ),
        pytest.param(
            """
            A#1 lock   0-1 granted
            B#1 lock   2-3 refused
            C#1 get    4-5 granted state=Queued
            """,
            ("read_your_writes", "GET-1"),
            id="a refused lock cannot have left it Queued",
        ),
        pytest.param(
            """
            A#1 lock   0-1 granted
            A#1 update 2-3 granted asks.state=Running
            B#1 get    4-5 granted state=Locked
            """,
            ("read_your_writes", "GET-1"),
            id="a read that is behind is to blame itself",
        ),
    ],
)
def test_the_first_name(history: str, named: tuple[str, str]) -> None:
    assert first(history) == named


def test_a_lock_at_priority_0_is_named_only_from_level_arvados() -> None:
    history = """
        A#1 create 0-1 granted asks.priority=0
        A#1 lock   2-3 granted in_full priority=0
        """
    assert verdict(history).violations == []
    assert first(history, "arvados") == ("lock_only_queued", "LOCK-4")


def test_grants_are_counted_where_each_alone_is_possible() -> None:
    history = """
        A#1 lock   0-1  granted
        A#1 unlock 2-30 granted
        B#1 lock   5-6  granted
        C#1 lock   8-9  granted
        """
    found = verdict(history).violations[0]
    assert (found.name, found.operations) == ("lock_only_queued", (0, 1, 2))
    assert "at most 1 operations between" in found.message


def test_a_lost_unlock_excuses_one_more_lock_and_not_two() -> None:
    once = """
        A#1 lock   0-1 granted
        A#1 unlock 2-  indeterminate
        B#1 lock   5-6 granted
        """
    assert verdict(once).violations == []
    assert first(once + "C#1 lock 8-9 granted")[0] == "lock_only_queued"


def test_two_updates_that_show_one_lock_are_no_violation() -> None:
    history = """
        A#1 update 0-3 granted asks.state=Locked auth=auth1 locked_by=uuid-of-shared state=Locked
        B#1 update 1-4 granted asks.state=Locked auth={} locked_by={} state=Locked
        """
    same = history.format("auth1", "uuid-of-shared")
    assert verdict(same, "arvados").violations == []
    two_locks = verdict(history.format("auth2", "uuid-of-shared"), "arvados").violations[0]
    assert (two_locks.name, two_locks.requirement) == ("single_winner", "STATE-4")
    two_holders = verdict(history.format("auth1", "uuid-of-stranger"), "arvados").violations[0]
    assert (two_holders.name, two_holders.requirement) == ("single_winner", "STATE-4")


def test_a_counterexample_goes_with_the_violation_that_explains_it() -> None:
    found = verdict(
        """
        A#1 lock 0-2 granted
        B#1 lock 1-3 granted
        """
    )
    assert [one.name for one in found.violations] == ["single_winner"]
    assert found.linearizability == "violated"
    case = found.violations[0].counterexample
    assert case is not None
    assert set(case.operations) == {0, 1}


def test_each_kind_is_named_once_a_run_and_container_and_the_rest_counted() -> None:
    history = "\n".join(f"A#1 get {2 * place}-{2 * place + 1} granted leaks=shared" for place in range(5))
    found = verdict(history)
    assert [one.name for one in found.violations] == ["no_secret_leak"]
    assert found.more_violations == 4
    assert found.judged["no_secret_leak"] == 5


@pytest.mark.parametrize(
    "answer",
    ["granted secret=s1", "forbidden", "missing"],
)
def test_after_a_restart_a_loss_is_named_durable(answer: str) -> None:
    lost = f"""
        A#1    lock    0-1 granted
        A#1    unlock  2-3 granted
        server restart 4-5 granted
        B#1    auth    6-7 {answer}
        """
    names = {one.name for one in verdict(lost).violations}
    assert ("durable" in names) == (answer != "forbidden")
    kept = lost.replace("A#1    unlock  2-3 granted\n", "").replace("        server", "server")
    assert ("durable" in {one.name for one in verdict(kept).violations}) == (not answer.startswith("granted"))


def test_a_deadlock_needs_two_that_wait_and_one_that_is_answered() -> None:
    waits = """
        A#1 lock 0-  indeterminate problem=timeout
        B#1 lock 1-  indeterminate problem={} on=c2
        """
    answered = "C#1 get 5-6 granted status=200 state=Queued"
    slow = "C#1 get 3-6 granted status=200 state=Queued"
    both = waits.format("timeout")
    assert first(both + answered) == ("no_deadlock", "LIVE-1")
    assert verdict(both).violations == []  # the server may be gone
    assert verdict(both + slow).violations == []  # it is slow with everyone, not stuck
    failing = "C#1 get 5- indeterminate status=500"
    assert "no_deadlock" not in {one.name for one in verdict(both + failing).violations}  # only errors came after
    assert verdict(waits.format("reset") + answered).violations == []  # its connection was closed
    assert verdict(both + answered + "\nserver restart 0-0 granted").violations == []
