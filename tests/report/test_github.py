"""GitHub: annotations stand on the scenario's line and cannot be forged; the job summary fits and says it all."""

import re
from pathlib import Path

from harness.check.verdict import Violation
from harness.report.github import MOST_ANNOTATIONS, MOST_SUMMARY, annotations, job_summary
from harness.scenario import Mark, shipped
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


def violated_in(path):
    found = Violation("invariant", "x", "LOCK-3", "seen", 0, (1,), "c1", Mark(3, 2))
    return run_of(result("violation", scenario("two_lockers", path=path), violations=[found]))


def test_a_file_is_named_from_the_root_of_the_repository_wherever_the_command_runs(monkeypatch, tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "server" / "ci").mkdir(parents=True)
    for folder, written in [
        (".", "races/a b,c.race.yaml"),
        ("server/ci", "../../races/a b,c.race.yaml"),
        ("server/ci", str(tmp_path / "races" / "a b,c.race.yaml")),
    ]:
        monkeypatch.chdir(tmp_path / folder)
        run = violated_in(Path(written))
        (line,) = annotations(run).splitlines()
        assert line.startswith("::error file=races/a b%2Cc.race.yaml,line=3,col=2,title=")
        assert "races/a b,c.race.yaml:3:2)" in job_summary(run)


def test_where_there_is_no_repository_a_file_is_named_from_here(monkeypatch, tmp_path):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    (line,) = annotations(violated_in(tmp_path / "deep" / "mine.race.yaml")).splitlines()
    assert "file=mine.race.yaml,line=3" in line
    (line,) = annotations(violated_in(tmp_path / "mine.race.yaml")).splitlines()
    assert "file=" not in line


def test_a_file_outside_the_repository_is_named_in_the_text(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = violated_in(Path("/elsewhere/two_lockers.race.yaml"))
    (line,) = annotations(run).splitlines()
    assert "file=" not in line
    assert "::line 3 of /elsewhere/two_lockers.race.yaml%0Aseen" in line
    run = violated_in(shipped() / "races" / "two_lockers.race.yaml")
    (line,) = annotations(run).splitlines()
    assert "::line 3 of races/two_lockers.race.yaml, as it ships%0Aseen" in line
    assert str(shipped()) not in line + job_summary(run)


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
