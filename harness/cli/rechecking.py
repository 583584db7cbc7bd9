"""What `lockrace recheck` does: read, judge, report; no target and no network."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from harness.check import check
from harness.check.population import judge_population
from harness.drive.population import NAME as POPULATION
from harness.history import History, HistoryError, read_history
from harness.report.decision import Known, exit_code
from harness.report.result import RunResult
from harness.report.terminal import failure_report, look_for, summary, write
from harness.run import judged, not_exercised
from harness.scenario import Scenario, blank, load_text


def recheck(paths: Sequence[Path], known: Known) -> int:
    """Judge each file and report on all; the exit code."""
    result = judge_files(paths, known)
    look = look_for(sys.stdout)
    if any(one.verdict.violations for one in result.results):
        write(sys.stdout, failure_report(result, look) + "\n")
    write(sys.stdout, summary(result, look))
    return exit_code(result)


def judge_files(paths: Sequence[Path], known: Known, *, one_target: bool = False) -> RunResult:
    """One result of all files, as the runs that recorded them had; click.UsageError for one that cannot be read.

    With `one_target` also for histories of different targets, which no report could be about.
    """
    began = time.monotonic()
    result = RunResult(target="recorded", level="must", seed=0, started="")
    targets: dict[str, None] = {}
    for path in paths:
        one_began = time.monotonic()
        try:
            history = read_history(path)
        except HistoryError as error:
            raise click.UsageError(str(error)) from None
        verdict = check(history) if history.header.scenario != POPULATION else judge_population(history)[0]
        result.level = history.header.level
        targets[history.header.target or "recorded"] = None
        one = judged(scenario_of(history, path), history, verdict, path, known=known)
        one.seconds = time.monotonic() - one_began
        result.results.append(one)
    result.target = ", ".join(targets)
    if one_target and len(targets) > 1:
        raise click.UsageError(f"these are histories of several targets ({result.target}); give those of one")
    result.seconds = time.monotonic() - began
    result.not_exercised = not_exercised(result)
    return result


def scenario_of(history: History, path: Path) -> Scenario:
    """The scenario that a history was recorded from; of one without, a scenario that says and wants nothing."""
    header = history.header
    if header.text is not None:
        found = load_text(header.text, Path(header.path or path))
        return next((one for one in found if one.name == header.scenario), found[0])
    return blank(header.scenario or path.stem, "a history without a scenario", header.level, path)
