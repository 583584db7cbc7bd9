"""Histories of a correct server under a crowd of clients, made by simulating both."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from harness.history import Header, Operation, Shown

SHARED = "zzzzz-gj3su-000000000000001"
HEADER = Header(tokens={"shared": SHARED, "stranger": "zzzzz-gj3su-000000000000002"})


@dataclass
class Crowd:
    """`clients` work on `containers`, ten to a container where there are several.

    A client without a lock tries to unlock at a rate of `foreign`; answers get `lost` at that rate. The answers to
    locks and unlocks of a `terse` server show no auth.
    """

    clients: int
    containers: int
    foreign: float
    lost: float = 0.05
    seed: int = 0
    terse: bool = False


@dataclass
class _Container:
    uuid: str
    holder: int | None = None  # the client
    auth: str | None = None
    locks: int = 0


@dataclass
class _Client:
    name: int
    incarnation: int = 1
    owns: bool = False  # it knows (or, after a lost answer, rightly fears) that the lock is its own
    seen_auth: bool = False
    container: int = 0
    left: int = field(default=0)  # operations on this container before it moves on


def simulate(count: int, crowd: Crowd) -> Iterator[Operation]:
    """About `count` operations, in the order in which they return; those that never do stand where they would have."""
    rng = random.Random(crowd.seed)
    containers = [_Container(f"zzzzz-dz642-{number:015}") for number in range(crowd.containers)]
    clients = [_Client(name) for name in range(crowd.clients)]
    # (moment, order, what, client, draft): what is 0 invoke, 1 take effect, 2 return
    queue: list[tuple[int, int, int, _Client, dict[str, object]]] = []
    order = 0
    for one in containers:
        yield _create(one)
    for client in clients:
        client.container = (client.name // 10) % crowd.containers
        client.left = rng.randrange(20, 60)
        heappush(queue, (100 + rng.randrange(1000), order, 0, client, {}))
        order += 1
    made = 0
    while queue:
        moment, _, what, client, draft = heappop(queue)
        order += 1
        if what == 0:
            if made >= count:
                continue
            made += 1
            draft = {"op": _next(client, containers[client.container], rng, crowd), "invoke_ns": moment}
            draft["container"] = containers[client.container]
            draft["lost"] = rng.random() < crowd.lost
            heappush(queue, (moment + rng.randrange(1, 1000), order, 1, client, draft))
        elif what == 1:
            if not (draft["lost"] and rng.random() < 0.5):
                draft |= _serve(draft["op"], client, draft["container"])
                if crowd.terse and draft["op"] in {"lock", "unlock"}:
                    draft.pop("value", None)
            heappush(queue, (moment + rng.randrange(1, 1000), order, 2, client, draft))
        else:
            yield _operation(draft, client, moment)
            _learn(client, draft)
            client.left -= 1
            if client.left <= 0 and not client.owns:
                groups = max(1, crowd.clients // 10)
                client.container = (client.container + groups) % crowd.containers
                client.left = rng.randrange(20, 60)
            heappush(queue, (moment + rng.randrange(1, 300), order, 0, client, {}))


def _next(client: _Client, container: _Container, rng: random.Random, crowd: Crowd) -> str:
    if client.owns:
        if not client.seen_auth and rng.random() < 0.6:
            return "auth"
        return "get" if rng.random() < 0.2 else "unlock"
    if rng.random() < crowd.foreign:
        return "unlock"
    return "get" if rng.random() < 0.25 else "lock"


def _serve(op: object, client: _Client, container: _Container) -> dict[str, object]:
    """What the server does at the moment of effect."""
    if op == "lock":
        if container.holder is not None:
            return {"outcome": "refused"}
        container.holder = client.name
        container.locks += 1
        container.auth = f"{container.uuid[-6:]}-gj3su-{container.locks:015}"
        return {"outcome": "granted", "value": _shown(container), "took": True}
    if op == "unlock":
        if container.holder is None:
            return {"outcome": "refused"}
        container.holder = container.auth = None
        return {"outcome": "granted", "value": _shown(container)}
    if op == "auth":
        if container.auth is None:
            return {"outcome": "forbidden"}
        return {"outcome": "granted", "value": Shown(auth_uuid=container.auth)}
    return {"outcome": "granted", "value": _shown(container)}


def _learn(client: _Client, draft: dict[str, object]) -> None:
    if draft["op"] == "lock" and draft.get("took"):
        client.owns, client.seen_auth = True, False
    elif draft["op"] == "auth":
        client.seen_auth = True
    elif draft["op"] == "unlock" and "outcome" in draft:
        client.owns = False
    if draft["lost"]:
        client.incarnation += 1


def _shown(container: _Container) -> Shown:
    return Shown(
        uuid=container.uuid,
        state="Locked" if container.auth else "Queued",
        priority=1,
        locked_by_uuid=SHARED if container.auth else None,
        auth_uuid=container.auth,
    )


def _create(container: _Container) -> Operation:
    return Operation(
        op="create",
        process="provision",
        invoke_ns=0,
        return_ns=1,
        type="ok",
        outcome="granted",
        uuid=container.uuid,
        phase="setup",
        token="shared",
        sent={"priority": 1},
        value=_shown(container),
    )


def _operation(draft: dict[str, object], client: _Client, moment: int) -> Operation:
    lost = bool(draft["lost"])
    outcome = "indeterminate" if lost else draft["outcome"]
    return Operation(
        op=draft["op"],
        process=f"D[{client.name}]#{client.incarnation}",
        invoke_ns=draft["invoke_ns"],
        return_ns=None if lost else moment,
        type="info" if lost else "ok" if outcome == "granted" else "fail",
        outcome=outcome,
        uuid=draft["container"].uuid,
        token="shared",
        status=None if lost else {"granted": 200, "refused": 422, "forbidden": 403}[outcome],
        value=None if lost else draft.get("value"),
    )
