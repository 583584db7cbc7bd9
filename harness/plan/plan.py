"""From a scenario and a seed to what a run does, in order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from harness.plan.orders import Orders
from harness.scenario import Scenario
from harness.scenario.diagnostics import Diagnostic, ScenarioError
from harness.scenario.precedence import predecessors

Order = tuple[tuple[str, ...], ...]
"""Groups of step ids; a group of one is finished before the next begins, a larger one is sent together."""


GROUP_RUNS = 5
"""How often an order is run that sends a group together: a race does not come out the same every time."""


@dataclass(frozen=True)
class Plan:
    """What one run of a scenario does: its orders one after the other, or `race_runs` races without any order."""

    scenario: Scenario
    orders: tuple[Order, ...]
    seed: int
    race_runs: int = 0

    @property
    def runs(self) -> int:
        """How often fresh containers are made and the steps are run."""
        return len(self.orders) or self.race_runs


def make_plan(scenario: Scenario, seed: int, runs: int | None = None) -> Plan:
    """The plan of a scenario's schedule; the same seed gives the same plan.

    `runs` takes the place of the number of a `sample` or `race`, and repeats an `order` so often: without it once, or
    GROUP_RUNS times where a group is sent together. `every` runs each order once whatever it is. Raises ScenarioError
    when `every` allows more orders than its limit.
    """
    schedule = scenario.schedule
    match schedule.kind:
        case "order":
            usual = GROUP_RUNS if any(len(group) > 1 for group in schedule.order) else 1
            return Plan(scenario, (schedule.order,) * (runs or usual), seed)
        case "every":
            return Plan(scenario, _every(scenario), seed)
        case "sample":
            chance = random.Random(f"{seed}:{scenario.name}")
            orders = Orders(scenario)
            return Plan(scenario, tuple(_alone(orders.random(chance)) for _ in range(runs or schedule.runs)), seed)
        case "race":
            return Plan(scenario, (), seed, race_runs=runs or schedule.runs)


def with_order(scenario: Scenario, order: Order, seed: int = 0, runs: int = 1) -> Plan:
    """The plan that runs one given order `runs` times.

    Raises ValueError when the order does not name each step of the scenario once, in an order that it allows.
    """
    before = predecessors(scenario)
    done: set[str] = set()
    for group in order:
        for step in group:
            if step not in before:
                raise ValueError(f'{scenario.name} has no step "{step}" that an order could place')
            if step in done or group.count(step) > 1:
                raise ValueError(f'the order names "{step}" twice')
            if waiting := before[step] - done:
                raise ValueError(f'"{step}" must come after {", ".join(sorted(waiting))}')
        done.update(group)
    if missing := before.keys() - done:
        raise ValueError(f"the order leaves out {', '.join(sorted(missing))}")
    return Plan(scenario, (order,) * runs, seed)


def count_orders(scenario: Scenario) -> int | None:
    """How many orders a scenario allows; None where even counting would take too long."""
    return Orders(scenario).count()


def _every(scenario: Scenario) -> tuple[Order, ...]:
    orders = Orders(scenario)
    number, limit = orders.count(), scenario.schedule.limit
    if number is None or number > limit:
        told = f"{number:,}" if number is not None else f"up to {orders.upper_bound():,}"
        raise ScenarioError(
            [
                Diagnostic(
                    scenario.path,
                    scenario.schedule.mark,
                    f"{told} orders are possible, more than the limit of {limit:,}; raise the limit, "
                    "order steps with after and before, or take sample: {runs: 200}",
                    source=scenario.text.splitlines()[scenario.schedule.mark.line - 1],
                )
            ]
        )
    return tuple(_alone(order) for order in islice(orders.every(), limit))


def _alone(steps: Sequence[str]) -> Order:
    return tuple((step,) for step in steps)
