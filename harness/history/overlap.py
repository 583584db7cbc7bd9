"""Whether the requests of a race really met, how close they were, and what rounds without a finding are worth.

    A  release |-----------------| return
    B            release |-------------------| return       A and B met
    C                                          release |----|    C met nobody

It says what the client can know: requests were out together. How close they came to the target only its own stamps of
their arrivals can say; the reference server that a run starts gives them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from harness.history.facts import EVENTS, session_of
from harness.history.operation import Operation

CONFIDENCE = 0.95

_KINDS = {"gate": "by gate (last bytes held back)", "burst": "by burst (whole requests)"}

Interval = tuple[int, int | None]
"""Release and return of a request in ns; no return where it may still take effect."""


class RaceFigures(NamedTuple):
    """How hard the rounds of a race tried, from their history alone.

    The spread is that of first requests in rounds whose racers were released together; in the others they were
    parted on purpose, to meet windows that do not start at the same moment.
    """

    rounds: int
    raced: int  # rounds in which two dispatchers' requests were out at once
    racers: int  # most in one round
    together: int  # rounds that were released together
    spread_p50_us: float | None
    spread_p95_us: float | None
    arrived_p50_us: float | None = None  # of the same rounds, by the target's own stamps, where it gave them

    def sentence(self) -> str:
        """For a report: how many rounds raced, how close, and what they exclude."""
        close = ""
        if self.spread_p50_us is not None:
            close = (
                f"; {self.together} left together, within {self.spread_p50_us:.0f} us (median) and "
                f"{self.spread_p95_us:.0f} us (95 %)"
            )
        if self.arrived_p50_us is not None:
            close += f", arrived within {self.arrived_p50_us:.0f} us (median)"
        return f"{self.raced} of {self.rounds} rounds of {self.racers} raced{close}"


class ReleaseTrial(NamedTuple):
    """How far apart the answers of one harmless round were, by kind of release, before the kind was chosen."""

    gate_ns: int
    burst_ns: int
    early: int  # answers that came before the last bytes were let go


def start_of_round(
    run: int, at_ns: int, release: str, distance_ns: int, trial: ReleaseTrial | None = None
) -> Operation:
    """The event that says how a round was released: by which kind and why, and how long late racers were held back."""
    sent: dict[str, Any] = {"release": release, "distance_ns": distance_ns}
    return Operation(
        run=run,
        op="barrier",
        process="start#1",
        phase="setup",
        invoke_ns=at_ns,
        return_ns=at_ns,
        type="ok",
        outcome="granted",
        sent=sent if trial is None else sent | trial._asdict(),
    )


def release_sentence(operations: Iterable[Operation]) -> str | None:
    """By which kind of release the rounds of a race left, and why by that one; None where none was."""
    start = next((one for one in operations if one.op == "barrier" and one.phase == "setup"), None)
    sent = (start.sent or {}) if start is not None else {}
    kind = sent.get("release")
    if kind not in _KINDS:
        return None
    gate, burst, early = (sent.get(name) for name in ReleaseTrial._fields)
    if not (isinstance(gate, int) and isinstance(burst, int) and isinstance(early, int)):
        return f"{_KINDS[kind]}, not measured"
    if early:
        return f"{_KINDS[kind]}, since this target answers before the last byte of a request has come"
    other = "burst" if kind == "gate" else "gate"
    mine, others = (gate, burst) if kind == "gate" else (burst, gate)
    return (
        f"{_KINDS[kind]}: its answers came within {mine / 1000:.0f} us, those by {other} within {others / 1000:.0f} us"
    )


def race_figures(runs: Mapping[int, Sequence[Operation]]) -> RaceFigures:
    """Figures of all rounds, given the operations of each run."""
    met = racers = 0
    spreads: list[int] = []
    arrivals: list[int] = []
    for operations in runs.values():
        sessions = _intervals(operations)
        racers = max(racers, len(sessions))
        met += _meet(sessions)
        start = next((one for one in operations if one.op == "barrier" and one.phase == "setup"), None)
        if start is not None and len(sessions) > 1 and (start.sent or {}).get("distance_ns") == 0:
            firsts = [intervals[0][0] for intervals in sessions.values()]
            spreads.append(max(firsts) - min(firsts))
            stamps = _arrivals(operations)
            if len(stamps) == len(sessions):
                arrivals.append(max(stamps) - min(stamps))
    arrived, _ = _middle_and_high(arrivals)
    return RaceFigures(len(runs), met, racers, len(spreads), *_middle_and_high(spreads), arrived)


def _middle_and_high(spreads: list[int]) -> tuple[float | None, float | None]:
    """Median and 95 % of spreads, in us."""
    ordered = sorted(spreads)
    if not ordered:
        return None, None
    return ordered[len(ordered) // 2] / 1000, ordered[len(ordered) * 95 // 100] / 1000


def _arrivals(operations: Iterable[Operation]) -> list[int]:
    """When the target saw the first request of each session, as far as it said so."""
    firsts: dict[str, Operation] = {}
    for one in _requests(operations):
        session = session_of(one.process)
        if session not in firsts or one.invoke_ns < firsts[session].invoke_ns:
            firsts[session] = one
    return [one.arrival_ns for one in firsts.values() if one.arrival_ns is not None]


def _intervals(operations: Iterable[Operation]) -> dict[str, list[Interval]]:
    """Of each session the intervals of its requests, in order of release."""
    found: dict[str, list[Interval]] = {}
    for one in _requests(operations):
        begin = one.invoke_ns if one.release_ns is None else one.release_ns
        found.setdefault(session_of(one.process), []).append((begin, one.return_ns))
    for intervals in found.values():
        intervals.sort(key=lambda interval: interval[0])
    return found


def _requests(operations: Iterable[Operation]) -> Iterable[Operation]:
    """What a session asked in a run; events and setup do not count, nor what was turned away and sent again."""
    return (one for one in operations if one.phase == "run" and one.op not in EVENTS and not one.sent_again)


def raced(operations: Iterable[Operation]) -> bool:
    """Whether requests of two sessions were out at once in a run, counted from where they were let go."""
    return _meet(_intervals(operations))


def _meet(sessions: Mapping[str, Sequence[Interval]]) -> bool:
    """Whether requests of two sessions were out at once; touching is not meeting."""
    calls = sorted(
        (begin, math.inf if end is None else end, session)
        for session, intervals in sessions.items()
        for begin, end in intervals
    )
    out: dict[str, float] = {}  # session -> until when it waits for an answer
    for begin, end, session in calls:
        out = {other: until for other, until in out.items() if until > begin}
        if out.keys() - {session}:
            return True
        out[session] = max(end, out.get(session, 0))
    return False


def excluded_odds(rounds: int) -> int | None:
    """The k for which a bug that shows in 1 of k rounds would have been seen in `rounds` with 95 %; None below 1."""
    if rounds < 1:
        return None
    odds = 1 / (1 - math.pow(1 - CONFIDENCE, 1 / rounds))
    return max(1, math.floor(odds))


def exclusion(rounds: int) -> str:
    """What `rounds` rounds that raced and showed nothing are worth, as a sentence."""
    odds = excluded_odds(rounds)
    if odds is None:
        return "no round raced, so nothing is excluded"
    return f"after {rounds} clean rounds a bug that shows in 1 of {odds} rounds would have been seen with 95 %"
