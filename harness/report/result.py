"""What reports draw from: one result a scenario instance, one result a run; label and exit code are decided here."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.check.verdict import Verdict
from harness.contract import Level
from harness.history import History
from harness.scenario import Scenario

Label = Literal["conforms", "known race", "baseline", "violation", "inconclusive"]
"""What one scenario instance came to; a "known race", and violations that the baseline lists, pass too."""


@dataclass
class ScenarioResult:
    """One scenario instance, driven and judged. `label` comes from `decide`."""

    scenario: Scenario
    history: History
    verdict: Verdict
    label: Label
    history_path: Path
    replay: str  # text for `lockrace replay`
    seconds: float
    requests: int
    processes: int  # distinct operating system processes that sent requests
    replays: dict[int, str] = field(default_factory=dict)  # of single runs, where their text is not `replay`
    release: str | None = None  # of a race: by which kind of release its rounds left, and why
    race: str | None = None  # of a race: how hard its rounds tried, and what clean ones exclude
    notes: list[str] = field(default_factory=list)  # why the label is what it is, where the verdict does not say


@dataclass
class RunResult:
    """One call of `lockrace run`: every scenario instance, and what ended it."""

    target: str
    level: Level
    seed: int
    started: str  # wall clock, ISO 8601
    results: list[ScenarioResult] = field(default_factory=list)
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    not_exercised: list[str] = field(default_factory=list)  # requirements of the level that nothing judged
    unreachable: str | None = None  # why the target could not be used: exit 4
    fault: str | None = None  # a fault of the harness itself: exit 70
    interrupted: bool = False  # exit 130
    out: Path | None = None  # folder of histories and reports
    skipped: list[str] = field(default_factory=list)  # scenarios left out, with the reason
    untried: list[str] = field(default_factory=list)  # entries of the baseline of which nothing was learned, and why
    not_begun: list[str] = field(default_factory=list)  # scenarios for which the budget left no time: exit 3
