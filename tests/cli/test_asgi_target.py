"""`--target asgi:MODULE:NAME` as a user gives it, with every command that takes a target."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import SHARED, STRANGER, Lockrace

ROOT = Path(__file__).parents[2]
KEEP_AUTH = "asgi:reference_server.asgi:make_app:keep_auth"


def test_an_application_of_the_folder_conforms_and_its_tokens_need_not_be_given(
    lockrace: Lockrace, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("from reference_server.asgi import app\n")
    done = lockrace("run", "--target", "asgi:mine:app", "--select", "stolen_lock,auth_is_the_holders")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "stolen_lock: known race, reproduced in 1 of 1 run" in done.stdout
    assert "left out" not in done.stdout  # the second needs the stranger


def test_a_mutant_is_red_and_the_replay_shows_it_again(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text(f"shared: {SHARED}\nstranger: {STRANGER}\n")
    what = ("run", "--target", KEEP_AUTH, "--select", "stolen_lock_early_auth", "--token-file", "tokens.yaml")
    done = lockrace(*what)
    assert done.returncode == 1
    assert "UNLOCK-3 revoked_auth_dead" in done.stdout
    (replay,) = {line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("replay ")}
    assert "--token-file tokens.yaml" in replay
    again = lockrace(*replay.split()[1:])
    assert again.returncode == 1
    assert "UNLOCK-3 revoked_auth_dead" in again.stdout
    assert SHARED not in done.stdout + again.stdout


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("asgi:", "names no application; want asgi:MODULE:NAME"),
        ("asgi:mine", "names no application; want asgi:MODULE:NAME"),
        ("asgi::app", "names no application; want asgi:MODULE:NAME"),
    ],
)
def test_a_target_that_cannot_be_meant_is_wrong_usage(lockrace: Lockrace, target: str, said: str) -> None:
    done = lockrace("run", "--target", target)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_module_that_is_not_there_is_exit_4_and_one_line(lockrace: Lockrace) -> None:
    done = lockrace("run", "--target", "asgi:no_such:app")
    assert done.returncode == 4
    assert done.stderr == "asgi:no_such:app: ModuleNotFoundError: No module named 'no_such'\n"


def test_a_thread_that_never_ends_does_not_keep_the_command(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.explore.misbehaving import app as app\n"
    )
    target = "asgi:mine:app:stays_in_a_thread"
    done = lockrace("run", "--target", target, "--select", "stolen_lock", "--timeout", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "LIVE-1 no_deadlock" in done.stdout


@pytest.mark.parametrize("target", ["model", KEEP_AUTH])
def test_a_population_needs_http(lockrace: Lockrace, target: str) -> None:
    done = lockrace("simulate", "--target", target)
    assert done.returncode == 2
    assert f"--target {target}: a population works over HTTP" in " ".join(done.stderr.split())


@pytest.mark.parametrize("target", ["model", KEEP_AUTH])
def test_doctor_visits_what_is_in_this_process(lockrace: Lockrace, target: str) -> None:
    done = lockrace("doctor", "--target", target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "made a container" in done.stdout


def test_explore_tells_the_tokens_before_it_imports(lockrace: Lockrace) -> None:
    done = lockrace("explore", "two_lockers", "--target", "asgi:reference_server.asgi:app", "--runs", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b(200 +422|422 +200)\b", done.stdout)


def test_explore_does_not_search_where_a_token_is_not_known(lockrace: Lockrace, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\nos.environ['LOCKRACE_TOKEN'] = 'x' * 40\nfrom reference_server.asgi import app\n"
    )
    done = lockrace("explore", "two_lockers", "--target", "asgi:mine:app", "--runs", "3")
    assert done.returncode == 4
    assert "refused the shared token (401)" in done.stderr
