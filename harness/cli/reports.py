"""What the commands `report`, `diff` and `baseline` do: read, compute a text, put it where it belongs."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from harness.cli.rechecking import judge_files
from harness.cli.running import baseline_of as baseline_in
from harness.report.baseline import baseline_of, baseline_text, day
from harness.report.decision import CONFORMS, VIOLATION, Known, exit_code
from harness.report.diff import diff, diff_markdown, diff_text
from harness.report.files import Kind, report_text, write_file
from harness.report.github import annotations
from harness.report.matrix import matrix, matrix_markdown, matrix_page
from harness.report.result import RunResult
from harness.report.results_json import Results, ResultsError, read_results
from harness.report.terminal import look_for, write

MOST_DAYS = 366
"""No baseline excuses anything for longer without being looked at again."""


def report(files: Sequence[Path], form: str, out: Path | None, names: Sequence[str], known: Known) -> int:
    """Reports of histories, or the matrix of several results.json."""
    recorded = [path.suffix == ".jsonl" for path in files]
    if any(recorded) and not all(recorded):
        raise click.UsageError("give either histories (.jsonl) or results.json files, not both")
    if all(recorded):
        if names:
            raise click.UsageError("--name names the servers of a matrix; these files are histories")
        run = judge_files(files, known, one_target=True)
        _put(_history_text(form, run), out, "report.html" if form == "html" else None)
        return exit_code(run)
    return _report_matrix(files, form, out, names)


def _history_text(form: str, run: RunResult) -> str:
    if form == "github":
        return annotations(run)
    kinds: dict[str, Kind] = {"html": "html", "json": "json", "junit": "junit", "markdown": "markdown"}
    return report_text(kinds[form], run)


def _report_matrix(files: Sequence[Path], form: str, out: Path | None, names: Sequence[str]) -> int:
    if form not in ("html", "markdown"):
        raise click.UsageError(f"results.json files become a matrix: --format html or markdown, not {form}")
    if names and len(names) != len(files):
        raise click.UsageError(f"{len(names)} --name for {len(files)} files: give one for each, in their order")
    table = matrix([results_of(path) for path in files], names)
    if form == "html":
        _put(matrix_page(table), out, "matrix.html")
    else:
        _put(matrix_markdown(table), out, None)
    return CONFORMS


def compare(before: Path, after: Path, form: str) -> int:
    """Print what changed; 1 where something got worse."""
    found = diff(results_of(before), results_of(after))
    write(sys.stdout, diff_markdown(found) if form == "markdown" else diff_text(found, look_for(sys.stdout).width))
    return VIOLATION if found.regressions else CONFORMS


def make_baseline(results: Path, out: Path, reason: str | None, expires: str | None) -> int:
    """Write or renew the baseline of a target from its results."""
    run = results_of(results)
    old = baseline_in(out) if out.exists() else None
    new = baseline_of(run, reason or "", _expires(expires), old)
    kept = set(old.entries) if old else set()
    added = [entry for entry in new.entries if entry not in kept]
    if added and not reason:
        raise click.UsageError(f"{len(added)} new violations; say why they are excused: --reason TEXT")
    _put(baseline_text(new), out, None)
    dropped = len(kept - set(new.entries))
    click.echo(f"{len(new.entries)} entries: {len(added)} new, {dropped} dropped")
    return CONFORMS


def _expires(written: str | None) -> date:
    today = datetime.now(UTC).date()
    if written is None:
        return today + timedelta(days=90)
    found = day(written)
    if found is None or not today <= found <= today + timedelta(days=MOST_DAYS):
        raise click.UsageError(f"--expires {written[:20]!r}: want a day such as 2027-05-31, within a year from today")
    return found


def results_of(path: Path) -> Results:
    """The results in a file, or in the folder of a run; click.UsageError says what is wrong with it."""
    try:
        return read_results(path / "results.json" if path.is_dir() else path)
    except ResultsError as error:
        raise click.UsageError(str(error)) from None


def _put(text: str, out: Path | None, usual: str | None) -> None:
    """Write to `out`, or to the file that is usual for it, or to standard output."""
    path = out or (Path(usual) if usual else None)
    if path is None or str(path) == "-":
        write(sys.stdout, text)
        return
    try:
        write_file(path, text)
    except OSError as error:
        raise click.UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    click.echo(f"written: {path}")
