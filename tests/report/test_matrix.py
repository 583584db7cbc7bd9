"""The conformance matrix: a row for each requirement, a column for each server, and no empty promise."""

from harness.report.matrix import matrix, matrix_markdown, matrix_page
from harness.report.results_json import results
from tests.report.builders import known_race, result, run_of, scenario, violated


def two_servers():
    good = results(run_of(result("conforms"), known_race(), target="http://good"))
    bad = results(run_of(violated(), target="http://bad", level="arvados"))
    return [good, bad]


def rows(text):
    return {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}


def test_each_server_has_its_word_on_each_requirement():
    found = rows(matrix_markdown(matrix(two_servers())))
    assert found["requirement"] == "| requirement | http://good | http://bad |"
    assert found["LOCK-3"] == "| LOCK-3 | held (1) | violated (two\\_lockers) |"
    assert found["DUR-1"] == "| DUR-1 | not exercised | not exercised |"
    assert found["LOCK-6"] == "| LOCK-6 | not judged (level must) | not exercised |"


def test_requirements_come_in_the_contracts_order():
    names = [line.name for line in matrix(two_servers()).requirements]
    assert names.index("LOCK-1") < names.index("LOCK-6") < names.index("UNLOCK-1") < names.index("DUR-1")


def test_known_races_are_rows_of_their_own():
    found = rows(matrix_markdown(matrix(two_servers())))
    assert found["stolen\\_lock"] == "| stolen\\_lock | reproduced (1 of 1) | not tried |"


def test_servers_may_be_named_and_never_share_a_name():
    one = results(run_of(result("conforms")))
    assert [server.name for server in matrix([one, one], ["mine", "mine"]).servers] == ["mine", "mine (2)"]


def test_several_scenarios_that_violate_are_counted():
    bad = results(run_of(violated(), violated("other"), result("conforms", scenario("third"))))
    assert "violated (two\\_lockers and 1 more)" in matrix_markdown(matrix([bad]))


def test_the_page_has_the_same_cells():
    page = matrix_page(matrix(two_servers()))
    assert "http://bad" in page
    assert page.count('violation">violated<') == 1
    assert "default-src 'none'" in page
    assert "<script>alert" not in matrix_page(matrix(two_servers(), ["<script>alert(1)</script>", "b"]))
