"""What is played next and for how long: one list for all jobs, a budget shared out fairly, nothing after its end."""

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from harness.plan import Plan


class Turn(NamedTuple):
    """A plan to play: `share_s` of the budget is for it, `left_s` is there for all. None: as long as it takes."""

    place: int  # among the plans
    plan: Plan
    share_s: float | None = None
    left_s: float | None = None


class Agenda:
    """The plans that wait; several jobs may take their turns at the same time.

    Those at the places `alone` are for a time when nothing else is played. `ends` is a moment of the clock `now`: then
    one instance of each scenario comes before the second of any, so that a short time sees something of everything.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        jobs: int = 1,
        ends: float | None = None,
        alone: Collection[int] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = max(1, min(jobs, len(plans) - len(alone)))
        numbered = list(enumerate(plans)) if ends is None else _one_of_each_first(plans)
        self._together = deque(one for one in numbered if one[0] not in alone)
        self._alone = deque(one for one in numbered if one[0] in alone)
        self._ends = ends
        self._now = now
        self.stopped = False

    def turns(self, *, alone: bool = False) -> Iterator[Turn]:
        """The turns of one job, until nothing waits any more or the time is over."""
        waiting = self._alone if alone else self._together
        while waiting and not self.stopped:
            if self._ends is None:
                yield Turn(*waiting.popleft())
                continue
            left_s = self._ends - self._now()
            if left_s <= 0:
                return
            rounds = max(1.0, len(self._together) / self.jobs + len(self._alone))
            yield Turn(*waiting.popleft(), left_s / rounds, left_s)

    def stop(self) -> None:
        """Nothing more is begun."""
        self.stopped = True

    def not_begun(self) -> list[Plan]:
        """The plans that still wait, in their order."""
        return [plan for _, plan in sorted([*self._together, *self._alone], key=lambda one: one[0])]


def _one_of_each_first(plans: Sequence[Plan]) -> list[tuple[int, Plan]]:
    """Plans with their places: the first of each scenario file, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    ranks = []
    for place, plan in enumerate(plans):
        ranks.append((seen[plan.scenario.family], place, plan))
        seen[plan.scenario.family] += 1
    return [(place, plan) for _, place, plan in sorted(ranks, key=lambda one: one[:2])]
