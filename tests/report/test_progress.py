"""Live lines: one per scenario file once all of it is done, at once for what a run leaves unfinished."""

import io

from harness.report.progress import Progress
from tests.report.builders import known_race, result, scenario, table, unsure, violated


def told(results, detail="normal", planned=None, stream=None):
    stream = stream or io.StringIO()
    with Progress(stream, planned or [one.scenario for one in results], detail) as progress:
        for one in results:
            progress.at(one.scenario, 1, 200, overlapped=1)
            progress.finished(one)
    return stream.getvalue()


def test_a_log_gets_a_line_per_file():
    text = told([*table(5), known_race()])
    assert [line.split()[2] for line in text.splitlines() if line[0] != " "] == ["transition_table", "race"]
    assert "transition_table ×5" in text
    assert "run 1 of 200" not in text


def test_a_line_comes_as_soon_as_its_file_is_done():
    stream = io.StringIO()
    rows = table(2)
    with Progress(stream, [*[row.scenario for row in rows], scenario("two_lockers")]) as progress:
        progress.finished(rows[0])
        assert stream.getvalue() == ""
        progress.finished(rows[1])
        assert "transition_table ×2" in stream.getvalue()


def test_an_interrupted_run_tells_what_was_finished():
    rows = table(3)
    stream = io.StringIO()
    progress = Progress(stream, [row.scenario for row in rows])
    with progress:
        progress.finished(rows[0])
        assert stream.getvalue() == ""
    assert "transition_table" in stream.getvalue()


def test_quiet_tells_only_what_did_not_conform():
    text = told([*table(2), known_race(), unsure(), violated()], "quiet")
    assert [line[0] for line in text.splitlines() if line[0] != " "] == ["?", "✗"]


def test_verbose_tells_every_instance_once():
    text = told([result("conforms", scenario(f"transition_table[{n}]")) for n in "ab"], "verbose")
    assert [line.split()[2] for line in text.splitlines()] == ["transition_table[a]", "transition_table[b]"]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_how_far_each_of_several_is(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    rows = [result("conforms", scenario(name)) for name in ("one", "two")]
    with Progress(stream, [row.scenario for row in rows]) as progress:
        progress.at(rows[0].scenario, 1, 9)
        progress.at(rows[1].scenario, 2, 9)
        progress._bar.refresh()
        assert "one, run 1 of 9; two, run 2 of 9" in stream.getvalue()
        progress.at(scenario("three"), 1, 9)
        assert progress._bar.tasks[0].description == "one, run 1 of 9; two, run 2 of 9; and 1 more"
        progress.finished(rows[0])
        progress.finished(result("conforms", scenario("three")))
        progress.at(rows[1].scenario, 3, 9)
        assert progress._bar.tasks[0].description == "two, run 3 of 9"


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    text = told([*table(2), violated()], stream=Terminal())
    assert "run 1 of 200, 1 overlapped" in text
    assert "time left" in text
    assert text.count("✗ violation") == 1
