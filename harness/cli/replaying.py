"""What `lockrace replay` does: find the scenario that the text names, and drive its one order again."""

from typing import Any

import click

from harness.cli.choosing import load_all
from harness.cli.options import near
from harness.cli.running import report_on
from harness.plan import Plan, parse_replay, with_order

_TIMES_OF_A_RACE = 20


def replay(chosen: dict[str, Any]) -> int:
    """Run the order of a replay text again and report on it; the exit code."""
    try:
        name, order = parse_replay(chosen["text"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    scenarios = {scenario.name: scenario for scenario in load_all(chosen["paths"])}
    if name not in scenarios:
        raise click.UsageError(
            f"no scenario {name!r} among these{near(name, scenarios)}; give its file with --scenarios"
        )
    races = order is None or any(len(group) > 1 for group in order)
    times = chosen["times"] or (_TIMES_OF_A_RACE if races else 1)
    try:
        plan = Plan(scenarios[name], (), 0, times) if order is None else with_order(scenarios[name], order, runs=times)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return report_on([plan], chosen, seed=0)
