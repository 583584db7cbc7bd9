"""From results to the text of one HTML page that needs nothing but itself, at most 2 MB whatever the run was.

The page's script and style are the only ones that its own policy lets a browser use, so nothing that a server under
test answered can run in it, and no request leaves it.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.contract import REQUIREMENTS
from harness.report.describe import answer_of, harmless, requirement_text, shortened
from harness.report.html.drawing import details, draw, spoken
from harness.report.result import RunResult
from harness.report.summary import (
    Failure,
    Family,
    exercised,
    failures,
    families,
    known_races,
    reasons,
    releases,
    replay_command,
    requirements_of,
    violated_requirements,
    when_seen,
)
from harness.report.timeline import Row, seen_sentence, timeline, told, window
from harness.scenario.diagnostics import printable

MOST_BYTES = 2_000_000
"""No page weighs more."""

MOST_TABLE_ROWS = 300
"""Operations in the table view of one violation."""


@dataclass(frozen=True)
class Limits:
    """How much of a run one page shows; what is left out is counted on the page."""

    failures: int = 12
    table_rows: int = MOST_TABLE_ROWS
    instances: int = 400
    drawn: int = 80

    def halved(self) -> "Limits":
        return Limits(
            max(1, self.failures // 2),
            max(20, self.table_rows // 2),
            max(5, self.instances // 2),
            max(10, self.drawn // 2),
        )


def run_page(run: RunResult) -> str:
    """The page of a whole run: what came out, a picture of each kind of violation, every scenario, every setting."""
    return _fitting(run, failures(run.results), whole=True)


def violation_page(run: RunResult, found: Failure) -> str:
    """The page of one violation alone, for an issue or a mail."""
    return _fitting(run, [found], whole=False)


def _fitting(run: RunResult, found: list[Failure], whole: bool) -> str:
    limits = Limits()
    while True:
        text = _page(run, found, whole, limits)
        if len(text.encode()) <= MOST_BYTES or limits == limits.halved():
            return text
        limits = limits.halved()


def _page(run: RunResult, found: list[Failure], whole: bool, limits: Limits) -> str:
    shown, rest = found[: limits.failures], found[limits.failures :]
    everything = Family("", tuple(run.results))
    one = shown[0] if shown and not whole else None
    return rendered(
        "page.html.j2",
        run=run,
        whole=whole,
        title=f"{one.violation.requirement} in {one.result.scenario.name}" if one else run.target,
        cases=[_case(run, case, number, limits) for number, case in enumerate(shown, start=1)],
        more_cases=[_in_a_line(case) for case in rest[:200]],
        more_cases_count=len(rest),
        families=[_family(family, limits) for family in families(run.results)],
        counts=everything.labels,
        totals=everything,
        requirements=_requirements(run),
        races=known_races(run.results),
        unsure=[
            (result.scenario.name, reasons(result)) for result in everything.results if result.label == "inconclusive"
        ][:100],
        settings=sorted((str(name), str(value)) for name, value in run.settings.items())
        + [("races left", text) for text in releases(run.results)],
    )


def rendered(template: str, **context: Any) -> str:
    """A template's text, with the package's script and style and the policy that lets a browser use no others."""
    script, style = _source("script.js"), _source("style.css")
    own = {"script": script, "style": style, "script_hash": _hash(script), "style_hash": _hash(style)}
    return _environment().get_template(template).render(**own, **context)


def _case(run: RunResult, found: Failure, number: int, limits: Limits) -> dict[str, Any]:
    """All that a violation's section shows."""
    result, violation = found.result, found.violation
    whole = timeline(result.history.operations, violation)
    mark = violation.mark or result.scenario.mark
    return {
        "id": f"violation-{number}",
        "found": found,
        "requirement": violation.requirement,
        "text": requirement_text(violation.requirement),
        "when": when_seen(found),
        "seen": shortened(seen_sentence(violation), 2000),
        "also": [f"{one.requirement}: {shortened(seen_sentence(one), 500)}" for one in found.also[:20]],
        "drawing": draw(whole, limits.drawn),
        "whole": whole,
        "table": window(whole.rows, limits.table_rows),
        "place": result.scenario.place(mark),
        "excerpt": _excerpt(result.scenario.text, mark.line),
        "replay": replay_command(run, result, violation),
        "histogram": _histogram(found),
        "clauses": result.verdict.clauses,
        "history": str(result.history_path),
    }


def _histogram(found: Failure) -> dict[str, Any]:
    verdict = found.result.verdict
    rows = sorted(verdict.histogram, key=lambda row: (row.mark != "violation", -row.runs))
    return {
        "columns": verdict.columns,
        "rows": rows[:20],
        "left_out": max(0, len(rows) - 20),
        "of": max(1, verdict.runs_judged),
    }


def _excerpt(text: str, line: int, around: int = 6) -> list[tuple[int, str, bool]]:
    """Lines of the scenario file around `line`: number, text, whether it is the one."""
    lines = text.splitlines()
    first = max(0, line - 1 - around)
    return [
        (number + 1, printable(shortened(lines[number], 300)), number + 1 == line)
        for number in range(first, min(len(lines), line + around))
    ]


def _in_a_line(found: Failure) -> dict[str, str]:
    return {
        "requirement": found.violation.requirement,
        "name": found.result.scenario.name,
        "seen": shortened(seen_sentence(found.violation), 300),
    }


def _family(family: Family, limits: Limits) -> dict[str, Any]:
    worst_first = sorted(family.results, key=lambda result: result.label in ("conforms", "known race"))
    share = max(5, limits.instances // 10)
    return {
        "family": family,
        "summary": family.results[0].scenario.summary,
        "instances": worst_first[:share] if len(family.results) > 1 else [],
        "left_out": max(0, len(worst_first) - share) if len(family.results) > 1 else 0,
    }


def _requirements(run: RunResult) -> list[dict[str, Any]]:
    """Each requirement of the level: its text, how often it was judged, and what came of it."""
    judged, violated = exercised(run.results), violated_requirements(run.results)
    rows = []
    for name in dict.fromkeys([*requirements_of(run), *violated]):
        known = REQUIREMENTS.get(name)
        outcome = "violated" if name in violated else "held" if judged.get(name) else "not exercised"
        rows.append(
            {"name": name, "text": known.text if known else "", "judged": judged.get(name, 0), "outcome": outcome}
        )
    return rows


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("harness.report.html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(details=details, told=told, spoken=spoken, answer_of=answer_of, is_row=_is_row)
    environment.filters.update(harmless=harmless, px=_px)
    return environment


def _is_row(item: object) -> bool:
    return isinstance(item, Row)


def _px(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _source(name: str) -> str:
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), name)[0]


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
