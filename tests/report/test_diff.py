"""The diff of two runs: what must not happen comes first, and nothing that got worse is missed."""

import pytest

from harness.check.verdict import KnownRaceSeen, Violation
from harness.report.diff import diff, diff_markdown, diff_text
from harness.report.results_json import results
from tests.report.builders import known_race, result, run_of, scenario, unsure, violated


def of(*some, **more):
    return results(run_of(*some, **more))


def fine(name="two_lockers"):
    return result("conforms", scenario(name))


def told(before, after):
    found = diff(before, after)
    names = {kind: [change.name for change in getattr(found, kind)] for kind in ("regressions", "fixed", "other")}
    return {kind: some for kind, some in names.items() if some}


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        (fine(), fine(), {}),
        (fine(), violated(), {"regressions": ["two_lockers"]}),
        (violated(), fine(), {"fixed": ["two_lockers"]}),
        (violated(), violated(), {}),
    ],
)
def test_one_scenario(before, after, wanted):
    assert told(of(before), of(after)) == wanted


def test_a_pass_that_became_inconclusive_is_a_regression():
    name = "thundering_herd[size=10]"
    assert told(of(fine(name)), of(unsure())) == {"regressions": [name]}
    assert told(of(unsure()), of(fine(name))) == {"fixed": [name]}


def test_an_inconclusive_scenario_that_now_violates_is_a_regression():
    name = "thundering_herd[size=10]"
    assert told(of(unsure()), of(violated(name))) == {"regressions": [name]}
    assert told(of(violated(name)), of(unsure())) == {"other": [name]}


def test_a_new_kind_of_violation_is_a_regression_of_a_scenario_that_was_red_before():
    worse = violated()
    worse.verdict.violations.append(Violation("invariant", "stale", "GET-1", "a stale read", 0, (1,)))
    before = violated()
    before.verdict.exercised = worse.verdict.exercised = {"LOCK-3": 1, "GET-1": 1}
    (change,) = diff(of(before), of(worse)).regressions
    assert change.detail == "GET-1 stale: a stale read"
    assert told(of(worse), of(before)) == {"other": ["two_lockers"]}


def test_a_new_scenario_that_fails_is_a_regression_and_one_that_passes_is_not():
    assert told(of(fine()), of(fine(), violated("other"))) == {"regressions": ["other"]}
    assert told(of(fine()), of(fine(), fine("other"))) == {"other": ["other"]}


def test_a_scenario_that_is_not_tried_any_more_is_a_regression():
    found = diff(of(fine(), fine("other")), of(fine()))
    assert [(one.name, one.after) for one in found.regressions] == [("other", "not tried")]


def test_a_requirement_that_nothing_exercises_any_more_is_a_regression():
    blind = fine()
    blind.verdict.exercised = {}
    (change,) = diff(of(fine()), of(blind)).regressions
    assert (change.name, change.before, change.after) == ("LOCK-3", "held", "not exercised")
    assert told(of(blind), of(fine())) == {"fixed": ["LOCK-3"]}


def test_a_known_race_that_closed_is_told_and_is_no_regression():
    closed = known_race()
    closed.label = "conforms"
    closed.verdict.known_races = [KnownRaceSeen("stolen_lock", 0, 1, "closed")]
    assert told(of(known_race()), of(closed)) == {"other": ["stolen_lock"]}


def test_settings_that_differ_are_told_but_not_the_seed():
    found = diff(of(fine(), settings={"jobs": 1, "seed": 1}), of(fine(), settings={"jobs": 2, "seed": 2}, seed=9))
    assert [(one.name, one.before, one.after) for one in found.settings] == [("jobs", "1", "2")]


def test_regressions_are_told_first():
    found = diff(of(fine("a"), violated("b"), fine("c")), of(violated("a"), fine("b"), fine("c")))
    lines = diff_text(found).splitlines()
    assert lines[0] == "Regressions (1)"
    assert lines[1].startswith("  ✗ a: conforms -> violation LOCK-3 single_winner: A and B were both granted")
    assert lines[2:4] == ["Fixed (1)", "  ✓ b: violation -> conforms"]
    assert lines[-1] == "unchanged (1)"


def test_markdown_tables():
    found = diff(of(fine("a")), of(violated("a")))
    assert "### Regressions (1)" in diff_markdown(found)
    assert "| a | conforms | violation | LOCK-3 single\\_winner: A and B" in diff_markdown(found)


def test_a_thousand_changes_are_counted_not_listed():
    some = [fine(f"s_{number}") for number in range(1000)]
    bad = [violated(f"s_{number}") for number in range(1000)]
    found = diff(of(*some), of(*bad))
    assert len(found.regressions) == 1000
    assert "and 800 more" in diff_text(found)
    assert "and 800 more" in diff_markdown(found)
