"""`lockrace simulate`, by its command."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from harness.check.population import Tally
from harness.cli.simulate_command import command
from harness.cli.simulating import lines_of
from harness.drive.population import Populated
from harness.history import read_history
from tests.limits import LIMIT_S
from tests.processes import all_gone


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "carefull"], "did you mean careful"),
        (["--faults", "lose_reply=5"], "want a share of the calls"),
        (["--faults", "restart=1", "--target", "http://127.0.0.1:9", "--token", "x"], "only a server that the harness"),
        (["--faults", "restart=1", "--database", "embedded-postgres"], "does not outlive its server"),
        (["--workers", "2", "--target", "http://127.0.0.1:9", "--token", "x"], "not for yours"),
        (["--dispatchers", "0"], "dispatchers"),
        (["--budget", "soon"], "no time"),
        (["--target", "reference:no_such"], "no mutant or variant"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(words: list[str], said: str) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.output.split())


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    words = ["--target", "http://127.0.0.1:9", "--token", "x" * 30, "--out", str(tmp_path)]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.return_value == 4
    assert "cannot be reached" in done.output


def test_a_small_population_conforms_and_its_history_can_be_judged_again(tmp_path: Path) -> None:
    words = [
        "--dispatchers=8",
        "--containers=10",
        "--faults=lose_reply=5%,crash=5%",
        "--seed=11",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.return_value == 0, done.output
    assert "10 containers:" in done.output
    assert "0 not ended" in done.output
    history = read_history(tmp_path / "histories" / "population.jsonl")
    (again,) = history.header.replays
    assert again.startswith("lockrace simulate --dispatchers=8 --containers=10 --processes=2 --seed=11")
    assert json.dumps(history.header.settings).count("seed") == 1


def test_a_mutant_is_accused(tmp_path: Path) -> None:
    alone = ["--dispatchers=1", "--containers=6", "--policy=double_unlock", "--seed=5"]  # nobody else's timing matters
    words = [*alone, "--target=reference:unlock_from_queued", "--out", str(tmp_path)]
    done = CliRunner().invoke(command, words, standalone_mode=False)
    assert done.return_value == 1, done.output
    assert "UNLOCK-2" in done.output


def test_nothing_outlives_a_killed_simulation(tmp_path: Path) -> None:
    words = ["--dispatchers=4", "--containers=2000", "--processes=2", "--out", str(tmp_path)]
    program = "from harness.cli.simulate_command import command; command()"
    simulation = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.DEVNULL)
    try:
        below = five_below(simulation.pid)
    finally:
        simulation.kill()
        simulation.wait(LIMIT_S)
    assert all_gone(below)


def five_below(parent: int) -> list[psutil.Process]:
    """The server, the conductor's own dispatcher, two workers and the resource tracker, as soon as all are there."""
    ends = time.monotonic() + LIMIT_S
    while len(below := psutil.Process(parent).children()) < 5:
        assert time.monotonic() < ends, f"only {below}"
        time.sleep(0.05)
    return below


def test_what_it_came_to_is_told_in_a_few_lines(tmp_path: Path) -> None:
    tally = Tally(containers=3, completed=2, unfinished=["c1 (Locked)"], run_once=2)
    tally.faults["reset"] = 4
    tally.races["late_unlock"] = 1
    lines = lines_of(Populated(tmp_path, unsent=5), tally)
    assert lines == [
        "3 containers: 2 complete, 0 cancelled, 1 not ended; 2 were run once, 0 by two or more",
        "faults: reset 4",
        "5 calls found nobody to take them",
        "known races, by containers that met them: late_unlock 1",
    ]
