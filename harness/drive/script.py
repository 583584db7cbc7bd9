"""What a step of a scenario comes to when its moment has come: a call with every name filled in, then an operation.

Shared by the conductor, which sends one step after the other, and by fleets, which send them as they come.
"""

import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from harness.drive.line import Exchange
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.history import Operation
from harness.scenario import Scenario, Step, UuidOf
from harness.wire import Call


class Ready(NamedTuple):
    """A step that can be sent: by whom, the call, and what the operation says beyond the call."""

    actor: Actor
    step: Step
    call: Call
    more: dict[str, Any]


class Script:
    """Turns steps into calls and exchanges into operations; `secrets_of` and `uuids_of` are those of tokens by name.

    Uuids that nobody has begin with `cluster`, or as that of the shared token does.
    """

    def __init__(
        self,
        scenario: Scenario,
        secrets_of: Mapping[str, str],
        uuids_of: Mapping[str, str],
        vault: Vault,
        cluster: str | None = None,
    ) -> None:
        self._scenario = scenario
        self.tokens = {**secrets_of, "none": "", "bogus": secrets.token_hex(25)}
        self.token_uuids = dict(uuids_of)
        self.vault = vault
        self._cluster = cluster or self.token_uuids["shared"][:5]

    def stage(self, run: int) -> Stage:
        """A fresh stage, nobody on it yet."""
        return Stage(run, self._scenario, self.vault, self.tokens, self._cluster)

    def ready(self, stage: Stage, actor: Actor, step: Step) -> Ready | None:
        """The call of a step; None where there is nothing to call with: a token never saved, a listing empty."""
        secret, more = self.tokens[actor.token], {}
        saved = step.argument if step.verb == "use" else step.credential
        if saved is not None:
            short = stage.saved.get(saved)
            if short is None:
                return None
            secret, more = self.vault.bare(short), {"token": saved, "secret": short}
        if step.verb == "use":
            return Ready(actor, step, Call(op="use", token=secret), more)
        uuid = None if step.container is None else self._uuid(stage, actor, step.container)
        if uuid is None and step.container is not None:
            return None
        more["container"] = stage.name_of(uuid) or step.container
        return Ready(actor, step, actor.call(step.verb, secret, uuid, self._sent(stage, actor, step)), more)

    def _sent(self, stage: Stage, actor: Actor, step: Step) -> dict[str, Any] | None:
        """The attributes of an update, or what a listing asks for, with every name replaced by its uuid."""
        if step.verb not in {"update", "list"}:
            return None
        sent: dict[str, Any] = {}
        for name, value in step.argument.items():
            match name, value:
                case "locked_by", _:
                    sent["locked_by_uuid"] = self.token_uuids.get(actor.token)
                case "uuid", tuple():
                    sent["uuid"] = [stage.uuids[one] for one in value if one in stage.uuids]
                case _, UuidOf(who):
                    sent[name] = stage.uuids.get(who) or self.token_uuids.get(self._scenario.tokens.get(who, ""))
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

    def note(self, stage: Stage, ready: Ready, exchange: Exchange) -> Operation:
        actor, step = ready.actor, ready.step
        operation = stage.note(actor, ready.call, exchange, step=step.id, saved_as=step.save, **ready.more)
        if step.save is not None and operation.outcome == "granted" and operation.value is not None:
            value = operation.value
            if isinstance(value.found, list):
                actor.found[step.save] = value.found
            elif isinstance(value.secret, str):
                stage.saved[f"{actor.name}.{step.save}"] = value.secret
        return operation
