"""GitHub: annotations stand on the scenario's line and cannot be forged; the job summary fits and says it all."""

import re
from pathlib import Path

from harness.check.verdict import Violation
from harness.report.github import MOST_ANNOTATIONS, MOST_SUMMARY, annotations, job_summary
from harness.scenario import Mark
from tests.report.builders import known_race, result, run_of, scenario, table, unsure, violated


def test_a_violation_is_an_error_on_its_yaml_line():
    (line,) = annotations(run_of(violated())).splitlines()
    assert line == (
        "::error file=scenarios/races/two_lockers.race.yaml,line=14,col=10,"
        "title=LOCK-3 single_winner in two_lockers::"
        "A and B were both granted the lock of c1 with no unlock between%0A"
        "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock"
    )


def test_an_inconclusive_scenario_is_a_warning_and_comes_after_the_errors():
    lines = annotations(run_of(unsure(), violated())).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]


def test_a_baseline_entry_that_passes_is_an_error():
    stale = result("violation")
    stale.notes = ["the baseline lists single_winner, which did not come: take the entry out"]
    assert "::error " in annotations(run_of(stale))


def test_a_clean_run_says_nothing():
    assert annotations(run_of(known_race(), *table(3))) == ""


def test_at_most_nine_and_then_a_count():
    lines = annotations(run_of(*[violated(f"case_{number}") for number in range(30)])).splitlines()
    assert len(lines) == MOST_ANNOTATIONS + 1
    assert lines[-1] == "::error title=lockrace::and 21 more; the job summary lists them"


def test_a_file_outside_the_work_tree_is_named_in_the_text(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outside = scenario("two_lockers", path=Path("/elsewhere/two_lockers.race.yaml"))
    found = Violation("invariant", "x", "LOCK-3", "seen", 0, (1,), "c1", Mark(3, 2))
    (line,) = annotations(run_of(result("violation", outside, violations=[found]))).splitlines()
    assert "file=" not in line
    assert "/elsewhere/two_lockers.race.yaml:3:2%0Aseen" in line


def test_nothing_that_a_server_says_becomes_a_command():
    bad = violated("evil[a,b::c]")
    bad.verdict.violations[0] = Violation(
        "invariant", "x", "LOCK-3", "100 %\r\n::set-output name=a::b", 0, (1, 2), "c1", Mark(1, 1)
    )
    (line,) = annotations(run_of(bad)).splitlines()
    assert "title=LOCK-3 x in evil[a%2Cb%3A%3Ac]::" in line
    assert "100 %25 ::set-output" in line


def test_the_job_summary_has_what_a_reviewer_needs():
    text = job_summary(run_of(violated(), known_race(), unsure(), *table(80)))
    assert text.startswith("## reference:check\\_before\\_lock violates the contract\n")
    assert "### LOCK-3 in two\\_lockers" in text
    assert "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock" in text
    assert "| stolen\\_lock | reproduced | 1 of 1 |" in text
    assert "the requests overlapped in none of 200 runs" in text
    assert "Not exercised: DUR-1." in text
    assert "| conforms | transition\\_table | 80 | 80 |" in text


def test_the_head_of_a_summary_never_calls_an_unjudged_server_conforming():
    assert "conforms\n" in job_summary(run_of(*table(1))).splitlines(keepends=True)[0]
    short = run_of(*table(1), not_begun=["two_lockers"])
    for run in (run_of(unsure()), run_of(*table(1), unreachable="refused"), run_of(), run_of(interrupted=True), short):
        assert "is not judged" in job_summary(run).splitlines()[0]
    assert "> not begun: two\\_lockers: the budget was spent before" in job_summary(short)


def test_markdown_in_an_answer_stays_text():
    bad = violated()
    bad.verdict.violations[0] = Violation("invariant", "x", "LOCK-3", "| <img src=x> [a](b) `c`", 0, (1, 2), "c1")
    text = job_summary(run_of(bad))
    assert "<img" not in text
    assert "\\| &lt;img src=x&gt; \\[a\\](b) \\`c\\`" in text


def test_a_huge_run_has_a_summary_that_github_takes():
    bad = [violated(f"case_{number}_{'x' * 2000}") for number in range(800)]
    text = job_summary(run_of(*bad))
    assert len(text.encode()) < MOST_SUMMARY + 200
    assert re.search(r"\d+ parts are left out here", text)
