"""How much a round overlapped, and what clean rounds exclude."""

import pytest

from harness.history import Operation
from harness.history.overlap import Overlap, closest_meeting, excluded_odds, exclusion, overlap


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ([], Overlap(0, 0, 0, 0)),
        ([(5, 9)], Overlap(1, 1, 0, 0)),
        ([(0, 10), (10, 20)], Overlap(2, 1, 0, 10)),
        ([(0, 10), (9, 20)], Overlap(2, 2, 1, 9)),
        ([(0, 10), (2, 5), (6, 12)], Overlap(3, 2, 2, 6)),
        ([(0, 100), (1, 100), (2, 100)], Overlap(3, 3, 3, 2)),
        ([(0, None), (50, 60), (70, 80)], Overlap(3, 2, 2, 70)),
        ([(7, 7), (7, 7)], Overlap(2, 2, 1, 0)),
    ],
)
def test_overlap(intervals: list[tuple[int, int | None]], expected: Overlap) -> None:
    assert overlap(intervals) == expected
    assert overlap(intervals).raced == (expected.together >= 2)


def call(process: str, uuid: str, release_ns: int, return_ns: int | None, phase: str = "run") -> Operation:
    return Operation(
        op="lock",
        process=process,
        invoke_ns=0,
        release_ns=release_ns,
        return_ns=return_ns,
        type="info" if return_ns is None else "ok",
        outcome="indeterminate" if return_ns is None else "granted",
        status=None if return_ns is None else 200,
        uuid=uuid,
        phase=phase,  # type: ignore[arg-type]
    )


def test_only_requests_for_one_container_meet() -> None:
    apart = [call("A#1", "c1", 0, 10), call("B#1", "c2", 0, 10), call("B#1", "c1", 10, 20)]
    assert not closest_meeting(apart).raced
    assert closest_meeting([*apart, call("C#1", "c1", 5, None)]).together == 2


def test_setup_and_events_are_no_race() -> None:
    crash = Operation(op="crash", process="B#1", invoke_ns=5, return_ns=5, type="ok", outcome="granted")
    assert not closest_meeting([call("A#1", "c1", 0, 10), call("given#1", "c1", 0, 10, "setup"), crash]).raced
    assert not closest_meeting([]).raced


@pytest.mark.parametrize(("rounds", "odds"), [(0, None), (1, 1), (3, 1), (5, 2), (200, 67), (900, 300)])
def test_clean_rounds_exclude_a_rate(rounds: int, odds: int | None) -> None:
    assert excluded_odds(rounds) == odds
    if odds is not None and odds > 1:
        assert 1 - (1 - 1 / odds) ** rounds >= 0.95
        assert 1 - (1 - 1 / (odds + 1)) ** rounds < 0.95
        assert exclusion(rounds).endswith(f"1 of {odds} rounds would have been seen with 95 %")
    if odds is None:
        assert exclusion(rounds) == "no round raced, so nothing is excluded"
