"""What can be judged only of a whole scenario: orders, what waits for what, crowds and parameters."""

from pathlib import Path

import pytest

from harness.scenario import Diagnostic, Scenario, ScenarioError, load_text


def one(text: str) -> Scenario:
    (scenario,) = load_text(text, Path("demo.race.yaml"))
    return scenario


def faults(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ScenarioError) as caught:
        load_text(text, Path("x"))
    return caught.value.diagnostics


def told(text: str) -> list[str]:
    return [fault.message for fault in faults(text)]


def pointed(text: str, message: str) -> tuple[str, str | None]:
    """The first characters that the fault with this message points at, and the name it takes for meant."""
    found = [fault for fault in faults(text) if fault.message.startswith(message)]
    assert found, told(text)
    mark = found[0].mark
    return text.splitlines()[mark.line - 1][mark.column - 1 :][:12], found[0].near


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ("[a_lock, b_lock, a_auth]", None),
        ("[[a_lock, b_lock], a_auth]", None),
        ("[a_lock, a_auth]", "the order leaves out b_lock"),
        ("[a_auth, a_lock, b_lock]", 'the order has "a_auth" before a_lock, which must be done first'),
        ("[[a_lock, a_auth], b_lock]", 'the order has "a_auth" before a_lock, which must be done first'),
        ("[a_lock, b_lock, a_auth, b_lock]", 'the order names "b_lock" twice'),
        ("[a_lock, b_lok, a_auth]", 'the step "b_lok" of the order is unknown'),
        ("[a_lock, B_ready, b_lock, a_auth]", 'the step "B_ready" of the order is a barrier, which no order names'),
        ("[a_lock, [b_lock], a_auth]", "an inner list is sent together; it needs two steps or more"),
        ("{a_lock: 1}", "order must be a list"),
    ],
)
def test_an_order_names_every_step_once_and_breaks_no_other_order(order: str, fault: str | None) -> None:
    text = f"""\
format: 1
scenario: demo
summary: s
level: must
requires: LOCK-2
given: {{containers: {{c1: Queued}}, tokens: {{A: shared, B: shared}}}}
sessions:
  A: [{{id: a_lock, lock: c1, expect: granted}}, {{id: a_auth, auth: c1}}]
  B: [{{barrier: ready}}, {{id: b_lock, lock: c1}}]
schedule: {{order: {order}}}
"""
    if fault is None:
        assert one(text).schedule.order
    else:
        assert any(fault in message for message in told(text))


def test_a_when_may_not_ask_for_what_the_order_has_later() -> None:
    text = """\
format: 1
scenario: demo
summary: s
level: must
requires: LOCK-2
given: {containers: {c1: Queued}, tokens: {A: shared, B: shared}}
sessions:
  A: [{id: a_lock, lock: c1, when: b_lock.refused, expect: granted}]
  B: [{id: b_lock, lock: c1}]
schedule: {order: [[a_lock, b_lock]]}
"""
    assert any("`when` asks for b_lock, which the order has later" in message for message in told(text))
    assert one(text.replace("[[a_lock, b_lock]]", "[b_lock, a_lock]")).schedule.order == (("b_lock",), ("a_lock",))


def test_steps_that_wait_for_one_another_are_told() -> None:
    text = """\
format: 1
scenario: demo
summary: s
level: must
requires: LOCK-2
given: {containers: {c1: Queued}, tokens: {A: shared, B: shared}}
sessions:
  A: [{id: a_one, lock: c1, after: b_two, expect: granted}, {id: a_two, get: c1}]
  B: [{id: b_one, lock: c1, after: a_two}, {id: b_two, get: c1}]
schedule: {every: {limit: 10}}
"""
    assert "wait for one another for ever: a_one, a_two, b_one, b_two" in told(text)[0]


def test_a_scenario_that_judges_nothing_is_told() -> None:
    text = """\
format: 1
scenario: demo
summary: s
level: must
requires: LOCK-2
given: {containers: {c1: Queued}, tokens: {A: shared}}
sessions: {A: [{id: a_lock, lock: c1}]}
schedule: {every: {limit: 10}}
"""
    assert "the scenario judges nothing" in told(text)[0]


CROWD = """\
format: 1
scenario: crowd
summary: s
level: must
requires: LOCK-3
parameters: {size: [2, 10], token: [shared, stranger]}
given: {containers: {c1: Queued, own: Queued}, tokens: {D: "${token}"}}
fleets:
  D:
    count: "${size}"
    steps:
      - {barrier: ready}
      - {id: lock, lock: c1, expect: [granted, refused]}
      - {id: mine, lock: "own[member]", when: lock.granted}
schedule: {race: {runs: 5}}
outcome: {always: {a_winner: count(D.lock.granted) == 1}}
"""


def test_parameters_make_an_instance_for_each_combination() -> None:
    scenarios = load_text(CROWD, Path("x"))
    assert [scenario.name for scenario in scenarios] == [
        "crowd[size=2,token=shared]",
        "crowd[size=2,token=stranger]",
        "crowd[size=10,token=shared]",
        "crowd[size=10,token=stranger]",
    ]
    assert {scenario.family for scenario in scenarios} == {"crowd"}
    assert scenarios[3].parameters == {"size": 10, "token": "stranger"}
    assert (scenarios[3].fleets[0].count, scenarios[3].fleets[0].token) == (10, "stranger")


def test_members_of_a_fleet_have_containers_of_their_own() -> None:
    scenario = load_text(CROWD, Path("x"))[0]
    assert [(given.name, given.each) for given in scenario.given] == [("c1", None), ("own", "D")]
    assert scenario.steps()["D.mine"].container == "own[member]"
    assert scenario.steps()["D.ready"].verb == "barrier"


@pytest.mark.parametrize(
    ("old", "new", "at", "message", "near"),
    [
        ('"${size}"', '"${siz}"', '"${siz}"', 'no parameter is called "siz"', "size"),
        ('"${size}"', '"${size}0"', '"${size}0"', 'a parameter stands for a whole scalar, as in count: "${size}', None),
        ('"${size}"', "5", "parameters: ", 'the parameter "size" is used nowhere; a scalar "${size}" sta', None),
        ("[2, 10]", "[2, 2]", "2], token: [", "2 stands here twice", None),
        ("[2, 10]", "[]", "[], token: [", "the parameter size has no values", None),
        ("[2, 10]", '["a:b"]', '"a:b"], toke', "a parameter's text is at most 40 letters, digits, or _ . -", None),
        ("[2, 10]", "[20000]", '"${size}"', "count must be a whole number from 1 to 10,000", None),
        (
            "[2, 10]",
            f"[{', '.join(str(number) for number in range(1, 300))}]",
            "parameters: ",
            "598 combinations; at most 500 are allowed",
            None,
        ),
        (
            "{race: {runs: 5}}",
            "{every: {limit: 5}}",
            "every: {limi",
            "a fleet has no order; its schedule is race: {runs: 200}",
            None,
        ),
        (
            "count(D.lock.granted) == 1",
            "D.lock.granted",
            "D.lock.grant",
            "D is a fleet; say of how many with count(...)",
            None,
        ),
        ("id: mine", "id: raise", "{id: raise, ", '"raise" is a word of expressions', None),
        ("id: mine", "id: lock", "{id: lock, l", '"lock" names another step of D too', None),
        (
            "when: lock.granted",
            "when: mine.granted",
            "{id: mine, l",
            '`when` asks for "D.mine", which is not done before this step',
            None,
        ),
        (
            "    steps:",
            "    policy: careful\n    steps:",
            "steps:",
            "a fleet with a policy has no steps; the policy says what it ",
            None,
        ),
        (
            "    steps:",
            "    policy: carefull\n    steps:",
            "carefull",
            "policy must be careful, adopting, impatient or double_unlock",
            "careful",
        ),
    ],
)
def test_faults_of_crowds(old: str, new: str, at: str, message: str, near: str | None) -> None:
    assert pointed(CROWD.replace(old, new), message) == (at, near)
