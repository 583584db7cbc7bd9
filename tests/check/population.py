"""Histories of servers that keep the contract, whichever way they use what it leaves open.

Each call takes effect at a random moment between its invocation and its return, with a random one of the results that
the model permits there; some answers are lost, some calls never arrive, and a lock's auth dies at any moment from its
end to the answer.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from harness.contract import STATES, Level
from harness.history import Header, History, Operation, Shown
from harness.model import Call, Container, Rules, permitted

TOKENS = {"shared": "token-1", "stranger": "token-2"}
ATTEMPTS = 3


@dataclass
class _Dispatcher:
    name: str
    token: str
    incarnation: int = 1
    secrets: list[str] = field(default_factory=list)
    run_auths: dict[str, str] = field(default_factory=dict)  # container -> that of its lock

    @property
    def process(self) -> str:
        return f"{self.name}#{self.incarnation}"


@dataclass
class _Draft:
    """A call under way."""

    who: _Dispatcher
    process: str
    op: str
    container: str
    invoke: int
    sent: dict[str, Any] | None
    secret: str | None
    run_auth: str | None
    lost: bool
    outcome: str = "limited"
    value: Shown | None = None


def population(seed: int, level: Level, calls: int = 40, lost: float = 0.05, restarts: bool = False) -> History:
    """One such history, of a few dispatchers on two containers."""
    return _World(random.Random(seed), level, lost).history(calls, restarts)


class _World:
    def __init__(self, rng: random.Random, level: Level, lost: float) -> None:
        self.rng = rng
        self.lost = lost
        self.level = level
        self.limit = ATTEMPTS if rng.random() < 0.5 else None
        self.rules = Rules(level, self.limit)
        self.containers: dict[str, Container] = {}
        self.alive: dict[str, str] = {}  # secret of an auth that still opens something -> its container
        self.fresh = 0
        self.dispatchers = [
            _Dispatcher(name, "stranger" if name == "X" else "shared")
            for name in rng.choice(["AB", "ABX", "AX", "ABC"])
        ]

    def history(self, calls: int, restarts: bool) -> History:
        operations = [self._create(name, place) for place, name in enumerate(("c1", "c2"))]
        queue: list[tuple[int, int, str, Any]] = []
        order = iter(range(10**9))
        for who in self.dispatchers:
            heappush(queue, (10 + self.rng.randrange(20), next(order), "invoke", who))
        made = 0
        end = 10
        while queue:
            moment, _, what, thing = heappop(queue)
            end = moment
            if what == "invoke" and made < calls:
                made += 1
                draft = self._draft(thing, moment)
                arrives = moment + self.rng.randrange(0, 12)
                if not (draft.lost and self.rng.random() < 0.4):
                    late = self.rng.randrange(0, 200) if draft.lost else 0
                    heappush(queue, (arrives + late, next(order), "effect", draft))
                heappush(queue, (arrives + self.rng.randrange(0, 12), next(order), "return", draft))
            elif what == "effect":
                self._take_effect(thing, moment, queue, order)
            elif what == "revoke":
                self.alive.pop(thing, None)
            elif what == "return":
                operations.append(self._return(thing, moment))
                heappush(queue, (moment + self.rng.randrange(1, 15), next(order), "invoke", thing.who))
            if restarts and what == "return" and self.rng.random() < 0.02:
                operations.append(_event("restart", "server#1", moment))
        operations += self._probes(end + 1000)
        tokens = dict(TOKENS)
        return History(Header(level=self.level, tokens=tokens, max_dispatch_attempts=self.limit), operations)

    def _create(self, name: str, place: int) -> Operation:
        priority = 0 if self.rng.random() < 0.05 else 1
        self.containers[name] = Container(priority=priority)
        return Operation(
            op="create",
            process="given#1",
            invoke_ns=place * 2,
            return_ns=place * 2 + 1,
            type="ok",
            outcome="granted",
            phase="setup",
            token="shared",
            uuid=name,
            container=name,
            sent={"priority": priority},
            value=Shown(uuid=name, state="Queued", priority=priority, lock_count=0),
        )

    def _draft(self, who: _Dispatcher, moment: int) -> _Draft:
        container = self.rng.choice(["c1", "c1", "c2"])
        op = self.rng.choice(["lock"] * 4 + ["unlock"] * 3 + ["auth"] * 2 + ["get"] * 2 + ["use", "update", "list"])
        sent: dict[str, Any] | None = None
        secret = None
        if op == "use":
            if who.secrets:
                secret = self.rng.choice(who.secrets[-3:])
            else:
                op = "get"
        elif op == "update":
            sent = {"state": self.rng.choice([*STATES, "Locked", "Queued", "Queued"])}
            kind = self.rng.random()
            if kind < 0.1:
                sent = {"priority": self.rng.randrange(2)}
            elif kind < 0.15:
                sent = {"locked_by_uuid": "token-1"}
            elif kind < 0.3 and who.secrets:
                secret = self.rng.choice(who.secrets[-3:])
        elif op == "list":
            sent = {"state": self.rng.choice(STATES)}
        if sent is not None and sent.get("state") in {"Complete", "Cancelled"} and self.rng.random() < 0.8:
            sent = {"state": "Locked"}
        run_auth = who.run_auths.get(container) if op in {"auth", "unlock", "update"} and secret is None else None
        return _Draft(
            who, who.process, op, container, moment, sent, secret, run_auth, lost=self.rng.random() < self.lost
        )

    def _take_effect(self, draft: _Draft, moment: int, queue: list[Any], order: Iterator[int]) -> None:
        if self.rng.random() < 0.02:
            return  # limited: it was not processed
        if draft.op == "use":
            draft.outcome = "granted" if draft.secret in self.alive else "unauthenticated"
            return
        if draft.op == "list":
            assert draft.sent is not None
            found = [name for name, one in self.containers.items() if one.state == draft.sent["state"]]
            draft.outcome, draft.value = "granted", Shown(found=found)
            return
        before = self.containers[draft.container]
        if draft.secret is not None and draft.secret not in self.alive:
            draft.outcome = "unauthenticated"
            return
        if draft.secret is not None and draft.secret != before.auth:
            draft.outcome = "forbidden"  # its lock has ended, and it dies in a moment
            return
        self.fresh += 1
        result = self.rng.choice(permitted(self.rules, before, self._call(draft), f"auth-{self.fresh}"))
        draft.outcome = result.outcome
        assert result.container is not None
        self.containers[draft.container] = result.container
        if before.auth is not None and result.container.auth != before.auth:
            heappush(queue, (moment + self.rng.randrange(0, 3), next(order), "revoke", before.auth))
            draft.lost = draft.lost or False
        if result.container.auth is not None and result.container.auth != before.auth:
            self.alive[str(result.container.auth)] = draft.container
        if result.outcome == "granted" and result.shown is not None:
            draft.value = self._shown(draft, result.shown)

    def _call(self, draft: _Draft) -> Call:
        attributes = tuple(sorted((draft.sent or {}).items()))
        if draft.secret is not None:
            return Call(draft.op, None, attributes, auth=draft.secret)
        return Call(draft.op, TOKENS[draft.who.token], attributes, run_auth=draft.run_auth)

    def _shown(self, draft: _Draft, shown: Container) -> Shown:
        if draft.op == "auth":
            return Shown(auth_uuid=f"uuid-of-{shown.auth}", secret=str(shown.auth))
        fields: dict[str, Any] = {
            "uuid": draft.container,
            "state": shown.state,
            "priority": shown.priority,
            "locked_by_uuid": shown.locked_by,
            "auth_uuid": None if shown.auth is None else f"uuid-of-{shown.auth}",
        }
        if draft.op in {"get", "update"}:
            fields["lock_count"] = shown.lock_count
        if self.level == "must" and draft.op in {"lock", "unlock"} and self.rng.random() < 0.5:
            fields = {}  # what these answer is left open
        if shown.run_auth is not None:
            fields["run_auth"] = str(shown.run_auth)
        return Shown(**fields)

    def _return(self, draft: _Draft, moment: int) -> Operation:
        who = draft.who
        outcome = "indeterminate" if draft.lost else draft.outcome
        value = draft.value if outcome == "granted" else None
        kind = {"granted": "ok", "indeterminate": "info"}.get(outcome, "fail")
        if kind == "info":
            who.incarnation += 1
        if value is not None and isinstance(value.secret, str):
            who.secrets.append(value.secret)
        if value is not None and isinstance(value.run_auth, str):
            who.run_auths[draft.container] = value.run_auth
        return Operation(
            op=draft.op,
            process=draft.process,
            invoke_ns=draft.invoke,
            return_ns=None if kind == "info" else moment,
            type=kind,  # type: ignore[arg-type]
            outcome=outcome,  # type: ignore[arg-type]
            token=f"{who.name}.token" if draft.secret is not None else who.token,
            secret=draft.secret,
            run_auth=draft.run_auth,
            uuid=None if draft.op in {"use", "list"} else draft.container,
            container=None if draft.op in {"use", "list"} else draft.container,
            sent=draft.sent,
            value=value,
        )

    def _probes(self, moment: int) -> Iterator[Operation]:
        looker = _Dispatcher("probe", "shared")
        for name in self.containers:
            draft = _Draft(looker, "probe#1", "get", name, moment, None, None, None, lost=False)
            result = permitted(self.rules, self.containers[name], self._call(draft), "never")[0]
            assert result.shown is not None
            draft.outcome, draft.value = "granted", self._shown(draft, result.shown)
            yield self._return(draft, moment + 1)
            moment += 2


def _event(op: str, process: str, moment: int) -> Operation:
    return Operation(op=op, process=process, invoke_ns=moment, return_ns=moment, type="ok", outcome="granted")
