"""Plans: what each schedule becomes, and one order again."""

from pathlib import Path

import pytest

from harness.plan import make_plan, with_order
from harness.plan.plan import GROUP_RUNS
from harness.scenario import Scenario, ScenarioError, load_text

TEXT = """\
format: 1
scenario: demo
summary: s
level: must
requires: LOCK-1
given: {containers: {box: Queued}, tokens: {A: shared, B: shared}}
sessions:
  A: [{id: a1, get: box, expect: granted}, {id: a2, get: box}]
  B: [{id: b1, get: box}, {id: b2, get: box, after: a1}]
"""


def scenario(schedule: str) -> Scenario:
    (found,) = load_text(f"{TEXT}schedule: {schedule}\n", Path("demo.race.yaml"))
    return found


def test_an_order_is_run_once_or_as_often_as_asked() -> None:
    one = scenario("{order: [a1, b1, a2, b2]}")
    assert make_plan(one, seed=1).orders == ((("a1",), ("b1",), ("a2",), ("b2",)),)
    assert make_plan(one, seed=1, runs=3).orders == make_plan(one, seed=1).orders * 3


def test_an_order_that_sends_a_group_is_a_race_and_runs_more_than_once() -> None:
    one = scenario("{order: [[a1, b1], a2, b2]}")
    assert make_plan(one, seed=1).orders == ((("a1", "b1"), ("a2",), ("b2",)),) * GROUP_RUNS
    assert make_plan(one, seed=1, runs=3).runs == 3


def test_every_runs_each_order_once() -> None:
    plan = make_plan(scenario("{every: {limit: 5}}"), seed=1, runs=99)
    assert plan.runs == len(set(plan.orders)) == 5
    assert plan.orders[0] == (("a1",), ("a2",), ("b1",), ("b2",))
    assert plan.race_runs == 0


def test_more_orders_than_the_limit_are_refused_with_their_number() -> None:
    with pytest.raises(ScenarioError) as caught:
        make_plan(scenario("{every: {limit: 4}}"), seed=1)
    assert str(caught.value).startswith("demo.race.yaml:10:12: 5 orders are possible, more than the limit of 4; raise")
    assert str(caught.value).endswith("    schedule: {every: {limit: 4}}\n               ^")


def test_a_number_that_cannot_be_counted_is_told_as_a_bound() -> None:
    sessions = "\n".join(
        f"  {name}: [{', '.join(f'{{id: {name.lower()}{i}, get: box, expect: granted}}' for i in range(20))}]"
        for name in "ABCDEF"
    )
    text = TEXT[: TEXT.index("sessions:")].replace("B: shared", ", ".join(f"{name}: shared" for name in "BCDEF"))
    text += (
        f"sessions:\n{sessions}\nnemesis: [{{id: n, restart: server, after: a1}}]\nschedule: {{every: {{limit: 9}}}}\n"
    )
    (one,) = load_text(text, Path("x"))
    with pytest.raises(ScenarioError, match=r"up to [0-9,]{80,} orders are possible, more than the limit of 9"):
        make_plan(one, seed=1)


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    one = scenario("{sample: {runs: 20}}")
    assert make_plan(one, seed=7) == make_plan(one, seed=7)
    assert make_plan(one, seed=7).orders != make_plan(one, seed=8).orders
    assert make_plan(one, seed=7).runs == 20
    assert make_plan(one, seed=7, runs=5).orders == make_plan(one, seed=7).orders[:5]


def test_a_race_has_runs_and_no_order() -> None:
    one = scenario("{race: {runs: 20}}")
    assert (make_plan(one, seed=1).orders, make_plan(one, seed=1).race_runs, make_plan(one, seed=1).runs) == (
        (),
        20,
        20,
    )
    assert make_plan(one, seed=1, runs=3).race_runs == 3


def test_one_order_again() -> None:
    one = scenario("{every: {limit: 5}}")
    order = (("a1",), ("b1", "a2"), ("b2",))
    assert with_order(one, order, seed=4, runs=2).orders == (order, order)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ((("a1",), ("x",)), 'demo has no step "x" that an order could place'),
        ((("a1",), ("a1",)), 'the order names "a1" twice'),
        ((("a1", "a2"), ("b1",), ("b2",)), '"a2" must come after a1'),
        ((("b1",), ("b2",), ("a1",), ("a2",)), '"b2" must come after a1'),
        ((("a1",), ("a2",)), "the order leaves out b1, b2"),
    ],
)
def test_an_order_that_cannot_be_is_refused(order: tuple[tuple[str, ...], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_order(scenario("{every: {limit: 5}}"), order)
