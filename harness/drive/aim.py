"""Where to aim the next round: by how much one part of the racers is let go after the other.

A race that needs two requests at the same moment is met by releasing together. One that needs the second request
to fall into a window behind the first is met only at the right distance, which nobody knows beforehand:

    A  release |------[ window ]-------| return
    B                release |---------------------| return       distance 0.5 ms: met
    B  release |---------------------| return                     distance 0: not met

So the aim sweeps a ladder of distances, and the ways to part the racers in two, and then goes where outcomes change:
to places where the same release came out in more than one way, and to their neighbours on the ladder.
"""

import random
from collections import Counter
from collections.abc import Hashable
from itertools import product
from typing import NamedTuple

LADDER_NS = tuple(round(step * 1000) for step in (0, 30, 60, 120, 250, 500, 1000, 2000, 4000, 8000, 16000))
PARTINGS_LIMIT = 6
TOGETHER_SHARE = 0.4  # of the rounds at least go out together: what is nearest finds most


class Shot(NamedTuple):
    """How to release one round."""

    parting: tuple[bool, ...]  # of each racer: whether it goes later
    distance_ns: int

    def offsets_ns(self) -> list[int]:
        """Of each racer, how long after the start it is let go."""
        return [self.distance_ns if later else 0 for later in self.parting]


class Aim:
    """Chooses shots and learns from what came of them; the same seed and outcomes give the same shots.

    `span_ns` is about how long one racer's program takes: at greater distances nothing meets any more.
    """

    def __init__(self, seed: str, racers: int, span_ns: int) -> None:
        self._chance = random.Random(seed)
        together = (False,) * racers
        partings = _partings(racers, self._chance) if racers > 1 else []
        self._ladder = [step for step in LADDER_NS if 0 < step <= span_ns] if partings else []
        self._partings = partings
        self._together = Shot(together, 0)
        self._outcomes: dict[Shot, Counter[Hashable]] = {
            Shot(parting, step): Counter() for parting, step in product(partings, self._ladder)
        }
        self._to_sweep = list(self._outcomes)
        self._chance.shuffle(self._to_sweep)

    def next(self) -> Shot:
        """The shot of the next round."""
        if not self._outcomes or self._chance.random() < TOGETHER_SHARE:
            return self._together
        if self._to_sweep:
            return self._to_sweep.pop()
        shots = list(self._outcomes)
        return self._chance.choices(shots, [self._promise(shot) for shot in shots])[0]

    def learn(self, shot: Shot, outcome: Hashable) -> None:
        """What came of a shot; two outcomes are the same when no clause could tell them apart."""
        if shot in self._outcomes:
            self._outcomes[shot][outcome] += 1

    def _promise(self, shot: Shot) -> float:
        """How much a shot is worth: rare company beside the usual outcome, or a neighbour that comes out otherwise."""
        mine = self._outcomes[shot]
        promise = 1.0 + 4.0 * max(0, len(mine) - 1)
        at = self._ladder.index(shot.distance_ns)
        for step in self._ladder[max(0, at - 1) : at + 2]:
            other = self._outcomes[Shot(shot.parting, step)]
            if mine and other and mine.most_common(1)[0][0] != other.most_common(1)[0][0]:
                promise += 3.0
        return promise


def _partings(racers: int, chance: random.Random) -> list[tuple[bool, ...]]:
    """Ways to part racers in an early and a late part: of two both, of many each alone late, or random halves."""
    alone = [tuple(racer == late for racer in range(racers)) for late in range(racers)]
    if racers <= PARTINGS_LIMIT:
        return alone
    halves = []
    for _ in range(PARTINGS_LIMIT):
        late = set(chance.sample(range(racers), racers // 2))
        halves.append(tuple(racer in late for racer in range(racers)))
    return halves
