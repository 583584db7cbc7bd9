"""Whether rounds raced, how close they were, and what clean rounds exclude."""

import pytest

from harness.history import Operation
from harness.history.overlap import (
    ReleaseTrial,
    excluded_odds,
    exclusion,
    race_figures,
    release_sentence,
    start_of_round,
)


def call(
    process: str, release_ns: int, return_ns: int | None, phase: str = "run", arrival_ns: int | None = None
) -> Operation:
    return Operation(
        op="lock",
        process=process,
        invoke_ns=0,
        release_ns=release_ns,
        return_ns=return_ns,
        type="info" if return_ns is None else "ok",
        outcome="indeterminate" if return_ns is None else "granted",
        phase=phase,  # type: ignore[arg-type]
        arrival_ns=arrival_ns,
    )


@pytest.mark.parametrize(
    ("operations", "raced"),
    [
        ([], 0),
        ([call("A#1", 0, 10)], 0),
        ([call("A#1", 0, 10), call("B#1", 10, 20)], 0),
        ([call("A#1", 0, 10), call("B#1", 9, 20)], 1),
        ([call("B#1", 9, 20), call("A#1", 0, 10)], 1),
        ([call("A#1", 0, 100), call("A#2", 10, 20)], 0),
        ([call("A#1", 0, None), call("A#2", 10, 20)], 0),
        ([call("A#1", 0, None), call("B#1", 500, 600)], 1),
        ([call("A#1", 0, 50), call("A#1", 60, 70), call("B#1", 50, 60)], 0),
        ([call("A#1", 0, 100), call("A#2", 10, 20), call("B#1", 90, 95)], 1),
        ([call("A#1", 0, 10), call("given#1", 0, 10, "setup"), call("probe#1", 0, 10, "probe")], 0),
        (
            [
                call("A#1", 0, 10),
                Operation(op="crash", process="B#1", invoke_ns=5, return_ns=5, type="ok", outcome="granted"),
            ],
            0,
        ),
    ],
)
def test_a_round_raced_when_requests_of_two_sessions_were_out_at_once(operations: list[Operation], raced: int) -> None:
    assert race_figures({0: operations}).raced == raced


def test_the_spread_is_that_of_first_requests_released_together() -> None:
    together = [start_of_round(0, 0, "gate", 0), call("A#1", 1_000, 90_000), call("B#1", 4_000, 90_000)]
    later = [call("A#1", 91_000, 95_000)]
    parted = [start_of_round(1, 0, "gate", 500_000), call("A#1", 1_000, 2_000), call("B#1", 501_000, 502_000)]
    figures = race_figures({0: [*together, *later], 1: parted})
    assert (figures.rounds, figures.raced, figures.racers, figures.together) == (2, 1, 2, 1)
    assert (figures.spread_p50_us, figures.spread_p95_us) == (3.0, 3.0)
    assert figures.sentence() == ("1 of 2 rounds of 2 raced; 1 left together, within 3 us (median) and 3 us (95 %)")


def test_arrivals_are_told_where_the_target_has_stamped_all_of_a_round() -> None:
    start = start_of_round(0, 0, "gate", 0)
    later = call("A#1", 91_000, 95_000, arrival_ns=93_000)
    whole = [start, call("A#1", 1, 90_000, arrival_ns=20_000), call("B#1", 4, 90_000, arrival_ns=27_000), later]
    half = [start, call("A#1", 1, 90_000, arrival_ns=20_000), call("B#1", 4, None)]
    parted = [start_of_round(0, 0, "gate", 5), *whole[1:]]
    figures = race_figures({0: whole, 1: half, 2: parted})
    assert figures.arrived_p50_us == 7.0
    assert figures.sentence().endswith("(95 %), arrived within 7 us (median)")
    assert race_figures({0: half, 1: parted}).arrived_p50_us is None
    assert "arrived" not in race_figures({0: half}).sentence()


@pytest.mark.parametrize(
    ("kind", "trial", "said"),
    [
        (
            "gate",
            ReleaseTrial(210_400, 400_000, 0),
            "by gate (last bytes held back): its answers came within 210 us, those by burst within 400 us",
        ),
        (
            "burst",
            ReleaseTrial(610_000, 400_000, 0),
            "by burst (whole requests): its answers came within 400 us, those by gate within 610 us",
        ),
        (
            "burst",
            ReleaseTrial(10, 400_000, 3),
            "by burst (whole requests), since this target answers before the last byte of a request has come",
        ),
        ("gate", None, "by gate (last bytes held back), not measured"),
        ("catapult", None, None),
    ],
)
def test_the_release_is_told_with_the_reason(kind: str, trial: ReleaseTrial | None, said: str | None) -> None:
    assert release_sentence([call("A#1", 0, 1), start_of_round(0, 0, kind, 0, trial)]) == said
    assert release_sentence([call("A#1", 0, 1)]) is None


def test_without_rounds_that_left_together_no_spread_is_claimed() -> None:
    figures = race_figures({0: [call("A#1", 0, 10)]})
    assert figures.spread_p50_us is None
    assert figures.sentence() == "0 of 1 rounds of 1 raced"


@pytest.mark.parametrize(("rounds", "odds"), [(0, None), (1, 1), (3, 1), (5, 2), (200, 67), (900, 300)])
def test_clean_rounds_exclude_a_rate(rounds: int, odds: int | None) -> None:
    assert excluded_odds(rounds) == odds
    if odds is not None and odds > 1:
        assert 1 - (1 - 1 / odds) ** rounds >= 0.95
        assert 1 - (1 - 1 / (odds + 1)) ** rounds < 0.95
        assert exclusion(rounds).endswith(f"1 of {odds} rounds would have been seen with 95 %")
    if odds is None:
        assert exclusion(rounds) == "no round raced, so nothing is excluded"
