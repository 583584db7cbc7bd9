"""The baseline: what it excuses, until when, and every way to write it wrong."""

from datetime import date

import pytest

from harness.report.baseline import Entry, baseline_of, baseline_text, day, read_baseline
from harness.report.decision import Baseline, decide, notes
from harness.report.github import job_summary
from harness.report.html import run_page
from harness.report.result import RunResult
from harness.report.results_json import results
from harness.report.terminal import Look, summary
from harness.scenario import ScenarioError
from tests.report.builders import result, run_of, scenario, unsure, violated

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


def test_an_entry_that_was_not_tried_is_named_with_the_reason(tmp_path):
    baseline = read(tmp_path, GOOD)
    (told,) = baseline.untried(run_of(result(of=scenario("other"))))
    assert told == "two_lockers single_winner (LOCK-3): that scenario was not run"
    left_out = RunResult("http://x", "must", 1, "", skipped=["two_lockers: it needs the stranger token"])
    assert baseline.untried(left_out) == ["two_lockers single_winner (LOCK-3): it needs the stranger token"]
    assert baseline.untried(run_of(result())) == []
    assert baseline.untried(run_of(violated())) == []


def test_an_entry_for_which_there_was_nothing_to_judge_is_neither_excused_nor_gone(tmp_path):
    baseline = read(tmp_path, GOOD)
    mine = baseline.of("two_lockers", date(2027, 1, 1))
    nothing = result(judged={"single_winner": 0})
    assert decide(nothing.verdict, baseline=mine) == "conforms"
    assert notes(nothing.verdict, baseline=mine) == []
    assert baseline.untried(run_of(nothing)) == ["two_lockers single_winner (LOCK-3): there was nothing to judge it by"]
    assert decide(result(judged={"single_winner": 1}).verdict, baseline=mine) == "violation"


def test_an_entry_of_a_level_that_the_run_does_not_judge(tmp_path):
    above = GOOD.replace("single_winner", "lock_counted").replace("LOCK-3", "LOCK-6")
    baseline = read(tmp_path, above)
    assert baseline.of("two_lockers", date(2027, 1, 1), "must") == Baseline()
    assert baseline.of("two_lockers", date(2027, 1, 1), "arvados").listed == {"lock_counted"}
    assert baseline.untried(run_of(result())) == ["two_lockers lock_counted (LOCK-6): this run judges level must"]


def test_what_was_not_tried_is_told_by_every_report(tmp_path):
    run = run_of(result())
    run.untried = [f"s{number} single_winner (LOCK-3): that scenario was not run" for number in range(6)]
    text = summary(run, Look())
    assert "not tried      baseline: s0 single_winner (LOCK-3): that scenario was not run\n" in text
    assert "and 2 more entries of the baseline" in text
    assert "### Not tried" in job_summary(run)
    assert "<h3>Not tried</h3>" in run_page(run)
    assert run.untried == results(run).untried
    run.untried = []
    assert "ot tried" not in summary(run, Look()) + job_summary(run) + run_page(run)


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


def test_an_update_keeps_what_the_run_could_not_judge(tmp_path):
    old = read(tmp_path, GOOD)
    nothing = results(run_of(result(judged={"single_winner": 0})))
    assert baseline_of(nothing, "new", date(2030, 1, 1), old).entries == old.entries
    above = read(tmp_path, GOOD.replace("single_winner", "lock_counted").replace("LOCK-3", "LOCK-6"))
    assert baseline_of(results(run_of(result())), "new", date(2030, 1, 1), above).entries == above.entries


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
