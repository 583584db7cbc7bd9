"""Requirements x servers: what each of several runs says of each requirement, as Markdown and as one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.contract import KNOWN_RACES
from harness.report.describe import markdown_cell, requirement_text
from harness.report.results_json import Results, requirement_order


@dataclass(frozen=True)
class Cell:
    """What one server did about one requirement or known race."""

    outcome: str  # held, violated, not exercised, not judged; reproduced, closed, not tried
    detail: str = ""


@dataclass(frozen=True)
class Line:
    """One requirement or known race, and a cell for each server."""

    name: str
    text: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Server:
    """One column: a run against one target."""

    name: str
    run: Results
    counts: str  # violated of judged


@dataclass(frozen=True)
class Matrix:
    """The whole table."""

    servers: tuple[Server, ...]
    requirements: tuple[Line, ...]
    races: tuple[Line, ...]


def matrix(runs: Sequence[Results], names: Sequence[str] = ()) -> Matrix:
    """The matrix of several runs; a server is called by its target, unless `names` says otherwise."""
    titles = _unique(list(names) or [run.target for run in runs])
    requirements = requirement_order({name for run in runs for name in run.requirements})
    seen_races = [_races(run) for run in runs]
    races = sorted({name for seen in seen_races for name in seen}, key=list(KNOWN_RACES).index)
    return Matrix(
        servers=tuple(Server(title, run, _counts(run)) for title, run in zip(titles, runs, strict=True)),
        requirements=tuple(
            Line(name, requirement_text(name), tuple(_cell(run, name) for run in runs)) for name in requirements
        ),
        races=tuple(
            Line(name, KNOWN_RACES[name].text, tuple(_race(seen, name) for seen in seen_races)) for name in races
        ),
    )


def matrix_markdown(table: Matrix) -> str:
    """The matrix for a README or an issue."""
    head = ["requirement", *[server.name for server in table.servers]]
    lines = [_row(head), _rule(head)]
    lines += [_row([line.name, *map(_told, line.cells)]) for line in table.requirements]
    lines.append(_row(["**violated**", *[server.counts for server in table.servers]], escape=False))
    if table.races:
        head[0] = "known race"
        lines += ["", _row(head), _rule(head)]
        lines += [_row([line.name, *map(_told, line.cells)]) for line in table.races]
    runs = "; ".join(
        f"{server.name}: level {server.run.level}, {server.run.started}, lockrace {server.run.version}"
        for server in table.servers
    )
    return "\n".join([*lines, "", markdown_cell(runs)]) + "\n"


def matrix_page(table: Matrix) -> str:
    """The matrix as one HTML file."""
    from harness.report.html.page import rendered  # noqa: PLC0415 (a template engine, where one is needed)

    return rendered("matrix.html.j2", table=table)


def _cell(run: Results, name: str) -> Cell:
    record = run.requirements.get(name)
    if record is None:
        return Cell("not judged", f"level {run.level}")
    if record.outcome == "held":
        return Cell("held", f"{record.judged:,}")
    if record.outcome == "violated":
        bad = [one.name for one in run.scenarios if any(found.requirement == name for found in one.violations)]
        return Cell("violated", f"{bad[0]}{f' and {len(bad) - 1} more' if len(bad) > 1 else ''}" if bad else "")
    return Cell("not exercised")


def _races(run: Results) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for scenario in run.scenarios:
        for race in scenario.known_races:
            if race.id in KNOWN_RACES:
                reproduced, judged = found.get(race.id, (0, 0))
                found[race.id] = (reproduced + race.reproduced, judged + race.judged)
    return found


def _race(seen: dict[str, tuple[int, int]], name: str) -> Cell:
    if name not in seen:
        return Cell("not tried")
    reproduced, judged = seen[name]
    return Cell("reproduced" if reproduced else "closed", f"{reproduced} of {judged}")


def _counts(run: Results) -> str:
    outcomes = [record.outcome for record in run.requirements.values()]
    judged = sum(outcome != "not exercised" for outcome in outcomes)
    return f"{outcomes.count('violated')} of {judged} judged"


def _unique(names: list[str]) -> list[str]:
    """Names that differ: the second "x" becomes "x (2)"."""
    seen: dict[str, int] = {}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return out


def _told(cell: Cell) -> str:
    return f"{cell.outcome} ({cell.detail})" if cell.detail else cell.outcome


def _row(cells: Sequence[str], escape: bool = True) -> str:
    return f"| {' | '.join(markdown_cell(cell) if escape else cell for cell in cells)} |"


def _rule(cells: Sequence[str]) -> str:
    return f"|{'---|' * len(cells)}"
