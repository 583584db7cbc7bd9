"""Races told in sessions: read by the strict reader, as many orders as there should be, clauses that still hold."""

from pathlib import Path

import pytest

from harness.explore.unroll import CannotUnrollError, told_in_sessions
from harness.plan import count_orders
from harness.scenario import Scenario, load, load_all, shipped
from harness.scenario.loader import load_text

CROWD = """\
format: 1
scenario: crowd
summary: A crowd, each with a container of its own, and somebody who looks on.
level: must
requires: [LOCK-1, LOCK-3]
parameters:
  size: [2, 3]
given:
  containers: {c1: Queued, own: Locked}
  tokens: {D: shared, D1: stranger, A: shared}
sessions:
  D1: [{id: look, get: c1}, {barrier: over}]
  A: [{id: a_find, list: {locked_by: me}}]
fleets:
  D:
    count: "${size}"
    steps:
      - {id: lock, lock: c1, expect: [granted, refused], fault: {lose: reply}}
      - {id: mine, unlock: "own[member]", when: lock.granted or lock.refused, retry: {times: 2, if: [indeterminate]}}
      - {id: auth, auth: c1, save: token}
      - {barrier: over}
      - {id: use, use: D.token, when: auth.granted}
schedule:
  race: {runs: 3}
outcome:
  never:
    two: count(D.lock.granted and believes(D, c1)) > 9
  show: [count(live(D.token)), look.status]
"""


def crowd(text: str = CROWD) -> Scenario:
    return load_text(text, Path("crowd.race.yaml"))[0]


def test_members_become_sessions_with_names_of_their_own() -> None:
    told = told_in_sessions(crowd())
    assert [session.name for session in told.sessions] == ["D1", "A", "D_1", "D_2"]
    assert told.tokens == {"D1": "stranger", "A": "shared", "D_1": "shared", "D_2": "shared"}
    assert {container.name for container in told.given} == {"c1", "own1", "own2"}
    assert not told.fleets
    assert told.schedule.kind == "every"
    steps = told.steps()
    assert steps["d_2_mine"].container == "own2"
    assert steps["d_2_mine"].when is not None
    assert steps["d_2_mine"].when.text == "d_2_lock.granted or d_2_lock.refused"
    assert steps["d_2_use"].argument == "D_2.token"
    (clause,) = told.clauses
    assert clause.expression.text == (
        "count(d_1_lock.granted and believes(D_1, c1), d_2_lock.granted and believes(D_2, c1)) > 9"
    )
    assert [one.text for one in told.show] == ["count(live(D_1.token), live(D_2.token))", "look.status"]


def test_every_shipped_race_can_be_told_and_barriers_still_order_it() -> None:
    races = [one for one in load_all([shipped()]) if one.schedule.kind == "race"]
    assert len(races) > 10
    for race in races:
        told = told_in_sessions(race)
        assert told.name == race.family
        assert len(told.clauses) == len(race.clauses)
        assert len(told.sessions) == len(race.sessions) + sum(fleet.count for fleet in race.fleets)
    (crash,) = load(next(shipped().rglob("crash_in_the_crowd.race.yaml")))
    assert count_orders(told_in_sessions(crash)) == 7_484_400  # 12! / 2**6: B comes after all of them


def test_a_scenario_without_fleets_keeps_its_schedule_and_gets_its_parameters() -> None:
    text = """\
format: 1
scenario: steps
summary: One dispatcher, one container, of several priorities.
level: must
requires: [LOCK-1]
parameters:
  priority: [3, 5]
given:
  containers: {c1: {state: Queued, priority: "${priority}"}}
  tokens: {A: shared}
sessions:
  A: [{id: a_lock, lock: c1, expect: granted}, {id: a_look, get: c1}]
schedule:
  order: [a_lock, a_look]
"""
    first, second = load_text(text, Path("steps.race.yaml"))
    told = told_in_sessions(second)
    assert told.given[0].attributes["priority"] == 5
    assert told_in_sessions(first).given[0].attributes["priority"] == 3
    assert told.schedule.kind == "order"
    assert told.schedule.order == (("a_lock",), ("a_look",))


def test_a_crowd_has_a_limit() -> None:
    with pytest.raises(CannotUnrollError, match="has 202 dispatchers"):
        told_in_sessions(crowd(CROWD.replace("[2, 3]", "[200, 3]")))
