"""A scenario's document with things taken out: what a search for the smallest counterexample tries."""

import copy
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from harness.explore.document import ANSWERS
from harness.plan import Order
from harness.scenario import Scenario

_EVENTS = {"crash", "pause", "barrier"}
CLAUSE_KINDS = ("always", "never", "sometimes", "eventually")

Document = dict[str, Any]
"""A scenario file as plain values."""


def document_of(scenario: Scenario, order: Order | None, broken: set[str]) -> Document:
    """The scenario cut down to one order, or to a race where there is none, and to the clauses that were violated."""
    document: Document = yaml.safe_load(scenario.text)
    elsewhere = order is None or (scenario.schedule.kind == "order" and order != scenario.schedule.order)
    for step in _requests(document):
        if elsewhere:  # what it expects was meant for another order
            step.pop("expect", None)
        if "fault" not in step:
            step.setdefault("expect", ANSWERS)
    document["schedule"] = {"race": {"runs": 200}} if order is None else {"order": [_item(group) for group in order]}
    outcome = document.get("outcome", {})
    kept = {kind: {name: one for name, one in outcome.get(kind, {}).items() if name in broken} for kind in CLAUSE_KINDS}
    document["outcome"] = {kind: clauses for kind, clauses in kept.items() if clauses}
    document["outcome"]["show"] = [
        f"{step.id}.status" for session in scenario.sessions for step in session.steps if step.verb not in _EVENTS
    ]
    document["tags"] = ["explored"]
    return _without_idle_race(document)


def named(document: Document, name: str, summary: str, requires: list[str]) -> Document:
    """The document under another name, without expectations that say nothing: one stays where nothing else is left."""
    finished = copy.deepcopy(document) | {"scenario": name, "summary": summary}
    if requires:
        finished["requires"] = requires
    idle = [step for step in _requests(finished) if step.get("expect") == ANSWERS]
    telling = any("expect" in step and step not in idle for step in _requests(finished))
    for step in idle if telling or _clauses(finished["outcome"]) else idle[:-1]:
        del step["expect"]
    return finished


def _requests(document: Document) -> list[dict[str, Any]]:
    """The steps of all sessions that are requests."""
    steps = [step for one in document["sessions"].values() for step in one]
    return [step for step in steps if not step.keys() & _EVENTS]


def _item(group: tuple[str, ...]) -> str | list[str]:
    return group[0] if len(group) == 1 else list(group)


def _without_idle_race(document: Document) -> Document:
    """Without a known race that breaks none of the clauses left."""
    race = document.get("known_race")
    if race is None or set(race.get("breaks", ())) & _clauses(document["outcome"]):
        return document
    return {key: value for key, value in document.items() if key != "known_race"}


def _clauses(outcome: dict[str, Any]) -> set[str]:
    return {name for kind in CLAUSE_KINDS for name in outcome.get(kind, ())}


def smaller(document: Document) -> Iterator[Document]:
    """Every document with one thing less, the largest first: a clause, a session, a fault, a step, an expectation."""
    for kind in CLAUSE_KINDS:
        for name in document["outcome"].get(kind, ()):
            yield _without_clause(document, kind, name)
    sessions: dict[str, list[dict[str, Any]]] = document["sessions"]
    if len(sessions) > 1:
        for name, steps in sessions.items():
            yield _without(document, _ids(steps), name)
        if "order" in document["schedule"]:
            yield from (_merged(document, *pair) for pair in itertools.combinations(sessions, 2))
    yield from _changed(document, _without_fault)
    for steps in (*sessions.values(), document.get("nemesis", [])):
        for step_id in sorted(_ids(steps)):
            yield _without(document, {step_id})
    yield from _changed(document, _without_expectation)


def _merged(document: Document, into: str, name: str) -> Document:
    """One dispatcher does what two did, in the same order; barriers between them mean nothing any more."""
    place = {step: number for number, group in enumerate(document["schedule"]["order"]) for step in _group(group)}
    both = [step for one in (into, name) for step in document["sessions"][one] if step.get("id") in place]
    sessions = {one: steps for one, steps in document["sessions"].items() if one != name}
    sessions[into] = sorted(both, key=lambda step: place[step["id"]])
    tokens = {one: token for one, token in document["given"].get("tokens", {}).items() if one != name}
    return document | {"sessions": sessions, "given": document["given"] | {"tokens": tokens}}


def _changed(document: Document, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Iterator[Document]:
    """Every document in which one step is changed."""
    for name, steps in document["sessions"].items():
        for index, step in enumerate(steps):
            if (changed := change(step)) != step:
                yield document | {
                    "sessions": document["sessions"] | {name: [*steps[:index], changed, *steps[index + 1 :]]}
                }


def _without_fault(step: dict[str, Any]) -> dict[str, Any]:
    """A step whose request and reply arrive, whatever it then is answered."""
    if "fault" not in step:
        return step
    return {key: value for key, value in step.items() if key not in {"fault", "retry"}} | {"expect": ANSWERS}


def _without_expectation(step: dict[str, Any]) -> dict[str, Any]:
    return step | {"expect": ANSWERS} if "expect" in step and "fault" not in step else step


def _without_clause(document: Document, kind: str, name: str) -> Document:
    outcome = dict(document["outcome"])
    outcome[kind] = {one: text for one, text in outcome[kind].items() if one != name}
    if not outcome[kind]:
        del outcome[kind]
    return _without_idle_race(document | {"outcome": outcome})


def _without(document: Document, gone: set[str], session: str | None = None) -> Document:
    """The document without some steps, and without what only speaks of them."""
    sessions = {
        name: [_forgetting(step, gone) for step in steps if step.get("id") not in gone]
        for name, steps in document["sessions"].items()
        if name != session
    }
    sessions = {name: steps for name, steps in sessions.items() if _ids(steps)}
    schedule = document["schedule"]
    if "order" in schedule:
        groups = [tuple(step for step in _group(one) if step not in gone) for one in schedule["order"]]
        schedule = {"order": [_item(group) for group in groups if group]}
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
        "schedule": schedule,
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
