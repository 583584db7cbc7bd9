"""A server that keeps the contract in other words, judged with its profile; other ways to get containers."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SHARED, STRANGER, Lockrace, Served

FOLDER = Path(__file__).parents[1] / "profile"
SERVER = f"{sys.executable} {FOLDER / 'leases_server.py'} --port {{port}}"
PROFILE = ("--profile", str(FOLDER / "leases.profile.yaml"))
TOKENS = {"LOCKRACE_TOKEN": SHARED, "LOCKRACE_TOKEN2": STRANGER}


def test_every_scenario_that_ships_passes_on_a_server_that_says_it_in_other_words(lockrace: Lockrace) -> None:
    done = lockrace("run", "--start", SERVER, *PROFILE, "--runs", "10", "--quiet", "--seed", "1", **TOKENS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none of the 22 requirements judged" in done.stdout


@pytest.mark.parametrize(
    ("mutant", "scenario", "told"),
    [
        ("keep_auth", "stolen_lock_early_auth", "UNLOCK-3 revoked_auth_dead"),
        ("owner_kept", "transition_table", "UNLOCK-1 unlock_clears"),
        ("check_before_lock", "two_lockers", "LOCK-3 single_winner"),
        ("list_drops_last", "listings", "LIST-1 list_complete"),
    ],
)
def test_a_mutant_in_other_words_is_caught(mutant: str, scenario: str, told: str, lockrace: Lockrace) -> None:
    done = lockrace("run", "--start", f"{SERVER} --mutant {mutant}", *PROFILE, "--select", scenario, **TOKENS)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stdout


def test_without_its_profile_it_is_exit_4_and_one_clear_line(lockrace: Lockrace) -> None:
    done = lockrace("run", "--start", SERVER, "--select", "stolen_lock", **TOKENS)
    assert done.returncode == 4
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "does not answer as the Arvados API does: asked whose the shared token is, it gave status 404; " in line
    assert "--profile" in line


def test_with_another_profile_it_is_exit_4_and_names_the_profile(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "other.profile.yaml").write_text("format: 1\nprofile: other\ncalls: {use: {path: /whoami}}\n")
    done = lockrace("run", "--start", SERVER, "--profile", "other.profile.yaml", **TOKENS)
    assert done.returncode == 4
    assert "does not answer as the profile other says" in done.stdout + done.stderr


def test_histories_results_and_replays_name_the_profile(lockrace: Lockrace, tmp_path: Path) -> None:
    start = ("--start", f"{SERVER} --mutant keep_auth")
    done = lockrace("run", *start, *PROFILE, "--select", "stolen_lock_early_auth", **TOKENS)
    (history,) = (tmp_path / "lockrace-out" / "histories").iterdir()
    settings = json.loads(history.read_text().splitlines()[0])["settings"]
    assert settings["profile"] == "leases"
    results = json.loads((tmp_path / "lockrace-out" / "results.json").read_text())
    assert results["settings"]["profile"] == "leases"
    (replay,) = {line for line in done.stdout.splitlines() if line.startswith("replay ")}
    assert replay.endswith(" ".join(PROFILE))
    text = replay.split()[3]
    assert lockrace("replay", text, *start, *PROFILE, **TOKENS).returncode == 1
    assert lockrace("recheck", str(history)).returncode == 1  # the history is in the contract's words


def test_simulate_explore_and_doctor_take_it_too(lockrace: Lockrace) -> None:
    aim = ("--start", SERVER, *PROFILE)
    done = lockrace("simulate", *aim, "--dispatchers", "4", "--containers", "6", "--seed", "1", **TOKENS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 containers: " in done.stdout
    done = lockrace("explore", "every_interleaving", *aim, "--target", "http://the.one.started", **TOKENS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "complete: no order violates" in done.stdout
    assert "made a container" in lockrace("doctor", *aim, **TOKENS).stdout


def test_an_application_in_this_process_may_say_it_in_other_words(lockrace: Lockrace, tmp_path: Path) -> None:
    shutil.copy(FOLDER / "leases_server.py", tmp_path)
    for app, code in (("make_app:", 0), ("make_app:keep_auth", 1)):
        aim = ("--target", f"asgi:leases_server:{app}", *PROFILE)
        done = lockrace("run", *aim, "--select", "stolen_lock_early_auth", "--runs", "2", **TOKENS)
        assert done.returncode == code, done.stdout + done.stderr
        done = lockrace("explore", "stolen_lock_early_auth", *aim, "--runs", "20", **TOKENS)
        assert done.returncode == code, done.stdout + done.stderr


def test_a_broken_profile_is_exit_2_with_carets_and_nothing_runs(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "mine.profile.yaml").write_text("format: 1\nprofile: mine\nfeilds: {}\ncalls: {lok: {}}\n")
    for words in (("run", "--target", "http://127.0.0.1:9", "--profile", "mine.profile.yaml"), ("lint", ".")):
        done = lockrace(*words, **TOKENS)
        assert done.returncode == 2
        lines = (done.stdout + done.stderr).splitlines()
        assert lines[0].startswith("mine.profile.yaml:3:1: a profile has no key")
        assert lines[0].endswith('did you mean "fields"?')
        assert lines[2].strip() == "^"
        assert lines[3].startswith("mine.profile.yaml:4:9: calls has no key")
    assert not (tmp_path / "lockrace-out").exists()


def test_lint_reads_profiles_and_scenarios(lockrace: Lockrace, tmp_path: Path) -> None:
    shutil.copy(FOLDER / "leases.profile.yaml", tmp_path)
    assert "0 files, 0 instances, 1 profiles, 0 broken" in lockrace("lint", ".").stdout
    assert lockrace("new", "mine", "--in", ".").returncode == 0
    assert "1 files, 1 instances, 1 profiles, 0 broken" in lockrace("lint", ".").stdout
    assert lockrace("lint", "leases.profile.yaml").returncode == 0


def test_the_schema_is_printed(lockrace: Lockrace) -> None:
    assert json.loads(lockrace("schema", "profile").stdout)["title"] == "lockrace profile, format 1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "--target", "reference", *PROFILE), "the reference server looks as Arvados does"),
        (("run", "--target", "model", *PROFILE), "the model looks as Arvados does"),
        (("explore", *PROFILE), "the model looks as Arvados does"),
        (("run", "--target", "model", "--provision", "command:true"), "the model makes its own containers"),
        (("explore", "--provision", "command:true"), "the model makes its own containers"),
        (("run", "--target", "asgi:a:b", "--provision", "command:true"), "is in this process"),
        (("run", "--provision", "uuids:x"), "has no containers yet when it is started"),
        (("run", "--provision", "apy"), "want api, command:PROGRAM ARGUMENT..., or uuids:FILE"),
        (("run", "--target", "http://127.0.0.1:9", "--provision", "uuids:no.txt"), "no.txt:1:1: cannot be read"),
        (("run", "--provision", "command:no_such_program"), "there is no program 'no_such_program'"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_exit_2(words: tuple[str, ...], told: str, lockrace: Lockrace) -> None:
    done = lockrace(*words, **TOKENS)
    assert done.returncode == 2, done.stdout
    assert told in " ".join(done.stderr.split())


def test_a_command_that_makes_no_container_is_exit_4_and_says_why(lockrace: Lockrace) -> None:
    done = lockrace("run", "--provision", "command:sh -c 'echo no quota >&2; exit 3'", "--select", "stolen_lock")
    assert done.returncode == 4, done.stdout
    assert "--provision: sh ended with exit code 3: no quota" in done.stdout


def test_uuids_that_run_out_are_inconclusive_and_say_so(lockrace: Lockrace, served: Served, tmp_path: Path) -> None:
    (tmp_path / "uuids.txt").write_text("zzzzz-dz642-nobodyhasthis00\n")
    aim = ("--target", served.url, "--token-file", str(served.token_file), "--provision", "uuids:uuids.txt")
    told = "--provision: uuids.txt has no more containers: 0 of 1 used, 1 passed over"
    done = lockrace("run", *aim, "--select", "stolen_lock,two_lockers")
    assert done.returncode == 3, done.stdout
    assert done.stdout.count(told) >= 2
    done = lockrace("simulate", *aim, "--dispatchers", "2", "--containers", "3")
    assert done.returncode == 3, done.stdout
    assert told in done.stdout
    done = lockrace("explore", "stolen_lock", *aim)
    assert done.returncode == 3, done.stdout
    assert told in done.stderr
    assert told in lockrace("doctor", *aim).stdout
