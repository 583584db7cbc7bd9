"""From an order that violates to the smallest one, against a model with a defect in place of a server."""

import asyncio
from pathlib import Path

import pytest

from harness.explore.cut import document_of, smaller
from harness.explore.document import scenario_text
from harness.explore.model_line import open_model
from harness.explore.orders import search_orders
from harness.explore.player import Play, in_order, player
from harness.explore.shrink import REPLAYS, CannotShrinkError, Shrunk, shrink
from harness.model import Rules
from harness.scenario import Scenario, ScenarioError
from harness.scenario.loader import load_text

NEEDLESS = """\
format: 1
scenario: crowd
summary: Three dispatchers, much of what they do beside the point.
level: run_auth
requires: [RUN-1, RUN-3]

given:
  containers: {c1: Queued, c2: Queued}
  tokens: {A: shared, B: shared, C: shared}

sessions:
  A:
    - {id: a_look, get: c1}
    - {id: a_lock, lock: c1, expect: [granted, refused]}
    - {id: a_auth, auth: c1, when: a_lock.granted, save: token}
  B:
    - {id: b_other, lock: c2}
    - {id: b_auth, auth: c1, save: token, after: a_lock}
    - {id: b_cancel, update: {container: c2, state: Cancelled}}
  C:
    - {id: c_look, get: c2}

schedule:
  every: {limit: 10000}

outcome:
  never:
    both_live: live(A.token) and live(B.token)
    c2_runs: state(c2) == "Running"
"""


def crowd() -> Scenario:
    (scenario,) = load_text(NEEDLESS, Path("crowd.race.yaml"))
    return scenario


def on_model(*dropped: str) -> Play:
    return player(open_model(Rules("run_auth", dropped=frozenset(dropped))), "run_auth")


def shrunk_without(rule: str) -> Shrunk:
    play = on_model(rule)

    async def whole() -> Shrunk:
        found = await search_orders(crowd(), play)
        assert found.order is not None
        return await shrink(crowd(), found.order, found.broken, in_order(play), in_order(on_model()))

    return asyncio.run(whole())


def test_only_what_violates_is_left() -> None:
    found = shrunk_without("needed_for_auth")
    assert found.replayed == REPLAYS
    left = [step.id for session in found.scenario.sessions for step in session.steps]
    assert sorted(left) in (["a_lock", "b_auth"], ["a_auth", "a_lock", "b_auth"])
    assert len(found.scenario.sessions) <= 2
    assert found.scenario.name == f"found_{min(found.broken)}"
    assert found.scenario.schedule.kind == "order"
    again = asyncio.run(in_order(on_model("needed_for_auth"))(found.scenario))
    assert again.keys() >= found.broken.keys()


def test_nothing_can_be_taken_out_of_the_smallest() -> None:
    found = shrunk_without("needed_for_auth")
    document = document_of(found.scenario, found.scenario.schedule.order, set(found.broken))
    tried = 0
    for candidate in smaller(document):
        try:
            (scenario,) = load_text(scenario_text(candidate), Path("candidate.race.yaml"))
        except ScenarioError:
            continue
        tried += 1
        accuses = asyncio.run(in_order(on_model())(scenario))
        violates = asyncio.run(in_order(on_model("needed_for_auth"))(scenario))
        assert accuses or not violates.keys() & found.broken.keys(), scenario_text(candidate)
    assert tried > 0


def test_the_smallest_does_not_accuse_a_server_that_keeps_the_contract() -> None:
    found = shrunk_without("needed_for_auth")
    assert asyncio.run(in_order(on_model())(found.scenario)) == {}
    (read,) = load_text(found.text, Path("again.race.yaml"))
    assert read.requires == found.scenario.requires


def test_an_order_that_does_not_violate_again_is_not_reported() -> None:
    play = on_model()
    order = tuple((step,) for step in ("a_look", "a_lock", "a_auth", "b_other", "b_auth", "b_cancel", "c_look"))
    with pytest.raises(CannotShrinkError, match="both_live again"):
        asyncio.run(shrink(crowd(), order, {"both_live": "RUN-1"}, in_order(play), None))


def test_faults_go_before_requests() -> None:
    faulty = NEEDLESS.replace("{id: a_look, get: c1}", "{id: a_look, get: c1, fault: {lose: reply}}")
    (scenario,) = load_text(faulty, Path("faulty.race.yaml"))
    order = tuple((step.id,) for session in scenario.sessions for step in session.steps)
    document = document_of(scenario, order, {"both_live"})
    kinds = ["fault" in str(candidate["sessions"]) for candidate in smaller(document)]
    assert not all(kinds)
    first_without = kinds.index(False)
    steps = [sum(len(one) for one in candidate["sessions"].values()) for candidate in smaller(document)]
    fewer = [index for index, count in enumerate(steps) if count == 6 and len(document["sessions"]) == 3]
    assert first_without < fewer[-1]


def test_a_race_keeps_no_expectation_of_an_order() -> None:
    document = document_of(crowd(), None, {"c2_runs"})
    assert document["schedule"] == {"race": {"runs": 200}}
    assert document["outcome"]["never"] == {"c2_runs": 'state(c2) == "Running"'}
    expected = {str(step["expect"]) for steps in document["sessions"].values() for step in steps}
    assert expected == {"['granted', 'refused', 'forbidden', 'unauthenticated', 'missing']"}
