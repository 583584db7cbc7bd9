"""Orders: every one that a scenario allows, none that it forbids, counted without being built."""

import itertools
import math
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plan import Orders, count_orders
from harness.scenario import Scenario, load_text
from harness.scenario.precedence import chains, predecessors


def scenario(steps: dict[str, list[str]], schedule: str = "{every: {limit: 100}}") -> Scenario:
    """A scenario of these sessions; a step is written as "a_one" or "a_one after b_one", "|name" is a barrier."""
    lines = ["format: 1", "scenario: demo", "summary: s", "level: must", "requires: LOCK-1"]
    lines.append(
        f"given: {{containers: {{box: Queued}}, tokens: {{{', '.join(f'{name}: shared' for name in steps)}}}}}"
    )
    lines.append("sessions:")
    for name, ids in steps.items():
        written = []
        for one in ids:
            step, _, after = one.partition(" after ")
            if step.startswith("|"):
                written.append(f"{{barrier: {step[1:]}}}")
            else:
                written.append(f"{{id: {step}, get: box, expect: granted{f', after: [{after}]' if after else ''}}}")
        lines.append(f"  {name}: [{', '.join(written)}]")
    lines.append(f"schedule: {schedule}")
    (found,) = load_text("\n".join(lines) + "\n", Path("x"))
    return found


def allowed(one: Scenario) -> set[tuple[str, ...]]:
    """Every order that keeps all constraints, by trying each permutation."""
    before = predecessors(one)
    steps = [step for chain in chains(one) for step in chain]
    return {
        order
        for order in itertools.permutations(steps)
        if all(order.index(early) < order.index(late) for late in order for early in before[late])
    }


def test_two_sessions_interleave_in_every_way() -> None:
    one = scenario({"A": ["a1", "a2"], "B": ["b1"]})
    assert list(Orders(one).every()) == [("a1", "a2", "b1"), ("a1", "b1", "a2"), ("b1", "a1", "a2")]
    assert count_orders(one) == 3


def test_after_and_before_leave_fewer() -> None:
    one = scenario({"A": ["a1", "a2 after b1"], "B": ["b1"]})
    assert list(Orders(one).every()) == [("a1", "b1", "a2"), ("b1", "a1", "a2")]
    assert count_orders(one) == 2


def test_a_barrier_parts_what_is_before_it_from_what_is_after() -> None:
    one = scenario({"A": ["a1", "|ready", "a2"], "B": ["b1", "|ready", "b2"]})
    assert set(Orders(one).every()) == {
        first + second for first in (("a1", "b1"), ("b1", "a1")) for second in (("a2", "b2"), ("b2", "a2"))
    }


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Up to seven steps, with constraints that one order at least keeps."""
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).filter(lambda lengths: sum(lengths) <= 7))
    sessions = {name: [f"{name.lower()}{index}" for index in range(length)] for name, length in zip("ABC", lengths)}  # noqa: B905
    left = {name: list(ids) for name, ids in sessions.items()}
    done: list[str] = []
    while any(left.values()):  # go through one order; a step may wait for any that is done by then
        name = draw(st.sampled_from([name for name, ids in left.items() if ids]))
        step = left[name].pop(0)
        others = [one for one in done if one[0] != name.lower()]
        if others and draw(st.booleans()):
            sessions[name][sessions[name].index(step)] += f" after {draw(st.sampled_from(others))}"
        done.append(step)
    return scenario(sessions)


@settings(max_examples=60)
@given(scenarios(), st.integers())
def test_orders_agree_with_trying_every_permutation(one: Scenario, seed: int) -> None:
    wanted = allowed(one)
    found = list(Orders(one).every())
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert count_orders(one) == len(wanted)
    assert Orders(one).upper_bound() >= len(wanted)
    assert Orders(one).random(random.Random(seed)) in wanted


def test_counting_builds_no_order() -> None:
    free = scenario({name: [f"{name.lower()}{index}" for index in range(20)] for name in "ABCDEF"})
    assert count_orders(free) == math.factorial(120) // math.factorial(20) ** 6
    ids = {name: [f"{name.lower()}{index}" for index in range(50)] for name in "AB"}
    ids["B"][0] += " after a0"  # half of all orders begin with a0
    assert count_orders(scenario(ids)) == math.comb(100, 50) // 2


def test_what_would_take_too_long_to_count_is_not_counted() -> None:
    ids = {name: [f"{name.lower()}{index}" for index in range(20)] for name in "ABCDEF"}
    ids["B"][0] += " after a0"
    one = scenario(ids)
    assert count_orders(one) is None
    assert Orders(one).upper_bound() == math.factorial(120) // math.factorial(20) ** 6


def test_random_orders_come_as_often_as_one_another() -> None:
    orders, chance = Orders(scenario({"A": ["a1", "a2"], "B": ["b1", "b2"]})), random.Random(1)
    counts: dict[tuple[str, ...], int] = {}
    for _ in range(3000):
        order = orders.random(chance)
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert 400 < min(counts.values()) <= max(counts.values()) < 600
