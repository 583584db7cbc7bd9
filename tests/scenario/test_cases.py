"""Cases: what a row becomes, and the faults of rows."""

from pathlib import Path
from typing import Any

import pytest

from harness.scenario import Scenario, ScenarioError, load_text

HEAD = """\
format: 1
scenario: table
summary: s
level: must
requires: [LOCK-2]
cases:
"""


def rows(*texts: str) -> tuple[Scenario, ...]:
    return load_text(HEAD + "".join(f"  - {text}\n" for text in texts), Path("x"))


class Seen:
    """A world of two steps: what was answered, and what the container looked like afterwards."""

    def __init__(self, outcome: str, **fields: Any) -> None:
        self.answer, self.fields = outcome, fields

    def outcome(self, step: str) -> str | None:
        return {"call": self.answer, "look": "granted"}[step]

    def field(self, step: str, name: str) -> Any:
        assert step == "look"
        return self.fields.get(name)

    def session_token_uuid(self, session: str) -> str | None:
        return {"Watcher": "gj3su-shared", "Caller": "gj3su-caller"}[session]


def broken(scenario: Scenario, seen: Seen) -> list[str]:
    """Names of the clauses that do not hold."""
    assert {clause.kind for clause in scenario.clauses} <= {"always"}
    return [clause.name for clause in scenario.clauses if not clause.expression.evaluate(seen)]  # type: ignore[arg-type]


def test_a_row_becomes_two_sessions_in_one_order() -> None:
    (scenario,) = rows("{given: Locked, by: stranger, call: lock, expect: refused, then: Locked}")
    assert scenario.name == "table[Locked-stranger-lock]"
    assert scenario.family == "table"
    assert scenario.tokens == {"Caller": "stranger", "Watcher": "shared"}
    assert scenario.schedule.order == (("call",), ("look",))
    call, look = scenario.steps()["call"], scenario.steps()["look"]
    assert (call.verb, call.container, call.expect) == ("lock", "c1", ("refused",))
    assert (look.verb, look.container, look.expect) == ("get", "c1", ("granted",))
    assert [(one.name, one.state) for one in scenario.given] == [("c1", "Locked")]
    assert scenario.mark.line == 7


def test_an_update_is_a_call_too() -> None:
    (scenario,) = rows(
        "{given: Queued, by: shared, call: {update: {state: Locked, priority: 3}}, expect: granted, then: Locked}"
    )
    assert scenario.name == "table[Queued-shared-update-Locked-priority]"
    assert scenario.steps()["call"].argument == {"state": "Locked", "priority": 3}


def test_the_state_afterwards_is_a_clause() -> None:
    (scenario,) = rows("{given: Queued, by: shared, call: lock, expect: granted, then: Locked}")
    assert broken(scenario, Seen("granted", state="Locked")) == []
    assert broken(scenario, Seen("granted", state="Queued")) == ["then"]
    assert broken(scenario, Seen("granted")) == ["then"]


def test_the_state_may_depend_on_the_answer() -> None:
    (scenario,) = rows(
        "{given: Complete, by: shared, call: {update: {state: Cancelled}}, expect: [granted, refused], "
        "then: {granted: Cancelled, otherwise: Complete}}"
    )
    assert broken(scenario, Seen("granted", state="Cancelled")) == []
    assert broken(scenario, Seen("refused", state="Complete")) == []
    assert broken(scenario, Seen("granted", state="Complete")) == ["then_granted"]
    assert broken(scenario, Seen("refused", state="Cancelled")) == ["then_otherwise"]


@pytest.mark.parametrize(
    ("wanted", "good", "bad"),
    [
        ("null", None, "gj3su-shared"),
        ("issued", "gj3su-any", None),
        ("shared", "gj3su-shared", "gj3su-caller"),
        ("stranger", "gj3su-caller", "gj3su-shared"),
    ],
)
def test_fields_afterwards(wanted: str, good: str | None, bad: str | None) -> None:
    (scenario,) = rows(
        "{given: Queued, by: stranger, call: lock, expect: granted, then: Locked, "
        f"fields: {{locked_by_uuid: {wanted}}}}}"
    )
    assert broken(scenario, Seen("granted", state="Locked", locked_by_uuid=good)) == []
    assert broken(scenario, Seen("granted", state="Locked", locked_by_uuid=bad)) == ["locked_by_uuid"]


def test_fields_may_be_numbers_and_depend_on_the_answer() -> None:
    (scenario,) = rows(
        "{given: {state: Queued, priority: 0}, by: shared, call: lock, expect: [granted, refused], "
        "then: {otherwise: Queued}, "
        "fields: {granted: {auth_uuid: issued}, otherwise: {priority: 0, auth_uuid: null}}}"
    )
    assert scenario.name == "table[Queued-priority-0-shared-lock]"
    assert broken(scenario, Seen("refused", state="Queued", priority=0)) == []
    assert broken(scenario, Seen("refused", state="Queued", priority=1, auth_uuid="x")) == [
        "priority_otherwise",
        "auth_uuid_otherwise",
    ]
    assert broken(scenario, Seen("granted", state="Locked")) == ["auth_uuid_granted"]


def test_a_container_that_does_not_exist_is_only_called() -> None:
    (scenario,) = rows("{given: {uuid: malformed}, by: none, call: get, expect: unauthenticated}")
    assert scenario.name == "table[malformed-none-get]"
    assert scenario.given[0].uuid == "malformed"
    assert [session.name for session in scenario.sessions] == ["Caller"]
    assert scenario.schedule.order == (("call",),)
    assert scenario.clauses == ()


def test_a_row_may_have_a_name_and_requirements_of_its_own() -> None:
    (scenario,) = rows(
        "{name: twice, given: Locked, by: shared, call: lock, expect: refused, then: Locked, "
        "requires: [LOCK-1, STATE-1]}"
    )
    assert (scenario.name, scenario.requires) == ("table[twice]", ("LOCK-1", "STATE-1"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{by: shared, call: lock, expect: granted, then: Locked}", 'a case needs the key "given"'),
        ("{given: Queued, call: lock, expect: granted, then: Locked}", 'a case needs the key "by"'),
        ("{given: Queued, by: shared, expect: granted, then: Locked}", 'a case needs the key "call"'),
        ("{given: Queued, by: shared, call: lock, then: Locked}", 'a case needs the key "expect"'),
        ("{given: Queued, by: shared, call: lock, expect: granted}", 'a case needs the key "then"'),
        (
            "{given: Queued, by: me, call: lock, expect: granted, then: Locked}",
            "by must be shared, stranger, none or bogus",
        ),
        (
            "{given: Queued, by: shared, call: use, expect: granted, then: Locked}",
            "a call must be lock, unlock, auth or get, not use",
        ),
        (
            "{given: Queued, by: shared, call: {updat: {state: Locked}}, expect: granted, then: Locked}",
            'a call has no key "updat"',
        ),
        (
            "{given: Queued, by: shared, call: {update: {state: Loked}}, expect: granted, then: Locked}",
            'no state is called "Loked"',
        ),
        ("{given: Queued, by: shared, call: {update: {}}, expect: granted, then: Locked}", "update changes nothing"),
        ("{given: Queued, by: shared, call: lock, expect: granted, then: Loked}", "then must be Queued, Locked"),
        (
            "{given: Queued, by: shared, call: lock, expect: granted, then: {grant: Locked}}",
            "then must be Queued, Locked",
        ),
        (
            "{given: Queued, by: shared, call: lock, expect: granted, then: {granted: Locked, els: Queued}}",
            'then has no key "els"',
        ),
        (
            "{given: Queued, by: shared, call: lock, expect: granted, then: Locked, fields: {auth: null}}",
            'fields has no key "auth"',
        ),
        (
            "{given: Queued, by: shared, call: lock, expect: granted, then: Locked, fields: {auth_uuid: stranger}}",
            "a field is null",
        ),
        (
            "{given: {uuid: unknown}, by: shared, call: lock, expect: missing, then: Queued}",
            "a container that does not exist has no",
        ),
        (
            "{given: Queued, by: shared, call: lock, expect: granted, then: Locked, requires: [LOCK-4]}",
            "LOCK-4 is of level arvados",
        ),
    ],
)
def test_faults_of_rows(row: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        rows("{given: Locked, by: shared, call: lock, expect: refused, then: Locked}", row)
    found = [fault for fault in caught.value.diagnostics if fault.message.startswith(message)]
    assert found, str(caught.value)
    assert {fault.mark.line for fault in found} == {8}


def test_two_rows_of_one_name_are_told() -> None:
    with pytest.raises(
        ScenarioError, match=r'another case is called "table\[Locked-shared-lock\]" too; give one a name'
    ):
        rows(*["{given: Locked, by: shared, call: lock, expect: refused, then: Locked}"] * 2)


def test_cases_stand_alone() -> None:
    text = HEAD + "  - {given: Locked, by: shared, call: lock, expect: refused, then: Locked}\nsessions: {A: []}\n"
    with pytest.raises(ScenarioError, match='"sessions" and cases exclude each other'):
        load_text(text, Path("x"))
    with pytest.raises(ScenarioError, match="cases has no rows"):
        load_text(HEAD.rstrip() + " []\n", Path("x"))


def test_parameters_fill_cases_too() -> None:
    text = HEAD.replace("cases:", "parameters: {who: [shared, stranger]}\ncases:")
    found = load_text(
        text + '  - {given: Complete, by: "${who}", call: lock, expect: refused, then: Complete}\n', Path("x")
    )
    assert [scenario.name for scenario in found] == [
        "table[Complete-shared-lock,who=shared]",
        "table[Complete-stranger-lock,who=stranger]",
    ]
