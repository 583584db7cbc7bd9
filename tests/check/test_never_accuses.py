"""No server that keeps the contract is ever accused, whichever way it uses what the contract leaves open."""

from collections import Counter
from typing import get_args

import pytest

from harness.check import check
from harness.contract import Level
from tests.check.population import population

SEEDS = 300


@pytest.mark.parametrize("level", get_args(Level))
def test_correct_servers_are_never_accused(level: Level) -> None:
    judged: Counter[str] = Counter()
    for seed in range(SEEDS):
        history = population(seed, level, lost=0.05 if seed % 2 else 0.0, restarts=seed % 3 == 0)
        verdict = check(history)
        assert [(seed, one.name, one.message) for one in verdict.violations] == []
        assert verdict.linearizability == "linearizable"
        judged.update(verdict.judged)
    # the silence above is worth something only where there was something to judge
    never = {name for name, count in judged.items() if not count}
    assert never <= {"no_server_error", "attempt_limit"}
