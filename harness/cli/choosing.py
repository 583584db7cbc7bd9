"""Which scenarios a command line means; light, since `lockrace list` needs no more."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness.scenario import Scenario, ScenarioError, near_term, select, shipped
from harness.scenario import load_all as load_scenarios


def choose(scenarios: Sequence[Scenario], terms: str) -> tuple[Scenario, ...]:
    """The scenarios that a comma-separated list of terms names; says what it could have been when it is none."""
    words = [term.strip() for term in terms.split(",") if term.strip()]
    chosen = select(scenarios, words)
    if not chosen:
        meant = next((near for word in words if (near := near_term(scenarios, word))), None)
        hint = f"; did you mean {meant}?" if meant else "; `lockrace list` shows what there is"
        click.echo(f"nothing selected by {terms!r}{hint}", err=True)
    return chosen


def load_all(paths: Sequence[Path]) -> tuple[Scenario, ...]:
    """Every instance of every file under `paths` (default: shipped); broken files are all told, then exit 2."""
    try:
        return load_scenarios(paths or [shipped()])
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(2) from None
