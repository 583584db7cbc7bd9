"""The pytest plugin: the same verdict as `lockrace run`, and the report in place of a traceback."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.drive.watched import watched
from tests.limits import LIMIT_S

ROOT = Path(__file__).parent.parent
RACES = ROOT / "scenarios" / "races"
FILES = [str(RACES / f"{name}.race.yaml") for name in ("every_interleaving", "stolen_lock", "two_updaters")]


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LOCKRACE", "PYTEST"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder), *words],
        cwd=folder,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def test_every_item_agrees_with_lockrace_run_on_two_workers(tmp_path: Path) -> None:
    target = "reference:keep_auth"
    seen = run_pytest(tmp_path, *FILES, "-n", "2", "-v", "--lockrace-target", target, "--lockrace-runs", "3")
    assert seen.returncode == 1
    told = {name: word for line in seen.stdout.splitlines() for word, name in [_outcome(line)] if name}
    run = subprocess.run(
        [sys.executable, "-m", "harness.cli", "run", *FILES, "--target", target, "--runs", "3", "--out", "other"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert run.returncode == 1
    results = json.loads((tmp_path / "other" / "results.json").read_text())
    labels = {one["name"]: one["label"] for one in results["scenarios"]}
    word_of = {"violation": "FAILED", "conforms": "PASSED", "known race": "PASSED"}
    assert told == {name: word_of[label] for name, label in labels.items()} | {"two_updaters": "SKIPPED"}


def _outcome(line: str) -> tuple[str, str]:
    for word in ("PASSED", "FAILED", "SKIPPED"):
        if line.startswith("[gw") and f" {word} " in line:
            return word, line.rsplit("::", 1)[1].strip()
    return "", ""


def test_a_failure_is_the_report_with_the_place_in_the_yaml_file(tmp_path: Path) -> None:
    seen = run_pytest(tmp_path, FILES[0], "--lockrace-target", "reference:keep_auth")
    assert "UNLOCK-3 revoked_auth_dead" in seen.stdout
    assert "lockrace replay every_interleaving:" in seen.stdout
    assert "Traceback" not in seen.stdout
    assert "NotConforming" not in seen.stdout


def test_tags_are_marks_and_a_broken_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    seen = run_pytest(tmp_path, str(RACES), "--collect-only", "-q", "-m", "race", "--strict-markers")
    assert "stolen_lock.race.yaml::stolen_lock" in seen.stdout
    (tmp_path / "bad.race.yaml").write_text("format: 1\nscenari: x\n")
    seen = run_pytest(tmp_path, "bad.race.yaml")
    assert seen.returncode == 2
    assert "bad.race.yaml:2:1" in seen.stdout
    assert 'did you mean "scenario"?' in seen.stdout


def test_an_unreachable_target_fails_each_item_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text("shared: s\nstranger: t\n")
    target = ("--lockrace-target", "http://127.0.0.1:9", "--lockrace-token-file", "tokens.yaml")
    seen = run_pytest(tmp_path, FILES[1], *target)
    assert seen.returncode == 1
    assert "http://127.0.0.1:9 cannot be reached" in seen.stdout
    assert "Traceback" not in seen.stdout


def test_an_inconclusive_scenario_is_never_green(tmp_path: Path) -> None:
    text = (
        (RACES / "stolen_lock.race.yaml")
        .read_text()
        .replace("outcome:", "outcome:\n  sometimes:\n    x: a_lock.refused")
    )
    (tmp_path / "unseen.race.yaml").write_text(text)
    seen = run_pytest(tmp_path, "unseen.race.yaml")
    assert seen.returncode == 1
    assert "inconclusive" in seen.stdout


@pytest.mark.parametrize("option", ["--lockrace-target", "--lockrace-level", "--lockrace-start"])
def test_help_names_the_options(tmp_path: Path, option: str) -> None:
    assert option in run_pytest(tmp_path, "--help").stdout


def test_the_pace_counts_over_all_workers(tmp_path: Path) -> None:
    per_second, came = 8, list[int]()
    files = [str(RACES / f"{name}.race.yaml") for name in ("stolen_lock", "stolen_lock_early_auth")]

    async def work() -> subprocess.CompletedProcess[str]:
        async with watched(came) as target:
            (tmp_path / "tokens.yaml").write_text(f"shared: {target.secrets['shared']}\n")
            aim = ("--lockrace-target", target.url, "--lockrace-token-file", "tokens.yaml")
            return await asyncio.to_thread(run_pytest, tmp_path, *files, *aim, "-n", "2", "--lockrace-max-rps", "8")

    seen = asyncio.run(work())
    assert seen.returncode == 0, seen.stdout
    assert len(came) > 3 * per_second
    assert all(later - earlier > 10**9 for earlier, later in zip(came, came[per_second:], strict=False))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--lockrace-max-rps", "0"), "--lockrace-max-rps 0 is too little for 1 worker,"),
        (("--lockrace-cluster", "Zzzzz"), "'Zzzzz' is no cluster: want five small letters or digits"),
    ],
)
def test_an_option_that_cannot_be_is_one_clear_line(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    seen = run_pytest(tmp_path, FILES[1], *words)
    assert seen.returncode == 1
    assert said in seen.stdout
    assert "Traceback" not in seen.stdout


def test_a_server_in_other_words_is_judged_with_its_profile(tmp_path: Path) -> None:
    folder = ROOT / "tests" / "profile"
    profile = folder / "leases.profile.yaml"
    aim = (FILES[0], "--lockrace-start", f"{sys.executable} {folder / 'leases_server.py'} --port {{port}}")
    (tmp_path / "tokens.yaml").write_text("shared: first-dispatch-token\nstranger: other-dispatch-token\n")
    aim = (*aim, "--lockrace-token-file", "tokens.yaml")
    seen = run_pytest(tmp_path, *aim, "--lockrace-profile", str(profile))
    assert seen.returncode == 0, seen.stdout
    (history,) = (tmp_path / "lockrace-out" / "histories").iterdir()
    assert json.loads(history.read_text().splitlines()[0])["settings"]["profile"] == "leases"
    seen = run_pytest(tmp_path, *aim)
    assert seen.returncode == 1
    assert "does not answer as the Arvados API does" in seen.stdout
    (tmp_path / "bad.profile.yaml").write_text("format: 1\nprofile: bad\ncals: {}\n")
    seen = run_pytest(tmp_path, *aim, "--lockrace-profile", "bad.profile.yaml", "--lockrace-provision", "api")
    assert seen.returncode == 1
    assert 'did you mean "calls"?' in seen.stdout
    assert "Traceback" not in seen.stdout
