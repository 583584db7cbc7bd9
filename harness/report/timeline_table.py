"""A timeline as a table of a terminal: a column per dispatcher, widths shared out so that nothing important is cut."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.report.describe import incarnation_of
from harness.report.timeline import Row, Timeline, told, window

OVERLAPS = {"": " ", "first": "┌", "middle": "│", "last": "└"}
CELL = 19
"""Columns that a cell needs: "unlock: 422 refused"."""
TOKENS = 26
"""No list of live tokens is wider."""
GAP = 2


def timeline_table(whole: Timeline, most: int, width: int) -> RenderableType:
    """At most `most` rows around the violation; dispatchers that find no room of their own share the last column."""
    shown = window(whole.rows, most)
    rows = [row for row in shown if isinstance(row, Row)]
    columns = [name for name in whole.dispatchers if any(row.dispatcher == name for row in rows)]
    times = max([len(_times(row)) for row in rows], default=2)
    states = max([len(row.state) for row in rows], default=0)
    states = max(states, len(whole.container), len(whole.first_state))
    tokens = min(TOKENS, max([len(_live(row)) for row in rows], default=0))
    tokens = max(tokens, len("live tokens"))
    left = width - 2 - times - states - tokens - 3 * GAP
    own, others = _share(columns, max(1, left // (CELL + GAP)))
    names = [*own, *([f"{others} others"] if others else [])]
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    for name, size in [("", 2), ("ms", times)]:
        table.add_column(name, width=size, no_wrap=True, justify="right" if name else "left")
    wanted = _widths(rows, own, len(names), left)
    for name, size in zip(names, wanted, strict=True):
        table.add_column(name, width=size, no_wrap=True, overflow="ellipsis")
    table.add_column(whole.container, width=states, no_wrap=True, overflow="ellipsis")
    table.add_column("live tokens", width=tokens, no_wrap=True, overflow="ellipsis")
    if shown and isinstance(shown[0], Row):
        table.add_row("", "given", *[""] * len(names), whole.first_state, "", style="dim")
    for item in shown:
        _add(table, item, own, len(names))
    return Group(table, _legend(rows, whole))


def _share(columns: list[str], room: int) -> tuple[list[str], int]:
    """The dispatchers with a column of their own, and how many share one."""
    if len(columns) <= room:
        return columns, 0
    return columns[: room - 1], len(columns) - room + 1


def _widths(rows: Sequence[Row], own: list[str], count: int, left: int) -> list[int]:
    """As wide as the widest cell, where all fit; else what is left, in proportion to what each wants."""
    wanted = [len(name) for name in own] + [8] * (count - len(own))
    for row in rows:
        place = own.index(row.dispatcher) if row.dispatcher in own else count - 1
        wanted[place] = max(wanted[place], len(_cell(row, named=row.dispatcher not in own)))
    room = left - GAP * count
    if sum(wanted) <= room:
        return wanted
    even = room // count
    spare = room - sum(min(size, even) for size in wanted)
    widths = []
    for size in wanted:
        more = min(size - min(size, even), spare)
        spare -= more
        widths.append(max(1, min(size, even) + more))
    return widths


def _add(table: Table, item: Row | int, own: list[str], count: int) -> None:
    cells = [""] * count
    if isinstance(item, int):
        cells[0] = f"… {item} left out …"
        table.add_row("", "", *cells, "", "", style="dim")
        return
    place = own.index(item.dispatcher) if item.dispatcher in own else count - 1
    cells[place] = _cell(item, named=item.dispatcher not in own)
    mark = f"{'▶' if item.violating else ' '}{OVERLAPS[item.overlap]}"
    table.add_row(mark, _times(item), *cells, item.state, _live(item), style="bold red" if item.violating else "")


def _cell(row: Row, named: bool) -> str:
    who = incarnation_of(row.operation) or (row.dispatcher if named else "")
    return (f"{who}: " if who else "") + told(row)


def _times(row: Row) -> str:
    back = "never" if row.back_ms is None else f"{row.back_ms:.1f}"
    return f"{row.sent_ms:.1f}-{back}"


def _live(row: Row) -> str:
    return ", ".join(row.live) or "none"


def _legend(rows: Sequence[Row], whole: Timeline) -> Text:
    parts = []
    if any(row.violating for row in rows):
        parts.append("▶ the violation")
    if any(row.overlap for row in rows):
        parts.append("┌│└ at the same time")
    if any(row.live for row in rows):
        parts.append("1 (A): token 1, given to A")
    if len(rows) < len(whole.rows):
        parts.append(f"a window: {len(rows)} of {len(whole.rows)} operations")
    return Text("   ".join(parts), "dim")
