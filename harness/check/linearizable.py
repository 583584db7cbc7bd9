"""Whether a history is linearizable: for each container, one order of its operations that the model accepts.

docs/algorithm.md gives the algorithms, why they are right and what they cost.
"""

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from harness.check.linear.collect import collect
from harness.check.linear.container import ContainerHistory
from harness.check.linear.cores import clash, issued_twice
from harness.check.linear.search import DEFAULT_BOUND, search
from harness.check.linear.section import Event, creates
from harness.check.linear.shapes import Shapes, codes_of
from harness.check.linear.spec import Spec, starts_of
from harness.check.linear.sweep import try_orders
from harness.check.linear.timed import Timed
from harness.check.minimise import SMALL_HISTORY, explain, legal_prefix, smallest
from harness.check.verdict import Counterexample, Linearizability
from harness.history import Header, Operation
from harness.model import Rules

EFFORT = 3
"""How often the fast check may go through a history again, all in all, after choices that it takes back."""


MOST_PRIORITIES = 8
"""How many priorities are tried for a container whose creation tells none."""


class ContainerResult(NamedTuple):
    """The verdict on one container; `operations` were judged, `reason` says why a verdict is unknown."""

    run: int
    container: str  # its name in the scenario, else its uuid
    verdict: Linearizability
    operations: int
    counterexample: Counterexample | None = None
    reason: str = ""


@dataclass(frozen=True)
class LinearResult:
    """The verdict on a history, and on each of its containers in order of appearance."""

    verdict: Linearizability
    containers: tuple[ContainerResult, ...]

    @property
    def operations(self) -> int:
        """How many operations were judged."""
        return sum(container.operations for container in self.containers)


def linearize(operations: Iterable[Operation], header: Header, bound: int = DEFAULT_BOUND) -> LinearResult:
    """Judge a whole history at the level of its header. Pure; indices count the operations as they come.

    `operations` may be a stream: each is looked at once, and only what its container needs is kept. `bound` limits
    the general search, in steps of the model per container. Where it is reached the verdict is `unknown`.
    """
    with _no_collection():
        histories, shapes = collect(operations, header)
        judge = _Judge(Rules(header.level, header.max_dispatch_attempts), header.tokens.values(), shapes, bound)
        histories.reverse()
        containers = []
        while histories:  # each is let go while it is at hand, and the collector need not look at it once more
            containers.append(judge.verdict(histories.pop()))
    return LinearResult(_worst(result.verdict for result in containers), tuple(containers))


class _Judge:
    """The model under the rules of one history, and what was worked out about its shapes."""

    def __init__(self, rules: Rules, token_uuids: Iterable[str], shapes: Shapes, bound: int) -> None:
        self._spec = Spec(rules, token_uuids)
        self._shapes = shapes
        self._bound = bound
        self._codes: dict[int, list[int]] = {}  # by the shape of a container's first event
        self._bare = {
            number for number, one in enumerate(shapes.requests) if one.op == "create" and not one.attributes
        }  # shapes of creations that tell no priority

    def verdict(self, history: ContainerHistory) -> ContainerResult:
        """The verdict on a container; one whose creation tells no priority may have had any that explains the rest."""
        bare = next((one for one in history.changes if one[2] in self._bare), None) if self._bare else None
        if bare is None or len(history.events) == 1:
            return self._verdict(history)
        results = []
        possible = self._priorities(history.events)
        for priority in possible[:MOST_PRIORITIES]:
            shape = self._shapes.number(self._shapes.requests[bare[2]]._replace(attributes=(("priority", priority),)))
            results.append(self._verdict(history.with_event(bare, (*bare[:2], shape, *bare[3:]))))
            if results[-1].verdict == "linearizable":
                return results[-1]
        if len(possible) > MOST_PRIORITIES:
            told = f"it was created with a priority that nothing tells, and more than {MOST_PRIORITIES} are possible"
            return self._result(history, "unknown", told=told)
        unknown = next((one for one in results if one.verdict == "unknown"), None)
        return unknown or results[0]._replace(counterexample=_of_all(results))

    def _priorities(self, events: list[Event]) -> list[int]:
        """What a container may have been created with: what was shown of it, and both sides of what a lock asks for."""
        shown = (self._shapes.requests[event[2]].priority for event in events)
        return list(dict.fromkeys([*(one for one in shown if isinstance(one, int)), 1, 0]))

    def _verdict(self, history: ContainerHistory) -> ContainerResult:
        """The fast check first; where it finds no order, what contradicts itself at a glance, then all orders."""
        events = history.in_order()
        codes = self._codes_of(events)
        if len(events) == 1 and not history.unknown and creates(events[0], codes):
            return self._result(history, "linearizable")  # of a long queue, few containers are ever touched
        trial = try_orders(history, codes, self._spec.rules, effort=len(events) // 20 + 1000)
        if trial.found:
            return self._result(history, "linearizable")
        numbers = issued_twice(history, codes) if trial.stuck is None else clash(history, codes)
        if numbers is not None:
            few = None if len(events) <= SMALL_HISTORY else frozenset(numbers)
            counterexample = smallest(self._spec, history.timed(self._shapes, few), numbers)
            return self._result(history, "violated", counterexample)
        if trial.stuck is not None:
            trial = try_orders(history, codes, self._spec.rules, effort=EFFORT * len(events) + 1000)
            if trial.found:
                return self._result(history, "linearizable")
        return self._general(history, history.timed(self._shapes), trial.stuck)

    def _general(self, history: ContainerHistory, timed: list[Timed], stuck_number: int | None) -> ContainerResult:
        """Windows around the operation that stopped the fast check, then the whole history."""
        if stuck_number is not None:
            counterexample = explain(self._spec, timed, _place_of(timed, stuck_number))
            if counterexample is not None:
                return self._result(history, "violated", counterexample)
        found = search(self._spec, timed, starts_of(self._spec.rules, timed), self._bound)
        if found.verdict != "violated":
            return self._result(history, found.verdict)
        prefix, stuck_number = legal_prefix(self._spec, timed, found)
        stuck = len(timed) - 1 if stuck_number is None else _place_of(timed, stuck_number)
        whole = Counterexample(tuple(one.number for one in timed if not one.optional), prefix, stuck_number)
        return self._result(history, "violated", explain(self._spec, timed, stuck) or whole)

    def _result(
        self,
        history: ContainerHistory,
        verdict: Linearizability,
        counterexample: Counterexample | None = None,
        told: str = "",
    ) -> ContainerResult:
        why = told or f"no answer within {self._bound} steps of the model"
        reason = f"{history.name}: {why}" if verdict == "unknown" else ""
        size = len(history.events) + len(history.unknown)
        return ContainerResult(history.run, history.name, verdict, size, counterexample, reason)

    def _codes_of(self, events: list[Event]) -> list[int]:
        """The codes of all shapes for a container whose first event this is."""
        first = events[0][2] if events else -1
        codes = self._codes.get(first)
        if codes is None or len(codes) < len(self._shapes.requests):  # a creation that tells no priority adds shapes
            codes = self._codes[first] = codes_of(self._spec, self._shapes.requests, self._priority(first))
        return codes

    def _priority(self, first: int) -> int:
        """The priority that the container was created with, else 1: a read of another one is not for the fast check."""
        request = self._shapes.requests[first] if first >= 0 else None
        return int(dict(request.attributes).get("priority", 1)) if request and request.op == "create" else 1


def _of_all(results: list[ContainerResult]) -> Counterexample:
    """A counterexample for every priority at once: with the operations of one alone another would explain it."""
    examples = [one.counterexample for one in results if one.counterexample is not None]
    numbers = {number for one in examples for number in one.operations}
    return Counterexample(tuple(sorted(numbers)), examples[0].prefix, examples[0].stuck)


def _place_of(timed: list[Timed], number: int) -> int:
    return next(place for place, one in enumerate(timed) if one.number == number)


def _worst(verdicts: Iterable[Linearizability]) -> Linearizability:
    found = set(verdicts)
    if "violated" in found:
        return "violated"
    return "unknown" if "unknown" in found else "linearizable"


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector, which would walk a million operations again and again and free nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
