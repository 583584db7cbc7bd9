"""Crowds at once on real processes and databases, and what a crowd must notice."""

import pytest

from bench.races import race_rounds
from tests.reference_server.support import empty_postgres

CROWD = 50
MANY = 2000  # rounds at most until one shows it: the first few do, unless the machine lets nobody meet


@pytest.mark.parametrize(("kind", "workers"), [("sqlite", 1), ("sqlite", 2), ("postgresql", 4)])
def test_a_crowd_has_one_winner_and_leaves_no_other_auth_alive(kind, workers, tmp_path, request):
    if kind == "sqlite":
        database = str(tmp_path / "containers.sqlite")
    else:
        database = empty_postgres(request.getfixturevalue("postgres_url"))
    assert race_rounds(database, workers, rounds=6, crowd_size=CROWD) == []


def test_the_check_notices_a_server_that_grants_to_two(tmp_path):
    arguments = ("--mutant", "check_before_lock")
    wrong = race_rounds(str(tmp_path / "containers.sqlite"), 1, MANY, 2, *arguments, to_first=True)
    assert any("instead of" in line for line in wrong)
    assert any("is alive" in line for line in wrong)


def test_a_mutex_in_memory_does_not_reach_another_worker(tmp_path):
    arguments = ("--mutant", "mutex_per_process")
    wrong = race_rounds(str(tmp_path / "containers.sqlite"), 2, MANY, 20, *arguments, to_first=True)
    assert any("instead of" in line for line in wrong)
