"""The JSON Schema agrees with the loader, and templates load."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from harness.scenario import ScenarioError, load, load_text, scenario_schema, shipped
from harness.scenario.loader import TOP_KEYS
from harness.scenario.templates import KINDS, new_scenario

VALID = jsonschema_rs.validator_for(scenario_schema())
FILES = sorted(shipped().rglob("*.race.yaml"))


def test_the_schema_is_small_enough_and_says_what_things_are() -> None:
    schema = scenario_schema()
    assert len(json.dumps(schema, indent=2)) < 40_000
    assert tuple(schema["properties"]) == TOP_KEYS
    assert all("description" in value for value in schema["properties"].values())
    steps = schema["$defs"]["step"]["properties"]
    assert [key for key, value in steps.items() if "description" not in value and "$ref" not in value] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_ships_is_valid(path: Path) -> None:
    assert [str(error) for error in VALID.iter_errors(yaml.safe_load(path.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_loads_and_is_valid(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.race.yaml"
    path.write_text(new_scenario(kind, "mine"), encoding="utf-8")
    scenarios = load(path)
    assert {scenario.family for scenario in scenarios} == {"mine"}
    assert VALID.is_valid(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_a_template_that_there_is_not_is_told_with_the_one_meant() -> None:
    with pytest.raises(ValueError, match=r'no template is called "oder"; did you mean "order"\?'):
        new_scenario("oder", "x")


BASE: dict[str, Any] = {
    "format": 1,
    "scenario": "demo",
    "summary": "s",
    "level": "arvados",
    "requires": ["LOCK-1"],
    "given": {"containers": {"c1": "Queued"}, "tokens": {"A": "shared"}},
    "sessions": {"A": [{"id": "a_lock", "lock": "c1", "expect": "granted"}]},
    "schedule": {"order": ["a_lock"]},
}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), 2),
        (("level",), "most"),
        (("requires",), "LOCK-9"),
        (("gven",), {}),
        (("given", "containers", "c1"), "Locke"),
        (("given", "tokens", "A"), "mine"),
        (("sessions", "A", 0, "lok"), "c1"),
        (("sessions", "A", 0, "unlock"), "c1"),
        (("sessions", "A", 0, "expect"), "grantd"),
        (("sessions", "A", 0, "expect"), 99),
        (("sessions", "A", 0, "fault"), {"loose": "reply"}),
        (("sessions", "A", 0, "retry"), {"times": 0, "if": "limited"}),
        (("schedule",), {"order": ["a_lock"], "race": {"runs": 2}}),
        (("schedule",), {"every": {}}),
        (("outcome",), {"allways": {}}),
    ],
)
def test_schema_and_loader_refuse_the_same(place: tuple[str | int, ...], value: object) -> None:
    assert VALID.is_valid(BASE)
    load_text(json.dumps(BASE), Path("x"))
    wrong: Any = copy.deepcopy(BASE)
    inner = wrong
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    assert not VALID.is_valid(wrong)
    with pytest.raises(ScenarioError):
        load_text(json.dumps(wrong), Path("x"))
