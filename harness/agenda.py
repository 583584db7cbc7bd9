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
    one instance of each scenario comes before the second of any, and what is tried many times, races and samples, comes
    last, since it has a use for all the time that is left. So much is kept for it as a fair share would be.
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
        self.stopped = False
        self._ends = ends
        self._now = now
        numbered = list(enumerate(plans)) if ends is None else _one_of_each_first(plans)
        self._alone = deque(one for one in numbered if one[0] in alone)
        together = [one for one in numbered if one[0] not in alone]
        often = {place for place, plan in together if ends is not None and _is_tried_many_times(plan)}
        self._few = deque(one for one in together if one[0] not in often)
        self._many = deque(one for one in together if one[0] in often)
        rounds = len(together) / self.jobs + len(alone)
        self._kept_s = 0.0 if ends is None else max(0.0, ends - now()) / max(1.0, rounds)  # for each round of `_many`

    def turns(self, *, alone: bool = False) -> Iterator[Turn]:
        """The turns of one job, until nothing waits any more or the time is over."""
        while not self.stopped:
            left_s = None if self._ends is None else self._ends - self._now()
            waiting = self._alone if alone else self._due(left_s)
            if not waiting or (left_s is not None and left_s <= 0):
                return
            if left_s is None:
                yield Turn(*waiting.popleft())
                continue
            after = len(self._many) if waiting is self._few else 0
            rounds = 0.0 if alone else (len(waiting) + after) / self.jobs
            yield Turn(*waiting.popleft(), left_s / max(1.0, rounds + len(self._alone)), left_s)

    def stop(self) -> None:
        """Nothing more is begun."""
        self.stopped = True

    def not_begun(self) -> list[Plan]:
        """The plans that still wait, in their order."""
        waiting = sorted([*self._few, *self._many, *self._alone], key=lambda one: one[0])
        return [plan for _, plan in waiting]

    def _due(self, left_s: float | None) -> deque[tuple[int, Plan]]:
        if not self._many or left_s is None:
            return self._few
        kept_s = self._kept_s * (len(self._many) / self.jobs + len(self._alone))
        return self._few if self._few and left_s > kept_s else self._many


def _is_tried_many_times(plan: Plan) -> bool:
    return plan.scenario.schedule.kind in {"race", "sample"}


def _one_of_each_first(plans: Sequence[Plan]) -> list[tuple[int, Plan]]:
    """Plans with their places: the first of each scenario file, then the second of each, and so on."""
    seen: Counter[str] = Counter()
    ranks = []
    for place, plan in enumerate(plans):
        ranks.append((seen[plan.scenario.family], place, plan))
        seen[plan.scenario.family] += 1
    return [(place, plan) for _, place, plan in sorted(ranks, key=lambda one: one[:2])]
