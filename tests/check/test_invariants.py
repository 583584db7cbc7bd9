"""Each invariant accuses the smallest history that breaks it, and not its neighbour."""

from pathlib import Path

import pytest

from harness.check import check
from harness.check.index import make_index
from harness.check.invariants import INVARIANTS
from harness.check.invariants.document import as_markdown
from harness.check.invariants.sample import read_sample
from harness.check.invariants.samples import SAMPLES
from harness.contract import REQUIREMENTS, covers

PAGE = Path(__file__).parents[2] / "docs" / "invariants.md"


@pytest.mark.parametrize("name", INVARIANTS)
def test_names_first_what_breaks_it(name: str) -> None:
    invariant, sample = INVARIANTS[name], SAMPLES[name]
    history = read_sample(sample.bad, invariant.level, sample.limit)
    accusations = invariant.find(make_index(history.header, history.operations)).accusations
    assert {one.requirement for one in accusations} <= set(invariant.requirements)
    verdict = check(history)
    assert verdict.violations[0].name == name
    assert verdict.judged[name] > 0
    assert verdict.exercised[verdict.violations[0].requirement] > 0


@pytest.mark.parametrize("name", INVARIANTS)
def test_does_not_accuse_the_neighbour(name: str) -> None:
    sample = SAMPLES[name]
    history = read_sample(sample.good, INVARIANTS[name].level, sample.limit)
    verdict = check(history)
    assert [(one.name, one.message) for one in verdict.violations] == []
    assert verdict.inconclusive == []


def test_every_requirement_but_none_is_judged_by_an_invariant() -> None:
    judged = {requirement for invariant in INVARIANTS.values() for requirement in invariant.requirements}
    assert judged == set(REQUIREMENTS)


def test_the_page_is_made_from_the_registry() -> None:
    assert PAGE.read_text() == as_markdown(), "python -m harness.check.invariants.document > docs/invariants.md"


@pytest.mark.parametrize("name", [one.name for one in INVARIANTS.values() if one.level != "must"])
def test_is_silent_below_its_level(name: str) -> None:
    sample = SAMPLES[name]
    verdict = check(read_sample(sample.bad, "must", sample.limit))
    assert name not in {one.name for one in verdict.violations}
    assert name not in verdict.judged
    below = INVARIANTS[name].below
    if below is not None:
        assert [(one.id, one.reproduced, one.declared) for one in verdict.known_races] == [(below, 1, False)]


def test_an_empty_history_exercises_nothing() -> None:
    for level in ("must", "arvados", "run_auth"):
        verdict = check(read_sample("", level))
        assert verdict.violations == []
        assert set(verdict.judged) == {one.name for one in INVARIANTS.values() if covers(level, one.level)}
        assert not any(verdict.judged.values())


@pytest.mark.parametrize(
    "bad", ["A#1 lock 0-2 granted\nB#1 lock 1-3 granted", "B#1 lock 0-2 granted\nA#1 lock 1-3 granted"]
)
def test_winners_at_once_are_named_alike_whoever_was_a_moment_earlier(bad: str) -> None:
    (violation,) = check(read_sample(bad, "must")).violations
    assert violation.message.startswith("A#1's lock and B#1's lock were both granted")
