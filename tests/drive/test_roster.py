"""Who runs in a race, what each does between barriers, and who must share a process."""

from pathlib import Path

import pytest

from harness.drive.roster import roster, spread
from harness.scenario import Scenario, load_text

HEAD = """
format: 1
scenario: tried
summary: a test
level: must
requires: [LOCK-1]
given:
  containers: {c1: Queued}
  tokens: {A: shared, B: shared}
"""

FLEET_HEAD = HEAD.replace("c1: Queued", "c: Queued").replace("A: shared, B: shared", "D: shared")

FLEET = """
fleets:
  D:
    count: 3
    steps:
      - {barrier: ready}
      - {id: lock, lock: "c[member]"}
      - {id: auth, auth: "c[member]", when: lock.granted, save: token}
      - {barrier: held}
      - {id: use, use: D.token}
      - {id: find, list: {uuid: ["c[member]"]}, expect: granted}
schedule:
  race: {runs: 5}
"""


def scenario(rest: str, head: str = HEAD) -> Scenario:
    return load_text(head.lstrip() + rest, Path("tried.race.yaml"))[0]


def sessions(second: str) -> Scenario:
    steps = f"""
sessions:
  A:
    - {{id: a_lock, lock: c1, expect: [granted, refused]}}
    - {{id: a_auth, auth: c1, save: token}}
  B:
    - {second}
schedule:
  race: {{runs: 5}}
"""
    return scenario(steps)


def test_a_member_has_legs_names_containers_and_tokens_of_its_own() -> None:
    members = roster(scenario(FLEET, FLEET_HEAD))
    assert [member.name for member in members] == ["D[0]", "D[1]", "D[2]"]
    first, second = members[2].legs
    assert [step.id for step in first] == ["D.lock", "D.auth"]
    assert {step.container for step in first} == {"c[2]"}
    use, find = second
    assert use.argument == "D[2].token"
    assert find.argument["uuid"] == ("c[2]",)


def test_members_are_dealt_to_processes_by_turns() -> None:
    fleet = scenario(FLEET, FLEET_HEAD)
    assert spread(fleet, roster(fleet), 2) == [[0, 2], [1]]
    assert spread(fleet, roster(fleet), 5) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("second", "places"),
    [
        ("{id: b_lock, lock: c1}", [[0], [1]]),
        ("{id: b_lock, lock: c1, after: a_lock}", [[0, 1]]),
        ("{id: b_lock, lock: c1, before: a_auth}", [[0, 1]]),
        ("{id: b_use, use: A.token}", [[0, 1]]),
        ("{id: b_lock, lock: c1, when: a_lock.refused}", [[0, 1]]),
    ],
)
def test_dispatchers_that_must_know_of_each_other_share_a_process(second: str, places: list[list[int]]) -> None:
    one = sessions(second)
    assert spread(one, roster(one), 2) == places
