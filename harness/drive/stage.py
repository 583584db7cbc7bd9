"""The stage of one run: its fresh containers, who stands on it, what each dispatcher remembers."""

import time
from asyncio import Task
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec import structs

from harness.drive.line import Exchange, Trouble
from harness.drive.record import operation_of
from harness.drive.secrets import Vault
from harness.history import Operation
from harness.scenario import Scenario, Step
from harness.wire import Call


@dataclass
class Actor:
    """One dispatcher in one run: its process name changes with every incarnation, its desk is a real process."""

    name: str
    token: str  # name: shared or stranger
    desk: int
    incarnation: int = 1
    paused: bool = False
    found: dict[str, list[str]] = field(default_factory=dict)  # what `save` kept of a listing: uuids
    run_auths: dict[str, str] = field(default_factory=dict)  # container uuid -> bare run_auth that a lock answered

    @property
    def process(self) -> str:
        """The name of this incarnation, as histories show it."""
        return f"{self.name}#{self.incarnation}"

    def call(self, op: str, secret: str, uuid: str | None = None, sent: dict[str, Any] | None = None) -> Call:
        """A call of this dispatcher, with the run_auth of its lock where it was given one and the call is about it."""
        asks_for_a_lock = op == "lock" or (op == "update" and (sent or {}).get("state") == "Locked")
        run_auth = None if asks_for_a_lock else self.run_auths.get(uuid or "")
        return Call(op=op, token=secret, uuid=uuid, sent=sent, run_auth=run_auth)

    def forget(self) -> None:
        """What a crash does: a new process that knows nothing but the token."""
        self.incarnation += 1
        self.found.clear()
        self.run_auths.clear()


@dataclass
class Stage:
    """All that belongs to one run of a plan."""

    run: int
    scenario: Scenario
    vault: Vault
    tokens: dict[str, str]  # name -> bare secret
    cluster: str  # the five letters that the target's uuids begin with
    actors: dict[str, Actor] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)  # container's name -> uuid
    phantoms: dict[str, str] = field(default_factory=dict)  # name -> a uuid that no container has
    spelled: dict[str, str] = field(default_factory=dict)  # hash of an auth's secret -> "v2/UUID/SECRET"
    saved: dict[str, str] = field(default_factory=dict)  # "A.token" -> hash; kept for the probes, also after a crash
    held: dict[str, list[tuple[Trouble, Task[Any]]]] = field(default_factory=dict)  # by the step that ends the hold
    operations: list[Operation] = field(default_factory=list)
    short: str | None = None  # why there were too few containers for it

    def name_of(self, uuid: str | None) -> str | None:
        """The scenario's name of a container."""
        known = self.uuids | self.phantoms
        return next((name for name, one in known.items() if one == uuid), None)

    def note(self, actor: Actor, call: Call, exchange: Exchange, **more: Any) -> Operation:
        """Turn an exchange into the run's next operation; secrets become hashes here."""
        for earlier in exchange.turned_away:
            self.note(actor, call, earlier, **more, sent_again=True)
        name = f"auth of {self.name_of(call.uuid) or 'a container'}" if call.op == "auth" else "run_auth"
        hashed = partial(self.vault.keep, name=name)
        mine = set(self.uuids.values())  # no other container is ever recorded or touched
        operation = operation_of(call, exchange, actor.process, hashed, mine, run=self.run)
        more = {"token": actor.token, "container": self.name_of(operation.uuid)} | more
        operation = structs.replace(operation, **more)
        value = operation.value
        if exchange.answer.secret is not None and value is not None and isinstance(value.secret, str):
            self.spelled[value.secret] = f"v2/{value.auth_uuid}/{exchange.answer.secret}"
        self.operations.append(operation)
        self._learn(actor, call, exchange)
        return operation

    def _learn(self, actor: Actor, call: Call, exchange: Exchange) -> None:
        if exchange.answer.run_auth is not None and call.uuid is not None:
            actor.run_auths[call.uuid] = exchange.answer.run_auth
        elif exchange.answer.outcome == "granted" and _ends_the_lock(call):
            actor.run_auths.pop(call.uuid or "", None)  # no later call is about that lock
        if exchange.answer.outcome in {"indeterminate", "garbled"}:
            actor.incarnation += 1  # the old process's call may still take effect

    def event(self, actor: Actor, step: Step, now_ns: int, pid: int | None) -> None:
        """Record something that is no request and began at `now_ns`: a crash, a pause, a restart."""
        self._event(step.verb, actor, now_ns, pid, step.id)

    def resumed(self, actor: Actor, now_ns: int, pid: int | None) -> None:
        """Record that a paused dispatcher goes on."""
        self._event("resume", actor, now_ns, pid, None)

    def cut_off(self) -> None:
        """Record that the look at the run's end could not be made: what it would have shown is not known."""
        now_ns = time.monotonic_ns()
        self.operations.append(
            Operation(
                run=self.run,
                op="get",
                process="probe#1",
                invoke_ns=now_ns,
                type="info",
                outcome="indeterminate",
                phase="probe",
                token="shared",
                problem="cut off",
                uuid=next(iter(self.uuids.values()), None),
                container=next(iter(self.uuids), None),
            )
        )

    def _event(self, op: str, actor: Actor, now_ns: int, pid: int | None, step: str | None) -> None:
        self.operations.append(
            Operation(
                run=self.run,
                op=op,
                process=actor.process,
                pid=pid,
                invoke_ns=now_ns,
                return_ns=time.monotonic_ns(),
                type="ok",
                outcome="granted",
                step=step,
            )
        )


def _ends_the_lock(call: Call) -> bool:
    return call.op == "unlock" or (
        call.op == "update" and (call.sent or {}).get("state") in {"Queued", "Complete", "Cancelled"}
    )
