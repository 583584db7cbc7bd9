"""One order of a scenario, played on an open target and judged: what every search over orders asks for."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from harness.check import check
from harness.check.verdict import Verdict
from harness.contract import Level
from harness.drive.conductor import Ensemble
from harness.drive.secrets import Vault
from harness.drive.supply import OutOfContainers
from harness.drive.target import OpenTarget
from harness.history import Header, History
from harness.plan import Order, replay_text
from harness.scenario import Scenario

_CHOSEN = re.compile(r"[0-9a-z]{5}-[0-9a-z]{5}-[0-9a-z]{15}|(?<=\")[0-9a-f]{16}(?=\")")
"""Uuids, and hashes of secrets, in the text of a history."""


Broken = dict[str, str]
"""Names of what was violated, each with the requirement that it breaks."""


class Played(NamedTuple):
    """What one order came to."""

    history: History
    verdict: Verdict
    broken: Broken

    def row(self) -> tuple[str, ...]:
        """The outcome, as a histogram counts it: the scenario's columns, else how each step came out."""
        if self.verdict.histogram and self.verdict.histogram[0].values:
            return self.verdict.histogram[0].values
        taken = [one for one in self.history.operations if one.phase == "run" and not one.sent_again]
        done = [one for one in taken if one.step is not None]
        return tuple(f"{one.step} {one.outcome}" for one in sorted(done, key=lambda one: one.step or ""))


def judge(scenario: Scenario, history: History, order: Order | None = None) -> Played:
    """What the run of a history came to.

    A scenario with one order of its own means what it expects for that order. In another order, or in none, only its
    `never` clauses and what the contract itself demands are judged.
    """
    verdict = check(history, scenario)
    own = scenario.schedule.kind != "order" or order == scenario.schedule.order
    never = {clause.name for clause in scenario.clauses if clause.kind == "never"}
    return Played(
        history,
        verdict,
        {
            one.name: one.requirement
            for one in verdict.violations
            if own or one.source == "invariant" or one.name in never
        },
    )


Play = Callable[[Scenario, Order], Awaitable[Played]]
"""Plays one order with fresh containers and judges it."""


def shape(values: list[Any]) -> str:
    """Operations as text, what a server chose freely numbered in order of appearance: equal where only that differs."""
    numbers: dict[str, str] = {}
    text = msgspec.json.encode(values).decode()
    return _CHOSEN.sub(lambda match: numbers.setdefault(match[0], f"<{len(numbers)}>"), text)


def player(target: OpenTarget, level: Level, max_dispatch_attempts: int | None = None) -> Play:
    """The way to play on `target`. From a play: TargetLost when the target goes away, OutOfContainers."""

    async def play(scenario: Scenario, order: Order) -> Played:
        vault = Vault()
        for name, secret in target.endpoint.secrets.items():
            vault.keep(secret, f"{name} token")
        ensemble = Ensemble(scenario, target, vault)
        stage = ensemble.stage(0)
        await ensemble.play(stage, order, keep=target.endpoint.disposable)
        if stage.short is not None:
            raise OutOfContainers(stage.short)
        header = Header(
            scenario=scenario.name,
            text=scenario.text,
            path=str(scenario.path),
            target=target.name,
            level=level,
            max_dispatch_attempts=max_dispatch_attempts,
            tokens={name: caller.uuid for name, caller in target.callers.items()},
            replays=[replay_text(scenario, order)],
        )
        return judge(scenario, History(header, stage.operations), order)

    return play


def in_order(play: Play) -> Callable[[Scenario], Awaitable[Broken]]:
    """What a scenario violates when it is played in the one order that its schedule gives."""

    async def violated(scenario: Scenario) -> Broken:
        return (await play(scenario, scenario.schedule.order)).broken

    return violated
