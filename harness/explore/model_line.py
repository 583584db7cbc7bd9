"""The model as a target: the calls of a run, answered by the specification in this process, at once.

Answers are the model's first ones, so the same order gives the same history every time but for its clock.
"""

import time
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from harness.contract import Outcome
from harness.drive.line import Exchange, Trouble
from harness.drive.target import Caller, Endpoint, OpenTarget
from harness.explore.troubles import Troubles
from harness.history import Shown
from harness.model import Call, Container, Result, Rules, permitted
from harness.wire import Answer
from harness.wire import Call as WireCall

STATUS: dict[Outcome, int] = {
    "granted": 200,
    "refused": 422,
    "forbidden": 403,
    "unauthenticated": 401,
    "missing": 404,
}
_PROTECTED = ("auth_uuid", "locked_by_uuid", "uuid")


class ModelTarget:
    """The sequential specification itself, as something to aim at."""

    name = "model"

    async def open(self) -> Endpoint:
        """Nobody listens: `open_model` gives its line."""
        return Endpoint("model:", {}, disposable=True)

    async def close(self) -> None:
        """Nothing to end."""


def open_model(rules: Rules) -> OpenTarget:
    """The model as an open target, with a shared token and a stranger's."""
    callers = {
        name: Caller(f"modelsecret{number}".ljust(40, "x"), f"zzzzz-gj3su-{number:015d}")
        for number, name in enumerate(("shared", "stranger"))
    }
    secrets = {name: caller.secret for name, caller in callers.items()}
    return OpenTarget("model", Endpoint("model:", secrets, disposable=True), ModelLine(rules, callers), callers)


class ModelLine:
    """Answers calls from the model; one call after the other, also those that are sent together."""

    def __init__(self, rules: Rules, callers: Mapping[str, Caller]) -> None:
        self._rules = rules
        self._callers = {caller.secret: caller.uuid for caller in callers.values()}
        self._containers: dict[str, Container] = {}  # by uuid
        self._issued: dict[str, int] = {}  # secret of an auth or run_auth -> number of the lock that issued it
        self._locks = 0
        self._last_ns = 0
        self._troubles = Troubles(self._now)

    async def call(
        self,
        desk: int,  # noqa: ARG002
        call: WireCall,
        secrets: Mapping[str, str],  # noqa: ARG002
        trouble: Trouble | None = None,
    ) -> Exchange:
        """The model's answer, or what a fault leaves of it."""
        if trouble is not None:
            return await self._troubles.give(trouble, lambda: self._one(call))
        return await self._one(call)

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        await self._troubles.held(trouble)

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        self._troubles.let_go(trouble)

    async def together(self, calls: Sequence[tuple[int, WireCall]], secrets: Mapping[str, str]) -> list[Exchange]:
        """The answers in the order of the calls."""
        return [await self.call(desk, call, secrets) for desk, call in calls]

    def crash(self, desk: int) -> int | None:
        """There is no process to kill."""

    def pause(self, desk: int) -> int | None:
        """There is no process to stop."""

    def resume(self, desk: int) -> int | None:
        """There is no process that stands still."""

    def close(self) -> None:
        """Nothing to end."""

    async def _one(self, call: WireCall) -> Exchange:
        begun_ns = self._now()
        answer = self._answer(call)
        return Exchange(answer=answer, invoke_ns=begun_ns, return_ns=self._now(), status=STATUS[answer.outcome])

    def row(self, uuid: str) -> Shown:
        """A container as it is now."""
        return _row(uuid, self._containers[uuid])

    def _now(self) -> int:
        """The clock of all operations, never the same twice."""
        self._last_ns = max(self._last_ns + 1, time.monotonic_ns())
        return self._last_ns

    def _answer(self, call: WireCall) -> Answer:
        token = _bare(call.token)
        caller = self._callers.get(token)
        auth = None if caller is not None else self._issued.get(token)
        if call.op == "create":
            return self._create(call, caller)
        if call.op == "list":
            return self._list(call) if caller is not None else _rejected("unauthenticated")
        uuid = call.uuid or self._uuid_of(auth)
        container = self._containers.get(uuid)
        asked = Call(
            call.op,
            caller,
            self._attributes(call, uuid),
            auth,
            None if call.run_auth is None else self._issued.get(call.run_auth, "never issued"),
        )
        result = permitted(self._rules, container, asked, self._locks)[0]
        if result.outcome != "granted":
            return _rejected(result.outcome)
        if result.container is not None:
            self._containers[uuid] = result.container
        if container is not None and result.container is not None and result.container.auth == self._locks:
            self._locks += 1
        return self._granted(call, uuid, caller, container, result)

    def _create(self, call: WireCall, caller: str | None) -> Answer:
        sent = dict(call.sent or {})
        asked = Call("create", caller, (("priority", sent["priority"]),) if "priority" in sent else ())
        result = permitted(self._rules, None, asked, 0)[0]
        if result.container is None:
            return _rejected(result.outcome)
        uuid = f"zzzzz-dz642-{len(self._containers):015d}"
        self._containers[uuid] = result.container
        return Answer(outcome="granted", value=_row(uuid, result.container))

    def _granted(
        self, call: WireCall, uuid: str, caller: str | None, before: Container | None, result: Result
    ) -> Answer:
        shown = result.shown
        if call.op == "use":
            own = caller if caller is not None or shown is None else _auth_uuid(shown.auth)
            return Answer(outcome="granted", value=Shown(auth_uuid=own))
        assert shown is not None
        run_auth = None if shown.run_auth is None else self._hand_out("run-auth", shown.run_auth)
        if call.op == "auth":
            secret = self._hand_out("auth", shown.auth)
            return Answer(
                outcome="granted", value=Shown(auth_uuid=_auth_uuid(shown.auth)), secret=secret, run_auth=run_auth
            )
        at_limit = before is not None and before.state == "Locked" and shown.state == "Cancelled"
        return Answer(outcome="granted", value=_row(uuid, shown, at_limit=at_limit), run_auth=run_auth)

    def _list(self, call: WireCall) -> Answer:
        found = []
        for uuid, container in sorted(self._containers.items()):
            row = _row(uuid, container)
            if all(_matches(getattr(row, name, None), value) for name, value in (call.sent or {}).items()):
                found.append(uuid)
        return Answer(outcome="granted", value=Shown(found=found))

    def _attributes(self, call: WireCall, uuid: str) -> tuple[tuple[str, object], ...]:
        sent = dict(call.sent or {})
        if sent.get("uuid") == uuid:
            del sent["uuid"]
        if isinstance(sent.get("auth_uuid"), str):
            numbers = {_auth_uuid(number): number for number in range(self._locks)}
            sent["auth_uuid"] = numbers.get(sent["auth_uuid"], sent["auth_uuid"])
        return tuple(sent.items())

    def _uuid_of(self, auth: int | None) -> str:
        """The container whose current lock issued an auth."""
        return next((uuid for uuid, one in self._containers.items() if auth is not None and one.auth == auth), "")

    def _hand_out(self, kind: str, symbol: object) -> str:
        """The secret that stands for a symbol; whoever presents it later presents the symbol."""
        secret = f"model-{kind}-{symbol}".ljust(40, "x")
        self._issued[secret] = symbol  # type: ignore[assignment]
        return secret


def _bare(token: str) -> str:
    """The secret of a token in either spelling, alone or as v2/UUID/SECRET."""
    parts = token.split("/")
    return parts[2] if parts[0] == "v2" and len(parts) > 2 else token


def _auth_uuid(symbol: object) -> str | None:
    return None if symbol is None else f"zzzzz-gj3su-{int(symbol) + 100:015d}"  # type: ignore[call-overload]


def _row(uuid: str, container: Container, *, at_limit: bool = False) -> Shown:
    return Shown(
        uuid=uuid,
        state=container.state,
        priority=container.priority,
        locked_by_uuid=container.locked_by,
        auth_uuid=_auth_uuid(container.auth),
        lock_count=container.lock_count,
        runtime_error="the attempt limit is reached" if at_limit else UNSET,
    )


def _matches(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, list) else value == wanted


def _rejected(outcome: Outcome) -> Answer:
    return Answer(outcome=outcome, errors=[f"the model answers: {outcome}"])
