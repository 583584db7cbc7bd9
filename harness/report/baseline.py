"""The baseline of a target: violations that are known and excused for a while, each with its reason and its end.

    format: 1
    target: https://arvados.example
    violations:
      - scenario: two_lockers[size=10]
        violation: single_winner
        requirement: LOCK-3
        reason: fixed in 3.2, which we get in May
        expires: "2027-05-31"

A listed violation that comes is excused; one that does not come is red, and so is one whose end is past: a baseline
that nobody cleans up would hide the next defect. Of an entry that a run could not try nothing was learned: it is told.
"""

import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from harness.contract import REQUIREMENTS, Level, covers
from harness.report.decision import Baseline, unjudged
from harness.report.result import RunResult
from harness.report.results_json import Results
from harness.scenario.fields import Form, one_of, text, whole
from harness.scenario.reader import Sequence as TreeSequence
from harness.scenario.reader import Source, read_source, read_tree

KEYS = ("format", "target", "violations")
ENTRY_KEYS = ("scenario", "violation", "requirement", "reason", "expires")
MOST_ENTRIES = 2000

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Entry:
    """One violation of one scenario instance that a target is known to show."""

    scenario: str  # the instance's name
    violation: str  # name of the invariant, clause or step
    requirement: str
    reason: str
    expires: date  # the last day on which it excuses

    def is_judged_at(self, level: Level) -> bool:
        """Whether a run at this level judges the requirement that it is about."""
        return covers(level, REQUIREMENTS[self.requirement].level)


@dataclass(frozen=True)
class BaselineFile:
    """All that a target is known for."""

    target: str
    entries: tuple[Entry, ...]

    def of(self, scenario: str, today: date, level: Level = "run_auth") -> Baseline:
        """What the decision needs to know of one scenario instance in a run at a level."""
        mine = [entry for entry in self.entries if entry.scenario == scenario and entry.is_judged_at(level)]
        return Baseline(
            listed=frozenset(entry.violation for entry in mine),
            expired=frozenset(entry.violation for entry in mine if entry.expires < today),
        )

    def untried(self, run: RunResult) -> list[str]:
        """Entries of which a run has learned nothing, each with the reason."""
        tried = {one.scenario.name: one.verdict for one in run.results}
        reasons = dict(text.split(": ", 1) for text in run.skipped if ": " in text)
        found = []
        for entry in self.entries:
            verdict = tried.get(entry.scenario)
            if verdict is None:
                why = reasons.get(entry.scenario, "that scenario was not run")
            elif not entry.is_judged_at(run.level):
                why = f"this run judges level {run.level}"
            elif entry.violation in unjudged(verdict):
                why = "there was nothing to judge it by"
            else:
                continue
            found.append(f"{entry.scenario} {entry.violation} ({entry.requirement}): {why}")
        return found


def read_baseline(path: Path) -> BaselineFile:
    """Read a baseline file. Raises ScenarioError with all its faults, each with line, column and caret."""
    source = read_source(path)
    form = Form(source, read_tree(source), "a baseline", KEYS)
    whole(source, form.need("format"), "format", 1, 1)
    target = text(source, form.need("target"), "target")
    listed = form.need("violations")
    entries: list[Entry] = []
    if listed is not None and not isinstance(listed, TreeSequence):
        source.fault(listed.mark, "violations must be a list")
    elif listed is not None:
        for tree in listed.items[:MOST_ENTRIES]:
            entry = _entry(source, Form(source, tree, "an entry", ENTRY_KEYS))
            if entry is not None:
                if any((one.scenario, one.violation) == (entry.scenario, entry.violation) for one in entries):
                    source.fault(tree.mark, f"{entry.violation} of {entry.scenario} is listed twice")
                entries.append(entry)
        if len(listed.items) > MOST_ENTRIES:
            source.fault(listed.mark, f"more than {MOST_ENTRIES:,} entries")
    source.raise_faults()
    return BaselineFile(target or "", tuple(entries))


def baseline_of(results: Results, reason: str, expires: date, old: BaselineFile | None = None) -> BaselineFile:
    """A baseline of all violations of a run; what `old` says of one that still comes is kept, the rest is dropped.

    Entries of `old` that the run did not try are kept too: nothing was learned of them.
    """
    known = {(entry.scenario, entry.violation): entry for entry in old.entries} if old else {}
    tried = {scenario.name: scenario.judged for scenario in results.scenarios if scenario.label != "inconclusive"}
    entries = {
        key: entry
        for key, entry in known.items()
        if entry.scenario not in tried
        or not entry.is_judged_at(results.level)
        or tried[entry.scenario].get(entry.violation) == 0
    }
    for scenario in results.scenarios:
        for one in scenario.violations:
            key = (scenario.name, one.name)
            entries[key] = known.get(key) or Entry(scenario.name, one.name, one.requirement, reason, expires)
    return BaselineFile(old.target if old else results.target, tuple(entries[key] for key in sorted(entries)))


def baseline_text(baseline: BaselineFile) -> str:
    """The file's text; every text in double quotes, so that no value is taken for anything else."""
    lines = ["format: 1", f"target: {_quoted(baseline.target)}", "violations:" + ("" if baseline.entries else " []")]
    for entry in baseline.entries:
        lines += [
            f"  - scenario: {_quoted(entry.scenario)}",
            f"    violation: {_quoted(entry.violation)}",
            f"    requirement: {entry.requirement}",
            f"    reason: {_quoted(entry.reason)}",
            f'    expires: "{entry.expires.isoformat()}"',
        ]
    return "\n".join(lines) + "\n"


def day(written: str) -> date | None:
    """A day written YYYY-MM-DD, None for anything else."""
    try:
        return date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        return None


def _entry(source: Source, form: Form) -> Entry | None:
    found = {key: text(source, form.need(key), key) for key in ("scenario", "violation", "reason", "expires")}
    requirement = one_of(source, form.need("requirement"), "requirement", REQUIREMENTS)
    expires = day(found["expires"] or "")
    if found["expires"] is not None and expires is None:
        form.fault("expires", f'expires must be a day in quotes, "2027-05-31", not "{found["expires"][:20]}"')
    values = [found["scenario"], found["violation"], requirement, found["reason"]]
    if expires is None or not all(values):
        return None
    scenario, violation, named, reason = (str(value) for value in values)
    return Entry(scenario, violation, named, reason, expires)


def _quoted(written: str) -> str:
    """A YAML double-quoted scalar on one line."""
    safe = written.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in safe) + '"'
