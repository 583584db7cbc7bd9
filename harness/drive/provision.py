"""Fresh containers, brought to their given state by real calls of the shared token, and tidied up at the end."""

import random
import string
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from msgspec import UNSET

from harness.contract import State
from harness.drive.line import Exchange, Line
from harness.drive.stage import Actor, Stage
from harness.drive.supply import OutOfContainers, Supply, creation, take
from harness.history import Operation
from harness.scenario import GivenContainer
from harness.wire import Call

_PATH: dict[State, tuple[str, ...]] = {
    "Queued": (),
    "Locked": ("lock",),
    "Running": ("lock", "Running"),
    "Complete": ("lock", "Running", "Complete"),
    "Cancelled": ("Cancelled",),
}
"""How real calls bring a Queued container to a state: a lock, or an update to the state named."""

ATTRIBUTES = {
    "command": ["true"],
    "container_image": "lockrace/none",
    "cwd": "/",
    "output_path": "/out",
    "mounts": {"/out": {"kind": "tmp", "capacity": 1}},
    "environment": {},
    "runtime_constraints": {"vcpus": 1, "ram": 1048576},
    "priority": 1,
}


async def provision(stage: Stage, line: Line, supply: Supply | None = None) -> bool:
    """Create every container of `given`; whether each is now what it shall be. What was done stands in the history.

    They come from `supply`, where there is one; when it has no more, `stage.short` says so.
    """
    actor = Actor("given", "shared", desk=0)
    counts = {fleet.name: fleet.count for fleet in stage.scenario.fleets}
    for container in stage.scenario.given:
        if container.uuid != "fresh":
            stage.phantoms[container.name] = _phantom(stage, container.uuid)
            continue
        members = counts.get(container.each or "", 0)
        for name in [f"{container.name}[{i}]" for i in range(members)] if container.each else [container.name]:
            if not await _provision_one(stage, line, actor, replace(container, name=name), supply):
                return False
    _hand_over(stage, actor)
    return True


def _hand_over(stage: Stage, given: Actor) -> None:
    """Let the first dispatcher that shares the token go on as the holder of what was locked for it."""
    first = next((one for one in stage.actors.values() if one.token == "shared"), None)
    if first is not None:
        first.run_auths |= given.run_auths


def _phantom(stage: Stage, kind: str) -> str:
    """A well-formed uuid of the target's own cluster that no container has, or a text that is no uuid."""
    if kind == "malformed":
        return "not-a-uuid"
    return f"{stage.cluster}-dz642-" + "".join(random.choices(string.digits + string.ascii_lowercase, k=15))


async def _provision_one(
    stage: Stage, line: Line, actor: Actor, container: GivenContainer, supply: Supply | None
) -> bool:
    secret = stage.tokens["shared"]
    attributes = ATTRIBUTES | container.attributes
    late_priority = container.state != "Queued" and attributes["priority"] == 0
    if late_priority:  # it could not be locked at 0
        attributes = attributes | {"priority": 1}
    if supply is None:
        uuid = await _created(stage, line, actor, container.name, attributes)
    else:
        uuid = await _taken(stage, line, actor, supply, replace(container, attributes=attributes))
    if uuid is None:
        return False
    acts = [*_PATH[container.state], *([{"priority": 0}] if late_priority else [])]
    for act in acts:
        op, sent = ("lock", None) if act == "lock" else ("update", act if isinstance(act, dict) else {"state": act})
        done = await _call(stage, line, actor, actor.call(op, secret, uuid, sent), container.name)
        if done.outcome != "granted":
            return False
    if not acts:
        return True
    seen = await _call(stage, line, actor, actor.call("get", secret, uuid), container.name)
    return seen.value is not None and seen.value.state == container.state


async def _created(stage: Stage, line: Line, actor: Actor, name: str, attributes: dict[str, Any]) -> str | None:
    """The uuid of a container that the API makes; None where it does not."""
    call = actor.call("create", stage.tokens["shared"], sent=attributes)
    created = await _call(stage, line, actor, call, name)
    if created.outcome != "granted" or created.uuid is None:
        return None
    stage.uuids[name] = created.uuid
    return created.uuid


async def _taken(stage: Stage, line: Line, actor: Actor, supply: Supply, wanted: GivenContainer) -> str | None:
    """The uuid of a container from a supply, with the priority that it shall have; None where there is none."""
    secret, name, priority = stage.tokens["shared"], wanted.name, wanted.attributes["priority"]

    def look(uuid: str) -> Awaitable[Exchange]:
        return line.call(actor.desk, actor.call("get", secret, uuid), stage.vault.names)

    try:
        taken = await take(supply, name, wanted.attributes, look)
    except OutOfContainers as out:
        stage.short = str(out)
        stage.cut_off()
        return None
    if taken.is_sure:
        stage.uuids[name] = taken.uuid  # ours from now on
        stage.operations.append(creation(taken, actor.process, name, stage.run))
    seen = stage.note(actor, actor.call("get", secret, taken.uuid), taken.seen, phase="setup", container=name)
    if not taken.is_sure:
        return None
    if seen.value is not None and seen.value.priority not in {UNSET, priority}:
        update = actor.call("update", secret, taken.uuid, {"priority": priority})
        if (await _call(stage, line, actor, update, name)).outcome != "granted":
            return None
    return taken.uuid


async def _call(stage: Stage, line: Line, actor: Actor, call: Call, name: str) -> Operation:
    exchange = await line.call(actor.desk, call, stage.vault.names)
    return stage.note(actor, call, exchange, phase="setup", container=name)


async def tidy_up(stage: Stage, line: Line) -> None:
    """Cancel what the run made and what has not ended; an answer that refuses it is no matter."""
    actor = Actor("tidy", "shared", desk=0)
    for uuid in stage.uuids.values():
        call = actor.call("update", stage.tokens["shared"], uuid, {"state": "Cancelled"})
        exchange = await line.call(actor.desk, call, stage.vault.names)
        stage.note(actor, call, exchange, phase="cleanup")
