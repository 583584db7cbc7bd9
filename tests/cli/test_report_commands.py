"""`lockrace report`, `diff` and `baseline`: from files of a run to what a reader or a gate wants."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from harness.cli.baseline_command import command as baseline
from harness.cli.diff_command import command as diff
from harness.cli.recheck_command import command as recheck
from harness.cli.report_command import command as report
from harness.history import Header, HistoryWriter, Operation
from harness.report.baseline import read_baseline
from harness.report.files import write_reports
from harness.run import not_exercised
from tests.report.builders import result, run_of, two_lock, violated


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder with two runs: `good` conforms, `bad` does not."""
    monkeypatch.chdir(tmp_path)
    write_reports(run_of(result(), target="http://good"), tmp_path / "good", ["json"])
    write_reports(run_of(violated(), target="http://bad"), tmp_path / "bad", ["json"])
    return tmp_path


def call(command: click.Command, *words: str) -> tuple[Result, int]:
    """What was printed, and the exit code, which `lockrace` takes from the command's answer."""
    done = CliRunner().invoke(command, words, standalone_mode=False, catch_exceptions=True)
    if isinstance(done.exception, click.exceptions.Exit | click.ClickException):
        return done, done.exception.exit_code
    assert done.exception is None, done.exception
    return done, done.return_value


def said(done: Result) -> str:
    message = done.exception.message if isinstance(done.exception, click.ClickException) else ""
    return done.output + message


def history(path: Path, operations: Sequence[Operation], target: str = "http://bad") -> Path:
    with HistoryWriter(path, Header(scenario="two_lockers", target=target)) as writer:
        for operation in operations:
            writer.add(operation)
    return path


def test_a_history_becomes_a_page_with_its_picture(here: Path) -> None:
    history(here / "h.jsonl", two_lock(granted_twice=True).operations)
    done, code = call(report, "h.jsonl")
    assert code == 1
    assert done.output == "written: report.html\n"
    page = (here / "report.html").read_text()
    assert "LOCK-3" in page
    assert '<g class="lane"' in page


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("markdown", "violates the contract"),
        ("junit", "<testsuites>"),
        ("json", '"kind": "lockrace-results"'),
        ("github", "::error "),
    ],
)
def test_a_history_becomes_any_other_report(here: Path, form: str, part: str) -> None:
    history(here / "h.jsonl", two_lock(granted_twice=True).operations)
    done, code = call(report, "h.jsonl", "--format", form)
    assert code == 1
    assert part in done.output
    done, _ = call(report, "h.jsonl", "--format", form, "--out", "there/report")
    assert part in (here / "there" / "report").read_text()


def test_histories_of_two_targets_are_in_no_report_together(here: Path) -> None:
    history(here / "old.jsonl", two_lock(granted_twice=True).operations)
    history(here / "new.jsonl", two_lock(granted_twice=False).operations[:3], target="http://good")
    done, code = call(report, "old.jsonl", "new.jsonl")
    assert code == 2
    assert "several targets (http://bad, http://good)" in said(done)
    assert not (here / "report.html").exists()


def test_each_replay_aims_at_the_target_of_its_own_history(here: Path) -> None:
    for name in ("one", "two"):
        history(here / f"{name}.jsonl", two_lock(granted_twice=True).operations, target=f"http://{name}")
    done, code = call(recheck, "one.jsonl", "two.jsonl")
    assert code == 1
    (found,) = {line for line in done.output.splitlines() if line.strip().startswith("replay ")}
    assert "--target http://one" in found
    assert "http://one, http://two" not in found


def test_what_was_violated_was_judged() -> None:
    one = violated()
    run = run_of(replace(one, verdict=replace(one.verdict, exercised={})), result(exercised={"LOCK-1": 2}))
    assert not {"LOCK-1", "LOCK-3"} & set(not_exercised(run))
    assert "UNLOCK-1" in not_exercised(run)


def test_a_history_that_conforms_exits_0(here: Path) -> None:
    history(here / "h.jsonl", two_lock(granted_twice=False).operations[:3])
    _, code = call(report, "h.jsonl", "--format", "markdown")
    assert code == 0


def test_results_of_several_runs_become_a_matrix(here: Path) -> None:
    done, code = call(report, "good", "bad/results.json", "--format", "markdown", "--name", "mine", "--name", "yours")
    assert code == 0
    assert "| requirement | mine | yours |" in done.output
    assert "| LOCK-3 | held (1) | violated (two\\_lockers) |" in done.output
    call(report, "good", "bad")
    assert "Conformance of 2 servers" in (here / "matrix.html").read_text()


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["good", "h.jsonl"], "not both"),
        (["h.jsonl", "--name", "x"], "these files are histories"),
        (["good", "--format", "junit"], "--format html or markdown, not junit"),
        (["good", "bad", "--name", "x"], "1 --name for 2 files"),
        (["empty.json"], "no results of lockrace"),
        (["broken.jsonl"], "broken.jsonl:1:"),
    ],
)
def test_what_cannot_be_reported_is_wrong_usage(here: Path, words: list[str], wanted: str) -> None:
    history(here / "h.jsonl", two_lock(granted_twice=False).operations)
    (here / "empty.json").write_text("{}")
    (here / "broken.jsonl").write_text("nonsense\n")
    done, code = call(report, *words)
    assert code == 2
    assert wanted in said(done)


def test_a_folder_without_results_is_named(here: Path) -> None:
    (here / "nothing").mkdir()
    done, code = call(diff, "nothing", "good")
    assert code == 2
    assert "results.json: cannot be read" in said(done)


def test_a_place_that_cannot_be_written_is_named(here: Path) -> None:
    (here / "file").write_text("")
    done, code = call(report, "good", "--out", "file/matrix.html")
    assert code == 2
    assert "file/matrix.html: cannot be written" in said(done)


def test_diff_exits_1_where_something_got_worse(here: Path) -> None:
    done, code = call(diff, "good", "bad")
    assert code == 1
    assert done.output.startswith("Regressions (1)\n  ✗ two_lockers: conforms -> violation")
    done, code = call(diff, "bad", "good", "--format", "markdown")
    assert code == 0
    assert "### Fixed (1)" in done.output


def test_a_baseline_is_made_and_renewed(here: Path) -> None:
    done, code = call(baseline, "bad", "--reason", "fixed in May")
    assert code == 0
    assert "1 entries: 1 new, 0 dropped" in done.output
    (entry,) = read_baseline(here / "lockrace-baseline.yaml").entries
    assert (entry.scenario, entry.violation, entry.reason) == ("two_lockers", "single_winner", "fixed in May")
    assert entry.expires == datetime.now(UTC).date() + timedelta(days=90)
    done, code = call(baseline, "bad")
    assert "1 entries: 0 new, 0 dropped" in done.output
    done, code = call(baseline, "good")
    assert "0 entries: 0 new, 1 dropped" in done.output


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], "1 new violations; say why they are excused: --reason TEXT"),
        (["--reason", "x", "--expires", "tomorrow"], "want a day such as"),
        (["--reason", "x", "--expires", "2001-01-01"], "within a year from today"),
        (["--reason", "x", "--expires", "9999-01-01"], "within a year from today"),
    ],
)
def test_nothing_is_excused_without_a_reason_or_for_ever(here: Path, words: list[str], wanted: str) -> None:
    done, code = call(baseline, "bad", *words)
    assert code == 2
    assert wanted in said(done)
    assert not (here / "lockrace-baseline.yaml").exists()


def test_a_broken_baseline_is_not_overwritten(here: Path) -> None:
    path = here / "lockrace-baseline.yaml"
    path.write_text("format: 1\ntarget: x\nviolations: [{scenari: a}]\n")
    before = path.read_text()
    done, code = call(baseline, "bad", "--reason", "x")
    assert code == 2
    assert 'did you mean "scenario"?' in said(done) + done.stderr
    assert path.read_text() == before


def test_json_of_a_history_names_its_target(here: Path) -> None:
    history(here / "h.jsonl", two_lock(granted_twice=True).operations)
    done, _ = call(report, "h.jsonl", "--format", "json")
    assert json.loads(done.output)["target"] == "http://bad"
