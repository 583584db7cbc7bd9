"""Where everything of a timeline's picture stands, in pixels; the template only writes it down.

    lanes         A   ┌─ lock 200 ─┐        a lane per process, a bar per request
                  B      ┌─ lock 200 ──┐
    bands     state   Queued │ Locked       what the answers show, from each answer on
               lock   nobody │ A │ A and B

Time runs to the right but not to scale: a gap of a second must not push apart what happened within a millisecond, and
each bar must have room for its label.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from harness.history import Operation
from harness.report.describe import (
    EVENTS,
    HARNESS,
    answer_of,
    dispatcher_of,
    harmless,
    incarnation_of,
    request_of,
    step_of,
)
from harness.report.timeline import Row, Timeline, token_of, told, window

MOST_ROWS = 80
"""Operations in one picture."""

LABELS = 110  # pixels for the lanes' names
LANE = 46
BAND = 26
BAR = 16
CHARACTER = 6.7  # pixels of one character at the labels' size
MARGIN = 24
PAGE = 940  # pixels of a page that bars should make use of

Look = Literal["granted", "refused", "unknown", "event"]
"""How a bar is drawn: plain, hatched one way, hatched the other way with an open end, or a mark only."""


@dataclass(frozen=True)
class Bar:
    """One operation in its lane; x from the picture's left edge, y within the lane."""

    row: Row
    x: float
    width: float
    look: Look
    label: str
    spoken: str  # for those who hear the page
    release: float | None  # x of the moment in which the gate let go
    number: int | None  # its place in the legal order
    dot: float  # x of the moment in which that order lets it happen
    stuck: bool  # no order can place it


@dataclass(frozen=True)
class Lane:
    """All operations of one process."""

    name: str
    bars: tuple[Bar, ...]
    y: float


@dataclass(frozen=True)
class Segment:
    """A stretch of a band with one text."""

    x: float
    width: float
    text: str
    alarm: bool


@dataclass(frozen=True)
class Band:
    """What held over time: the container's state, whose lock it was, which tokens lived."""

    name: str
    segments: tuple[Segment, ...]
    y: float


@dataclass(frozen=True)
class Drawing:
    """The whole picture."""

    width: float
    height: float
    lanes: tuple[Lane, ...]
    bands: tuple[Band, ...]
    breaks: tuple[tuple[float, int], ...]  # x, and how many operations were left out there
    ticks: tuple[tuple[float, str], ...]
    order: str  # what the numbers mean, or why there are none
    released: bool  # whether a bar shows when its request was let go
    shown: int
    of: int


def draw(whole: Timeline, most: int = MOST_ROWS) -> Drawing:
    """The picture of a timeline, windowed on its violation."""
    items = window(whole.rows, most)
    rows = [item for item in items if isinstance(item, Row)]
    place = _positions(rows)
    ends = max(place.values(), default=LABELS) + 90
    numbers, stuck, order = _order(whole, rows)
    dots = _dots(rows, numbers, place)
    bars: dict[str, list[Bar]] = {}
    for row in rows:
        bar = _bar(
            row, place, ends, number=numbers.get(row.index), dot=dots.get(row.index, 0), stuck=row.index == stuck
        )
        bars.setdefault(_lane(row), []).append(bar)
    top = 30.0
    lanes = []
    for number, name in enumerate(_lane_names(rows, whole.dispatchers)):
        lanes.append(Lane(name, tuple(bars[name]), top + number * LANE))
    under = top + len(lanes) * LANE + 8
    bands = tuple(_bands(rows, whole, place, ends, under))
    return Drawing(
        width=ends + MARGIN,
        height=under + len(bands) * BAND + 12,
        lanes=tuple(lanes),
        bands=bands,
        breaks=tuple(_breaks(items, place, ends)),
        ticks=tuple(_ticks(rows, place)),
        order=order,
        released=any(bar.release is not None for lane in lanes for bar in lane.bars),
        shown=len(rows),
        of=len(whole.rows),
    )


def _lane(row: Row) -> str:
    return incarnation_of(row.operation) or row.dispatcher


def _lane_names(rows: Iterable[Row], dispatchers: Sequence[str]) -> list[str]:
    names = {_lane(row): dispatchers.index(row.dispatcher) for row in rows}
    return sorted(names, key=lambda name: (names[name], len(name), name))


def _label(row: Row) -> str:
    operation = row.operation
    if operation.op in EVENTS:
        return operation.op
    status = str(operation.status) if operation.status is not None else "?"
    token = f" {token_of(row)}" if row.token else ""
    fault = f" ({harmless(operation.fault)})" if operation.fault else ""
    state = operation.sent.get("state") if operation.op == "update" and operation.sent else None
    asked = harmless(f"{operation.op}→{state}" if state else operation.op)
    return f"{asked} {status}{token}{fault}"


def _look(operation: Operation) -> Look:
    if operation.op in EVENTS:
        return "event"
    return {"ok": "granted", "fail": "refused"}.get(operation.type, "unknown")  # type: ignore[return-value]


def _bar(row: Row, place: dict[float, float], ends: float, *, number: int | None, dot: float, stuck: bool) -> Bar:
    x = place[row.sent_ms]
    right = ends if row.back_ms is None else max(place[row.back_ms], x + 14)
    operation = row.operation
    release = None
    if operation.release_ns is not None and row.back_ms is not None and row.back_ms > row.sent_ms:
        share = (operation.release_ns - operation.invoke_ns) / ((row.back_ms - row.sent_ms) * 1e6)
        release = x + (right - x) * min(1.0, max(0.0, share))
    return Bar(row, x, right - x, _look(operation), _label(row), spoken(row), release, number, dot, stuck)


def spoken(row: Row) -> str:
    """A whole operation in one sentence."""
    operation = row.operation
    back = "never answered" if row.back_ms is None else f"answered at {row.back_ms:.3f} ms"
    parts = [f"{_lane(row)}: {step_of(operation)}, {told(row)}", f"sent at {row.sent_ms:.3f} ms", back]
    if row.dispatcher == HARNESS:
        parts[0] = f"harness: {told(row)}"
    if row.violating:
        parts.append("part of the violation")
    return "; ".join(parts)


def details(row: Row) -> dict[str, str]:
    """All that is known of one operation, by name, for the panel below the picture."""
    operation = row.operation
    known = {
        "request": f"{request_of(operation)} {row.where}".strip(),
        "by": f"{harmless(operation.process)} ({dispatcher_of(operation)}), step {step_of(operation)}",
        "answer": answer_of(operation),
        "token": harmless(operation.token or ""),
        "request id": harmless(operation.request_id or ""),
        "server said": harmless("; ".join(operation.errors or [])),
        "problem": harmless(operation.problem or ""),
        "fault": harmless(operation.fault or ""),
        "process id": str(operation.pid or ""),
    }
    return {name: value[:400] for name, value in known.items() if value}


def _positions(rows: Sequence[Row]) -> dict[float, float]:
    """From a time in ms to its x; a picture that would leave most of the page empty is stretched."""
    place = _spread(rows, 1.0)
    extent = max(place.values(), default=LABELS) - LABELS
    return _spread(rows, min(6.0, (PAGE - LABELS) / extent)) if 0 < extent < PAGE - LABELS else place


def _spread(rows: Sequence[Row], stretch: float) -> dict[float, float]:
    """Later is further right; two bars of one lane never share their labels' room."""
    times = sorted({row.sent_ms for row in rows} | {row.back_ms for row in rows if row.back_ms is not None})
    steps = [later - earlier for earlier, later in pairwise(times)]
    usual = statistics.median(steps) if steps else 1.0
    starts: dict[float, list[Row]] = {}
    for row in rows:
        starts.setdefault(row.sent_ms, []).append(row)
    free: dict[str, float] = {}
    place: dict[float, float] = {}
    x = float(LABELS)
    for number, time in enumerate(times):
        if number:
            x += stretch * (12 + 14 * math.log1p((time - times[number - 1]) / usual))
        here = starts.get(time, [])
        x = max([x, *(free.get(_lane(row), 0) for row in here)])
        place[time] = x
        for row in here:
            free[_lane(row)] = x + 10 + CHARACTER * max(4, len(_label(row)))
    return place


def _order(whole: Timeline, rows: Sequence[Row]) -> tuple[dict[int, int], int | None, str]:
    """Numbers of the legal order, the operation that cannot be placed, and a sentence on both."""
    case = whole.violation.counterexample
    if case is not None and (case.prefix or case.stuck is not None):
        numbers = {index: number for number, index in enumerate(case.prefix, start=1)}
        parts = ["Numbers give the longest legal order."] if any(row.index in numbers for row in rows) else []
        if case.stuck is not None:
            parts.append("With the operation marked ✗ next, the legal order so far cannot be completed.")
        return numbers, case.stuck, " ".join(parts)
    requests = [row for row in rows if row.operation.op not in EVENTS]
    if any(row.back_ms is None for row in requests):
        return {}, None, "No order is drawn: what was never answered may have happened at any time."
    if any(row.overlap for row in rows):
        return {}, None, "No order is drawn: operations overlap, and the check needed no order to see this."
    numbers = {row.index: number for number, row in enumerate(requests, start=1)}
    return numbers, None, "Numbers give the order; nothing overlapped, so there is no other."


def _dots(rows: Sequence[Row], numbers: dict[int, int], place: dict[float, float]) -> dict[int, float]:
    """x of the moment at which each numbered operation may have happened, none before the one that it follows."""
    dots: dict[int, float] = {}
    earliest = 0.0
    for row in sorted((row for row in rows if row.index in numbers), key=lambda row: numbers[row.index]):
        earliest = max(earliest + 3, place[row.sent_ms] + 8)
        dots[row.index] = earliest
    return dots


def _bands(rows: Sequence[Row], whole: Timeline, place: dict[float, float], ends: float, top: float) -> Iterable[Band]:
    moments = [place[row.sent_ms if row.back_ms is None else row.back_ms] for row in rows]
    holders = [" and ".join(row.holders) or "nobody" for row in rows]
    live = [", ".join(row.live) or "none" for row in rows]
    several = not whole.first_state
    texts = [("state", whole.first_state or "?", [row.state for row in rows])] if not several else []
    texts += [("lock of", "", holders), ("live tokens", "", live)] if not several else []
    for number, (name, first, values) in enumerate(texts):
        yield Band(name, tuple(_segments(moments, first, values, ends, name)), top + number * BAND)


def _segments(moments: Sequence[float], first: str, values: Sequence[str], ends: float, name: str) -> Iterable[Segment]:
    x, text = float(LABELS), first
    for moment, value in [*zip(moments, values, strict=True), (ends, None)]:
        if value == text:
            continue
        if moment > x and text:
            yield Segment(x, moment - x, text, name == "lock of" and " and " in text)
        if value is not None:
            x, text = max(moment, x), value


def _breaks(items: Sequence[Row | int], place: dict[float, float], ends: float) -> Iterable[tuple[float, int]]:
    """Where operations were left out: at the left edge, at the right edge, or after the row before."""
    for number, item in enumerate(items):
        if isinstance(item, Row):
            continue
        before = items[number - 1] if number else None
        if not isinstance(before, Row):
            yield LABELS - 6, item
        elif number == len(items) - 1:
            yield ends, item
        else:
            yield place[before.sent_ms if before.back_ms is None else before.back_ms] + 6, item


def _ticks(rows: Sequence[Row], place: dict[float, float]) -> Iterable[tuple[float, str]]:
    """Times along the top, as many as find room."""
    last = -1000.0
    for time in sorted({row.sent_ms for row in rows}):
        if place[time] - last >= 70:
            last = place[time]
            yield last, f"{time:.1f} ms"
