"""From an order that violates to the smallest one: fewest dispatchers, fewest faults, fewest requests.

A candidate is the scenario with something taken out, read again by the strict reader, so that what is handed back is a
scenario file. It counts when the target still violates the same thing, and when the model does not: otherwise it would
accuse a server that keeps the contract.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.explore.document import scenario_text
from harness.explore.player import Play
from harness.plan import Order
from harness.scenario import Scenario
from harness.scenario.diagnostics import ScenarioError
from harness.scenario.loader import load_text

REPLAYS = 3
"""How often a smallest order must violate again before it is reported as one that does."""

_SHOWN_PATH = Path("explored.race.yaml")


@dataclass
class Shrunk:
    """The smallest scenario found."""

    text: str
    scenario: Scenario
    order: Order
    broken: frozenset[str]
    replayed: int  # of REPLAYS replays so many violated again
    tried: int  # candidates


async def shrink(
    scenario: Scenario, order: Order, broken: frozenset[str], play: Play, play_on_model: Play | None, *, most: int = 400
) -> Shrunk:
    """Take out sessions, then faults, then steps, as long as it still violates one of `broken`.

    `play_on_model` is None where the model itself is what violates. Where not even the scenario cut down to this order
    can be read again and violates, the scenario comes back as it is.
    """
    document = _document(scenario, order, broken)
    best = Shrunk(scenario_text(document), scenario, order, broken, 0, 0)
    tried = 0
    fits = await _violates(document, broken, play, play_on_model)
    going = True
    if fits is not None:
        best = fits
    while going and tried < most:
        going = False
        for candidate in _smaller(document):
            tried += 1
            fits = await _violates(candidate, broken, play, play_on_model)
            if fits is not None:
                document, best, going = candidate, fits, True
                break
            if tried >= most:
                break
    best.tried = tried
    for _ in range(REPLAYS):
        best.replayed += bool((await play(best.scenario, best.order)).broken & broken)
    return best


async def _violates(
    document: dict[str, Any], broken: frozenset[str], play: Play, play_on_model: Play | None
) -> Shrunk | None:
    """The document as a scenario, when the target violates it and the model does not."""
    text = scenario_text(document)
    try:
        (scenario,) = load_text(text, _SHOWN_PATH)
    except (ScenarioError, ValueError):
        return None
    order = scenario.schedule.order
    if play_on_model is not None and (await play_on_model(scenario, order)).broken:
        return None
    still = (await play(scenario, order)).broken & broken
    return Shrunk(text, scenario, order, still, 0, 0) if still else None


def _document(scenario: Scenario, order: Order, broken: frozenset[str]) -> dict[str, Any]:
    """The scenario as plain values: this one order, and of the outcome what was violated."""
    document: dict[str, Any] = yaml.safe_load(scenario.text)
    done = {step for group in order for step in group}
    document["scenario"] = f"found_{scenario.family}"
    document["summary"] = f"Found by lockrace explore in {scenario.name}; violates {', '.join(sorted(broken))}."
    if scenario.schedule.kind == "order" and order != scenario.schedule.order:  # meant for that order only
        for steps in document["sessions"].values():
            for step in steps:
                step.pop("expect", None)
    document["schedule"] = {"order": [group[0] if len(group) == 1 else list(group) for group in order]}
    outcome = document.get("outcome", {})
    for kind in ("always", "never", "sometimes", "eventually"):
        clauses = {name: one for name, one in outcome.pop(kind, {}).items() if name in broken}
        if clauses:
            outcome[kind] = clauses
    outcome["show"] = [f"{step}.status" for step in sorted(done) if scenario.steps()[step].verb != "crash"]
    document["outcome"] = outcome
    document["tags"] = ["explored"]
    race = document.get("known_race")
    if race is not None and not set(race.get("breaks", ())) & _clauses(outcome):
        del document["known_race"]
    return document


def _clauses(outcome: dict[str, Any]) -> set[str]:
    return {name for kind in ("always", "never", "sometimes", "eventually") for name in outcome.get(kind, ())}


def _smaller(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every document with one thing less, the largest first: a session, a fault, a step, an expectation."""
    sessions: dict[str, list[dict[str, Any]]] = document["sessions"]
    if len(sessions) > 1:
        for name, steps in sessions.items():
            yield _without(document, _ids(steps), name)
    for name, steps in sessions.items():
        for index, step in enumerate(steps):
            for key in ("fault", "retry"):
                if key in step:
                    yield _with_step(document, name, index, {one: step[one] for one in step if one != key})
    for steps in (*sessions.values(), document.get("nemesis", [])):
        for step_id in _ids(steps):
            yield _without(document, {step_id})
    for name, steps in sessions.items():
        for index, step in enumerate(steps):
            if "expect" in step:
                yield _with_step(document, name, index, {one: step[one] for one in step if one != "expect"})


def _with_step(document: dict[str, Any], session: str, index: int, step: dict[str, Any]) -> dict[str, Any]:
    steps = [*document["sessions"][session]]
    steps[index] = step
    return document | {"sessions": document["sessions"] | {session: steps}}


def _without(document: dict[str, Any], gone: set[str], session: str | None = None) -> dict[str, Any]:
    """The document without some steps, and without what only speaks of them."""
    sessions = {
        name: [_forgetting(step, gone) for step in steps if step.get("id") not in gone]
        for name, steps in document["sessions"].items()
        if name != session
    }
    sessions = {name: steps for name, steps in sessions.items() if _ids(steps)}
    groups = [[step for step in _group(one) if step not in gone] for one in document["schedule"]["order"]]
    outcome = dict(document["outcome"])
    outcome["show"] = [one for one in outcome["show"] if one.partition(".")[0] not in gone]
    given = dict(document["given"])
    if "tokens" in given:
        given["tokens"] = {name: one for name, one in given["tokens"].items() if name in sessions}
    nemesis = [_forgetting(step, gone) for step in document.get("nemesis", []) if step["id"] not in gone]
    left = document | {
        "given": given,
        "sessions": sessions,
        "nemesis": nemesis,
        "schedule": {"order": [one[0] if len(one) == 1 else one for one in groups if one]},
        "outcome": outcome,
    }
    if not nemesis:
        del left["nemesis"]
    return left


def _ids(steps: list[dict[str, Any]]) -> set[str]:
    """The ids of what an order places: a barrier has none."""
    return {step["id"] for step in steps if "id" in step}


def _group(one: str | list[str]) -> list[str]:
    return [one] if isinstance(one, str) else one


def _forgetting(step: dict[str, Any], gone: set[str]) -> dict[str, Any]:
    """A step that no longer waits for steps that are gone."""
    kept = dict(step)
    for key in ("after", "before"):
        if key in kept:
            left = [one for one in _group(kept[key]) if one not in gone]
            kept[key] = left[0] if len(left) == 1 else left
            if not left:
                del kept[key]
    if "when" in kept and any(re.search(rf"\b{re.escape(one)}\b", str(kept["when"])) for one in gone):
        del kept["when"]
    return kept
