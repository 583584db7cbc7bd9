"""`lockrace explore` as a user meets it."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import exploring_orders, lockrace
from harness.cli.explore_command import command
from harness.explore.orders import OrderSearch
from harness.scenario.loader import load
from tests.explore.places import stolen_lock
from tests.limits import LIMIT_S

START = """
import sys
from harness.cli.explore_command import command
command(standalone_mode=False)
print("loaded:", *sorted({"asyncio", "httpx", "msgspec", "multiprocess", "rich", "ssl"} & sys.modules.keys()))
"""
CASES = Path(__file__).parents[2] / "scenarios" / "conformance" / "transition_table.race.yaml"


def hunt(folder: Path, schedule: str = "every: {limit: 100}") -> str:
    """The path of a scenario of the stolen lock, which says that it is a known race."""
    path = folder / "hunt.race.yaml"
    path.write_text(stolen_lock(known=True, schedule=schedule).text)
    return str(path)


def explore(out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--out", str(out)])


def run(out: Path, *arguments: str) -> Result:
    """`lockrace run`; main() would turn what the command returns into the exit code."""
    result = CliRunner().invoke(lockrace, ["run", *arguments, "--out", str(out)], standalone_mode=False)
    assert result.exception is None, result.output
    return result


def code(result: Result) -> int:
    return int(result.return_value if result.return_value is not None else result.exit_code)


def returned(out: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, [*arguments, "--out", str(out)], standalone_mode=False)
    assert result.exception is None, result.output
    return code(result), result.output


def test_stolen_lock_is_found_among_few_states_and_nothing_else_is_loaded_for_it(tmp_path: Path) -> None:
    """What makes it take a tenth of a second; `bench/explore.py` measures."""
    command = [sys.executable, "-c", START, "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert "broken after 5 requests: both_hold" in done.stdout
    (states,) = re.findall(r"^(\d+) states", done.stdout, re.MULTILINE)
    assert int(states) < 100
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
    (scenario,) = load(tmp_path / "explored" / "found_stolen_lock.race.yaml")
    assert scenario.known_race is not None
    assert scenario.known_race.id == "stolen_lock"
    assert len(scenario.sessions) == 2
    assert len(scenario.steps()) == 5


def test_run_auth_is_proved_safe(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, "--level", "run_auth", "--dispatchers", "3", "--requests", "3")
    assert exit_code == 0
    assert "complete: no order breaks any of them" in output
    assert not (tmp_path / "explored").exists()


def test_without_one_rule_the_race_is_back_and_there_is_no_excuse(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, "--level", "run_auth", "--drop", "needed_for_auth")
    assert exit_code == 1
    assert "broken after 2 requests: single_holder" in output
    (scenario,) = load(tmp_path / "explored" / "found_single_holder.race.yaml")
    assert scenario.known_race is None


def test_fixed_programs_and_other_invariants(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, "--program", "Locked,auth", "--invariant", "single_winner")
    assert exit_code == 0
    assert "double_update" in output
    exit_code, output = returned(tmp_path, "--program", "lock,auth", "--dispatchers", "3")
    assert (exit_code, "complete" in output) == (0, True)


def test_a_budget_that_ends_early_proves_nothing(tmp_path: Path) -> None:
    exit_code, output = returned(
        tmp_path, "--level", "run_auth", "--dispatchers", "3", "--requests", "6", "--budget", "0s"
    )
    assert exit_code == 3
    assert "nothing proved" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--drop", "shown_onse", "--level", "run_auth"], "did you mean shown_once?"),
        (["--drop", "shown_once"], "needs --level run_auth"),
        (["--calls", "lock,unlok"], "did you mean unlock?"),
        (["--calls", ","], "no calls given"),
        (["--invariant", "both_holds"], "did you mean both_hold?"),
        (["--program", "lock", "--requests", "3"], "leave out --calls and --requests"),
        (["--program", "lock", "--program", "auth", "--dispatchers", "3"], "2 programs for 3 dispatchers"),
        (["--budget", "soon"], "want 90s, 5m or 1h"),
        (["--target", "http://127.0.0.1:1"], "needs a SCENARIO"),
        (["--target", "asgi:a:b", "--program", "lock", "--strategy", "best"], "want one of random"),
        ([str(CASES)], "holds cases: each is one call, which has no orders"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = explore(tmp_path, *arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_a_scenario_on_the_model_is_states_and_ends(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, hunt(tmp_path))
    assert exit_code == 0
    assert "20 orders are " in output
    assert "known race stolen_lock" in output


def test_a_race_that_was_just_made_is_told_in_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(lockrace, ["new", "mine", "--kind", "race"], standalone_mode=False)
    exit_code, output = returned(tmp_path, "mine")
    assert exit_code == 0, output
    assert "mine has 2 instances; this is the first of them, mine[size=2]" in output
    assert "D told in 2 sessions, since a fleet has no orders" in output
    assert "mine on the model, level must: 6 orders are" in output
    assert "complete: no order violates" in output


def test_what_breaks_a_crowd_is_handed_back_in_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(lockrace, ["new", "mine", "--kind", "race"], standalone_mode=False)
    exit_code, output = returned(tmp_path, "mine.race.yaml", "--target", "reference:lock_noop")
    assert exit_code == 1, output
    (found,) = load(next((tmp_path / "explored").glob("*.race.yaml")))
    assert {session.name for session in found.sessions} <= {"D1", "D2"}
    assert found.schedule.kind == "order"
    assert code(run(tmp_path / "r", str(found.path), "--target", "reference:lock_noop")) == 1
    assert code(run(tmp_path / "f", str(found.path))) == 0


def test_a_race_of_sessions_has_the_orders_of_its_sessions(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, hunt(tmp_path, "race: {runs: 2}"))
    assert exit_code == 0, output
    assert "complete: no order violates" in output


def test_a_crowd_that_is_too_large_is_told(tmp_path: Path) -> None:
    text = Path(hunt(tmp_path, "race: {runs: 2}")).read_text()
    crowd = "\nfleets:\n  D: {count: 60, steps: [{id: look, get: c1}]}\n\nschedule:"
    path = tmp_path / "crowd.race.yaml"
    path.write_text(text.replace("\nschedule:", crowd).replace("B: shared}", "B: shared, D: shared}"))
    result = explore(tmp_path, str(path))
    assert result.exit_code == 2
    assert "has 62 dispatchers, and a search over orders follows 50 at most" in " ".join(result.output.split())


def test_counterexamples_are_fair(tmp_path: Path) -> None:
    """One found on a mutant fails there and passes on the faithful server, as does what the model found."""
    exit_code, output = returned(tmp_path, hunt(tmp_path), "--target", "reference:keep_auth")
    assert exit_code == 1
    assert "orders saved by independence" in output
    assert "violated again in 3 of 3 replays" in output
    found = tmp_path / "explored"
    words = shlex.split(output.split("play it: lockrace run ")[1])
    assert words == [str(found / "found_revoked_auth_dead.race.yaml"), "--target", "reference:keep_auth"]
    assert code(run(tmp_path / "m", *words)) == 1
    returned(tmp_path)
    faithful = run(tmp_path / "f", str(found))
    assert code(faithful) == 0
    assert "stolen_lock" in faithful.output
    assert "known race" in faithful.output


def test_an_asgi_violation_is_replayed_from_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_TOKEN", "c" * 40)
    monkeypatch.setenv("LOCKRACE_TOKEN2", "d" * 40)
    target = ("--target", "asgi:reference_server.asgi:make_app:check_before_lock")
    exit_code, output = returned(tmp_path, "--program", "lock,auth", *target)
    assert exit_code == 1
    found = str(tmp_path / "explored" / "found_single_winner.race.yaml")
    text = output.split("--replay ")[1].split()[0]
    assert returned(tmp_path, found, *target, "--replay", text) == (1, "violates single_winner\n")
    faithful = ("--target", "asgi:reference_server.asgi:make_app:")
    assert returned(tmp_path, found, *faithful, "--replay", text) == (0, "the run violates nothing\n")


SHEDS = """
from reference_server.asgi import make_app


def shedding():
    app = make_app()

    async def answer(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].endswith("/lock"):
            return await app(scope, receive, send)
        await send({"type": "http.response.start", "status": 429, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return answer
"""


def test_a_server_that_takes_nothing_is_not_proved_to_be_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_TOKEN", "c" * 40)
    monkeypatch.setenv("LOCKRACE_TOKEN2", "d" * 40)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shedding_server.py").write_text(SHEDS)
    target = ("--target", "asgi:shedding_server:shedding:", "--runs", "3")
    exit_code, output = returned(tmp_path, "--program", "lock,auth", *target)
    assert exit_code == 3
    assert "inconclusive: 3 runs; nothing proved" in output


def test_orders_that_could_not_be_judged_prove_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def searched(*_: object, **__: object) -> OrderSearch:
        return OrderSearch(orders=2, classes=2, played=2, inconclusive=1)

    monkeypatch.setattr(exploring_orders, "search_orders", searched)
    exit_code, output = returned(tmp_path, hunt(tmp_path), "--target", "reference")
    assert exit_code == 3
    assert "inconclusive: 1 order; nothing proved" in output
    assert "complete" not in output


def test_an_explored_server_is_explored_anew(tmp_path: Path) -> None:
    for _ in range(2):
        exit_code, output = returned(tmp_path, hunt(tmp_path), "--target", "reference", "--budget", "60s")
        assert exit_code == 0
        assert "by earlier calls" not in output


def test_a_race_that_needs_a_level_says_so_in_the_command(tmp_path: Path) -> None:
    exit_code, output = returned(tmp_path, "--level", "arvados")
    assert exit_code == 0
    assert output.split("play it: lockrace run ")[1].splitlines()[0].endswith(" --level arvados")


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_TOKEN", "c" * 40)
    exit_code, _ = returned(tmp_path, "--program", "lock", "--target", "http://127.0.0.1:9")
    assert exit_code == 4
    exit_code, output = returned(tmp_path, "--program", "lock", "--target", "asgi:no.such:app")
    assert exit_code == 4
    assert "No module named" in output
