"""Live lines of a run: what is tried now and how long it will take; in a log, a line per finished scenario file."""

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text

from harness.report.result import ScenarioResult
from harness.report.summary import Family
from harness.report.terminal import family_line, look_for, write
from harness.scenario import Scenario

Detail = Literal["quiet", "normal", "verbose"]
"""quiet: only what did not conform; normal: a line per scenario file; verbose: a line per instance."""


_MOST_NAMED = 2  # of the scenarios that run now


class Progress:
    """Prints as results come in; use as a context manager, so that what was finished is told on any end.

    The instances of one file are told together once all of them are done. Not for use from several threads.
    """

    def __init__(self, stream: TextIO, scenarios: Sequence[Scenario], detail: Detail = "normal") -> None:
        self._stream = stream
        self._look = look_for(stream)
        self._detail = detail
        self._open = Counter(scenario.family for scenario in scenarios)
        self._done: dict[str, list[ScenarioResult]] = {}
        self._now: dict[str, str] = {}  # scenario that runs now -> how far it has come
        self._bar: Bar | None = None
        if stream.isatty() and detail != "quiet":
            columns = [SpinnerColumn(), BarColumn(20), MofNCompleteColumn(), TextColumn("{task.description}")]
            self._bar = Bar(
                *columns,
                TextColumn("time left"),
                TimeRemainingColumn(),
                console=Console(file=stream, no_color=not self._look.colour),
                transient=True,
            )
            self._task = self._bar.add_task("", total=len(scenarios))

    def at(self, scenario: Scenario, runs: int, of: int, overlapped: int | None = None, violations: int = 0) -> None:
        """Say how far a scenario that runs now has come; shown on a terminal only."""
        if self._bar is None:
            return
        parts = [scenario.name, f"run {runs} of {of}"]
        if overlapped is not None:
            parts.append(f"{overlapped} overlapped")
        if violations:
            parts.append(f"{violations} violations")
        self._now[scenario.name] = ", ".join(parts)
        first = list(self._now.values())[:_MOST_NAMED]
        more = [f"and {len(self._now) - len(first)} more"] if len(first) < len(self._now) else []
        self._bar.update(self._task, description="; ".join([*first, *more]))

    def finished(self, result: ScenarioResult) -> None:
        """Take one judged instance in, and print its file's line if it was the last one of it."""
        family = result.scenario.family
        self._done.setdefault(family, []).append(result)
        self._open[family] -= 1
        self._now.pop(result.scenario.name, None)
        if self._bar is not None:
            self._bar.advance(self._task)
        if self._detail == "verbose":
            self._print(Family(result.scenario.name, (result,)))
        elif self._open[family] <= 0:
            self._tell(family)

    def _tell(self, family: str) -> None:
        self._print(Family(family, tuple(self._done.pop(family))))

    def _print(self, family: Family) -> None:
        if self._detail == "quiet" and family.label in ("conforms", "known race"):
            return
        line = family_line(family, self._look)
        if self._bar is not None:
            self._bar.console.print(Text.from_ansi(line.rstrip("\n")), soft_wrap=True)
        else:
            write(self._stream, line)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._detail != "verbose":
            for family in list(self._done):
                self._tell(family)
        if self._bar is not None:
            self._bar.stop()
