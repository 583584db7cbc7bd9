"""The conductor: sends each step of an order through its dispatcher, one group after the other.

order [a_lock, b_unlock, [b_lock, c_lock]]

A  |--a_lock--|
B              |--b_unlock--|  |--b_lock--|
C                              |--c_lock--|     an inner list is released at one moment
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from harness.drive.line import Trouble, trouble_of
from harness.drive.pace import room
from harness.drive.provision import provision, tidy_up
from harness.drive.script import Script
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.drive.target import OpenTarget
from harness.history import Facts, Operation
from harness.plan import Order
from harness.scenario import Scenario, Step
from harness.wire import Call

EVENTS = frozenset({"crash", "pause", "barrier", "restart"})
_RETRY_PAUSE_S = 0.05
_LOOK_AGAIN_S = 0.05
_SPELLED = {"spelled": "v2"}


class Ensemble:
    """Plays the orders of one scenario on one line."""

    def __init__(self, scenario: Scenario, target: OpenTarget, vault: Vault) -> None:
        self._scenario = scenario
        self._line = target.line
        self._restart = target.endpoint.restart
        self._wire = target.endpoint.wire
        self._supply = target.endpoint.supply
        self._pace = target.pace
        self._script = Script(
            scenario,
            {name: caller.secret for name, caller in target.callers.items()},
            {name: caller.uuid for name, caller in target.callers.items()},
            vault,
            target.cluster,
        )
        self._steps = scenario.steps()
        self._session_of = {step.id: session.name for session in scenario.sessions for step in session.steps}

    async def play(self, stage: Stage, order: Order, *, keep: bool) -> None:
        """Provision, send every group in order, look at what came of it, tidy up; `stage` holds what happened."""
        if await provision(stage, self._line, self._supply):
            for group in order:
                await self._group(stage, [self._steps[step_id] for step_id in group])
                await self._let_go(stage, group)
            await self._let_go(stage, list(stage.held))
            await self.probe(stage)
            await self._await_eventually(stage)
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
        if step.fault is not None and step.fault.hold is not None:
            await self._hold(stage, step)
            return
        tries = 1 + (step.retry.times if step.retry else 0)
        for attempt in range(tries):
            operation = await self._send(stage, step, trouble_of(step.fault))
            if operation is None or step.retry is None or operation.outcome not in step.retry.outcomes:
                return
            if attempt + 1 < tries:
                await asyncio.sleep(_RETRY_PAUSE_S)

    async def _send(self, stage: Stage, step: Step, trouble: Trouble | None) -> Operation | None:
        """Send what a step asks for, and note what came of it; None where it has nothing to send."""
        ready = self._script.ready(stage, self._actor(stage, step), step)
        if ready is None:
            return None
        exchange = await self._line.call(ready.actor.desk, ready.call, self._names, trouble)
        return self._script.note(stage, ready, exchange)

    async def _hold(self, stage: Stage, step: Step) -> None:
        """Send a step whose request or reply the proxy keeps; it ends after the step that `until` names."""
        assert step.fault is not None
        trouble = trouble_of(step.fault)
        assert trouble is not None
        task = asyncio.create_task(self._send(stage, step, trouble))
        waiting = asyncio.create_task(self._line.held(trouble))
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        stage.held.setdefault(step.fault.until or "", []).append((trouble, task))

    async def _let_go(self, stage: Stage, step_ids: Iterable[str]) -> None:
        """Let go what was held until one of these steps, and wait for how it ends."""
        for step_id in step_ids:
            for trouble, task in stage.held.pop(step_id, []):
                self._line.let_go(trouble)
                await task

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
        troubled = [step for step in steps if step.fault is not None]
        if troubled:  # the proxy stands between: there is no last byte to hold back at the target
            async with room(self._pace, len(steps)):
                await asyncio.gather(*(self._send(stage, step, trouble_of(step.fault)) for step in steps))
            return
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

    async def _await_eventually(self, stage: Stage) -> None:
        """Look again until every `eventually` clause holds, or a look was begun after its time."""
        begun_ns = looked_ns = time.monotonic_ns()
        clauses = [clause for clause in self._scenario.clauses if clause.kind == "eventually"]
        facts = Facts(stage.operations, self._script.token_uuids)
        while any(
            looked_ns - begun_ns <= (clause.within_ms or 0) * 1_000_000 and not clause.expression.evaluate(facts)
            for clause in clauses
        ):
            await asyncio.sleep(_LOOK_AGAIN_S)
            looked_ns = time.monotonic_ns()
            await self.probe(stage)

    async def probe(self, stage: Stage) -> None:
        """Use every saved token and read every container, so that the clauses can be judged on the history alone.

        Tokens are spelled "v2/UUID/SECRET" here, as a job spells its own, where the API has that spelling; steps send
        the bare secret.
        """
        actor = Actor("probe", "shared", desk=0)
        for saved, short in stage.saved.items():
            call = Call(op="use", token=self._script.vault.bare(short))
            told: dict[str, Any] = {"token": saved, "secret": short}
            if self._wire.profile.token.v2:
                call, told = replace(call, token=stage.spelled.get(short, call.token)), told | {"sent": _SPELLED}
            await self._look(stage, actor, call, told)
        for uuid in stage.uuids.values():
            await self._look(stage, actor, Call(op="get", token=self._script.tokens["shared"], uuid=uuid), {})

    async def _look(self, stage: Stage, actor: Actor, call: Call, more: dict[str, Any]) -> None:
        stage.note(actor, call, await self._line.call(actor.desk, call, self._names), phase="probe", **more)
