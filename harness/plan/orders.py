"""All orders that a scenario allows, their number, and random ones.

An order is a path through the lattice of how far each chain (session) has come:

    A: a_lock a_auth          (0,0) -> (1,0) -> (2,0)
    B: b_unlock                 |        |        |
                              (0,1) -> (1,1) -> (2,1)

A step is open at a position when its chain has come to it and every step that must come before it is done. The number
of orders is the number of paths: one sum for each position, or a formula where the chains do not touch; no order is
built to count them.
"""

import math
import random
from collections.abc import Iterator

from harness.scenario import Scenario
from harness.scenario.precedence import Chains, chains, predecessors

MAX_POSITIONS = 300_000
"""Beyond so many positions orders are not counted exactly; they are far too many to run anyway."""

Position = tuple[int, ...]


class Orders:
    """The orders that one scenario allows."""

    def __init__(self, scenario: Scenario) -> None:
        self.chains: Chains = chains(scenario)
        self._open = _OpenSteps(self.chains, predecessors(scenario))

    def upper_bound(self) -> int:
        """How many orders there would be if the chains did not touch: exact where they do not."""
        lengths = [len(chain) for chain in self.chains]
        return math.factorial(sum(lengths)) // math.prod(math.factorial(length) for length in lengths)

    def count(self) -> int | None:
        """How many orders there are; None where even counting them would take too long."""
        if not self._open.chains_touch:
            return self.upper_bound()
        if math.prod(len(chain) + 1 for chain in self.chains) > MAX_POSITIONS:
            return None
        ways: dict[Position, int] = {tuple(0 for _ in self.chains): 1}
        for _ in range(sum(len(chain) for chain in self.chains)):
            following: dict[Position, int] = {}
            for position, number in ways.items():
                for chain in self._open.at(position):
                    after = _advanced(position, chain)
                    following[after] = following.get(after, 0) + number
            ways = following
        return sum(ways.values())

    def every(self) -> Iterator[tuple[str, ...]]:
        """Each order once, as step ids; the first session goes first."""
        start = tuple(0 for _ in self.chains)
        length = sum(len(chain) for chain in self.chains)
        taken: list[str] = []
        stack = [(start, iter(self._open.at(start)))]
        while stack:
            position, choices = stack[-1]
            chain = next(choices, None)
            if chain is None:
                stack.pop()
                if taken:
                    taken.pop()
                continue
            taken.append(self.chains[chain][position[chain]])
            if len(taken) == length:
                yield tuple(taken)
                taken.pop()
                continue
            after = _advanced(position, chain)
            stack.append((after, iter(self._open.at(after))))

    def random(self, chance: random.Random) -> tuple[str, ...]:
        """One order by chance; each as likely as any other where the chains do not touch."""
        position = tuple(0 for _ in self.chains)
        taken = []
        while choices := self._open.at(position):
            left = [len(self.chains[chain]) - position[chain] for chain in choices]
            chain = chance.choices(choices, left)[0]
            taken.append(self.chains[chain][position[chain]])
            position = _advanced(position, chain)
        return tuple(taken)


class _OpenSteps:
    """Which chains may take their next step at a position."""

    def __init__(self, all_chains: Chains, before: dict[str, frozenset[str]]) -> None:
        place = {step: (chain, index) for chain, steps in enumerate(all_chains) for index, step in enumerate(steps)}
        self._lengths = [len(steps) for steps in all_chains]
        self._needs = [
            [[place[other] for other in before[step] if place[other][0] != chain] for step in steps]
            for chain, steps in enumerate(all_chains)
        ]
        self.chains_touch = any(needs for steps in self._needs for needs in steps)

    def at(self, position: Position) -> list[int]:
        return [
            chain
            for chain, length in enumerate(self._lengths)
            if position[chain] < length
            and all(position[other] > index for other, index in self._needs[chain][position[chain]])
        ]


def _advanced(position: Position, chain: int) -> Position:
    return (*position[:chain], position[chain] + 1, *position[chain + 1 :])
