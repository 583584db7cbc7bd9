"""Orders as scenario files: what they say, and that the strict reader takes every one of them."""

import random
from pathlib import Path

import pytest

from harness.contract import KNOWN_RACES
from harness.explore.counterexample import Done, counterexample_text
from harness.explore.document import scenario_text
from harness.explore.programs import EVERYTHING, INVARIANTS, Protocol
from harness.explore.search import any_program, search
from harness.model import RUN_AUTH_RULES, Rules
from harness.scenario.loader import load

STOLEN = (Done(0, "lock"), Done(1, "unlock"), Done(1, "lock"), Done(0, "auth"), Done(1, "auth"))


def test_stolen_lock_reads_as_a_person_would_write_it(tmp_path: Path) -> None:
    path = tmp_path / "found.race.yaml"
    path.write_text(counterexample_text(STOLEN, ("both_hold",), "must"))
    (scenario,) = load(path)
    assert scenario.name == "found_stolen_lock"
    assert scenario.schedule.order == (("a_lock",), ("b_unlock",), ("b_lock",), ("a_auth",), ("b_auth",))
    assert [clause.name for clause in scenario.clauses] == ["both_hold"]
    assert scenario.known_race is not None
    assert (scenario.known_race.id, scenario.known_race.breaks) == ("stolen_lock", ("both_hold",))
    assert scenario.known_race.only_when.text == "A.token == B.token"
    assert scenario.steps()["a_auth"].expect == ("granted", "forbidden")  # a server with run_auth says forbidden
    assert scenario.steps()["a_lock"].expect == ("granted",)


def test_at_level_run_auth_there_is_no_excuse(tmp_path: Path) -> None:
    path = tmp_path / "found.race.yaml"
    path.write_text(counterexample_text((Done(0, "lock"), Done(1, "auth")), ("single_holder",), "run_auth"))
    (scenario,) = load(path)
    assert scenario.known_race is None
    assert scenario.steps()["b_auth"].expect == ("forbidden",)
    assert scenario.clauses[0].expression.text == "live(A.token) and live(B.token)"


def test_after_a_crash_tokens_have_names_of_their_own(tmp_path: Path) -> None:
    order = (Done(0, "lock"), Done(0, "auth"), Done(0, "crash"), Done(0, "auth"), Done(1, "lose:unlock"))
    path = tmp_path / "found.race.yaml"
    path.write_text(counterexample_text(order, ("late_unlock_harmless",), "arvados"))
    (scenario,) = load(path)
    assert [scenario.steps()[one].save for one in ("a_auth", "a_auth_2")] == ["token", "token_2"]
    assert scenario.steps()["b_unlock"].expect == ("indeterminate",)


@pytest.mark.parametrize("seed", range(40))
def test_every_counterexample_is_a_scenario(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    level = chance.choice(["must", "arvados", "run_auth"])
    dropped = frozenset(chance.sample(sorted(RUN_AUTH_RULES), 2)) if level == "run_auth" else frozenset()
    watch = chance.choice(list(INVARIANTS))
    calls = ("lock", *chance.sample(EVERYTHING, 6))
    found = search(Protocol(Rules(level, dropped=dropped)), any_program(calls, None), 2, (watch,))
    if not found.steps:
        assert found.complete
        return
    order = tuple(Done(step.dispatcher, step.move.name) for step in found.steps)
    path = tmp_path / "found.race.yaml"
    path.write_text(counterexample_text(order, found.broken, level))
    (scenario,) = load(path)
    assert (scenario.known_race is None) == (level == "run_auth")
    assert scenario.known_race is None or scenario.known_race.id in KNOWN_RACES


def test_text_keeps_values_that_yaml_would_misread() -> None:
    text = scenario_text({"format": 1, "sessions": {"A": [{"id": "on", "lock": "c1", "expect": ["granted"]}]}})
    assert text == "format: 1\n\nsessions:\n  A:\n    - {id: 'on', lock: c1, expect: [granted]}\n"
