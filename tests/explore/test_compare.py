"""What each rule of run_auth is good for, and the table of it in the documentation."""

from pathlib import Path

import pytest

from harness.explore.compare import ABILITIES, Loss, as_markdown, is_possible, losses
from harness.explore.programs import Protocol
from harness.model import RUN_AUTH_RULES, Rules

EXPLORING = Path(__file__).parents[2] / "docs" / "exploring.md"


@pytest.fixture(scope="module")
def rows() -> list[Loss]:
    return list(losses())


def test_every_rule_of_run_auth_is_needed(rows: list[Loss]) -> None:
    assert {row.rule for row in rows} == set(RUN_AUTH_RULES)
    found = {(row.rule, row.lost): row.order for row in rows}
    assert found["needed_for_auth", "single_holder"] == "A lock, B auth"
    assert found["checked_on_auth", "both_hold"] == "A lock, B unlock, B lock, B auth, A auth"
    assert found["checked_on_unlock", "late_unlock_harmless"] == "A lock, B unlock, B lock, A unlock"
    assert found["needed_to_start", "only_holder_starts"] == "A lock, B Running"
    assert {row.lost for row in rows if row.rule == "bare_unlock_works"} <= ABILITIES.keys()
    races = {row.race for row in rows if row.race is not None}
    assert races == {"stolen_lock", "double_update", "late_unlock"}


@pytest.mark.parametrize("lost", ABILITIES)
@pytest.mark.parametrize("level", ["arvados", "run_auth"])
def test_nothing_is_lost_while_all_rules_hold(lost: str, level: str) -> None:
    assert is_possible(Protocol(Rules(level)), ABILITIES[lost])  # type: ignore[arg-type]


def test_the_documentation_shows_the_table_as_it_is(rows: list[Loss]) -> None:
    assert as_markdown(iter(rows)) in EXPLORING.read_text("utf-8")
