"""How much the requests of a race really met, and what rounds without a finding are worth.

    A  release |-----------------------| return
    B            release |-------------------| return      together: 2, pairs: 1
    C                                     release |----|   with B: pairs: 2

It says what the client can know: requests were out together. Whether the target worked on them together only its
own arrival stamps can say.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.history.operation import Operation

CONFIDENCE = 0.95


class Overlap(NamedTuple):
    """Of one round, from the intervals between release and return."""

    racers: int
    together: int  # most of them in flight at one moment
    pairs: int  # pairs of which each was released before the other had returned
    spread_ns: int  # from the first release to the last

    @property
    def raced(self) -> bool:
        """Whether any two were in flight together; a round that did not is no evidence."""
        return self.together >= 2


def overlap(intervals: Sequence[tuple[int, int | None]]) -> Overlap:
    """Measure intervals of (release_ns, return_ns); a return of None has not ended."""
    if not intervals:
        return Overlap(0, 0, 0, 0)
    events = [(begin, 1) for begin, _ in intervals]
    events += [(max(end, begin + 1), 0) for begin, end in intervals if end is not None]
    flying = together = pairs = 0
    for _, begins in sorted(events):  # at the same instant an end sorts first: touching is not overlapping
        if begins:
            pairs += flying
            flying += 1
            together = max(together, flying)
        else:
            flying -= 1
    releases = [begin for begin, _ in intervals]
    return Overlap(len(intervals), together, pairs, max(releases) - min(releases))


def closest_meeting(operations: Iterable[Operation]) -> Overlap:
    """Of one run, the overlap of the requests for that container on which most met; events and setup do not count."""
    by_container: dict[str | None, list[tuple[int, int | None]]] = {}
    for operation in operations:
        if operation.phase == "run" and (operation.status is not None or operation.type == "info"):
            begin = operation.invoke_ns if operation.release_ns is None else operation.release_ns
            by_container.setdefault(operation.uuid, []).append((begin, operation.return_ns))
    met = [overlap(intervals) for intervals in by_container.values()]
    return max(met, key=lambda one: (one.together, one.pairs), default=overlap([]))


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
