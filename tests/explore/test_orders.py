"""Orders on a target: each class once, resumable, within a budget; and every order of sessions as states."""

import asyncio
import itertools
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.explore import orders as orders_module
from harness.explore.model_line import open_model
from harness.explore.orders import OrderSearch, search_orders
from harness.explore.player import Play, Played, player
from harness.explore.sessions import search_sessions
from harness.explore.traces import traces
from harness.model import Rules
from harness.plan import Order, Orders
from harness.scenario import Scenario
from tests.explore.places import stolen_lock

MUST = Rules("must")


def on_model(rules: Rules = MUST) -> Play:
    return player(open_model(rules), rules.level)


def counted(play: Play) -> tuple[Play, list[Order]]:
    """A way to play that remembers what was played."""
    seen: list[Order] = []

    async def remembering(scenario: Scenario, order: Order) -> Played:
        seen.append(order)
        return await play(scenario, order)

    return remembering, seen


def swaps(order: tuple[str, ...], independent: dict[str, frozenset[str]]) -> set[tuple[str, ...]]:
    """Every order that swapping independent neighbours makes of one, by following all swaps."""
    found, waiting = {order}, [order]
    while waiting:
        one = waiting.pop()
        for index, (first, second) in enumerate(itertools.pairwise(one)):
            if second in independent[first]:
                swapped = (*one[:index], second, first, *one[index + 2 :])
                if swapped not in found:
                    found.add(swapped)
                    waiting.append(swapped)
    return found


def test_each_class_of_orders_is_visited_once_and_none_is_missed() -> None:
    scenario = stolen_lock(known=True)
    all_traces = traces(scenario)
    every = set(Orders(scenario).every())
    chosen = list(all_traces.every())
    classes = {frozenset(swaps(order, all_traces.independent)) for order in every}
    assert len(every) == 20
    assert len(chosen) == len(classes) < len(every)
    assert {frozenset(swaps(order, all_traces.independent)) for order in chosen} == classes


def test_the_normal_form_tells_classes_apart() -> None:
    all_traces = traces(stolen_lock(known=True))
    every = list(Orders(stolen_lock(known=True)).every())
    by_form: dict[Sequence[str], set[tuple[str, ...]]] = {}
    for order in every:
        by_form.setdefault(all_traces.normal_form(order), set()).add(order)
    for orders in by_form.values():
        assert orders == swaps(min(orders), all_traces.independent)


@pytest.mark.parametrize("level", ["must", "run_auth"])
def test_orders_of_one_class_come_to_the_same(level: str) -> None:
    scenario, rules = stolen_lock(known=True), Rules(level)  # type: ignore[arg-type]
    all_traces = traces(scenario)

    async def row(order: tuple[str, ...]) -> tuple[str, ...]:
        return (await on_model(rules)(scenario, tuple((step,) for step in order))).row()

    for order in Orders(scenario).every():
        rows = {asyncio.run(row(other)) for other in swaps(order, all_traces.independent)}
        assert len(rows) == 1


def test_states_give_the_outcomes_that_all_orders_give() -> None:
    for known, rules in itertools.product((True,), (MUST, Rules("run_auth"))):
        scenario = stolen_lock(known=known)
        by_states = asyncio.run(search_sessions(scenario, rules))
        by_orders = asyncio.run(search_orders(scenario, on_model(rules)))
        assert by_states.complete
        assert by_orders.complete
        assert by_states.rows.keys() == by_orders.rows.keys()
        assert by_states.orders == by_orders.orders == 20
        assert (by_states.known > 0) == (by_orders.known > 0) == (rules is MUST)
        assert by_orders.classes is not None
        assert by_states.ends < 20


def test_a_violation_ends_the_search_and_names_its_order() -> None:
    scenario = stolen_lock(known=False)
    for found in (
        asyncio.run(search_sessions(scenario, MUST)),
        asyncio.run(search_orders(scenario, on_model())),
    ):
        assert found.broken.keys() == {"both_hold"}
        assert found.order is not None
        again = asyncio.run(on_model()(scenario, found.order))
        assert again.broken == found.broken
    assert asyncio.run(search_sessions(scenario, Rules("run_auth"))).complete


def test_a_search_goes_on_where_it_stopped(tmp_path: Path) -> None:
    scenario, memory = stolen_lock(known=True), tmp_path / "kept" / "hunt.json"
    play, seen = counted(on_model())
    whole = asyncio.run(search_orders(scenario, play, seed=5))
    every = list(seen)
    seen.clear()
    calls = 0
    found = OrderSearch(None, None)
    while not found.complete:
        found = asyncio.run(search_orders(scenario, play, seed=5, memory=memory, memory_key="t", most=3))
        calls += 1
        assert calls < 20
    assert seen == every
    assert len(set(seen)) == whole.played == whole.classes
    assert found.rows == whole.rows
    assert (found.known, found.resumed) == (whole.known, 3 * (calls - 1))


def test_a_search_that_came_to_its_end_is_no_proof_of_tomorrow(tmp_path: Path) -> None:
    scenario, memory = stolen_lock(known=True), tmp_path / "hunt.json"
    play, seen = counted(on_model())
    for _ in range(2):
        seen.clear()
        found = asyncio.run(search_orders(scenario, play, memory=memory))
        assert (found.complete, found.resumed, len(seen)) == (True, 0, found.classes)


@pytest.mark.parametrize("text", ["", "{", '{"key": 1}', '{"key": "other", "played": 3}', "[]"])
def test_a_memory_of_something_else_is_no_memory(text: str, tmp_path: Path) -> None:
    memory = tmp_path / "hunt.json"
    memory.write_text(text)
    found = asyncio.run(search_orders(stolen_lock(known=True), on_model(), memory=memory, most=1))
    assert (found.resumed, found.played) == (0, 1)


def test_another_seed_is_another_sequence_of_the_same_classes(tmp_path: Path) -> None:
    play, seen = counted(on_model())
    sequences = []
    for seed in (1, 1, 2):
        asyncio.run(search_orders(stolen_lock(known=True), play, seed=seed))
        sequences.append(tuple(seen))
        seen.clear()
    assert sequences[0] == sequences[1] != sequences[2]
    assert set(sequences[0]) == set(sequences[2])


def test_too_many_classes_are_drawn_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "LISTED", 3)
    scenario = stolen_lock(known=True)
    play, seen = counted(on_model())
    found = asyncio.run(search_orders(scenario, play, most=30))
    assert found.classes is None
    assert not found.complete
    forms = [traces(scenario).normal_form([step for (step,) in order]) for order in seen]
    assert len(forms) == len(set(forms)) > 3


def test_what_a_scenario_expects_in_its_one_order_is_not_demanded_of_others() -> None:
    order = "order: [a_lock, a_auth, a_look, b_unlock, b_lock, b_auth]"
    scenario = stolen_lock(known=True, schedule=order)
    found = asyncio.run(search_orders(scenario, on_model()))
    assert found.complete
    assert not found.broken


def test_the_same_order_gives_the_same_history_a_hundred_times() -> None:
    scenario = stolen_lock(known=True)
    chance = random.Random(3)
    order = tuple((step,) for step in Orders(scenario).random(chance))
    outcomes = set()
    for _ in range(100):
        played = asyncio.run(on_model()(scenario, order))
        outcomes.add(tuple((one.step, one.outcome, one.phase) for one in played.history.operations))
    assert len(outcomes) == 1
