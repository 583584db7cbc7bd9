"""A profile says how a server looks; what is wrong with one is told at its place, all of it at once."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from harness.profile import profile_schema, read_profile
from harness.profile.words import TOP_KEYS
from harness.scenario import ScenarioError
from harness.wire import Profile
from harness.wire.arvados import PROFILE

EXAMPLE = Path(__file__).parent / "leases.profile.yaml"
VALID = jsonschema_rs.validator_for(profile_schema())


def read(text: str, folder: Path) -> Profile:
    path = folder / "mine.profile.yaml"
    path.write_text(text, "utf-8")
    return read_profile(path)


def faults(text: str, folder: Path) -> list[str]:
    with pytest.raises(ScenarioError) as found:
        read("format: 1\nprofile: mine\n" + text, folder)
    return [f"{one.mark.line - 2}:{one.mark.column} {one.message}" for one in found.value.diagnostics]


def test_the_empty_profile_is_arvados(tmp_path: Path) -> None:
    found = read("format: 1\nprofile: arvados\n", tmp_path)
    assert found == PROFILE


def test_what_is_not_mentioned_stays_as_it_is(tmp_path: Path) -> None:
    found = read(
        "format: 1\nprofile: mine\ncalls:\n  lock: {path: '/jobs/{uuid}/lock'}\nfields: {uuid: id}\n", tmp_path
    )
    assert found.calls["lock"].path == "/jobs/{uuid}/lock"
    assert found.calls["lock"].method == "POST"
    assert found.calls["unlock"] == PROFILE.calls["unlock"]
    assert found.fields == {**PROFILE.fields, "uuid": ("id",)}
    assert found.outcomes == PROFILE.outcomes


def test_all_faults_of_a_file_come_at_once_each_with_its_line_and_what_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "mine.profile.yaml"
    path.write_text("format: 1\nprofile: mine\ncalls:\n  lok: {}\nfields: {stat: x}\nheders: {}\n")
    with pytest.raises(ScenarioError) as found:
        read_profile(path)
    told = str(found.value).splitlines()
    assert told[0] == (
        f'{path}:4:3: calls has no key "lok"; the keys are create, lock, unlock, auth, get, update, list and use; '
        'did you mean "lock"?'
    )
    assert told[1:3] == ["      lok: {}", "      ^"]
    assert told[3].startswith(f"{path}:5:10: fields has no key")
    assert told[3].endswith('did you mean "state"?')
    assert 'did you mean "headers"?' in told[6]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("calls: {lock: {path: jobs}}", '1:22 path "jobs" must be ASCII without blanks, beginning with /'),
        ("calls: {lock: {path: '/{id}'}}", "1:16 {id} is unknown; what may stand in braces is uuid"),
        ("calls: {lock: {path: '/{uuid'}}", "1:16 a brace that is not one of a pair"),
        ("calls: {lock: {path: /lock}}", "1:16 lock must say which container it is about: put {uuid} into its "),
        ("calls: {use: {path: '/{uuid}'}}", "1:15 {uuid} is unknown; nothing stands in braces here"),
        ("calls: {lock: {path: '/{uuid}#x'}}", "1:16 a path ends before #, which is never sent"),
        ("calls: {lock: {method: get}}", '1:24 method "get" must be capital letters'),
        ("calls: {update: {body: {a: 1}}}", '1:18 the body of update must hold "{attributes}" once, as a value'),
        ("calls: {update: {body: 'x {attributes}'}}", '1:18 the body of update must hold "{attributes}" once, '),
        ("calls: {create: {body: null}}", '1:18 the body of create must hold "{attributes}" once, as a value o'),
        ("calls: {lock: {body: '{attributes}'}}", "1:16 lock sends no attributes; only create and update do"),
        ("calls: {lock: {attributes: {a: 1}}}", "1:16 lock sends no attributes; only create and update do"),
        ("calls: {create: {attributes: 3}}", "1:30 attributes must be a map of what is sent in addition"),
        ("calls: {get: {answer: null}}", "1:15 get is asked for the sake of its answer; only lock, unlock and "),
        ("calls: {list: {answer: jobs}}", "1:16 where the entries of a list are is said by fields.items"),
        ("calls: {get: {query: {a: b}}}", "1:15 only list has a query that depends on what is asked for; write"),
        ("calls: {list: {query: {a: '{stat}'}}}", "1:24 {stat} is unknown; what may stand in braces is state, "),
        ("calls: {list: {query: {'a b': x}}}", '1:24 "a b" is no name of a parameter: letters, digits and . _ '),
        ("calls: {list: {query: x}}", '1:23 query must be a map such as {status: "{state}", after: "{after_uui'),
        ("headers: {Content-Length: '3'}", "1:11 Content-Length belongs to the connection; it is set by lockra"),
        ("headers: {'a b': x}", '1:11 "a b" is no name of a header'),
        ("headers: {a: ü}", '1:14 a "ü" must be visible ASCII'),
        ("request_id: 'a b'", '1:13 request_id "a b" must be the name of a header'),
        ("token: {value: Bearer}", '1:9 value must say where the token stands, once, as "Bearer {token}" does'),
        ("token: {query: t, header: X}", "1:19 a token is presented in a header or in the query, not in both"),
        ("token: {v2: maybe}", "1:13 v2 must be true or false"),
        ("fields: {uuid: null}", "1:10 uuid cannot be left out: nothing can be judged without it"),
        ("fields: {state: 'a[0]'}", "1:10 state is a key of a record, or keys with dots between: lock.holder"),
        ("fields: {state: id, uuid: id}", "1:21 uuid and state cannot both stand at id"),
        ("fields: {state: priority}", "1:10 state and priority cannot both stand at priority"),
        ("fields: {state: job, priority: job.p}", "1:22 priority and state cannot both stand at job.p"),
        ("fields: {errors: 'a[*'}", '1:18 "a[*" names no place in an answer: want job.id, errors[*].message or'),
        ("states: {Queued: Locked}", '1:9 "Locked" is what Queued is called'),
        ("outcomes: [{refused: {}}]", "1:22 refused must say by what it is known: status, header, json or text"),
        ("outcomes: [{refused: {status: 99}}]", "1:31 a status is a number from 100 to 599, or 4xx for all tha"),
        ("outcomes: [refused]", "1:12 an outcome is one of the contract's with what it looks like: refused: {s"),
        ("outcomes: [{refused: {json: {a: [1]}}}]", "1:33 what stands at a place is compared with a text, a nu"),
        ("outcomes: [{refused: {json: '.'}}]", '1:29 "." names no place in an answer: want job.id, errors[*].m'),
    ],
)
def test_a_fault_is_told_at_its_place(text: str, fault: str, tmp_path: Path) -> None:
    assert any(told.startswith(fault) for told in faults(text, tmp_path))


@pytest.mark.parametrize("text", ["", "[]", "format: 1", "format: 2\nprofile: x", "a: &b c", "\0", "profile: x"])
def test_what_is_no_profile_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError):
        read(text, tmp_path)


def test_the_example_is_valid_by_the_schema_too() -> None:
    read_profile(EXAMPLE)
    assert [str(error) for error in VALID.iter_errors(yaml.safe_load(EXAMPLE.read_text("utf-8")))] == []


def test_the_schema_says_what_things_are() -> None:
    schema = profile_schema()
    assert tuple(schema["properties"]) == TOP_KEYS
    assert all("description" in value for value in schema["properties"].values())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("profile", "a b"),
        ("tokens", {}),
        ("token", {"v2": "maybe"}),
        ("calls", {"lok": {}}),
        ("calls", {"lock": {"answer": 3}}),
        ("calls", {"get": {"answer": None}}),
        ("calls", {"lock": {"query": {}}}),
        ("fields", {"uuid": None}),
        ("fields", {"stat": "x"}),
        ("states", {"Queud": "x"}),
        ("outcomes", [{"refused": {}}]),
        ("outcomes", [{"refusd": {"status": 409}}]),
        ("outcomes", [{"refused": {"status": 99}}]),
    ],
)
def test_schema_and_reader_refuse_the_same(key: str, value: object, tmp_path: Path) -> None:
    whole: dict[str, Any] = {"format": 1, "profile": "mine"}
    assert VALID.is_valid(whole)
    wrong = copy.deepcopy(whole) | {key: value}
    assert not VALID.is_valid(wrong)
    with pytest.raises(ScenarioError):
        read(json.dumps(wrong), tmp_path)
