"""The proof by fire: each part of the check agrees with a search over all orders, and each clause counts."""

from collections import Counter
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.check.linear import search, spec, sweep
from harness.check.linear.collect import collect
from harness.check.linear.shapes import codes_of
from harness.model import Rules
from tests.check.linear import mutants
from tests.check.linear.histories import Sample, sample, without_priority
from tests.check.linear.judges import ALL_PARTS, disagreement, whole_disagreement
from tests.check.linear.oracle import orders_exist, orders_exist_at_some_priority
from tests.check.linear.simulated import HEADER, Crowd, simulate

POOL = 2500
RUN_AUTH_POOL = 400
AIMED = (2236, 2352, 3246, 3408, 4812, 5557, 5851, 6033, 6142, 22098, 36557, 63608, 70068, 80990)
"""Seeds of histories that a clause is needed for which chance seldom needs."""

CROWDS = (
    Crowd(10, 1, 0.03, seed=1),
    Crowd(100, 1, 0.03, seed=2),
    Crowd(10, 1, 0.0, seed=3),
    Crowd(50, 5, 0.03, seed=4),
    Crowd(5, 1, 0.1, seed=3),
    Crowd(5, 1, 0.1, seed=2),
)


@pytest.fixture(scope="module")
def pool() -> list[tuple[Sample, bool]]:
    samples = [sample(Random(seed)) for seed in (*AIMED, *range(POOL))]
    samples += [sample(Random(seed), level="run_auth") for seed in range(RUN_AUTH_POOL)]
    return [(one, orders_exist(one.operations, one.header)) for one in samples]


def test_the_pool_is_worth_judging(pool: list[tuple[Sample, bool]]) -> None:
    counts = Counter((one.made, exists) for one, exists in pool)
    violating = sum(count for (_, exists), count in counts.items() if not exists)
    assert 0.3 <= violating / len(pool) <= 0.7
    assert counts["moved", False] / violating >= 0.4
    assert counts["correct", False] == 0
    assert max(len(one.operations) for one, _ in pool) == 8


def test_every_part_agrees_with_every_order(pool: list[tuple[Sample, bool]]) -> None:
    assert [place for place, (one, exists) in enumerate(pool) if disagreement(one, exists, ALL_PARTS)] == []


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_the_verdict_agrees_with_every_order(rng: Random) -> None:
    one = sample(rng)
    assert whole_disagreement(one, orders_exist(one.operations, one.header)) == ""


@settings(max_examples=800)
@given(st.integers(min_value=POOL, max_value=1 << 40))
def test_the_verdict_agrees_with_every_order_of_many_more(seed: int) -> None:
    one = sample(Random(seed), level="run_auth" if seed % 8 == 0 else None)
    assert whole_disagreement(one, orders_exist(one.operations, one.header)) == ""


def test_a_creation_that_tells_no_priority_agrees_with_every_priority(pool: list[tuple[Sample, bool]]) -> None:
    bare = [(without_priority(one), exists) for one, exists in pool[::3]]
    judged = [(one, orders_exist_at_some_priority(one.operations, one.header), exists) for one, exists in bare]
    assert [one for one, exists, _ in judged if whole_disagreement(one, exists)] == []
    assert any(exists and not told for _, exists, told in judged)  # what only an untold priority explains


def test_the_order_in_which_a_history_is_written_does_not_matter(pool: list[tuple[Sample, bool]]) -> None:
    rng = Random(5)
    for one, exists in pool[:600]:
        shuffled = one._replace(operations=rng.sample(one.operations, len(one.operations)))
        assert whole_disagreement(shuffled, exists) == ""


@pytest.mark.parametrize("mutant", mutants.UNSOUND, ids=lambda mutant: f"{mutant.module}: {mutant.clause}")
def test_a_clause_switched_off_is_noticed(mutant: mutants.Mutant, pool: list[tuple[Sample, bool]]) -> None:
    parts = parts_of(mutant)
    assert any(_noticed(one, exists, parts) for one, exists in pool)


def parts_of(mutant: mutants.Mutant) -> dict[str, Any]:
    """The mutated part of the check, with what has to be asked to see it."""
    module = mutants.load(mutant)
    if mutant.module == "spec":
        return {"spec": module, "search": search}
    if mutant.module not in {"section", "waiting", "trail"}:
        return {mutant.module: module}
    user = mutants.load(mutants.Mutant("sweep", mutant.clause))
    for name in vars(module).keys() & vars(user).keys():
        setattr(user, name, getattr(module, name))
    return {"sweep": user}


def _noticed(one: Sample, exists: bool, parts: dict[str, Any]) -> bool:
    try:
        return disagreement(one, exists, parts) != ""
    except (AssertionError, IndexError, KeyError):
        return True


def test_the_fast_check_finds_the_orders_of_crowds() -> None:
    assert [crowd for crowd in CROWDS if not _all_found(sweep, crowd)] == []


@pytest.mark.parametrize("mutant", mutants.LOST, ids=lambda mutant: mutant.clause)
def test_the_fast_check_needs_every_clause_to_find_them(mutant: mutants.Mutant) -> None:
    module = parts_of(mutant)["sweep"]
    assert not all(_all_found(module, crowd) for crowd in CROWDS)


def _all_found(module: ModuleType, crowd: Crowd) -> bool:
    histories, shapes = collect(simulate(4000, crowd), HEADER)
    codes = codes_of(spec.Spec(Rules(), HEADER.tokens.values()), shapes.requests, 1)
    for history in histories:
        if not module.try_orders(history, codes, Rules(), len(history.events) // 20 + 1000).found:
            return False
    return True
