"""kill -9 under load: what was acknowledged is there after the restart, what was refused is not."""

import pytest

from bench.kills import kill_under_load
from tests.reference_server.support import empty_postgres


@pytest.mark.parametrize(("kind", "workers", "kills"), [("sqlite", 1, 2), ("sqlite", 2, 1), ("postgresql", 2, 1)])
def test_nothing_acknowledged_is_lost_and_nothing_refused_happened(kind, workers, kills, tmp_path, request):
    if kind == "sqlite":
        database = str(tmp_path / "containers.sqlite")
    else:
        database = empty_postgres(request.getfixturevalue("postgres_url"))
    acknowledged, lost = kill_under_load(database, workers, kills, enough=60)
    assert lost == []
    assert acknowledged >= 60


def test_the_check_notices_a_server_that_acknowledges_before_it_writes(tmp_path):
    arguments = ("--mutant", "acknowledged_before_commit")
    for number in range(20):  # the first shows it, unless the kill comes when all has been written
        acknowledged, lost = kill_under_load(str(tmp_path / f"{number}.sqlite"), 1, 1, 60, *arguments)
        assert acknowledged >= 60
        if lost:
            break
    assert lost
