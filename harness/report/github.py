"""What GitHub Actions shows: annotations on the scenario's line, and the summary of a job."""

from itertools import accumulate
from pathlib import Path

from harness.report.decision import exit_code
from harness.report.describe import harmless, markdown_cell, requirement_text, shortened
from harness.report.result import RunResult
from harness.report.summary import (
    Failure,
    Family,
    failures,
    families,
    known_races,
    not_begun,
    reasons,
    replay_command,
    requirements_of,
    violated_requirements,
)
from harness.report.timeline import seen_sentence
from harness.scenario import Mark, shipped

MOST_ANNOTATIONS = 9
"""GitHub shows ten of a step; the tenth counts the others."""

_MOST_UNTRIED = 100

MOST_SUMMARY = 900_000
"""Bytes of a job summary; GitHub refuses one above 1 MiB."""


def annotations(run: RunResult) -> str:
    """Workflow commands, a line each: violations as errors, inconclusive scenarios as warnings, at most nine."""
    lines = [_violation(run, found) for found in failures(run.results)]
    for result in run.results:
        scenario = result.scenario
        if result.label == "violation" and not result.verdict.violations:
            lines.append(_command("error", scenario.path, scenario.mark, scenario.name, reasons(result)[0]))
    for result in run.results:
        scenario = result.scenario
        if result.label == "inconclusive":
            title = f"{scenario.name} is inconclusive"
            lines.append(_command("warning", scenario.path, scenario.mark, title, reasons(result)[0]))
    if len(lines) > MOST_ANNOTATIONS:
        rest = len(lines) - MOST_ANNOTATIONS
        kind = "error" if any(line.startswith("::error") for line in lines[MOST_ANNOTATIONS:]) else "warning"
        lines = [*lines[:MOST_ANNOTATIONS], f"::{kind} title=lockrace::and {rest} more; the job summary lists them"]
    return "".join(f"{line}\n" for line in lines)


def job_summary(run: RunResult) -> str:
    """The run as Markdown, at most 900 kB: what came out, what was violated and how to see it again."""
    found = failures(run.results)
    parts = [_head(run), *_violations(run, found), *_others(run)]
    sizes = accumulate(len(part.encode()) for part in parts)
    fitting = [part for part, size in zip(parts, sizes, strict=True) if size <= MOST_SUMMARY]
    rest = len(parts) - len(fitting)
    note = f"\n{rest} parts are left out here; `results.json` has all.\n" if rest else ""
    return "".join(fitting) + note


def _violation(run: RunResult, found: Failure) -> str:
    violation, scenario = found.violation, found.result.scenario
    mark = violation.mark or scenario.mark
    title = f"{violation.requirement} {violation.name} in {scenario.name}"
    also = "".join(f"\n{one.requirement}: {seen_sentence(one)}" for one in found.also[:5])
    text = f"{seen_sentence(violation)}{also}\n{replay_command(run, found.result, violation)}"
    return _command("error", scenario.path, mark, title, text)


def _command(kind: str, path: Path, mark: Mark, title: str, text: str) -> str:
    """One workflow command; a file that lies outside the repository is named in the text, since GitHub has no such."""
    place = []
    if inside := _in_repository(path):
        place = [f"file={_property(inside)}", f"line={mark.line}", f"col={mark.column}"]
    else:
        text = f"{_place(path, mark)}\n{text}"
    properties = ",".join([*place, f"title={_property(shortened(harmless(title), 200))}"])
    return f"::{kind} {properties}::{_data(shortened(text, 2000))}"


def _in_repository(path: Path) -> str | None:
    """A file as GitHub knows it: from the root of the repository that we are in, or from here where there is none."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    whole = path.resolve()
    return whole.relative_to(root).as_posix() if whole.is_relative_to(root) else None


def _place(path: Path, mark: Mark) -> str:
    """A line of a scenario for readers; of one that ships, the same on every machine."""
    whole, name = path.resolve(), _in_repository(path)
    if name is None:
        ships = whole.is_relative_to(shipped())
        name = f"{whole.relative_to(shipped()).as_posix()}, as it ships" if ships else str(path)
        return f"line {mark.line} of {name}"
    return f"{name}:{mark.line}:{mark.column}"


def _data(text: str) -> str:
    """Escaped as GitHub wants it, so that nothing a server said can be a command of its own."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _head(run: RunResult) -> str:
    counts = Family("", tuple(run.results)).labels
    said = ", ".join(f"{number} {label}" for label, number in counts.items()) or "nothing was run"
    verdict = {0: "conforms", 1: "violates the contract"}.get(exit_code(run), "is not judged")
    runs, requests = sum(one.verdict.runs for one in run.results), sum(one.requests for one in run.results)
    lines = [
        f"## {markdown_cell(run.target)} {verdict}",
        "",
        f"{said}. {runs:,} runs, {requests:,} requests, {run.seconds:.1f} s, level {run.level}, seed {run.seed}.",
        "",
    ]
    interrupted = "interrupted: the rest was not tried" if run.interrupted else None
    unplayed = f"not begun: {not_begun(run)}" if run.not_begun else None
    for text in (run.unreachable, run.fault, interrupted, unplayed):
        if text:
            lines += [f"> {markdown_cell(text)}", ""]
    return "\n".join(lines) + "\n"


def _violations(run: RunResult, found: list[Failure]) -> list[str]:
    parts = []
    for one in found:
        violation, scenario = one.violation, one.result.scenario
        mark = violation.mark or scenario.mark
        parts.append(
            f"### {violation.requirement} in {markdown_cell(scenario.name)}\n\n"
            f"{markdown_cell(requirement_text(violation.requirement))}\n\n"
            f"**Seen:** {markdown_cell(seen_sentence(violation))} "
            f"(in {one.runs} {'run' if one.runs == 1 else 'runs'}; {markdown_cell(_place(scenario.path, mark))})\n\n"
            + "".join(f"- {other.requirement}: {markdown_cell(seen_sentence(other))}\n" for other in one.also[:10])
            + ("\n" if one.also else "")
            + f"```\n{replay_command(run, one.result, violation).replace('```', '')}\n```\n\n"
        )
    return parts


def _others(run: RunResult) -> list[str]:
    races = "".join(
        f"| {markdown_cell(name)} | {'reproduced' if count else 'closed'} | {count} of {of} |\n"
        for name, (count, of) in known_races(run.results).items()
    )
    unsure = "".join(
        f"| {markdown_cell(one.scenario.name)} | {markdown_cell(reasons(one)[0])} |\n"
        for one in run.results
        if one.label == "inconclusive"
    )
    untried = "".join(f"- {markdown_cell(text)}\n" for text in run.untried[:_MOST_UNTRIED])
    if len(run.untried) > _MOST_UNTRIED:
        untried += f"- and {len(run.untried) - _MOST_UNTRIED} more\n"
    violated = violated_requirements(run.results)
    judged = [name for name in requirements_of(run) if name not in run.not_exercised]
    held = [name for name in judged if name not in violated]
    scenarios = "".join(
        f"| {family.label} | {markdown_cell(family.name)} | {len(family.results)} | {family.runs} |\n"
        for family in families(run.results)
    )
    requirements = {"Held": held, "Violated": violated, "Not exercised": run.not_exercised}
    listed = "".join(f"{name}: {', '.join(some) or 'none'}.\n\n" for name, some in requirements.items())
    return [
        *([f"### Known races\n\n{_table('race', 'came out', 'in runs')}{races}\n"] if races else []),
        *(
            [f"### Not tried\n\nOf these entries of the baseline nothing was learned.\n\n{untried}\n"]
            if untried
            else []
        ),
        *([f"### Inconclusive\n\n{_table('scenario', 'reason')}{unsure}\n"] if unsure else []),
        f"### Requirements\n\n{listed}",
        _folded("Scenarios", _table("result", "scenario", "instances", "runs") + scenarios),
    ]


def _table(*names: str) -> str:
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}\n"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n</details>\n"
