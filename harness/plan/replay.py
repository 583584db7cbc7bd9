"""Replay texts: one line that names a scenario and the order in which its steps went.

stolen_lock:a_lock,b_unlock,[b_lock,c_lock],a_auth
thundering_herd[size=10]:race
"""

import re
from typing import NamedTuple

from harness.plan.plan import Order
from harness.scenario import Scenario

MAX_LENGTH = 20_000

_WHOLE = re.compile(r"(?P<name>[a-z][a-z0-9_]*(?:\[[A-Za-z0-9_.=,-]+\])?):(?P<steps>.+)\Z")
_ITEM = re.compile(r"(?P<step>[A-Za-z][A-Za-z0-9_]*)|\[(?P<group>[A-Za-z0-9_,]+)\]")


class Replay(NamedTuple):
    """What a replay text says: an instance's name, and an order, or none for a race."""

    name: str
    order: Order | None


def replay_text(scenario: Scenario, order: Order | None) -> str:
    """The text that replays one order of a scenario; without an order, a race of it."""
    if order is None:
        return f"{scenario.name}:race"
    groups = (group[0] if len(group) == 1 else f"[{','.join(group)}]" for group in order)
    return f"{scenario.name}:{','.join(groups)}"


def parse_replay(text: str) -> Replay:
    """What a replay text says. Raises ValueError that tells what is wrong with it."""
    match = _WHOLE.match(text.strip()) if len(text) <= MAX_LENGTH else None
    if match is None:
        raise ValueError(
            f'"{text[:60]}" is no replay text, which looks like stolen_lock:a_lock,b_unlock,[b_lock,c_lock]'
        )
    steps = match["steps"]
    if steps == "race":
        return Replay(match["name"], None)
    groups: list[tuple[str, ...]] = []
    position = 0
    while position < len(steps):
        item = _ITEM.match(steps, position)
        if item is None or steps[item.end() : item.end() + 1] not in ("", ","):
            raise ValueError(f'cannot read the order at "{steps[position : position + 40]}"')
        groups.append((item["step"],) if item["step"] else tuple(item["group"].split(",")))
        position = item.end() + 1
    if steps.endswith(",") or not all(all(group) for group in groups):
        raise ValueError(f'the order "{steps[:60]}" has an empty place')
    return Replay(match["name"], tuple(groups))
