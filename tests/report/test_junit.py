"""JUnit XML: valid, with the red ones red, and nothing that ended a run early taken for green."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from harness.check.verdict import Violation
from harness.report.junit import junit
from tests.report.builders import known_race, result, run_of, scenario, table, unsure, violated

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parent / "junit.xsd"))


def suite_of(run):
    text = junit(run)
    SCHEMA.validate(text)
    return ElementTree.fromstring(text).find("testsuite")


def kinds(suite):
    return {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}


def test_each_label_has_its_reading():
    suite = suite_of(run_of(violated(), known_race(), unsure(), *table(1)))
    assert kinds(suite) == {
        "two_lockers": ["failure"],
        "stolen_lock": ["skipped"],
        "thundering_herd[size=10]": ["error"],
        "transition_table[row-0]": [],
    }
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}


def test_a_failure_is_the_terminal_report():
    failure = suite_of(run_of(violated())).find("testcase/failure")
    assert failure.get("message") == "LOCK-3: A and B were both granted the lock of c1 with no unlock between"
    assert failure.get("type") == "single_winner"
    assert "▶└  0.1-2.2" in failure.text
    assert "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock" in failure.text


def test_several_violations_of_one_scenario_are_one_failure_with_all_of_them():
    bad = violated()
    bad.verdict.violations.append(Violation("invariant", "x", "GET-1", "a stale read", 0, (3,), "c1"))
    failure = suite_of(run_of(bad)).find("testcase/failure")
    assert "a stale read" in failure.text


def test_an_inconclusive_scenario_says_why():
    error = suite_of(run_of(unsure())).find("testcase/error")
    assert error.get("message") == "the requests overlapped in none of 200 runs"


def test_what_the_baseline_excuses_is_skipped_with_the_reason():
    excused = violated()
    excused.label, excused.notes = "baseline", ["single_winner is a violation that the baseline lists"]
    suite = suite_of(run_of(excused))
    assert "the baseline lists" in suite.find("testcase/skipped").get("message")


def test_a_baseline_entry_that_passes_is_a_failure():
    stale = result("violation")
    stale.notes = ["the baseline lists single_winner, which did not come: take the entry out"]
    failure = suite_of(run_of(stale)).find("testcase/failure")
    assert "take the entry out" in failure.get("message")


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"unreachable": "connection refused"}, "target unreachable"),
        ({"fault": "a worker died"}, "fault of the harness"),
        ({"interrupted": True}, "interrupted"),
        ({"not_begun": ["two_lockers"]}, "not begun"),
        ({}, "nothing selected"),
    ],
)
def test_what_ended_a_run_early_is_red(more, name):
    assert kinds(suite_of(run_of(**more))) == {name: ["error"]}


def test_settings_are_properties():
    suite = suite_of(run_of(*table(1)))
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert properties["jobs"] == "1"
    assert properties["target"] == "reference:check_before_lock"


@pytest.mark.parametrize("started", ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00"])
def test_the_start_is_in_utc_without_a_zone(started):
    assert suite_of(run_of(*table(1), started=started)).get("timestamp") == "2026-03-01T12:00:00"


def test_a_run_that_never_started_is_valid_too():
    suite_of(run_of(fault="no process could be started", started=""))


def test_what_xml_cannot_hold_is_replaced():
    evil = "\x00\x1b[31m<&]]>\ud800"
    bad = violated()
    bad.verdict.violations[0] = Violation("invariant", "x", "LOCK-3", evil, 0, (1, 2), "c1")
    suite = suite_of(run_of(bad, result("conforms", scenario("x[a=\x01]"))))
    assert "<&]]>" in suite.find("testcase/failure").get("message")
