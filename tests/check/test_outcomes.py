"""Clauses, expectations, known races and the histogram, each judged run by run."""

from pathlib import Path

import pytest

from harness.check import check
from harness.check.verdict import ClauseCount
from harness.history import Header, History
from harness.scenario import load_text
from tests.check.builders import STOLEN, TOKENS, judged, look, scenario, step, use

BOTH_HOLD = 'never: {both_hold: "believes(A, c1) and believes(B, c1) and live(A.token) and live(B.token)"}'


def test_an_unmet_expectation_is_a_violation_of_the_fitting_requirement() -> None:
    verdict = judged(scenario("never: {two: a_lock.granted and b_lock.granted}"), step("a_lock", 0, "refused"))
    (found,) = verdict.violations
    assert (found.source, found.name, found.requirement, found.operations) == ("expect", "a_lock", "LOCK-1", (0,))
    assert "refused" in found.message
    assert "expected: granted" in found.message
    assert found.mark is not None


@pytest.mark.parametrize("outcome", ["indeterminate", "limited"])
def test_a_call_that_was_lost_unexpectedly_makes_the_run_inconclusive(outcome: str) -> None:
    one = scenario("never: {two: a_lock.granted or b_lock.granted}")
    verdict = judged(one, step("a_lock", 0), step("b_lock", 2, outcome))
    assert verdict.violations == []
    assert verdict.runs_judged == 0
    assert verdict.inconclusive == [f"1 of 1 runs not judged (first: run 0): b_lock was {outcome}"]


@pytest.mark.parametrize("outcome", ["indeterminate", "limited"])
def test_after_a_call_that_was_lost_unexpectedly_nothing_is_expected(outcome: str) -> None:
    text = scenario("never: {two: a_lock.granted and b_lock.granted}").text
    (one,) = load_text(text.replace("lock: c1}", "lock: c1, expect: granted}"), Path("two.race.yaml"))
    later = judged(one, step("a_lock", 0, outcome), step("b_lock", 2, "forbidden"))
    assert later.violations == []
    assert later.runs_judged == 0
    meanwhile = judged(one, step("a_lock", 0, outcome, ticks=5), step("b_lock", 2, "forbidden"))
    assert meanwhile.violations == []
    before = judged(one, step("a_lock", 0, "forbidden"), step("b_lock", 2, outcome))
    assert [found.name for found in before.violations if found.source == "expect"] == ["a_lock"]


def test_what_the_attempt_limit_cancelled_is_expected_no_more() -> None:
    text = scenario("always: {free: state(c1) == 'Queued'}").text
    (one,) = load_text(text.replace("lock: c1}", "lock: c1, expect: granted}"), Path("two.race.yaml"))
    unlock = step("a_unlock", 2, phase="probe")
    history = [step("a_lock", 0), unlock, step("b_lock", 4, "refused"), look("Cancelled", 6)]
    verdict = judged(one, *history)
    assert verdict.violations == []
    (reason,) = verdict.inconclusive
    assert reason.startswith("1 of 1 runs not judged (first: run 0): an unlock cancelled the container")
    assert "--max-dispatch-attempts" in reason
    asked = step("a_update", 3, sent={"state": "Cancelled"}, phase="probe")
    assert [found.name for found in judged(one, *history[:2], asked, *history[2:]).violations] == ["b_lock", "free"]
    known = History(Header(tokens=TOKENS, level="arvados", max_dispatch_attempts=9), history)
    assert {"b_lock", "free"} <= {found.name for found in check(known, one).violations}
    known.header.max_dispatch_attempts = 1
    assert {"b_lock", "free"}.isdisjoint(found.name for found in check(known, one).violations)


def test_an_expected_loss_is_judged() -> None:
    one = scenario("never: {two: a_lock.granted and b_lock.granted}")
    text = one.text.replace("{id: b_lock, lock: c1}", "{id: b_lock, lock: c1, expect: indeterminate}")
    (again,) = load_text(text, Path("two.race.yaml"))
    verdict = judged(again, step("a_lock", 0), step("b_lock", 2, "indeterminate"))
    assert (verdict.runs_judged, verdict.inconclusive) == (1, [])


def test_the_last_try_of_a_step_counts() -> None:
    one = scenario("never: {two: a_lock.refused}")
    verdict = judged(one, step("a_lock", 0, "indeterminate"), step("a_lock", 2, process="A#2"))
    assert verdict.violations == []
    assert verdict.inconclusive == []


def test_never_and_always() -> None:
    one = scenario(
        """\
        never: {two: a_lock.granted and b_lock.granted}
        always: {one: a_lock.granted or b_lock.granted}
        """
    )
    fine = judged(one, step("a_lock", 0), step("b_lock", 2, "refused"))
    assert fine.violations == []
    assert set(fine.clauses) == {ClauseCount("two", "never", 0, 1), ClauseCount("one", "always", 1, 1)}
    bad = judged(one, step("a_lock", 0), step("b_lock", 2))
    assert [(found.source, found.name) for found in bad.violations] == [("clause", "two")]
    none = judged(one, step("b_lock", 2, "refused"))
    assert [(found.source, found.name) for found in none.violations] == [("clause", "one")]


def test_sometimes_unseen_is_inconclusive_and_seen_once_is_enough() -> None:
    one = scenario("sometimes: {b_wins: b_lock.granted}")
    lost = [step("a_lock", 0), step("b_lock", 2, "refused")]
    assert judged(one, *lost).inconclusive == ['sometimes "b_wins" was not seen in 1 runs: b_lock.granted']
    seen = judged(one, *lost, step("a_lock", 10, run=1), step("b_lock", 8, run=1))
    assert seen.inconclusive == []
    assert seen.clauses == [ClauseCount("b_wins", "sometimes", 1, 2)]


def test_a_known_race_counts_where_its_condition_holds() -> None:
    steps = [
        step("a_lock", 0),
        step("b_lock", 2),
        step("a_auth", 4, secret="s"),
        step("b_auth", 6, secret="s"),
        use("s", 8),
        use("s", 10),
        look("Locked", 12),
    ]
    verdict = judged(scenario(BOTH_HOLD, more=STOLEN), *steps)
    assert verdict.violations == []
    (race,) = [one for one in verdict.known_races if one.declared]
    assert (race.id, race.reproduced, race.judged, race.first_run) == ("stolen_lock", 1, 1, 0)
    assert [row.mark for row in verdict.histogram] == ["known race"]


def test_outside_its_condition_a_known_race_is_a_violation() -> None:
    steps = [
        step("a_lock", 0),
        step("b_lock", 2),
        step("a_auth", 4, secret="s"),
        step("b_auth", 6, secret="t"),
        use("s", 8),
        use("t", 10),
        look("Locked", 12),
    ]
    verdict = judged(scenario(BOTH_HOLD, more=STOLEN), *steps)
    assert [(found.name, found.requirement) for found in verdict.violations] == [("both_hold", "UNLOCK-3")]
    assert [one.reproduced for one in verdict.known_races if one.declared] == [0]
    assert [row.mark for row in verdict.histogram] == ["violation"]


def test_a_server_that_forbids_everything_is_red_and_not_a_closed_race() -> None:
    steps = [step("a_lock", 0, "forbidden"), step("b_lock", 2, "forbidden"), look("Queued", 4)]
    verdict = judged(scenario(BOTH_HOLD, more=STOLEN), *steps)
    assert [found.name for found in verdict.violations] == ["a_lock"]


def test_a_given_state_that_is_turned_away_is_red() -> None:
    create = step("given_create", 0, "forbidden", phase="setup", container="c1", uuid=None)
    verdict = judged(scenario(BOTH_HOLD), create)
    assert [(found.name, found.requirement) for found in verdict.violations] == [("given", "LOCK-1")]
    assert verdict.runs_judged == 0


def test_a_run_that_was_cut_before_its_probes_is_not_judged() -> None:
    verdict = judged(scenario(BOTH_HOLD), step("a_lock", 0), step("a_auth", 2, secret="s"))
    assert verdict.violations == []
    assert len(verdict.inconclusive) == 1
    assert "both_hold could not be judged" in verdict.inconclusive[0]


def test_a_lost_probe_makes_the_run_inconclusive() -> None:
    steps = [step("a_lock", 0), step("a_auth", 2, secret="s"), use("s", 4, "indeterminate")]
    verdict = judged(scenario(BOTH_HOLD), *steps)
    assert "use was indeterminate in the look at its end" in verdict.inconclusive[0]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([("Queued", 2), ("Locked", 10)], "held"),
        ([("Queued", 2), ("Queued", 30)], "late"),
        ([("Queued", 2), ("Queued", 30), ("Locked", 40)], "late"),
        ([("Queued", 2), ("Locked", 30)], "unsure"),  # it may have been so at 20 ms: nobody looked
        ([("Locked", 30)], "unsure"),
        ([("Queued", 2)], "unsure"),
        ([], "unsure"),
    ],
)
def test_eventually(looks: list[tuple[str, int]], expected: str) -> None:
    one = scenario('eventually: {locked: {that: state(c1) == "Locked", within: 20ms}}')
    seen = [look(state, after_ms * 1_000_000 + 10) for state, after_ms in looks]
    verdict = judged(one, step("a_lock", 0), *seen)
    assert [found.name for found in verdict.violations] == (["locked"] if expected == "late" else [])
    assert bool(verdict.inconclusive) == (expected == "unsure")


def test_a_look_that_was_under_way_when_the_time_was_over_proves_nothing() -> None:
    one = scenario('eventually: {locked: {that: state(c1) == "Locked", within: 20ms}}')
    under_way = step("probe_get", 10_000_000, phase="probe", state="Queued", ticks=20_000_000)
    verdict = judged(one, step("a_lock", 0), under_way)
    assert (verdict.violations, bool(verdict.inconclusive)) == ([], True)


def test_a_race_in_which_nothing_overlapped_proves_nothing() -> None:
    one = scenario("never: {two: a_lock.granted and b_lock.granted}", schedule="race: {runs: 2}")
    apart = judged(one, step("a_lock", 0), step("b_lock", 2, "refused"))
    assert (apart.raced, apart.runs_judged) == (0, 1)
    assert apart.inconclusive == ["in none of 1 runs were calls of two dispatchers under way at once"]
    together = judged(one, step("a_lock", 0, ticks=5), step("b_lock", 2, "refused"))
    assert (together.raced, together.inconclusive) == (1, [])


def test_a_race_may_lose_some_runs_an_order_none() -> None:
    race = scenario("never: {two: a_lock.granted and b_lock.granted}", schedule="race: {runs: 3}")
    good = [one for run in (0, 1) for one in (step("a_lock", 0, run=run, ticks=5), step("b_lock", 2, "refused", run))]
    lost = [step("a_lock", 0, run=2), step("b_lock", 2, "limited", 2)]
    verdict = judged(race, *good, *lost)
    assert (verdict.runs, verdict.runs_judged, verdict.inconclusive) == (3, 2, [])
    ordered = scenario("never: {two: a_lock.granted and b_lock.granted}", schedule="sample: {runs: 3}")
    assert judged(ordered, *good, *lost).inconclusive == []
    every = scenario("never: {two: a_lock.granted and b_lock.granted}", schedule="every: {limit: 10}")
    assert judged(every, *good, *lost).inconclusive == ["1 of 3 runs not judged (first: run 2): b_lock was limited"]


def test_the_histogram_counts_distinct_outcomes() -> None:
    one = scenario("show: [a_lock.status, b_lock.status, b_auth.status, a_lock.granted]")
    runs = [
        step("a_lock", 0, run=0, status=200),
        step("b_lock", 2, "refused", 0, status=422),
        step("a_lock", 0, run=1, status=200),
        step("b_lock", 2, "refused", 1, status=422),
        step("b_lock", 0, run=2, status=200),
        step("a_lock", 2, "refused", 2, status=422),
    ]
    verdict = judged(one, *runs)
    assert verdict.columns == ("a_lock.status", "b_lock.status", "b_auth.status", "a_lock.granted")
    assert [(row.values, row.runs, row.first_run, row.mark) for row in verdict.histogram] == [
        (("200", "422", "-", "yes"), 2, 0, ""),
        (("422", "200", "-", "no"), 1, 2, "violation"),
    ]


def test_the_history_carries_its_scenario() -> None:
    one = scenario("never: {locked: a_lock.granted}")
    header = Header(tokens=TOKENS, scenario=one.name, text=one.text, path="two.race.yaml")
    operations = [step("a_lock", 0)]
    assert [found.name for found in check(History(header, operations)).violations] == ["locked"]
    header.scenario = "another"
    assert check(History(header, operations)).inconclusive == [
        'the scenario that the history carries has no instance "another"'
    ]
    header.text = "format: 9"
    (reason,) = check(History(header, operations)).inconclusive
    assert "cannot be read" in reason


def test_what_tidies_up_is_never_judged() -> None:
    steps = [
        step("a_lock", 0),
        step("tidy_lock", 2, phase="cleanup"),
        step("tidy_get", 4, phase="cleanup", state="Queued"),
    ]
    assert check(History(Header(tokens=TOKENS), steps)).violations == []
