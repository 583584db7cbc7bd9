"""The public function: containers apart, counterexamples that hold, and what constrains nothing."""

from itertools import combinations
from random import Random

import pytest
from msgspec import structs

from harness.check.linearizable import LinearResult, linearize
from harness.check.verdict import Counterexample
from harness.history import Header, Operation, Shown
from tests.check.linear.histories import sample
from tests.check.linear.oracle import orders_exist
from tests.check.linear.simulated import HEADER, SHARED, Crowd, simulate

TYPES = {"granted": "ok", "indeterminate": "info", "garbled": "info"}


def op(name: str, begin: int, end: int, outcome: str = "granted", **more: object) -> Operation:
    kind = TYPES.get(outcome, "fail")
    fields = {"uuid": "u", "token": "shared", "process": "A#1", **more}
    return Operation(
        op=name,
        invoke_ns=begin,
        return_ns=None if kind == "info" else end,
        type=kind,
        outcome=outcome,
        **fields,
    )


def locked(auth: str) -> Shown:
    return Shown(state="Locked", locked_by_uuid=SHARED, auth_uuid=auth)


CREATE = op("create", 0, 1, sent={"priority": 1})


def verdict(*operations: Operation, level: str = "must", **header: object) -> str:
    return linearize([CREATE, *operations], structs.replace(HEADER, level=level, **header)).verdict


def test_two_locks_at_once_cannot_both_be_granted() -> None:
    result = linearize([CREATE, op("lock", 2, 9, value=locked("a")), op("lock", 3, 8, value=locked("b"))], HEADER)
    assert result.verdict == "violated"
    example = _example(result)
    assert set(example.operations) <= {0, 1, 2}
    assert {1, 2} <= set(example.operations)
    assert example.stuck in example.operations


def test_an_auth_that_is_issued_again_is_blamed_on_the_second_lock() -> None:
    lock, unlock = op("lock", 2, 3, value=locked("a")), op("unlock", 4, 5, value=Shown(state="Queued"))
    again, after = op("lock", 6, 7, value=locked("a")), op("unlock", 8, 9, value=Shown(state="Queued"))
    example = _example(linearize([CREATE, lock, unlock, again, after], HEADER))
    assert example == Counterexample(operations=(1, 3), prefix=(1,), stuck=3)


def test_an_auth_that_is_issued_again_long_after_is_shown_by_two_operations() -> None:
    rounds = [
        op(name, 10 * turn + at, 10 * turn + at + 1, value=value)
        for turn in range(1, 200)
        for name, at, value in (("lock", 0, locked(f"auth {turn % 198}")), ("unlock", 4, Shown(state="Queued")))
    ]
    example = _example(linearize([CREATE, *rounds], HEADER))
    assert example == Counterexample(operations=(1, 397), prefix=(1,), stuck=397)


def test_of_two_locks_at_once_the_one_that_returned_later_is_blamed() -> None:
    example = _example(
        linearize([CREATE, op("lock", 2, 9, value=locked("a")), op("lock", 3, 8, value=locked("b"))], HEADER)
    )
    assert (example.prefix[-1], example.stuck) == (2, 1)


def test_two_locks_of_which_one_was_shown_exactly_as_long_as_the_other_cannot_be() -> None:
    shown = [op(name, *span, value=locked(auth)) for auth in "ab" for name, span in (("lock", (2, 3)), ("get", (8, 9)))]
    assert verdict(*shown) == "violated"


def _example(result: LinearResult) -> Counterexample:
    (example,) = [one.counterexample for one in result.containers if one.counterexample is not None]
    return example


def test_an_unlock_between_them_explains_both() -> None:
    first, second = op("lock", 2, 9, value=locked("a")), op("lock", 3, 8, value=locked("b"))
    assert verdict(first, second, op("unlock", 4, 12)) == "linearizable"
    assert verdict(first, second, op("unlock", 4, 12, "indeterminate")) == "linearizable"
    assert verdict(first, second, op("unlock", 10, 12)) == "violated"


def test_a_foreign_unlock_is_open_at_must_and_forbidden_at_arvados() -> None:
    operations = (op("lock", 2, 3, value=locked("a")), op("unlock", 4, 5, token="stranger"))
    assert verdict(*operations) == "linearizable"
    assert verdict(*operations, level="arvados") == "violated"


def test_the_attempt_limit_cancels_when_it_is_reached_and_not_before() -> None:
    queued, cancelled = Shown(state="Queued"), Shown(state="Cancelled")
    lock = op("lock", 2, 3, value=locked("a"))
    for limit, shown, expected in (
        (1, cancelled, "linearizable"),
        (1, queued, "violated"),
        (2, queued, "linearizable"),
        (2, cancelled, "violated"),
        (None, cancelled, "linearizable"),
    ):
        unlock = op("unlock", 4, 5, value=shown)
        assert verdict(lock, unlock, level="arvados", max_dispatch_attempts=limit) == expected


@pytest.mark.parametrize("outcome", ["limited", "unauthenticated", "missing"])
def test_what_did_not_happen_constrains_nothing(outcome: str) -> None:
    assert verdict(op("unlock", 2, 3, outcome), op("lock", 4, 5, value=locked("a"))) == "linearizable"


def test_cleanup_is_not_judged_but_setup_and_probes_are() -> None:
    lock, again = op("lock", 2, 3, value=locked("a")), op("lock", 4, 5, value=locked("b"))
    assert verdict(lock, structs.replace(again, phase="cleanup")) == "linearizable"
    assert verdict(structs.replace(lock, phase="setup"), structs.replace(again, phase="probe")) == "violated"


def test_below_arvados_a_change_may_be_answered_by_the_record_from_before() -> None:
    queued = Shown(state="Queued", priority=1, locked_by_uuid=None, auth_uuid=None)
    running = {"sent": {"state": "Running"}}
    history = (
        op("lock", 2, 3, value=queued),
        op("auth", 4, 5, value=Shown(auth_uuid="a")),
        op("update", 6, 7, value=structs.replace(locked("a"), priority=1), **running),
        op("update", 8, 9, value=Shown(state="Running", priority=1, auth_uuid="a"), sent={"priority": 2}),
        op("get", 10, 11, value=Shown(state="Running", priority=2, auth_uuid="a")),
    )
    assert verdict(*history) == "linearizable"
    assert verdict(*history[:1], level="arvados") == "violated"
    unlocked = (op("lock", 2, 3), op("unlock", 4, 5, value=locked("a")), op("get", 6, 7, value=queued))
    assert verdict(*unlocked) == "linearizable"
    assert verdict(*unlocked, level="arvados") == "violated"
    assert verdict(*unlocked, op("get", 8, 9, value=locked("a"))) == "violated"  # what is read is judged all the same


def test_an_answer_that_shows_the_record_after_is_judged_at_every_level() -> None:
    twice = (op("lock", 2, 3, value=locked("a")), op("unlock", 4, 5), op("lock", 6, 7, value=locked("a")))
    assert verdict(*twice) == "violated"


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (Shown(state="Running"), "must"),
        (Shown(state="Queued", priority=5), "must"),
        (Shown(state="Queued", locked_by_uuid=SHARED), "must"),
        (Shown(state="Queued", auth_uuid="a"), "must"),
        (Shown(state="Queued", priority=1, lock_count=1), "arvados"),
    ],
)
@pytest.mark.parametrize("later", [(), (op("lock", 2, 3), op("unlock", 4, 5))])
def test_what_a_create_answers_is_judged(value: Shown, level: str, later: tuple[Operation, ...]) -> None:
    header = structs.replace(HEADER, level=level)
    assert linearize([structs.replace(CREATE, value=value), *later], header).verdict == "violated"
    fresh = Shown(state="Queued", priority=1, locked_by_uuid=None, auth_uuid=None, lock_count=0)
    assert linearize([structs.replace(CREATE, value=fresh), *later], header).verdict == "linearizable"


def test_an_auth_is_never_issued_twice() -> None:
    operations = [op("lock", 2, 3, value=locked("a")), op("unlock", 4, 5), op("lock", 6, 7, value=locked("a"))]
    assert verdict(*operations) == "violated"
    assert linearize(operations, HEADER).verdict == "violated"


def test_a_container_that_the_history_did_not_create_starts_in_any_state() -> None:
    for first in (op("lock", 2, 3), op("unlock", 2, 3), op("get", 2, 3, value=Shown(state="Complete"))):
        assert linearize([first], HEADER).verdict == "linearizable"
    two = [op("get", 2, 3, value=Shown(state="Complete")), op("lock", 4, 5)]
    assert linearize(two, HEADER).verdict == "violated"


def test_updates_move_the_container_as_the_contract_says() -> None:
    lock = op("lock", 2, 3, value=locked("a"))
    run = op("update", 4, 5, sent={"state": "Running"})
    done = op("update", 6, 7, sent={"state": "Complete"})
    assert verdict(lock, run, done, op("lock", 8, 9, "refused")) == "linearizable"
    assert verdict(lock, done) == "violated"
    assert verdict(lock, run, op("unlock", 6, 7)) == "violated"
    assert (
        verdict(op("update", 2, 3, sent={"state": "Locked"}), op("update", 4, 5, sent={"state": "Queued"}))
        == "linearizable"
    )


def test_priority_zero_is_refused_at_arvados_and_open_at_must() -> None:
    create = structs.replace(CREATE, sent={"priority": 0})
    for level, expected in (("must", "linearizable"), ("arvados", "violated")):
        header = structs.replace(HEADER, level=level)
        assert linearize([create, op("lock", 2, 3)], header).verdict == expected


def test_a_listing_shows_the_state_that_it_asked_for() -> None:
    lock = op("lock", 2, 3, value=locked("a"))
    found = op("list", 4, 5, uuid=None, sent={"state": "Queued"}, value=Shown(found=["u", "not ours"]))
    assert verdict(lock, found) == "violated"
    assert verdict(lock, structs.replace(found, sent={"state": "Locked"})) == "linearizable"


def test_a_listing_counts_from_when_it_was_answered_wherever_it_stands() -> None:
    found = op("list", 4, 5, uuid=None, sent={"state": "Queued"}, value=Shown(found=["u"]))
    assert verdict(op("lock", 2, 3, value=locked("a")), op("unlock", 6, 7), found) == "violated"


def test_a_stale_run_auth_is_refused() -> None:
    first = structs.replace(locked("a"), run_auth="r1")
    second = structs.replace(locked("b"), run_auth="r2")
    history = [op("lock", 2, 3, value=first), op("unlock", 4, 5), op("lock", 6, 7, value=second)]
    assert verdict(*history, op("unlock", 8, 9, "forbidden", run_auth="r1"), level="run_auth") == "linearizable"
    assert verdict(*history, op("unlock", 8, 9, run_auth="r1"), level="run_auth") == "violated"


def test_containers_are_judged_apart() -> None:
    other = [structs.replace(one, uuid="v") for one in (CREATE, op("lock", 2, 3), op("lock", 4, 5))]
    result = linearize([CREATE, op("lock", 2, 3), *other], HEADER)
    assert [(one.container, one.verdict) for one in result.containers] == [("u", "linearizable"), ("v", "violated")]
    assert result.verdict == "violated"
    assert result.operations == 5


def test_at_its_bound_the_general_search_says_unknown() -> None:
    runs = [op("update", 2, 99, sent={"state": "Cancelled"}) for _ in range(6)]
    result = linearize([CREATE, *runs], HEADER, bound=3)
    assert result.verdict == "unknown"
    assert "3 steps" in result.containers[0].reason


def test_a_counterexample_is_small_and_holds_whatever_else_happened() -> None:
    sizes = []
    for seed in range(400):
        one = sample(Random(seed))
        result = linearize(one.operations, one.header)
        if result.verdict != "violated":
            continue
        kept = set(_example(result).operations)
        sizes.append(len(kept))
        assert not _explainable(one.operations, kept, one.header), seed
        if 0 in kept:  # else it holds for a container of any past, which the oracle does not judge
            others = kept - {0}
            assert all(_explainable(one.operations, kept - {left_out}, one.header) for left_out in others), seed
    assert len(sizes) > 100
    assert sum(sizes) / len(sizes) < 3


def _explainable(operations: list[Operation], kept: set[int], header: Header) -> bool:
    """Whether some of what is not kept, taken with the kept and the create, has a legal order."""
    fixed = {0, *kept, *(place for place, one in enumerate(operations) if one.type == "info")}
    free = [
        place
        for place, one in enumerate(operations)
        if place not in fixed and one.type == "ok" and one.op in {"lock", "unlock", "update"}
    ]
    return any(
        orders_exist([operations[place] for place in sorted({*fixed, *some})], header)
        for count in range(len(free) + 1)
        for some in combinations(free, count)
    )


def test_a_stale_read_at_the_end_of_a_large_history_is_found_with_its_few_operations() -> None:
    operations = list(simulate(5000, Crowd(10, 1, 0.03)))
    end = max(one.return_ns or one.invoke_ns for one in operations)
    early = next(one for one in operations if one.op == "lock" and one.outcome == "granted")
    stale = op("get", end + 1, end + 2, uuid=early.uuid, value=early.value)
    result = linearize([*operations, stale], HEADER)
    assert result.verdict == "violated"
    assert len(_example(result).operations) <= 4
    assert len(operations) in _example(result).operations


def test_a_stream_is_as_good_as_a_list() -> None:
    operations = list(simulate(500, Crowd(5, 2, 0.03)))
    assert linearize(iter(operations), HEADER) == linearize(operations, HEADER)
    assert linearize([], Header()).verdict == "linearizable"
