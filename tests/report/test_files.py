"""Reports as files: each kind under its name, whole or not at all."""

import json

import pytest

from harness.report.files import KINDS, NAMES, drop_reports, write_file, write_reports
from tests.report.builders import run_of, table, violated


def test_each_kind_is_written_under_its_name(tmp_path):
    paths = write_reports(run_of(violated(), *table(2)), tmp_path / "out", KINDS)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(NAMES.values())
    assert json.loads(paths["json"].read_text())["kind"] == "lockrace-results"
    assert paths["html"].read_text().startswith("<!doctype html>")
    assert paths["junit"].read_text().startswith("<?xml")
    assert paths["markdown"].read_text().startswith("## ")


def test_reports_of_an_earlier_run_are_dropped_and_nothing_else(tmp_path):
    write_reports(run_of(violated()), tmp_path, KINDS)
    (tmp_path / "notes.txt").write_text("mine")
    drop_reports(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("results", [None, '{"kind": "something else"}'])
def test_files_of_somebody_else_are_left_though_their_names_are_those_of_reports(tmp_path, results):
    (tmp_path / "junit.xml").write_text("<testsuites/>")
    if results is not None:
        (tmp_path / "results.json").write_text(results)
    before = sorted(tmp_path.iterdir())
    drop_reports(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_is_replaced_whole_or_left(tmp_path):
    path = tmp_path / "a.txt"
    write_file(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_file(path, "broken \ud800")
    assert path.read_text() == "first"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]
