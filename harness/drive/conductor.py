"""The conductor: sends each step of an order through its dispatcher, one group after the other.

order [a_lock, b_unlock, [b_lock, c_lock]]

A  |--a_lock--|
B              |--b_unlock--|  |--b_lock--|
C                              |--c_lock--|     an inner list is released at one moment
"""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from harness.drive.provision import provision, tidy_up
from harness.drive.script import Script
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.drive.target import OpenTarget
from harness.history import Facts
from harness.plan import Order
from harness.scenario import Scenario, Step
from harness.wire import Call

EVENTS = frozenset({"crash", "pause", "barrier", "restart"})
_RETRY_PAUSE_S = 0.05


class Ensemble:
    """Plays the orders of one scenario on one line."""

    def __init__(self, scenario: Scenario, target: OpenTarget, vault: Vault) -> None:
        self._scenario = scenario
        self._line = target.line
        self._restart = target.endpoint.restart
        self._script = Script(
            scenario,
            {name: caller.secret for name, caller in target.callers.items()},
            {name: caller.uuid for name, caller in target.callers.items()},
            vault,
        )
        self._steps = scenario.steps()
        self._session_of = {step.id: session.name for session in scenario.sessions for step in session.steps}

    async def play(self, stage: Stage, order: Order, *, keep: bool) -> None:
        """Provision, send every group in order, look at what came of it, tidy up; `stage` holds what happened."""
        if await provision(stage, self._line):
            for group in order:
                await self._group(stage, [self._steps[step_id] for step_id in group])
            await self.probe(stage)
        if not keep:
            await tidy_up(stage, self._line)

    def stage(self, run: int) -> Stage:
        """A fresh stage with one actor a session, each at a desk of its own."""
        stage = self._script.stage(run)
        for desk, session in enumerate(self._scenario.sessions):
            stage.actors[session.name] = Actor(session.name, session.token, desk)
        return stage

    async def _group(self, stage: Stage, steps: Sequence[Step]) -> None:
        facts = Facts(stage.operations, self._script.token_uuids)
        due = [step for step in steps if step.when is None or step.when.evaluate(facts)]
        if len(due) == 1:
            await self._alone(stage, due[0])
        elif due:
            await self._together(stage, due)

    async def _alone(self, stage: Stage, step: Step) -> None:
        if step.verb in EVENTS:
            await self._event(stage, step)
            return
        actor = self._actor(stage, step)
        if actor.paused:
            self._resume(stage, actor)
        tries = 1 + (step.retry.times if step.retry else 0)
        for attempt in range(tries):
            ready = self._script.ready(stage, self._actor(stage, step), step)
            if ready is None:
                return
            operation = self._script.note(stage, ready, await self._line.call(actor.desk, ready.call, self._names))
            if step.retry is None or operation.outcome not in step.retry.outcomes or attempt == tries - 1:
                return
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def _event(self, stage: Stage, step: Step) -> None:
        """What is no request: a crash or a pause of a dispatcher's process, a restart of the server."""
        if step.verb == "barrier":  # in an order everyone is always there
            return
        if step.verb == "restart":
            actor = Actor("nemesis", "shared", desk=0)
            begun_ns = time.monotonic_ns()
            assert self._restart is not None  # a target that cannot be restarted is never given such a plan
            await self._restart()
            stage.event(actor, step, begun_ns, None)
            return
        actor = self._actor(stage, step) if step.argument == "self" else stage.actors[step.argument]
        if step.verb == "crash":
            stage.event(actor, step, time.monotonic_ns(), self._line.crash(actor.desk))
            actor.forget()
        elif step.verb == "pause":
            stage.event(actor, step, time.monotonic_ns(), self._line.pause(actor.desk))
            actor.paused = True
            if step.for_ms is not None:
                await asyncio.sleep(step.for_ms / 1000)
                self._resume(stage, actor)

    def _resume(self, stage: Stage, actor: Actor) -> None:
        stage.resumed(actor, time.monotonic_ns(), self._line.resume(actor.desk))
        actor.paused = False

    async def _together(self, stage: Stage, steps: Sequence[Step]) -> None:
        for actor in {id(one): one for one in map(partial(self._actor, stage), steps) if one.paused}.values():
            self._resume(stage, actor)
        ready = [
            one for step in steps if (one := self._script.ready(stage, self._actor(stage, step), step)) is not None
        ]
        exchanges = await self._line.together([(one.actor.desk, one.call) for one in ready], self._names)
        for one, exchange in sorted(zip(ready, exchanges, strict=True), key=lambda pair: pair[1].return_ns):
            self._script.note(stage, one, exchange)

    @property
    def _names(self) -> dict[str, str]:
        return self._script.vault.names

    def _actor(self, stage: Stage, step: Step) -> Actor:
        return stage.actors[self._session_of[step.id]]

    async def probe(self, stage: Stage) -> None:
        """Use every saved token and read every container, so that the clauses can be judged on the history alone."""
        actor = Actor("probe", "shared", desk=0)
        for saved, short in stage.saved.items():
            call = Call(op="use", token=self._script.vault.bare(short))
            await self._look(stage, actor, call, {"token": saved, "secret": short})
        for uuid in stage.uuids.values():
            await self._look(stage, actor, Call(op="get", token=self._script.tokens["shared"], uuid=uuid), {})

    async def _look(self, stage: Stage, actor: Actor, call: Call, more: dict[str, Any]) -> None:
        stage.note(actor, call, await self._line.call(actor.desk, call, self._names), phase="probe", **more)
