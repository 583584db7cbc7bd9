"""What Tab gives: as bash calls for it, with the words that bash makes, and as zsh and fish ask."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BASH = shutil.which("bash") or ""
COMMAND = Path(sys.executable).with_name("lockrace")


def environment(**more: str) -> dict[str, str]:
    own = {name: text for name, text in os.environ.items() if not name.startswith("LOCKRACE")}
    return own | {"PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"} | more


def output(words: list[str], folder: Path, **more: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env=environment(**more), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def in_bash(folder: Path, *words: str) -> list[str]:
    """What bash would offer for the last of its words; it takes ":" and "=" for words of their own."""
    script = (
        'source <(_LOCKRACE_COMPLETE=bash_source lockrace)\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()\n'
        'compopt() { :; }\n_lockrace_completion lockrace\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    return output([BASH, "--norc", "-c", script, "bash", "lockrace", *words], folder).split()


def asked_by(shell: str, folder: Path, line: str) -> list[str]:
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1)}
    answer = output([str(COMMAND)], folder, _LOCKRACE_COMPLETE=f"{shell}_complete", **asked)
    if shell == "fish":
        return [one.partition(",")[2].partition("\t")[0] for one in answer.splitlines()]
    return [one.replace("\\:", ":") for one in answer.splitlines()[1::3]]


@pytest.mark.skipif(not BASH, reason="no bash on this machine")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ru", ["run"]),
        ("run --level ar", ["arvados"]),
        ("run --select two_l", ["two_lockers"]),
        ("run --select two_lockers,stolen_lock_", ["two_lockers,stolen_lock_early_auth"]),
        ("run --select thundering_herd[size = 1", ["10]"]),
        ("run --select DUR", ["DUR-1"]),
        ("run --target ref", ["reference", "reference:"]),
        ("run --target reference : keep_auth_at_", ["keep_auth_at_end", "keep_auth_at_requeue"]),
        ("run --target = reference : keep_auth_at_e", ["keep_auth_at_end"]),
        ("run --target reference : same_s", ["same_state_refused"]),
        ("replay stolen_lock_", ["stolen_lock_early_auth"]),
        ("replay stolen_lock :", ["a_lock,b_unlock,b_lock,a_auth,b_auth"]),
        ("explain LOCK-3", ["LOCK-3"]),
        ("explain single_w", ["single_winner"]),
        ("explore two_l", ["two_lockers"]),
        ("new mine --kind ca", ["cases"]),
        ("serve --mutant keep_auth_at_e", ["keep_auth_at_end"]),
        ("serve --mutant same_state", []),
        ("serve --variant same_state", ["same_state_refused"]),
        ("serve --max", ["--max-dispatch-attempts"]),
        ("mutants list_c", ["list_cache"]),
        ("nonesuch ", []),
    ],
)
def test_what_bash_offers(words: str, offered: list[str], tmp_path: Path) -> None:
    assert in_bash(tmp_path, *words.split(" ")) == offered


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("lockrace run --select two_lockers,stolen_lock_", ["two_lockers,stolen_lock_early_auth"]),
        ("lockrace run --target reference:keep_auth_at_e", ["reference:keep_auth_at_end"]),
        ("lockrace replay stolen_lock:", ["stolen_lock:a_lock,b_unlock,b_lock,a_auth,b_auth"]),
    ],
)
def test_what_zsh_and_fish_are_answered(shell: str, line: str, offered: list[str], tmp_path: Path) -> None:
    assert asked_by(shell, tmp_path, line) == offered


def test_scenarios_are_those_of_the_paths_that_were_given(tmp_path: Path) -> None:
    subprocess.run([COMMAND, "new", "mine"], cwd=tmp_path, env=environment(), check=True, timeout=60)
    assert asked_by("zsh", tmp_path, "lockrace run mine.race.yaml --select mi") == ["mine"]
    assert asked_by("zsh", tmp_path, "lockrace run mine.race.yaml --select two_l") == []


def test_what_is_broken_here_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.race.yaml").write_text("scenario: [")
    assert asked_by("zsh", tmp_path, "lockrace run broken.race.yaml --select two_l") == []
    (tmp_path / "lockrace.toml").write_text("= 3")
    assert asked_by("zsh", tmp_path, "lockrace run --select two_l") == []


def test_fish_keeps_the_commas_of_a_proposal(tmp_path: Path) -> None:
    script = output([str(COMMAND)], tmp_path, _LOCKRACE_COMPLETE="fish_source")
    assert 'string split --max 1 "," $completion' in script
    assert "complete --no-files --command lockrace" in script
