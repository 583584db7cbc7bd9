"""The guide to scenarios shows only what the loader reads."""

import re
from pathlib import Path

import pytest

from harness.plan import make_plan
from harness.scenario import load_text
from harness.scenario.expressions import FUNCTIONS
from harness.scenario.loader import TOP_KEYS
from harness.scenario.steps import EVENTS, FAULTS, OPTIONS, REQUESTS

GUIDE = (Path(__file__).parents[2] / "docs" / "scenario-format.md").read_text(encoding="utf-8")
WHOLE = [text for text in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL) if text.startswith("format:")]


@pytest.mark.parametrize("text", WHOLE, ids=lambda text: text.split()[3])
def test_every_whole_example_loads_and_can_be_planned(text: str) -> None:
    for scenario in load_text(text, Path("guide")):
        assert make_plan(scenario, seed=1).runs


def test_the_first_example_has_as_many_orders_as_the_guide_says() -> None:
    (scenario,) = load_text(WHOLE[0], Path("guide"))
    assert make_plan(scenario, seed=1).runs == 3
    assert "Three orders" in GUIDE


def test_nothing_of_the_format_is_left_out() -> None:
    assert [word for word in (*TOP_KEYS, *REQUESTS, *OPTIONS) if f"`{word}" not in GUIDE] == []
    assert [word for word in EVENTS if f"{word}: " not in GUIDE] == []
    assert [word for word in FAULTS if f"`{{{word}: " not in GUIDE] == []
    assert [word for word in FUNCTIONS if f"`{word}(" not in GUIDE] == []


def test_the_fault_that_is_shown_is_the_fault_that_is_told() -> None:
    assert 'unknown step "a_lok"; did you mean "a_lock"?' in GUIDE
