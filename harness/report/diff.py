"""What changed from one run to the next, regressions first."""

from dataclasses import dataclass, field

from harness.report.describe import harmless, markdown_cell, shortened
from harness.report.results_json import Results, ScenarioRecord, requirement_order

PASSING = frozenset({"conforms", "known race", "baseline"})


@dataclass(frozen=True)
class Change:
    """One scenario or requirement that came out differently."""

    name: str
    before: str
    after: str
    detail: str = ""


@dataclass
class Diff:
    """All that changed between two runs. `regressions` are what must not happen; the rest is good or neutral."""

    regressions: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)
    other: list[Change] = field(default_factory=list)  # known races that opened or closed, scenarios added or gone
    settings: list[Change] = field(default_factory=list)
    unchanged: int = 0


def diff(before: Results, after: Results) -> Diff:
    """Compare two runs, scenario by scenario and requirement by requirement.

    A regression is: a scenario that passed and does not any more, a new one that does not pass, a violation that was
    not there, a scenario that was tried and is not any more, and a requirement that nothing exercises any more.
    """
    found = Diff()
    old = {one.name: one for one in before.scenarios}
    new = {one.name: one for one in after.scenarios}
    for name, scenario in new.items():
        _scenario(found, old.get(name), scenario)
    for name in old.keys() - new.keys():
        found.regressions.append(Change(name, old[name].label, "not tried"))
    _requirements(found, before, after)
    for name, was, now in _settings(before, after):
        if was != now:
            found.settings.append(Change(name, was, now))
    found.regressions.sort(key=lambda change: (change.after != "violation", change.name))
    return found


def _scenario(found: Diff, old: ScenarioRecord | None, new: ScenarioRecord) -> None:
    change = Change(new.name, old.label if old else "not tried", new.label, _detail(old, new))
    if _worse(old, new):
        found.regressions.append(change)
    elif old is not None and new.label in PASSING and old.label not in PASSING:
        found.fixed.append(change)
    elif old is None or old.label != new.label or _kinds(old) != _kinds(new):
        found.other.append(change)
    else:
        found.unchanged += 1


def _worse(old: ScenarioRecord | None, new: ScenarioRecord) -> bool:
    if new.label in PASSING:
        return False
    if old is None or old.label in PASSING:
        return True
    return new.label == "violation" and (old.label == "inconclusive" or bool(_kinds(new) - _kinds(old)))


def _kinds(record: ScenarioRecord) -> set[tuple[str, str]]:
    return {(one.requirement, one.name) for one in record.violations}


def _detail(old: ScenarioRecord | None, new: ScenarioRecord) -> str:
    fresh = _kinds(new) - (_kinds(old) if old else set())
    said = [
        f"{one.requirement} {one.name}: {one.message}" for one in new.violations if (one.requirement, one.name) in fresh
    ]
    return harmless((said or (new.inconclusive if new.label == "inconclusive" else []) or [""])[0])


def _requirements(found: Diff, before: Results, after: Results) -> None:
    """A requirement that one run judged and the other did not, where both have it in their level."""
    for name in requirement_order(before.requirements.keys() & after.requirements.keys()):
        was, now = before.requirements[name].outcome, after.requirements[name].outcome
        if was != "not exercised" and now == "not exercised":
            found.regressions.append(Change(name, was, now, "nothing that was run could judge it any more"))
        elif was == "not exercised" and now == "held":
            found.fixed.append(Change(name, was, now))


def _settings(before: Results, after: Results) -> list[tuple[str, str, str]]:
    """What was asked for, where it may differ; the seed always does."""
    was = {"target": before.target, "level": before.level, "lockrace": before.version, **before.settings}
    now = {"target": after.target, "level": after.level, "lockrace": after.version, **after.settings}
    names = sorted((was.keys() | now.keys()) - {"seed", "out"})
    return [(name, str(was.get(name, "not set")), str(now.get(name, "not set"))) for name in names]


def diff_text(found: Diff, width: int = 120) -> str:
    """The diff as plain lines for a terminal or a log."""
    lines: list[str] = []
    for title, sign, changes in _parts(found):
        if changes:
            lines.append(f"{title} ({len(changes)})")
        for change in changes[:200]:
            text = harmless(f"{change.name}: {change.before} -> {change.after} {change.detail}")
            lines.append(f"  {sign} {shortened(text, 3 * width)}")
        if len(changes) > 200:
            lines.append(f"  and {len(changes) - 200} more")
    lines.append(f"unchanged ({found.unchanged})")
    return "\n".join(lines) + "\n"


def diff_markdown(found: Diff) -> str:
    """The diff as Markdown tables, for a pull request."""
    lines: list[str] = []
    for title, _, changes in _parts(found):
        if not changes:
            continue
        lines += [f"### {title} ({len(changes)})", "", "| what | before | after | detail |", "|---|---|---|---|"]
        lines += [
            f"| {' | '.join(map(markdown_cell, (change.name, change.before, change.after, change.detail)))} |"
            for change in changes[:200]
        ]
        if len(changes) > 200:
            lines.append(f"| and {len(changes) - 200} more | | | |")
        lines.append("")
    lines.append(f"{found.unchanged} unchanged.")
    return "\n".join(lines) + "\n"


def _parts(found: Diff) -> list[tuple[str, str, list[Change]]]:
    return [
        ("Regressions", "✗", found.regressions),
        ("Fixed", "✓", found.fixed),
        ("Other changes", "·", found.other),
        ("Different settings", "·", found.settings),
    ]
