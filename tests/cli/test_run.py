"""What a user types, what they see, and the exit code that their CI reads."""

import json
import sys
from pathlib import Path

import pytest

from harness.report.files import claim
from tests.cli.conftest import SHARED, STRANGER, Lockrace, Served

RACES = Path(__file__).parents[2] / "scenarios" / "races"


def test_the_documented_race_is_a_known_race_reproduced(lockrace: Lockrace) -> None:
    done = lockrace("run", "--select", "stolen_lock")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stolen_lock: known race, reproduced in 1 of 1 run" in done.stdout


def test_a_mutant_is_a_violation_with_a_requirement_and_a_replay_that_shows_it_again(lockrace: Lockrace) -> None:
    done = lockrace("run", "--target", "reference:keep_auth", "--select", "stolen_lock_early_auth")
    assert done.returncode == 1
    assert "UNLOCK-3 revoked_auth_dead" in done.stdout
    (replay,) = {line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("replay ")}
    again = lockrace(*replay.replace("'", "").split()[1:])
    assert again.returncode == 1
    assert "UNLOCK-3 revoked_auth_dead" in again.stdout


def test_a_known_race_does_not_hide_a_server_that_never_revokes(lockrace: Lockrace) -> None:
    done = lockrace("run", "--target", "reference:keep_auth", "--select", "every_interleaving")
    assert done.returncode == 1
    assert "stolen_lock: known race, reproduced in 2 of 10 runs" in done.stdout
    assert "both_hold" in done.stdout  # red in the third order, where the two tokens differ


def test_a_server_known_by_url_and_tokens_alone(lockrace: Lockrace, served: Served) -> None:
    done = lockrace(
        "run", str(RACES / "two_lockers.race.yaml"), "--target", served.url, "--token", SHARED, "--token2", STRANGER
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "can be seen by others" in done.stderr
    assert SHARED not in done.stdout + done.stderr


def test_tokens_from_a_file_and_from_the_environment(lockrace: Lockrace, served: Served) -> None:
    what = ("run", str(RACES / "stolen_lock.race.yaml"), "--target", served.url)
    assert lockrace(*what, "--token-file", str(served.token_file)).returncode == 0
    done = lockrace(*what, LOCKRACE_TOKEN=SHARED)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_scenario_that_needs_a_token_which_was_not_given_is_left_out_and_said_so(
    lockrace: Lockrace, served: Served
) -> None:
    done = lockrace(
        "run",
        "--select",
        "foreign_unlock,stolen_lock",
        "--level",
        "arvados",
        "--target",
        served.url,
        LOCKRACE_TOKEN=SHARED,
    )
    assert done.returncode == 0
    assert "foreign_unlock: it needs the stranger token" in done.stdout


def test_a_closed_port_is_exit_4_and_one_clear_line(lockrace: Lockrace, tmp_path: Path) -> None:
    old = tmp_path / "lockrace-out" / "report.html"
    old.parent.mkdir()
    old.write_text("another server's")
    old.with_name("results.json").write_text('{"format": 1, "kind": "lockrace-results"}')
    done = lockrace("run", "--target", "http://127.0.0.1:9", LOCKRACE_TOKEN=SHARED)
    assert done.returncode == 4
    told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert told == [
        (
            "http://127.0.0.1:9 cannot be reached: connection refused by 127.0.0.1:9; "
            "is the server running, and is that its port?"
        )
    ]
    assert not old.exists(), "the report of an earlier run was left for the reader of this one"


def test_a_bad_token_is_exit_4_and_says_which(lockrace: Lockrace, served: Served) -> None:
    done = lockrace("run", "--target", served.url, LOCKRACE_TOKEN="nobodys")
    assert done.returncode == 4
    assert "refused the shared token (401)" in done.stdout + done.stderr
    done = lockrace("run", "--target", served.url, LOCKRACE_TOKEN=SHARED, LOCKRACE_TOKEN2="nobodys")
    assert done.returncode == 4
    assert "refused the stranger token (401)" in done.stdout + done.stderr


def test_a_broken_scenario_is_exit_2_with_a_caret_and_nothing_runs(lockrace: Lockrace, tmp_path: Path) -> None:
    text = (RACES / "stolen_lock.race.yaml").read_text()
    (tmp_path / "broken.race.yaml").write_text(text.replace("expect: granted", "expect: grantd", 1))
    done = lockrace("run", "broken.race.yaml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0].startswith("broken.race.yaml:15:")
    assert 'did you mean "granted"?' in lines[0]
    assert lines[2].strip() == "^"
    assert not (tmp_path / "lockrace-out").exists()


def test_nothing_selected_is_exit_5_with_a_near_name(lockrace: Lockrace) -> None:
    done = lockrace("run", "--select", "stolen_lok")
    assert done.returncode == 5
    assert "did you mean stolen_lock?" in done.stderr


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("rnu",), "did you mean run?"),
        (("run", "--target", "reference:kep_auth"), "did you mean keep_auth?"),
        (("run", "--target", "ftp://x"), "is no target"),
        (("run", "--target", "http://127.0.0.1:9"), "LOCKRACE_TOKEN"),
        (("run", "--budget", "soon"), "is no time"),
        (("run", "no_such_file.race.yaml"), "does not exist"),
        (("replay", "stolen_lok:a_lock"), "did you mean stolen_lock?"),
        (("replay", "stolen_lock:a_lock"), "leaves out"),
        (("replay", "one two"), "no replay text"),
        (("explain", "LOCK-33"), "did you mean LOCK-3?"),
    ],
)
def test_wrong_usage_is_exit_2_and_says_what_instead(lockrace: Lockrace, words: tuple[str, ...], hint: str) -> None:
    done = lockrace(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert hint in done.stderr


def test_recheck_gives_the_same_verdict_from_the_file_alone(lockrace: Lockrace, tmp_path: Path) -> None:
    assert (
        lockrace("run", "--target", "reference:keep_auth", "--select", "stolen_lock_early_auth,stolen_lock").returncode
        == 1
    )
    folder = tmp_path / "lockrace-out" / "histories"
    bad = lockrace("recheck", str(folder / "stolen_lock_early_auth.jsonl"))
    assert bad.returncode == 1
    assert "UNLOCK-3 revoked_auth_dead" in bad.stdout
    good = lockrace("recheck", str(folder / "stolen_lock.jsonl"))
    assert good.returncode == 0
    assert "known race, reproduced" in good.stdout


def test_recheck_refuses_a_malformed_line_with_its_place(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "h.jsonl").write_text('{"format": 1, "kind": "lockrace-history"}\n{"op": "lock"}\n')
    done = lockrace("recheck", "h.jsonl")
    assert done.returncode == 2
    assert "h.jsonl:2:" in done.stderr


def test_every_history_names_two_processes_where_requests_go_out_together(lockrace: Lockrace, tmp_path: Path) -> None:
    assert lockrace("run", "--select", "two_lockers").returncode == 0
    lines = (tmp_path / "lockrace-out" / "histories" / "two_lockers.jsonl").read_text().splitlines()[1:]
    assert len({one["pid"] for one in map(json.loads, lines) if one.get("step")}) >= 2


def test_settings_come_from_option_environment_and_file_and_it_is_said_which_won(
    lockrace: Lockrace, tmp_path: Path
) -> None:
    (tmp_path / "lockrace.toml").write_text(
        'level = "arvados"\nstrategy = "pct"\nbudget = "1s"\n[run]\nbudget = "9s"\ntimeout = 7.0\n'
    )
    done = lockrace("run", "--show-config", "--timeout", "3", LOCKRACE_TARGET="reference:keep_auth")
    shown = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert shown["--level"] == ["arvados", "lockrace.toml"]
    assert shown["--budget"] == ["9s", "lockrace.toml"]
    assert shown["--timeout"] == ["3.0", "option"]
    assert shown["--target"] == ["reference:keep_auth", "environment"]
    assert shown["--keep"] == ["False", "default"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[run]\nbudgt = 1\n", "did you mean budget?"),
        ("run = 3\n", "write [run]"),
        ("levl = 'arvados'\n", "no command has an option 'levl'; did you mean level?"),
        ("paths = ['races']\n", "no command has an option 'paths'"),
        ("[rn]\nbudget = '1s'\n", "no command is called 'rn'; did you mean run?"),
        ("[explore]\nbudgt = '1s'\n", "`lockrace explore` has no option 'budgt'"),
        ("token = 'x'\n", "is a secret"),
        ("[run]\ntoken = 'x'\n", "is a secret"),
        ("= 3", "lockrace.toml: "),
    ],
)
def test_a_file_of_settings_that_cannot_be_meant(lockrace: Lockrace, tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "lockrace.toml").write_text(text)
    done = lockrace("run", "--show-config")
    assert done.returncode == 2
    assert hint in done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LOCK-3", "exactly one is granted"),
        ("single_winner", "an invariant of level must"),
        ("ran_once", "ran_once, an invariant of level must"),
        ("ran_once", "judged on: the history of a population (`lockrace simulate`)"),
        ("stolen_lock", "a known race"),
        ("keep_auth", "a mutant of the reference server"),
        ("two_lockers", "lockrace run --select two_lockers"),
        ("3", "exit code 3"),
        ("inconclusive", "never green"),
    ],
)
def test_explain_tells_every_kind_of_name(lockrace: Lockrace, name: str, told: str) -> None:
    done = lockrace("explain", name)
    assert done.returncode == 0
    assert told in " ".join(done.stdout.split())


def test_list_and_lint_of_everything_shipped(lockrace: Lockrace) -> None:
    done = lockrace("list", "--select", "race")
    assert done.returncode == 0
    assert "stolen_lock" in done.stdout
    done = lockrace("lint")
    assert done.returncode == 0
    assert "0 broken" in done.stdout


def test_two_runs_cannot_write_into_one_folder(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with claim(tmp_path / "out"):
        done = lockrace("run", "--select", "stolen_lock", "--out", "out")
    assert done.returncode == 2
    assert "another run is writing into out" in done.stderr
    assert lockrace("run", "--select", "stolen_lock", "--out", "out").returncode == 0


def test_a_folder_that_cannot_be_written_is_said_and_nothing_runs(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = lockrace("run", "--select", "stolen_lock", "--out", "out/deeper")
    assert done.returncode == 2
    assert "Not a directory" in done.stderr


def test_the_model_itself_can_be_run_against(lockrace: Lockrace) -> None:
    done = lockrace("run", "--target", "model", "--select", "stolen_lock,thundering_herd")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stolen_lock: known race, reproduced in 1 of 1 run" in done.stdout
    assert "a race needs a target over HTTP" in done.stdout


def test_a_server_of_the_users_is_started_restarted_and_named_in_the_replay(lockrace: Lockrace, served: Served) -> None:
    start = f"{sys.executable} -m reference_server --port {{port}} --mutant keep_auth --database x.sqlite"
    tokens = str(served.token_file)
    what = "stolen_lock_early_auth,restart_keeps_lock"
    done = lockrace("run", "--select", what, "--start", start, "--token-file", tokens)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "DUR-1" not in next(line for line in done.stdout.splitlines() if line.startswith("not exercised"))
    (replay,) = {line for line in done.stdout.splitlines() if line.startswith("replay ")}
    assert f"--start '{start}' --token-file {tokens}" in replay


@pytest.mark.parametrize("command", ["/nonesuch {port}", "/bin/false {port}"])
def test_a_server_that_does_not_start_is_exit_4_with_the_end_of_its_log(
    lockrace: Lockrace, served: Served, command: str
) -> None:
    done = lockrace("run", "--select", "stolen_lock", "--start", command, "--token-file", str(served.token_file))
    assert done.returncode == 4
    assert "--start: the server ended with exit code" in done.stderr


def test_a_server_that_cannot_know_its_port_is_not_started(lockrace: Lockrace, served: Served) -> None:
    done = lockrace("run", "--start", "./server", "--token-file", str(served.token_file))
    assert done.returncode == 2
    assert "--start has no {port} in it" in done.stderr


@pytest.mark.parametrize("kind", ["order", "every", "cases", "race", "fault"])
def test_a_new_scenario_loads_and_conforms_as_it_is(lockrace: Lockrace, kind: str) -> None:
    assert lockrace("new", "mine", "--kind", kind).returncode == 0
    done = lockrace("run", "mine.race.yaml", "--runs", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    if kind == "order":
        done = lockrace("run", "mine.race.yaml", "--target", "reference:lock_noop")
        (replay,) = {line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("replay ")}
        again = lockrace(*replay.split()[1:])
        assert (done.returncode, again.returncode) == (1, 1), replay + again.stderr
    assert lockrace("new", "mine", "--kind", kind).returncode == 2  # nothing is overwritten


def test_init_leaves_what_is_there(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "lockrace.toml").write_text('level = "arvados"\n')
    done = lockrace("init")
    assert done.returncode == 0
    assert (tmp_path / "lockrace.toml").read_text() == 'level = "arvados"\n'
    assert (tmp_path / ".github" / "workflows" / "lockrace.yml").exists()
    assert lockrace("lint", "races").returncode == 0


def test_doctor_visits_a_target(lockrace: Lockrace, served: Served) -> None:
    done = lockrace("doctor", "--target", served.url, "--token-file", str(served.token_file))
    assert done.returncode == 0, done.stdout
    assert "made a container" in done.stdout
    done = lockrace("doctor", "--target", "http://127.0.0.1:9", LOCKRACE_TOKEN=SHARED)
    assert done.returncode == 4
    assert "cannot be reached" in done.stdout


@pytest.mark.parametrize("what", ["scenario", "history", "results"])
def test_schemas_are_schemas(lockrace: Lockrace, what: str) -> None:
    done = lockrace("schema", what)
    assert done.returncode == 0
    assert "properties" in done.stdout
    assert len(done.stdout) < 40_000
    json.loads(done.stdout)


def test_mutants_are_killed_by_the_invariant_meant_for_them_and_variants_never_accused(lockrace: Lockrace) -> None:
    races = str(RACES / "stolen_lock_early_auth.race.yaml")
    done = lockrace("mutants", "keep_auth", "same_state_refused", "--scenarios", races)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 mutants killed, 0 of 1 variants accused" in done.stdout
    done = lockrace("mutants", "lock_noop", "--scenarios", races)
    assert done.returncode == 1
    assert "mutant lock_noop survived" in done.stderr


DENIES = """
from itertools import count

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

number = count()


async def current(request):
    return JSONResponse({"uuid": "zzzzz-gj3su-000000000000001", "api_token": "x"})


async def create(request):
    return JSONResponse({"uuid": f"zzzzz-dz642-{next(number):015d}", "state": "Queued"})


async def deny(request):
    return JSONResponse({"errors": ["no"]}, status_code=403)


app = Starlette(
    routes=[
        Route("/arvados/v1/api_client_authorizations/current", current),
        Route("/arvados/v1/containers", create, methods=["POST"]),
        Route("/{path:path}", deny, methods=["GET", "POST", "PUT"]),
    ]
)
"""


def test_a_server_that_forbids_everything_is_red_and_closes_no_race(
    lockrace: Lockrace, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "denies.py").write_text(DENIES)
    start = f"{sys.executable} -m uvicorn denies:app --port {{port}}"
    what = ("--select", "stolen_lock,every_interleaving", "--known", "closed")
    done = lockrace("run", *what, "--start", start, "--token-file", str(served.token_file))
    assert done.returncode == 1
    assert "LOCK-1" in done.stdout
    assert "closed" not in done.stdout


def test_a_server_that_others_run_is_restarted_by_their_command(
    lockrace: Lockrace, served: Served, tmp_path: Path
) -> None:
    what = ("run", "--select", "restart_keeps_lock", "--target", served.url, "--token-file", str(served.token_file))
    done = lockrace(*what)
    assert "this run cannot restart the server" in done.stdout
    done = lockrace(*what, "--restart-command", f"{sys.executable} -c pass")  # a restart that loses nothing
    assert done.returncode == 0, done.stdout + done.stderr
    done = lockrace(*what, "--restart-command", "/bin/false")
    assert done.returncode == 4
    assert "--restart-command ended with exit code 1" in done.stdout
