"""From file to scenarios: what a good file becomes, and what each fault of a bad one is told as."""

from pathlib import Path

import pytest

from harness.scenario import Diagnostic, Mark, Scenario, ScenarioError, UuidOf, load, load_text

GOOD = """\
format: 1
scenario: demo
summary: A locks, B is refused.
level: must
requires: [LOCK-2, UNLOCK-3]
see: https://example.org/race
tags: [race, two-dispatchers]

given:
  containers: {c1: Queued, c2: {state: Queued, priority: 0}, ghost: {uuid: unknown}}
  tokens: {A: shared, B: stranger}

sessions:
  A:
    - {id: a_lock, lock: c1, expect: granted}
    - {id: a_auth, auth: c1, when: a_lock.granted, expect: [granted, forbidden], save: token}
    - {id: a_set, update: {container: c1, state: Running, locked_by_uuid: uuid(B)}, as: A.token}
    - {id: a_find, list: {locked_by: me, state: [Locked, Running], uuid: c1}, save: found}
    - {id: a_again, unlock: "found[0]", retry: {times: 3, if: [indeterminate, limited]}}
  B:
    - {id: b_lock, lock: c1, after: a_lock, before: a_set, expect: refused, fault: {hold: reply, until: a_auth}}
    - {id: b_use, use: A.token, fault: {delay: 50ms}}
    - {id: b_crash, crash: self}
    - {id: b_pause, pause: self, for: 200ms}
    - {id: b_get, get: ghost, expect: missing, fault: {lose: request}}

nemesis:
  - {id: n_restart, restart: server, after: b_lock}

schedule:
  sample: {runs: 20}

outcome:
  always:
    lock_lost: not believes(B, c1)
  never:
    both: "believes(A, c1) and believes(B, c1)"
  sometimes:
    locked: state(c1) == "Locked"
  eventually:
    free: {that: state(c1) == "Queued", within: 2s}
  show: [a_lock.status, b_lock.status]

known_race:
  id: stolen_lock
  breaks: [both]
  only_when: A.token != none
  because: the server cannot tell
"""


def one(text: str = GOOD) -> Scenario:
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


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_the_head_of_a_file() -> None:
    scenario = one()
    assert (scenario.name, scenario.family, scenario.level) == ("demo", "demo", "must")
    assert scenario.requires == ("LOCK-2", "UNLOCK-3")
    assert scenario.tags == ("race", "two-dispatchers")
    assert scenario.see == "https://example.org/race"
    assert scenario.text == GOOD
    assert scenario.place(scenario.sessions[0].steps[0].mark) == "demo.race.yaml:15:7"


def test_what_is_given() -> None:
    scenario = one()
    assert [(given.name, given.state, given.attributes, given.uuid) for given in scenario.given] == [
        ("c1", "Queued", {}, "fresh"),
        ("c2", "Queued", {"priority": 0}, "fresh"),
        ("ghost", "Queued", {}, "unknown"),
    ]
    assert scenario.tokens == {"A": "shared", "B": "stranger"}
    assert [(session.name, session.token) for session in scenario.sessions] == [("A", "shared"), ("B", "stranger")]


def test_steps() -> None:
    steps = one().steps()
    assert (steps["a_lock"].verb, steps["a_lock"].container, steps["a_lock"].expect) == ("lock", "c1", ("granted",))
    assert steps["a_auth"].save == "token"
    assert steps["a_auth"].when is not None
    assert steps["a_auth"].when.text == "a_lock.granted"
    assert steps["a_auth"].expect == ("granted", "forbidden")
    assert steps["a_set"].argument == {"state": "Running", "locked_by_uuid": UuidOf("B")}
    assert steps["a_set"].credential == "A.token"
    assert steps["a_find"].argument == {"locked_by": "me", "state": ("Locked", "Running"), "uuid": ("c1",)}
    assert steps["a_again"].container == "found[0]"
    assert steps["a_again"].retry is not None
    assert (steps["a_again"].retry.times, steps["a_again"].retry.outcomes) == (3, {"indeterminate", "limited"})
    assert (steps["b_lock"].after, steps["b_lock"].before) == (("a_lock",), ("a_set",))
    assert steps["b_lock"].fault is not None
    assert (steps["b_lock"].fault.hold, steps["b_lock"].fault.until) == ("reply", "a_auth")
    assert steps["b_use"].argument == "A.token"
    assert steps["b_use"].fault is not None
    assert steps["b_use"].fault.delay_ms == 50
    assert steps["b_crash"].argument == "self"
    assert steps["b_pause"].for_ms == 200
    assert steps["n_restart"].after == ("b_lock",)


def test_outcome_and_known_race() -> None:
    scenario = one()
    assert [(clause.name, clause.kind, clause.within_ms) for clause in scenario.clauses] == [
        ("lock_lost", "always", None),
        ("both", "never", None),
        ("locked", "sometimes", None),
        ("free", "eventually", 2000),
    ]
    assert scenario.clauses[1].mark == Mark(37, 5)
    assert [column.text for column in scenario.show] == ["a_lock.status", "b_lock.status"]
    assert scenario.known_race is not None
    assert (scenario.known_race.id, scenario.known_race.breaks) == ("stolen_lock", ("both",))


def test_a_file_is_read_from_disk_as_from_text(tmp_path: Path) -> None:
    path = tmp_path / "demo.race.yaml"
    path.write_text(GOOD, encoding="utf-8")
    (scenario,) = load(path)
    assert (scenario.path, scenario.text, scenario.steps()) == (path, GOOD, one().steps())


@pytest.mark.parametrize(
    ("old", "new", "at", "message", "near"),
    [
        ("format: 1", "format: 2", "2", "format must be a whole number from 1 to 1", None),
        (
            "scenario: demo",
            "scenario: Demo",
            "scenario: De",
            '"Demo" is no name for a scenario: small letters, digits and ',
            None,
        ),
        ("level: must", "level: mst", "mst", "level must be must, arvados or run_auth, not mst", "must"),
        ("LOCK-2, UNLOCK-3", "LOCK2", "LOCK2]", 'a requirement: "LOCK2" is unknown', "LOCK-2"),
        ("LOCK-2, UNLOCK-3", "LOCK-4", "LOCK-4]", "LOCK-4 is of level arvados; this scenario is of level must", None),
        ("see: https", "see: ftp", "see: ftp://e", "see must be an address that begins with https://", None),
        ("[race, two-d", "[Race, two-d", "Race, two-di", '"Race" is no tag: small letters, digits, - and _', None),
        (
            "given:\n  containers",
            "gven:\n  containers",
            "gven:",
            'a scenario file has no key "gven"; the keys are format, scen',
            "given",
        ),
        (
            "{c1: Queued",
            "{c1: Qeued",
            "Qeued, c2: {",
            "a container's state must be Queued, Locked, Running, Complet",
            "Queued",
        ),
        (
            "priority: 0}",
            "priorty: 0}",
            "priorty: 0},",
            'a container has no key "priorty"; the keys are state, uuid, ',
            "priority",
        ),
        ("priority: 0}", "priority: -1}", "-1}, ghost: ", "priority must be a whole number from 0 to 1,000", None),
        (
            "c2: {state: Queued",
            "c2: {state: Locked",
            "priority: 0}",
            "a container of priority 0 cannot be locked, so it never beco",
            None,
        ),
        (
            "{uuid: unknown}",
            "{uuid: unknown, priority: 1}",
            "priority: 1}",
            "a container that does not exist has only a uuid",
            None,
        ),
        (
            "B: stranger}",
            "B: strangr}",
            "strangr}",
            "a session's token must be shared, stranger, none or bogus, n",
            "stranger",
        ),
        (", B: stranger}", "}", "B:", "given.tokens says nothing of B: shared, stranger, none or bo", None),
        ("B: stranger}", "B: stranger, C: shared}", "C: shared}", 'no session or fleet is called "C"', None),
        ("{id: a_lock, lock: c1,", "{id: a_lock, lock: c3,", "c3, expect: ", 'unknown container "c3"', "c2"),
        (
            "{id: a_lock, lock: c1,",
            "{id: a_lock, lok: c1,",
            "lok: c1, exp",
            'a step has no key "lok"; the keys are id, lock, unlock, auth',
            "lock",
        ),
        (
            "{id: a_lock, lock: c1,",
            "{id: a_lock, lock: c1, unlock: c1,",
            "{id: a_lock,",
            "the step has two verbs, lock and unlock; it does one of lock",
            None,
        ),
        ("{id: a_lock, lock: c1,", "{lock: c1,", "{lock: c1, e", 'a step needs the key "id"', None),
        (
            "{id: a_lock, lock: c1, expect: granted}",
            "{id: a_lock, lock: c1, expect: grantd}",
            "grantd}",
            "expect must be granted, refused, forbidden, unauthenticated,",
            "granted",
        ),
        (
            "{id: a_lock, lock: c1, expect: granted}",
            "{id: a_lock, lock: c1, expect: 200}",
            "200}",
            "at level must an outcome is a word, not a status: granted, r",
            None,
        ),
        (
            "{id: a_lock, lock: c1,",
            "{id: a_lock, lock: c1, save: token,",
            "save: token,",
            '"save" has no meaning for lock; it takes expect, when, after',
            None,
        ),
        ("when: a_lock.granted", "when: a_lok.granted", "a_lok.grante", 'unknown step "a_lok"', "a_lock"),
        (
            "when: a_lock.granted",
            "when: a_set.granted",
            "{id: a_auth,",
            '`when` asks for "a_set", which is not done before this step',
            None,
        ),
        (
            "when: a_lock.granted",
            'when: state(c1) == "Queued"',
            "when: state(",
            "live(...) and state(...) are known only at the end of a run;",
            None,
        ),
        (
            "state: Running, locked",
            "state: Runing, locked",
            "Runing, lock",
            'no state is called "Runing" (to send it all the same, expect',
            "Running",
        ),
        ("uuid(B)", "uuid(C)", "uuid(C)}, as", 'uuid of what? no session or container is "C"', "c2"),
        ("as: A.token}", "as: A.tokn}", "A.tokn}", 'no step saves a token as "A.tokn"', "A.token"),
        ("{locked_by: me,", "{locked_by: you,", "you, state: ", "locked_by must be me, not you", None),
        ('"found[0]"', '"fund[0]"', '"fund[0]", r', 'unknown container "fund[0]"', "found[0]"),
        ("{times: 3,", "{times: 101,", "101, if: [in", "times must be a whole number from 1 to 100", None),
        ("after: a_lock, before", "after: a_lok, before", "a_lok, befor", 'unknown step "a_lok"', "a_lock"),
        (
            "after: a_lock, before",
            "after: b_use, before",
            "{id: b_lock,",
            '"b_use" is a step of B itself; its steps run in order anyway',
            None,
        ),
        ("until: a_auth", "until: a_auht", "a_auht}}", 'unknown step "a_auht"', "a_auth"),
        (
            "{hold: reply, until: a_auth}",
            "{hold: reply}",
            "{hold: reply",
            "hold and until belong together: {hold: reply, until: b_lock}",
            None,
        ),
        (
            "{hold: reply, until: a_auth}",
            "{lose: reply, reset: connection}",
            "{lose: reply",
            "a fault is one of lose, reset, hang, hold and delay",
            None,
        ),
        ("{delay: 50ms}", "{delay: 50}", "50}}", "delay must be a time such as 200ms or 2s, at most 60s", None),
        ("crash: self", "crash: A", "A}", "crash must be self, not A", None),
        ("restart: server", "restart: servr", "servr, after", "restart must be server, not servr", "server"),
        ("sample: {runs: 20}", "sample: {runs: 0}", "0}", "runs must be a whole number from 1 to 100,000", None),
        (
            "sample: {runs: 20}",
            "every: {limit: 100000000}",
            "100000000}",
            "limit must be a whole number from 1 to 100,000",
            None,
        ),
        (
            "sample: {runs: 20}",
            "sample: {runs: 20}\n  race: {runs: 20}",
            "schedule:",
            "a schedule is exactly one of order, every, sample and race",
            None,
        ),
        ("not believes(B, c1)\n", "not believes(C, c1)\n", "C, c1)", 'unknown session "C"', None),
        (
            '"believes(A, c1) and believes(B, c1)"',
            '"believes(A, c1) and believes(B, c9)"',
            'c9)"',
            'unknown container "c9"',
            "c2",
        ),
        ("both: ", "lock_lost: ", 'lock_lost: "', 'two clauses are called "lock_lost"', None),
        ("within: 2s", "within: 2h", "2h}", "within must be a time such as 200ms or 2s, at most 60s", None),
        (
            "show: [a_lock.status",
            "show: [a_lock.stats",
            "a_lock.stats",
            'nothing of a step is called "stats"',
            "status",
        ),
        (
            "id: stolen_lock",
            "id: stollen_lock",
            "stollen_lock",
            "a known race must be stolen_lock, stolen_lock_early_auth, do",
            "stolen_lock",
        ),
        ("breaks: [both]", "breaks: [bth]", "bth]", 'no always, never or eventually clause is called "bth"', "both"),
        (
            "breaks: [both]",
            "breaks: [locked]",
            "locked]",
            'no always, never or eventually clause is called "locked"',
            None,
        ),
        ("{id: b_use,", "{id: a_auth,", "{id: a_auth,", '"a_auth" names another step too', None),
        ("{id: b_use,", "{id: A,", "{id: A, use:", '"A" names a session too', None),
        (
            "{id: b_use,",
            "{id: count,",
            "{id: count, ",
            '"count" is a word of expressions; call the step something el',
            None,
        ),
        (
            "{id: b_use,",
            "{id: b-use,",
            "b-use, use: ",
            'the id of a step "b-use" is not a name: a letter, then at mo',
            None,
        ),
    ],
)
def test_a_fault_is_told_at_its_place_with_a_near_name(
    old: str, new: str, at: str, message: str, near: str | None
) -> None:
    assert pointed(changed(old, new), message) == (at, near)


def test_all_faults_of_a_file_are_told_at_once() -> None:
    text = GOOD.replace("level: must", "level: mist").replace("when: a_lock.granted", "when: a_lok.granted")
    text = text.replace("b_use, use: A.token", "b_use, use: B.token").replace("within: 2s", "within: 2h")
    text = text.replace("tags: [race", "tags: &x [race")
    assert [fault.mark.line for fault in faults(text)] == [4, 7, 16, 22, 41]


def test_an_error_shows_the_line_and_a_caret() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_text(changed("when: a_lock.granted", "when: a_lok.granted"), Path("dir/x.race.yaml"))
    assert str(caught.value).splitlines() == [
        'dir/x.race.yaml:16:36: unknown step "a_lok"; did you mean "a_lock"?',
        "        - {id: a_auth, auth: c1, when: a_lok.granted, expect: [granted, forbidden], save: token}",
        "    " + " " * 35 + "^",
    ]


def test_statuses_are_expected_from_level_arvados_on() -> None:
    text = changed("level: must", "level: arvados").replace(
        "lock: c1, expect: granted}", "lock: c1, expect: [200, refused]}"
    )
    assert one(text).steps()["a_lock"].expect == (200, "refused")
    assert "999 is no HTTP status" in told(text.replace("[200, refused]", "999"))[0]


def test_a_state_that_does_not_exist_can_be_sent_on_purpose() -> None:
    text = GOOD.replace("state: Running, locked_by_uuid: uuid(B)}, as: A.token}", "state: Sleeping}, expect: refused}")
    assert one(text).steps()["a_set"].argument == {"state": "Sleeping"}


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n",
        "3\n",
        "{}\n",
        "format: 1\n",
        "format: 1\nsessions: 3\ncases: {}\n",
        "cases: [x, {given: {}, by: {}, call: {update: x}, expect: {}}, {given: Queued, by: shared, call: {}}]\n",
        "sessions: [1]\nrequires: {a: b}\ntags: x\nparameters: x\n",
        "outcome: [x]\nschedule: x\ngiven: x\nfleets: {D: x}\nnemesis: x\nknown_race: x\nsessions: {A: x, B: [x]}\n",
        "given: {containers: [x], tokens: x}\nsessions: {A: [{id: [], lock: {}, update: [], fault: [], retry: x}]}\n",
        "given: {containers: {c: []}, tokens: {A: {}}}\nsessions: {A: [{id: a, list: 3, when: [], as: {}}]}\n",
        "schedule: {order: [[[a]], {}]}\ngiven: {}\nsessions: {A: []}\noutcome: {always: {a: []}, show: {}}\n",
    ],
)
def test_a_file_of_another_shape_has_faults_and_breaks_nothing(text: str) -> None:
    assert told(text)


def test_what_is_saved_later_cannot_be_used_before() -> None:
    text = GOOD.replace("    - {id: a_auth,", "    - {id: a_use, use: A.token}\n    - {id: a_auth,")
    assert "A.token is saved only by a later step" in told(text)[0]
