"""results.json: every setting, all that was found, a schema that it keeps, and a reader that says what is wrong."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from harness.report.results_json import ResultsError, read_results, results, results_json, results_schema
from tests.report.builders import herd, known_race, run_of, table, unsure, violated


def whole_run():
    return run_of(violated(), herd(5, 2), known_race(), unsure(), *table(3), settings={"jobs": 2, "out": Path("out")})


def test_it_holds_the_whole_run():
    data = json.loads(results_json(whole_run()))
    assert data["format"] == 1
    assert data["exit_code"] == 1
    assert data["settings"] == {"jobs": 2, "out": "out"}
    assert [one["label"] for one in data["scenarios"][:4]] == ["violation", "violation", "known race", "inconclusive"]
    assert data["requirements"]["LOCK-3"]["outcome"] == "violated"
    assert data["requirements"]["AUTH-1"]["outcome"] == "held"
    assert data["requirements"]["DUR-1"]["outcome"] == "not exercised"
    (violation,) = data["scenarios"][0]["violations"]
    assert violation["place"] == "scenarios/races/two_lockers.race.yaml:14:10"
    assert violation["request_ids"] == ["req-00000000000000000001", "req-00000000000000000002"]
    assert violation["replay"].startswith("lockrace replay two_lockers")
    (other,) = data["scenarios"][1]["violations"]
    assert other["stuck"] == other["minimal"][1]


def test_it_keeps_its_schema():
    schema = results_schema()
    jsonschema_rs.validator_for(schema).validate(json.loads(results_json(whole_run())))
    broken = json.loads(results_json(whole_run()))
    broken["scenarios"][0]["label"] = "fine"
    assert not jsonschema_rs.validator_for(schema).is_valid(broken)


def test_every_part_of_the_schema_is_described():
    for name, part in results_schema()["$defs"].items():
        assert part.get("description"), name


def test_it_is_read_back_as_it_was(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(results_json(whole_run()))
    assert read_results(path).scenarios == results(whole_run()).scenarios


def test_a_key_of_a_later_version_is_passed_over(tmp_path):
    path = tmp_path / "results.json"
    data = json.loads(results_json(whole_run()))
    data["new"] = data["scenarios"][0]["new"] = {"a": 1}
    path.write_text(json.dumps(data))
    assert read_results(path).target == "reference:check_before_lock"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no results of lockrace"),
        (b"{", "no results of lockrace"),
        (b"[]", "no results of lockrace"),
        (b'{"kind": "something"}', '"kind" is not "lockrace-results"'),
        (b'{"kind": "lockrace-results", "format": 2}', "format 2; this lockrace reads format 1"),
        (b'{"kind": "lockrace-results", "format": 1}', "missing required field"),
        (b"\xff\xfe", "no results of lockrace"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(tmp_path, content, said):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(ResultsError) as error:
        read_results(path)
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)


def test_a_wrong_value_is_found_by_its_place(tmp_path):
    path = tmp_path / "results.json"
    data = json.loads(results_json(whole_run()))
    data["scenarios"][2]["runs"] = "many"
    path.write_text(json.dumps(data))
    with pytest.raises(ResultsError, match=r"\$\.scenarios\[2\]\.runs"):
        read_results(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ResultsError, match=r"none\.json: cannot be read"):
        read_results(tmp_path / "none.json")
