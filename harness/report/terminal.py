"""What a person reads on a terminal or in a log: a line per scenario file, failures, the summary.

Everything is a function from results to text; `Look` says how wide and with or without colour. The module imports
rich, which takes its time: import it where something is about to be printed, not before.
"""

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.check.verdict import ClauseCount, Verdict
from harness.report.describe import (
    HARNESS,
    harmless,
    requirement_text,
    shortened,
    step_of,
)
from harness.report.result import Label, RunResult, ScenarioResult
from harness.report.summary import (
    Failure,
    Family,
    counted,
    failures,
    families,
    known_races,
    left_out,
    next_commands,
    not_begun,
    reasons,
    relative,
    releases,
    replay_command,
    requirements_of,
    server_log,
    violated_requirements,
    violations,
    when_seen,
)
from harness.report.timeline import Row, Timeline, legal_order, seen_sentence, timeline
from harness.report.timeline_table import timeline_table

FAILURE_LINES = 40
"""No failure is longer: the reader sees all of it at once."""

MOST_ROWS = 18
"""Operations of one failure's table; fewer where the rest of it needs the room."""

_MOST_UNTRIED = 4

PLAIN_WIDTH = 120
"""Columns where nothing tells: a log, a file, a pipe."""

STYLES: dict[str, str] = {
    "conforms": "green",
    "known race": "cyan",
    "baseline": "cyan",
    "violation": "bold red",
    "inconclusive": "yellow",
}
SIGNS: dict[str, str] = {"conforms": "✓", "known race": "◆", "baseline": "≡", "violation": "✗", "inconclusive": "?"}
ASCII = str.maketrans(
    {
        "✓": "+",
        "◆": "*",
        "≡": "=",
        "✗": "X",
        "┌": "/",
        "│": "|",
        "└": "\\",
        "→": ">",
        "▶": ">",
        "…": ".",
        "×": "x",
        "─": "-",
    }
)


@dataclass(frozen=True)
class Look:
    """How text is laid out: width in columns, colour or not."""

    width: int = PLAIN_WIDTH
    colour: bool = False


def look_for(stream: TextIO) -> Look:
    """The look that fits a stream: plain for anything but a terminal, and without colour where NO_COLOR is set."""
    if not stream.isatty():
        return Look()
    colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Look(max(60, min(Console(file=stream).width, 160)), colour)


def write(stream: TextIO, text: str) -> None:
    """Put `text` on a stream; signs that its encoding lacks are replaced, so that no report dies of its drawing."""
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(ASCII).encode(encoding, "replace").decode(encoding)
    stream.write(text)
    stream.flush()


def family_line(family: Family, look: Look) -> str:
    """One finished scenario file in a line; a second line says what was wrong, or which race came out."""
    label = family.label
    head = Text.assemble((f"{SIGNS[label]} {label:<12} ", STYLES[label]), (family.name, "bold"))
    if len(family.results) > 1:
        head.append(f" ×{len(family.results)}")
    head.append(" " * max(1, 44 - head.cell_len))
    head.append(f"{counted(family.runs, 'run'):>9}  {family.seconds:5.1f} s  ", "dim")
    head.append(harmless(family.results[0].scenario.summary), "dim")
    head.truncate(look.width, overflow="ellipsis")
    detail = _family_detail(family)
    lines: list[RenderableType] = [head]
    if detail:
        most = 3 if any(result.race for result in family.results) else 2  # lines: a race has figures to tell
        lines.append(Padding(Text(shortened(detail, most * (look.width - 16)), STYLES[label]), (0, 0, 0, 15)))
    return _rendered(Group(*lines), look)


def failure(run: RunResult, found: Failure, look: Look, html: Path | None = None) -> str:
    """One violation for a reader with a minute, in at most 40 lines; a long run is windowed on the violation."""
    whole = timeline(found.result.history.operations, found.violation)
    files = {"server": server_log(run), "picture": html}
    replay = _unbroken("replay   ", replay_command(run, found.result, found.violation), look)
    for most in range(MOST_ROWS, 1, -1):
        text = _rendered(Group(*_failure_parts(found, whole, most, look, files)), look) + replay
        if text.count("\n") <= FAILURE_LINES:
            break
    return text


def failure_report(run: RunResult, look: Look, html: Path | None = None, most: int = 3) -> str:
    """The first `most` failures in full, twenty more in a line each."""
    found = failures(run.results)
    texts = [failure(run, one, look, html) for one in found[:most]]
    if len(found) > most:
        rest = [Text(f"and {counted(len(found) - most, 'more failure')}:", "bold")]
        for one in found[most : most + 20]:
            text = f"  {one.violation.requirement}  {one.result.scenario.name}: {seen_sentence(one.violation)}"
            rest.append(Text(shortened(text, look.width)))
        if len(found) > most + 20:
            rest.append(Text(f"  ... {len(found) - most - 20} others, all of them in results.json", "dim"))
        texts.append(_rendered(Group(*rest), look))
    return "\n".join(texts)


def summary(run: RunResult, look: Look, html: Path | None = None) -> str:
    """What the whole run came to: counts, violated requirements, known races, what is open, where to look next."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _summary_rows(run, html):
        table.add_row(name, value)
    return _rendered(table, look)


def _family_detail(family: Family) -> str:
    """What a reader must know of a family that did not simply conform."""
    several = f"{_label_counts(family.labels)}; " if len(family.labels) > 1 else ""
    if family.label == "violation":
        found = failures(family.results)
        if not found:
            return several + reasons(next(result for result in family.results if result.label == "violation"))[0]
        return f"{several}{', '.join(violated_requirements(family.results))}: {seen_sentence(found[0].violation)}"
    if family.label == "inconclusive":
        return several + reasons(next(result for result in family.results if result.label == "inconclusive"))[0]
    told = [_race_text(name, *counts) for name, counts in known_races(family.results).items()]
    told += [result.race for result in family.results[-1:] if result.race]
    return several + "; ".join(told)


def _race_text(name: str, reproduced: int, judged: int) -> str:
    if reproduced:
        return f"{name}: known race, reproduced in {reproduced} of {counted(judged, 'run')}"
    return f"{name}: known race, closed, seen in none of {counted(judged, 'run')}"


def _failure_parts(
    found: Failure, whole: Timeline, most: int, look: Look, files: dict[str, Path | None]
) -> Iterable[RenderableType]:
    result, violation = found.result, found.violation
    title = Text.assemble((f"✗ {result.scenario.name}", STYLES["violation"]), "  ")
    title.append(f"{violation.requirement} {violation.name}", "bold")
    yield Text("─" * look.width, "red")
    yield title
    facts = Table.grid(padding=(0, 1))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    facts.add_row("must", shortened(requirement_text(violation.requirement), 2 * look.width - 20))
    facts.add_row("seen", Text(shortened(seen_sentence(violation), 3 * look.width - 30), "bold"))
    if found.also:
        for place, one in enumerate(found.also[:3]):
            text = f"{one.requirement}: {seen_sentence(one)}"
            facts.add_row("" if place else "also", shortened(text, look.width - 5))
        if len(found.also) > 3:
            facts.add_row("", f"and {counted(len(found.also) - 3, 'more violation')}")
    order = legal_order(found.result.history.operations, found.violation)
    if order:
        facts.add_row("order", shortened(order, 2 * look.width - 20))
    facts.add_row("when", when_seen(found))
    yield facts
    yield Text()
    yield timeline_table(whole, most, look.width)
    yield Text()
    yield from _outcomes(result.verdict, look)
    yield _directions(found, whole, look, files)


def _outcomes(verdict: Verdict, look: Look) -> Iterable[RenderableType]:
    """Clauses with their counts, then the histogram of what was shown; at most eight lines."""
    if verdict.clauses:
        yield Text(shortened("   ".join(_clause(clause) for clause in verdict.clauses), 2 * look.width))
    if not verdict.histogram:
        if verdict.clauses:
            yield Text()
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("runs", justify="right", no_wrap=True)
    for name in verdict.columns:
        table.add_column(harmless(name), no_wrap=True, overflow="ellipsis")
    table.add_column("", no_wrap=True)
    ordered = sorted(verdict.histogram, key=lambda row: (row.mark != "violation", -row.runs))
    for row in ordered[:4]:
        share = f"{100 * row.runs / max(1, verdict.runs_judged):.0f} %"
        mark = f"{share}  {row.mark}".rstrip()
        style = STYLES.get(row.mark, "")
        table.add_row(str(row.runs), *[harmless(value) for value in row.values], mark, style=style)
    yield table
    if len(ordered) > 4:
        rest = sum(row.runs for row in ordered[4:])
        yield Text(f"and {counted(len(ordered) - 4, 'other outcome')} in {counted(rest, 'run')}", "dim")
    yield Text()


def _clause(clause: ClauseCount) -> str:
    verb = "held" if clause.kind in {"always", "eventually"} else "true"
    return f"{clause.kind} {harmless(clause.name)}: {verb} in {clause.held} of {clause.judged}"


def _directions(found: Failure, whole: Timeline, look: Look, files: dict[str, Path | None]) -> RenderableType:
    """Where everything is: the YAML line, request ids with the server's words, history, report."""
    result, violation = found.result, found.violation
    table = Table.grid(padding=(0, 1))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    mark = violation.mark or result.scenario.mark
    table.add_row("scenario", f"{relative(result.scenario.path)}:{mark.line}:{mark.column}")
    asked = [row for row in whole.rows if row.violating and row.operation.request_id]
    for place, row in enumerate(asked[:3]):
        table.add_row("" if place else "requests", shortened(_request(row), look.width - 10))
    if len(asked) > 3:
        table.add_row("", Text(f"and {len(asked) - 3} more, in the history", "dim"))
    table.add_row("history", relative(result.history_path))
    for name, path in files.items():
        if path is not None:
            table.add_row(name, relative(path))
    return table


def _request(row: Row) -> str:
    operation = row.operation
    said = f"  {harmless('; '.join(operation.errors))!r}" if operation.errors else ""
    problem = f"  {harmless(operation.problem)}" if operation.problem else ""
    who = "" if row.dispatcher == HARNESS else f"{row.dispatcher} "
    return f"{harmless(operation.request_id or '')}  {who}{step_of(operation)}{said}{problem}"


def _summary_rows(run: RunResult, html: Path | None) -> Iterable[tuple[str, RenderableType]]:
    found = families(run.results)
    whole = Family("", tuple(run.results))
    files = "" if len(found) == len(run.results) else f" from {counted(len(found), 'file')}"
    yield "scenarios", Text(f"{len(run.results)}{files}: ").append_text(_label_counts(whole.labels))
    yield "tried", f"{counted(whole.runs, 'run')}, {counted(whole.requests, 'request')}, {run.seconds:.1f} s"
    yield "against", harmless(f"{run.target}, level {run.level}, seed {run.seed}")
    for place, text in enumerate(releases(run.results)[:2]):
        yield "" if place else "races left", harmless(text)
    violated = violated_requirements(run.results)
    if violated:
        bad = len({result.scenario.name for result, _ in violations(run.results)})
        yield "violated", Text(f"{', '.join(violated)}; in {counted(bad, 'scenario')}", STYLES["violation"])
    elif found:
        judged = len(requirements_of(run)) - len(run.not_exercised)
        yield "violated", f"none of the {counted(judged, 'requirement')} judged"
    for place, (name, counts) in enumerate(known_races(run.results).items()):
        yield "" if place else "known races", Text(_race_text(name, *counts), STYLES["known race"])
    yield from _explained("red", [one for one in run.results if one.label == "violation" and one.notes])
    yield from _explained("excused", [one for one in run.results if one.label == "baseline"])
    yield from _explained("inconclusive", [one for one in run.results if one.label == "inconclusive"])
    yield from _ends(run, html)


def _explained(name: str, some: Sequence[ScenarioResult], most: int = 3) -> Iterable[tuple[str, RenderableType]]:
    """The first few of some scenarios, each with the reason for its label."""
    for place, result in enumerate(some[:most]):
        text = f"{result.scenario.name}: {reasons(result)[0]}"
        yield "" if place else name, Text(text, STYLES[result.label])
    if len(some) > most:
        yield "", f"and {counted(len(some) - most, 'more scenario')}"


def _ends(run: RunResult, html: Path | None) -> Iterable[tuple[str, RenderableType]]:
    if text := not_begun(run):
        yield "not begun", Text(text, STYLES["inconclusive"])
    if run.not_exercised:
        yield "not exercised", f"{', '.join(run.not_exercised)}: nothing that was run could judge this"
    for place, text in enumerate(run.untried[:_MOST_UNTRIED]):
        yield "" if place else "not tried", Text(f"baseline: {harmless(text)}", STYLES["inconclusive"])
    if len(run.untried) > _MOST_UNTRIED:
        yield "", f"and {counted(len(run.untried) - _MOST_UNTRIED, 'more entry', 'more entries')} of the baseline"
    for place, text in enumerate(left_out(run)[:4]):
        yield "" if place else "left out", text
    if run.unreachable:
        lines = (harmless(line) for line in run.unreachable.splitlines())
        yield "unreachable", Text("\n".join(lines), STYLES["violation"])
    if run.fault:
        yield "harness fault", Text(harmless(run.fault), STYLES["violation"])
    if run.interrupted:
        yield "interrupted", "what was finished is reported; the rest was not tried"
    if html is not None:
        yield "report", relative(html)
    elif run.out is not None:
        yield "histories", relative(run.out)
    for place, command in enumerate(next_commands(run)):
        yield "" if place else "look next", Text(command, "bold")


def _label_counts(counts: dict[Label, int]) -> Text:
    return Text(", ").join(Text(f"{number} {label}", STYLES[label]) for label, number in counts.items())


def _unbroken(name: str, text: str, look: Look) -> str:
    """A line that is longer than the terminal if it must be: a command broken in two cannot be copied."""
    return f"\033[2m{name}\033[0m\033[1m{text}\033[0m\n" if look.colour else f"{name}{text}\n"


def _rendered(renderable: RenderableType, look: Look) -> str:
    """The text of a renderable, each line without spaces at its end."""
    console = Console(
        file=io.StringIO(),
        width=look.width,
        force_terminal=look.colour,
        color_system="standard" if look.colour else None,
        no_color=not look.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
