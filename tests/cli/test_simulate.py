"""`lockrace simulate`, by its command."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.check.population import Tally
from harness.cli.simulate_command import command
from harness.cli.simulating import lines_of
from harness.drive.population import Populated
from harness.history import read_history
from tests.limits import LIMIT_S


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
        below = wait_for(lambda: below_of(simulation.pid), lambda found: len(found) >= 5)
    finally:
        simulation.kill()
        simulation.wait(LIMIT_S)
    assert len(below) >= 5  # the server, the conductor's own dispatcher, two workers, the resource tracker
    wait_for(lambda: {pid for pid in below if is_alive(pid)}, lambda left: not left)


def below_of(parent: int) -> set[int]:
    """The processes that a process has started and that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(path.parent.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(look: Callable[[], set[int]], enough: Callable[[set[int]], bool]) -> set[int]:
    """Look until it is enough."""
    ends = time.monotonic() + LIMIT_S
    while not enough(seen := look()):
        assert time.monotonic() < ends, f"still {seen}"
        time.sleep(0.05)
    return seen


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
