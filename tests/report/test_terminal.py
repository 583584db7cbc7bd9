"""What a person reads: a failure fits a screen and has all that it must; lines fold; nothing steers the terminal."""

import io
from pathlib import Path

import pytest

from harness.check.verdict import Violation
from harness.report.html import run_page
from harness.report.results_json import results
from harness.report.summary import failures, families, replay_command
from harness.report.terminal import (
    FAILURE_LINES,
    Look,
    failure,
    failure_report,
    family_line,
    look_for,
    summary,
    write,
)
from harness.scenario import Mark
from tests.report.builders import Book, herd, known_race, result, run_of, scenario, table, unsure, violated

PLAIN = Look(110)
ROOT = Path(__file__).parents[2]


def failure_of(*results, look=PLAIN, **more):
    run = run_of(*results)
    return failure(run, failures(run.results)[0], look, **more)


@pytest.mark.parametrize(
    "part",
    [
        "two_lockers",
        "LOCK-3",
        "single_winner",
        "exactly one is granted",
        "A and B were both granted the lock of c1 with no unlock between",
        "always one_winner: held in 188 of 200",
        "sometimes a_wins: true in 97 of 200",
        "scenarios/races/two_lockers.race.yaml:14:10",
        "req-00000000000000000001",
        "req-00000000000000000002",
        "out/histories/two_lockers.jsonl",
        "out/report.html",
        "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock",
    ],
)
def test_a_failure_says(part):
    assert part in failure_of(violated(), html=Path("out/report.html"))


def test_a_failure_has_a_column_per_dispatcher_the_state_and_the_live_tokens():
    lines = failure_of(violated()).splitlines()
    head = next(line for line in lines if line.strip().startswith("ms"))
    assert head.split() == ["ms", "A", "B", "c1", "live", "tokens"]
    first = next(line for line in lines if line.startswith("▶┌"))
    second = next(line for line in lines if line.startswith("▶└"))
    assert first.split() == ["▶┌", "0.0-1.5", "lock", "→", "200", "granted", "Locked", "1"]
    assert first.index("lock") == head.index("A")
    assert second.index("lock") == head.index("B")
    assert second.rstrip().endswith("1, 2")


def test_the_histogram_marks_the_outcome_that_violates():
    text = failure_of(violated())
    assert "  12  granted         granted         6 %  violation" in text
    assert text.index("12  granted") < text.index("97  granted")


@pytest.mark.parametrize("width", [60, 80, 120, 160])
@pytest.mark.parametrize("case", [violated, herd])
def test_a_failure_fits_a_screen_at_any_width(case, width):
    lines = failure_of(case(), look=Look(width), html=Path("out/report.html")).splitlines()
    assert len(lines) <= FAILURE_LINES
    assert all(len(line) <= width for line in lines if not line.startswith("replay"))


def test_a_long_run_is_windowed_on_the_violation_and_says_so():
    text = failure_of(herd(50, rounds=40))
    assert "left out" in text
    assert "a window:" in text
    assert "of 2040 operations" in text
    assert sum(line.startswith("▶") for line in text.splitlines()) == 3  # two rows and the legend
    assert "15 others" in text


def test_tokens_are_told_apart_and_die_with_the_unlock():
    book = Book()
    book.did("A", "lock", state="Locked", auth_uuid="t1")
    book.did("A", "auth", auth_uuid="t1", secret_shown="s1")
    book.did("B", "unlock", state="Queued")
    probe = book.did("probe", "use", phase="probe", secret="s1", token="A.token")
    found = Violation("invariant", "revoked_auth_dead", "UNLOCK-3", "it works", 0, (probe,), "c1", Mark(2, 1))
    lines = failure_of(result("violation", scenario("keep_auth"), book.operations, violations=[found])).splitlines()
    assert next(line for line in lines if "auth → 200 token 1" in line).rstrip().endswith("1 (A)")
    assert next(line for line in lines if "unlock" in line and "200" in line).rstrip().endswith("none")
    assert next(line for line in lines if "use token 1 → 200" in line).rstrip().endswith("1 (A)")


def test_what_a_server_says_cannot_steer_the_terminal():
    bad = violated()
    second = bad.history.operations[2]
    bad.history.operations[2] = type(second)(
        **{name: getattr(second, name) for name in second.__struct_fields__}
        | {"errors": ["\x1b[31mred\x1b[0m [bold]not markup[/bold]\nnext"]}
    )
    text = failure_of(bad)
    assert "\x1b" not in text
    assert "[bold]not markup[/bold] next" in text


def test_violations_of_one_kind_are_told_once_with_their_count():
    text = failure_report(run_of(violated("two_lockers[size=2]"), violated("two_lockers[size=10]")), PLAIN)
    assert text.count("seen ") == 1
    assert "in 2 runs of 2 instances (also two_lockers[size=10])" in text


def test_more_kinds_than_fit_are_listed_in_a_line_each():
    text = failure_report(run_of(*[violated(f"case_{number}") for number in range(7)]), PLAIN, most=5)
    assert text.count("seen ") == 5
    assert "and 2 more failures:" in text
    assert "  LOCK-3  case_6: A and B were both granted" in text


def test_a_family_folds_into_one_line():
    (family,) = families(table(80))
    assert family_line(family, PLAIN).splitlines() == [
        "✓ conforms     transition_table ×80           80 runs   20.0 s  Two dispatchers lock one container at once; e…"
    ]


def test_a_line_says_what_came_out():
    lines = [family_line(family, PLAIN) for family in families([known_race(), unsure(), violated(), *table(2)])]
    assert "stolen_lock: known race, reproduced in 1 of 1 run" in lines[0]
    assert "the requests overlapped in none of 200 runs" in lines[1]
    assert "LOCK-3: A and B were both granted" in lines[2]
    assert lines[3].count("\n") == 1


def test_a_family_with_mixed_labels_counts_them():
    (family,) = families(
        [violated("two_lockers[a]"), *[result("conforms", scenario(f"two_lockers[{n}]")) for n in "bc"]]
    )
    assert family.label == "violation"
    assert "1 violation, 2 conforms; LOCK-3" in family_line(family, PLAIN)


def test_the_summary_counts_and_says_where_to_look_next():
    text = summary(run_of(violated(), known_race(), unsure(), *table()), PLAIN, Path("out/report.html"))
    assert "83 from 4 files: 1 violation, 1 inconclusive, 1 known race, 80 conforms" in text
    assert "282 runs" in text
    assert "LOCK-3; in 1 scenario" in text
    assert "stolen_lock: known race, reproduced in 1 of 1 run" in text
    assert "thundering_herd[size=10]: the requests overlapped in none of 200 runs" in text
    assert "DUR-1" in text
    assert "lockrace explain LOCK-3" in text


def test_the_summary_of_a_clean_run_names_no_violation():
    text = summary(run_of(*table(3)), PLAIN)
    assert "none of the " in text
    assert "violation" not in text


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"unreachable": "connection refused"}, "connection refused"),
        ({"fault": "a worker died"}, "a worker died"),
        ({"interrupted": True}, "the rest was not tried"),
        ({"not_begun": ["a[1]", "a[2]", "b", "c", "d"]}, "a, b, c and 1 more: the budget was spent before"),
        ({"skipped": ["durable[a]: no restart", "durable[b]: no restart", "x: y"]}, "durable: no restart"),
    ],
)
def test_the_summary_says_what_ended_a_run(more, part):
    assert part in summary(run_of(**more), PLAIN)


def test_a_replay_command_is_one_line_that_a_shell_reads_back():
    bad = herd()
    bad.replay = "thundering_herd[size=50]:" + ",".join(f"D[{n}].lock" for n in range(50))
    line = failure_of(bad, look=Look(80)).splitlines()[-1]
    assert line == f"replay   lockrace replay '{bad.replay}' --target reference:check_before_lock"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_no_terminal_no_colour(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert look_for(io.StringIO()) == Look()


def test_no_color_is_kept(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not look_for(Terminal()).colour
    monkeypatch.delenv("NO_COLOR")
    assert look_for(Terminal()).colour


def test_colour_changes_no_word():
    coloured = failure_of(violated(), look=Look(110, colour=True))
    assert "\x1b[" in coloured
    from rich.text import Text

    assert [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()] == failure_of(
        violated()
    ).splitlines()


def test_a_stream_that_lacks_the_signs_gets_plain_ones():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(stream, failure_of(violated()))
    text = raw.getvalue().decode("ascii")
    assert ">/  0.0-1.5  lock > 200 granted" in text


def test_all_that_violates_one_requirement_in_one_scenario_is_one_failure():
    bad = violated()
    other = Violation("expect", "b_lock", "LOCK-3", "b_lock was granted, not refused", 4, (2,), "c1", Mark(9, 1))
    bad.verdict.violations.append(other)
    text = failure_report(run_of(bad), PLAIN)
    assert text.count("seen ") == 1
    assert "also LOCK-3: b_lock was granted, not refused" in text
    assert "in 2 of 200 runs; run 0 is shown" in text


def test_the_first_failures_are_of_as_many_requirements_as_possible():
    other = result("violation", scenario("gone"), violations=[Violation("invariant", "x", "GET-1", "stale", 0, (1,))])
    found = failures([violated("case_1"), violated("case_2"), other])
    assert [one.violation.requirement for one in found] == ["LOCK-3", "GET-1", "LOCK-3"]


def test_what_a_baseline_excuses_is_no_failure():
    excused = violated()
    excused.label = "baseline"
    assert failures([excused]) == []


def test_of_a_clause_only_what_its_text_names_is_marked():
    book = Book()
    book.did("A", "lock", state="Locked", auth_uuid="t1")
    book.did("A", "get", state="Locked")
    book.did("B", "unlock", state="Queued")
    found = Violation("clause", "c", "UNLOCK-1", "never: b_unlock.granted", 0, (0, 1, 2), None, Mark(2, 1))
    lines = failure_of(result("violation", scenario("x"), book.operations, violations=[found])).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("▶  ") and "ms" not in line] == ["unlock"]


def test_believers_named_by_a_clause_are_marked_where_they_locked():
    book = Book()
    for who in "AB":
        book.did(who, "lock", state="Locked", auth_uuid=who)
        book.did(who, "get", state="Locked")
    text = "both must never be: believes(A, c1) and believes(B, c1)"
    found = Violation("clause", "both", "LOCK-3", text, 0, (0, 1, 2, 3), None, Mark(2, 1))
    lines = failure_of(result("violation", scenario("x"), book.operations, violations=[found])).splitlines()
    assert [line.split()[2] for line in lines if line.startswith("▶  ")] == ["lock", "lock"]


def test_the_order_that_has_no_place_for_an_operation_is_told():
    told = "order a legal order gets as far as D[0]'s lock; with D[3]'s lock next it cannot be completed"
    assert told in failure_of(herd(5, rounds=2))
    assert "order" not in failure_of(violated())


def test_how_races_left_is_told_once():
    races = [result(of=scenario(f"race_{number}")) for number in range(3)]
    for one in races:
        one.release = "by gate (last bytes held back), not measured"
    run = run_of(result(), *races)
    assert summary(run, PLAIN).count("races left     by gate (last bytes held back), not measured\n") == 1
    assert "<td>races left</td><td>by gate (last bytes held back), not measured</td>" in run_page(run)
    assert [one.release for one in results(run).scenarios] == [None, *[races[0].release] * 3]
    assert "races left" not in summary(run_of(result()), PLAIN)


def test_the_figures_of_a_race_are_not_cut():
    one = result()
    one.race = f"{'rounds ' * 35}with 95 %"
    assert "with 95 %" in family_line(families([one])[0], Look(120))


def test_a_replay_names_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run = run_of(violated())
    run.settings |= {"max_dispatch_attempts": 3}
    assert replay_command(run, run.results[0]) == (
        "lockrace replay two_lockers:a_lock,b_lock --target reference:check_before_lock --max-dispatch-attempts 3 "
        "--scenarios scenarios/races/two_lockers.race.yaml"
    )
    monkeypatch.chdir(ROOT)  # there the scenario is a shipped one
    assert "--scenarios" not in replay_command(run, run.results[0])


@pytest.mark.parametrize(("target", "said"), [("reference", True), ("http://mine:8000", False)])
def test_only_who_has_seen_the_reference_server_is_told_how_to_judge_another(target, said):
    assert ("http://your-server:port" in summary(run_of(result(), target=target), PLAIN)) is said
