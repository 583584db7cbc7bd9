"""Every order of a scenario's sessions on the model, without enumerating orders: equal states are followed once.

Two prefixes have come to the same state when the same steps are done, each was answered the same, and the containers
are the same; whatever follows is then the same too. So a million orders can be a few hundred states. Where a fault
holds a message back, it may still change things, so each order is then followed by itself.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from harness.contract import Level
from harness.drive.conductor import Ensemble
from harness.drive.secrets import Vault
from harness.explore.model_line import ModelLine, open_model
from harness.explore.player import Broken, judge, shape
from harness.explore.traces import traces
from harness.history import Header, History
from harness.model import Rules
from harness.plan import Order, count_orders, replay_text
from harness.scenario import Scenario

_UNTIMED: dict[str, Any] = {"invoke_ns": 0, "return_ns": None, "release_ns": None, "request_id": None}


@dataclass
class SessionSearch:
    """What a search over the states of a scenario's sessions saw."""

    orders: int | None  # that the scenario allows; None: too many to count
    states: int = 1
    ends: int = 0  # distinct ones
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter)  # outcome -> distinct ends
    known: int = 0  # ends that are the known race
    complete: bool = False
    broken: Broken = field(default_factory=dict)
    order: Order | None = None  # that broke it
    seconds: float = 0.0


async def search_sessions(
    scenario: Scenario,
    rules: Rules,
    *,
    budget_s: float | None = None,
    progress: Callable[[SessionSearch], None] | None = None,
) -> SessionSearch:
    """Follow every state until an end violates, all were seen (`complete`), or the budget is spent."""
    started = time.monotonic()
    steps = traces(scenario)
    found = SessionSearch(count_orders(scenario))
    holds = any(step.fault is not None and step.fault.hold for step in scenario.steps().values())
    length = sum(len(chain) for chain in steps.chains)
    level: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {"": ((0,) * len(steps.chains), ())}
    for depth in range(length):
        following: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}
        for position, taken in level.values():
            found.seconds = time.monotonic() - started
            if budget_s is not None and found.seconds > budget_s:
                return found
            for chain in steps.open(position):
                order = (*taken, steps.chains[chain][position[chain]])
                after = (*position[:chain], position[chain] + 1, *position[chain + 1 :])
                history, state = await _play(scenario, rules, order)
                key = f"{after}{order if holds else state}"
                if key in following:
                    continue
                following[key] = (after, order)
                if depth == length - 1 and _is_broken(found, scenario, history, order):
                    return found
        found.states += len(following)
        level = following
        if progress is not None:
            progress(found)
    found.complete = True
    found.seconds = time.monotonic() - started
    return found


async def _play(scenario: Scenario, rules: Rules, order: tuple[str, ...]) -> tuple[History, str]:
    """The history of an order, whole or only begun, and the state that it has come to."""
    target = open_model(rules)
    vault = Vault()
    ensemble = Ensemble(scenario, target, vault)
    stage = ensemble.stage(0)
    await ensemble.play(stage, _alone(order), keep=True)
    header = _header(scenario, rules.level, order, {name: caller.uuid for name, caller in target.callers.items()})
    done = [one for one in stage.operations if one.phase == "run"]
    answered = [msgspec.structs.replace(one, **_UNTIMED) for one in sorted(done, key=lambda one: one.step or "")]
    assert isinstance(target.line, ModelLine)
    rows = [target.line.row(uuid) for uuid in stage.uuids.values()]
    return History(header, stage.operations), shape([*answered, *rows])


def _is_broken(found: SessionSearch, scenario: Scenario, history: History, order: tuple[str, ...]) -> bool:
    """Count one end; whether it violates."""
    played = judge(scenario, history, _alone(order))
    found.ends += 1
    found.rows[played.row()] += 1
    found.known += any(one.reproduced for one in played.verdict.known_races)
    found.broken = played.broken
    if found.broken:
        found.order = _alone(order)
    return bool(found.broken)


def _alone(order: tuple[str, ...]) -> Order:
    return tuple((step,) for step in order)


def _header(scenario: Scenario, level: Level, order: tuple[str, ...], tokens: dict[str, str]) -> Header:
    return Header(
        scenario=scenario.name,
        text=scenario.text,
        path=str(scenario.path),
        target="model",
        level=level,
        tokens=tokens,
        replays=[replay_text(scenario, _alone(order))],
    )
