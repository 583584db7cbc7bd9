"""The conductor: sends each step of an order through its dispatcher, one group after the other.

order [a_lock, b_unlock, [b_lock, c_lock]]

A  |--a_lock--|
B              |--b_unlock--|  |--b_lock--|
C                              |--c_lock--|     an inner list is released at one moment
"""

import asyncio
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness.drive.line import Exchange, Line
from harness.drive.provision import provision, tidy_up
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.drive.target import Caller
from harness.history import Facts, Operation
from harness.plan import Order
from harness.scenario import Scenario, Step, UuidOf
from harness.wire import Call

_RETRY_PAUSE_S = 0.05


class Ensemble:
    """Plays the orders of one scenario on one line."""

    def __init__(self, scenario: Scenario, line: Line, callers: Mapping[str, Caller], vault: Vault) -> None:
        self._scenario = scenario
        self._line = line
        self._tokens = {name: caller.secret for name, caller in callers.items()}
        self._tokens |= {"none": "", "bogus": secrets.token_hex(25)}
        self._token_uuids = {name: caller.uuid for name, caller in callers.items()}
        self._vault = vault
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
        stage = Stage(run, self._scenario, self._vault, self._tokens, self._token_uuids["shared"][:5])
        for desk, session in enumerate(self._scenario.sessions):
            stage.actors[session.name] = Actor(session.name, session.token, desk)
        return stage

    async def _group(self, stage: Stage, steps: Sequence[Step]) -> None:
        facts = Facts(stage.operations, self._token_uuids)
        due = [step for step in steps if step.when is None or step.when.evaluate(facts)]
        if len(due) == 1:
            await self._alone(stage, due[0])
        elif due:
            await self._together(stage, due)

    async def _alone(self, stage: Stage, step: Step) -> None:
        actor = self._actor(stage, step)
        if step.verb == "crash":
            stage.event(actor, step, time.monotonic_ns(), self._line.crash(actor.desk))
            actor.forget()
            return
        if step.verb == "barrier":  # in an order everyone is always there
            return
        tries = 1 + (step.retry.times if step.retry else 0)
        for attempt in range(tries):
            ready = self._prepare(stage, step)
            if ready is None:
                return
            operation = self._note(stage, ready, await self._line.call(actor.desk, ready.call, self._names))
            if step.retry is None or operation.outcome not in step.retry.outcomes or attempt == tries - 1:
                return
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def _together(self, stage: Stage, steps: Sequence[Step]) -> None:
        ready = [one for step in steps if (one := self._prepare(stage, step)) is not None]
        exchanges = await self._line.together([(one.actor.desk, one.call) for one in ready], self._names)
        for one, exchange in sorted(zip(ready, exchanges, strict=True), key=lambda pair: pair[1].return_ns):
            self._note(stage, one, exchange)

    @property
    def _names(self) -> dict[str, str]:
        return self._vault.names

    def _actor(self, stage: Stage, step: Step) -> Actor:
        return stage.actors[self._session_of[step.id]]

    def _prepare(self, stage: Stage, step: Step) -> "_Ready | None":
        """The call of a step; None where there is nothing to call with: a token never saved, a listing empty."""
        actor = self._actor(stage, step)
        secret, more = self._tokens[actor.token], {}
        saved = step.argument if step.verb == "use" else step.credential
        if saved is not None:
            short = stage.saved.get(saved)
            if short is None:
                return None
            secret, more = self._vault.bare(short), {"token": saved, "secret": short}
        if step.verb == "use":
            return _Ready(actor, step, Call(op="use", token=secret), more)
        uuid = None if step.container is None else self._uuid(stage, actor, step.container)
        if uuid is None and step.container is not None:
            return None
        more["container"] = stage.name_of(uuid) or step.container
        return _Ready(actor, step, actor.call(step.verb, secret, uuid, self._sent(stage, actor, step)), more)

    def _sent(self, stage: Stage, actor: Actor, step: Step) -> dict[str, Any] | None:
        """The attributes of an update, or what a listing asks for, with every name replaced by its uuid."""
        if step.verb not in {"update", "list"}:
            return None
        sent: dict[str, Any] = {}
        for name, value in step.argument.items():
            match name, value:
                case "locked_by", _:
                    sent["locked_by_uuid"] = self._token_uuids.get(actor.token)
                case "uuid", tuple():
                    sent["uuid"] = [stage.uuids[one] for one in value if one in stage.uuids]
                case _, UuidOf(who):
                    sent[name] = stage.uuids.get(who) or self._token_uuids.get(self._scenario.tokens.get(who, ""))
                case _, tuple():
                    sent[name] = list(value)
                case _:
                    sent[name] = value
        return sent

    def _uuid(self, stage: Stage, actor: Actor, container: str) -> str | None:
        """The uuid behind a container's name, or behind the place in a saved listing: "found[0]"."""
        if container in stage.uuids or container in stage.phantoms:
            return stage.uuids.get(container) or stage.phantoms[container]
        name, _, index = container.rstrip("]").partition("[")
        found = actor.found.get(name, [])
        return found[int(index)] if index.isdigit() and int(index) < len(found) else None

    def _note(self, stage: Stage, ready: "_Ready", exchange: Exchange) -> Operation:
        actor, step = ready.actor, ready.step
        operation = stage.note(actor, ready.call, exchange, step=step.id, saved_as=step.save, **ready.more)
        if step.save is not None and operation.outcome == "granted" and operation.value is not None:
            value = operation.value
            if isinstance(value.found, list):
                actor.found[step.save] = value.found
            elif isinstance(value.secret, str):
                stage.saved[f"{actor.name}.{step.save}"] = value.secret
        return operation

    async def probe(self, stage: Stage) -> None:
        """Use every saved token and read every container, so that the clauses can be judged on the history alone."""
        actor = Actor("probe", "shared", desk=0)
        for saved, short in stage.saved.items():
            call = Call(op="use", token=self._vault.bare(short))
            await self._look(stage, actor, call, {"token": saved, "secret": short})
        for uuid in stage.uuids.values():
            await self._look(stage, actor, Call(op="get", token=self._tokens["shared"], uuid=uuid), {})

    async def _look(self, stage: Stage, actor: Actor, call: Call, more: dict[str, Any]) -> None:
        stage.note(actor, call, await self._line.call(actor.desk, call, self._names), phase="probe", **more)


class _Ready(NamedTuple):
    """A step that can be sent: by whom, the call, and what the operation says beyond the call."""

    actor: Actor
    step: Step
    call: Call
    more: dict[str, Any]
