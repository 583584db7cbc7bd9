"""The baseline: what it excuses, until when, and every way to write it wrong."""

from datetime import date

import pytest

from harness.report.baseline import Entry, baseline_of, baseline_text, day, read_baseline
from harness.report.decision import Baseline, decide, notes
from harness.report.results_json import results
from harness.scenario import ScenarioError
from tests.report.builders import result, run_of, unsure, violated

GOOD = """\
format: 1
target: https://arvados.example
violations:
  - scenario: two_lockers
    violation: single_winner
    requirement: LOCK-3
    reason: fixed in 3.2, which we get in May
    expires: "2027-05-31"
"""


def read(tmp_path, text):
    path = tmp_path / "baseline.yaml"
    path.write_text(text)
    return read_baseline(path)


def test_an_entry_excuses_its_violation_up_to_its_last_day(tmp_path):
    baseline = read(tmp_path, GOOD)
    names = frozenset({"single_winner"})
    assert baseline.of("two_lockers", date(2027, 5, 31)) == Baseline(names, frozenset())
    assert baseline.of("two_lockers", date(2027, 6, 1)) == Baseline(names, names)
    assert baseline.of("two_lockers[size=2]", date(2027, 5, 31)) == Baseline()


@pytest.mark.parametrize(
    ("seen", "today", "label", "note"),
    [
        (True, date(2027, 1, 1), "baseline", "single_winner is a violation that the baseline lists"),
        (
            False,
            date(2027, 1, 1),
            "violation",
            "the baseline lists single_winner, which did not come: take the entry out",
        ),
        (True, date(2028, 1, 1), "violation", "the baseline's entry for single_winner has expired"),
        (False, date(2028, 1, 1), "violation", "the baseline's entry for single_winner has expired"),
    ],
)
def test_what_comes_of_it(tmp_path, seen, today, label, note):
    verdict = (violated() if seen else result()).verdict
    mine = read(tmp_path, GOOD).of("two_lockers", today)
    assert decide(verdict, baseline=mine) == label
    (said,) = notes(verdict, baseline=mine)
    assert said.startswith(note)


def test_an_inconclusive_scenario_cannot_show_that_a_violation_is_gone(tmp_path):
    mine = read(tmp_path, GOOD).of("two_lockers", date(2027, 1, 1))
    assert decide(unsure().verdict, baseline=mine) == "inconclusive"
    assert notes(unsure().verdict, baseline=mine) == []


def test_a_scenario_that_was_not_tried_is_named(tmp_path):
    assert read(tmp_path, GOOD).untried(["other"]) == ["two_lockers"]
    assert read(tmp_path, GOOD).untried(["two_lockers"]) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format: 1", "format: 2", "1:9: format must be a whole number from 1 to 1"),
        ("    reason: fixed in 3.2, which we get in May\n", "", 'needs the key "reason"'),
        ("reason", "raeson", 'did you mean "reason"?'),
        ("LOCK-3", "LOCK-33", 'did you mean "LOCK-3"?'),
        ('"2027-05-31"', '"31.5.2027"', '8:5: expires must be a day in quotes, "2027-05-31", not "31.5.2027"'),
        ('"2027-05-31"', '"2027-02-30"', "expires must be a day"),
        ('"2027-05-31"', "2027-05-31", "8:14:"),
        ("target: https://arvados.example\n", "", 'needs the key "target"'),
        ("violations:", "violations: 3\nextra:", "must be a list"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(ScenarioError) as error:
        read(tmp_path, GOOD.replace(old, new))
    assert said in str(error.value)
    assert "baseline.yaml:" in str(error.value)


def test_an_entry_twice_is_a_fault(tmp_path):
    entry = GOOD[GOOD.index("  - scenario") :]
    with pytest.raises(ScenarioError, match="single_winner of two_lockers is listed twice"):
        read(tmp_path, GOOD + entry)


def test_all_faults_are_told_at_once(tmp_path):
    with pytest.raises(ScenarioError) as error:
        read(tmp_path, GOOD.replace("LOCK-3", "X").replace('"2027-05-31"', '"soon"'))
    assert len(error.value.diagnostics) == 2


def test_a_baseline_made_from_a_run_excuses_all_of_it(tmp_path):
    run = run_of(violated('two_lockers[a="1"]'), violated("b"), result())
    made = baseline_of(results(run), "under repair", date(2027, 1, 31))
    again = read(tmp_path, baseline_text(made))
    assert again == made
    for one in run.results:
        mine = again.of(one.scenario.name, date(2027, 1, 1))
        assert decide(one.verdict, baseline=mine) in ("baseline", "conforms")


def test_an_update_keeps_reasons_drops_what_is_gone_and_keeps_what_was_not_tried(tmp_path):
    old = read(tmp_path, GOOD + GOOD[GOOD.index("  - scenario") :].replace("two_lockers", "elsewhere"))
    still = baseline_of(results(run_of(violated())), "new", date(2030, 1, 1), old)
    assert [(entry.scenario, entry.reason) for entry in still.entries] == [
        ("elsewhere", "fixed in 3.2, which we get in May"),
        ("two_lockers", "fixed in 3.2, which we get in May"),
    ]
    gone = baseline_of(results(run_of(result())), "new", date(2030, 1, 1), old)
    assert [entry.scenario for entry in gone.entries] == ["elsewhere"]


def test_no_violation_is_an_empty_list(tmp_path):
    made = baseline_of(results(run_of(result())), "x", date(2027, 1, 1))
    assert read(tmp_path, baseline_text(made)).entries == ()


def test_texts_come_back_as_they_were(tmp_path):
    made = baseline_of(results(run_of(violated())), 'a "b" \\ c: # no\ttab', date(2027, 1, 1))
    (entry,) = read(tmp_path, baseline_text(made)).entries
    assert entry == Entry("two_lockers", "single_winner", "LOCK-3", 'a "b" \\ c: # no\ttab', date(2027, 1, 1))


@pytest.mark.parametrize("text", ["", "2027-5-1", "20270501", "2027-W01-1", "tomorrow"])
def test_only_one_way_to_write_a_day(text):
    assert day(text) is None
