"""One dispatcher's way to the target: each call is sent, perhaps spoilt on its way, answered, and recorded.

    lose request    nothing is sent                          the dispatcher hears nothing
    lose reply      sent and answered                        the dispatcher hears nothing
    reset           sent, then the connection is broken      the dispatcher hears nothing
    delay           sent later                               it waits a while; after that it hears nothing, and the
                                                             request arrives all the same

What the dispatcher heard nothing of is recorded as `info`, with no return, whatever became of it: that is all that a
real client could say. A call of which no byte could be sent never happened and is not recorded.
"""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Coroutine
from time import monotonic_ns
from typing import Any

import msgspec

from harness.drive.failures import Garbled, Lost, NotSent, Times
from harness.drive.line import Exchange, exchange_of, new_request_id
from harness.drive.population.choice import Population
from harness.drive.population.messages import Assignment
from harness.drive.record import operation_of
from harness.drive.secrets import hash_of
from harness.drive.transport import Transport
from harness.history import Operation
from harness.wire import Answer, Call, Reply
from harness.wire.message import Failure

_PATIENCE_S = 30  # seconds of a dispatcher's time that it waits for a delayed message
_MESSAGE_FAULTS = ("lose_request", "lose_reply", "delay", "reset")
_CHANGING = frozenset({"lock", "unlock", "update"})
_NOTHING_HEARD = Answer(outcome="indeterminate")
_MOMENTS_OF_A_CRASH = ("before", "during", "after")


class Unreachable(Exception):
    """Nobody took the call: it certainly did not happen."""


class Crashed(Exception):
    """The dispatcher has come to a sudden end."""


class Site:
    """What all dispatchers of one worker process share."""

    def __init__(
        self, assignment: Assignment, transport: Transport, tell_begun: Callable[[Operation], None] | None = None
    ) -> None:
        self.population: Population = assignment.population
        self.transport = transport
        self.wire = assignment.wire
        self.token_uuid = assignment.token_uuid
        self.token = assignment.secrets["shared"]
        self.names = {secret: f"{name} token" for name, secret in assignment.secrets.items()}
        self.own = set(assignment.containers)  # no other container is touched or recorded
        self.over = asyncio.Event()
        self.finished: list[Operation] = []
        self.unsent = 0
        self.tell_begun = tell_begun  # before a call that can change something leaves, where we may be killed
        self._salt = assignment.salt
        self._late: set[asyncio.Task[None]] = set()

    def hashed(self, secret: str) -> str:
        """What stands for a secret in the history."""
        return hash_of(secret, self._salt)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done while its dispatcher goes on."""
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def settled(self) -> None:
        """Wait until every late message has arrived."""
        await asyncio.gather(*self._late, return_exceptions=True)

    async def rest(self, seconds: float) -> None:
        """Wait for some seconds of a dispatcher's time, or until all is over."""
        if self.over.is_set():
            return
        try:
            async with asyncio.timeout(seconds * self.population.second_s):
                await self.over.wait()
        except TimeoutError:
            pass


class Client:
    """Sends the calls of one dispatcher, one at a time, on a connection of its own."""

    def __init__(self, site: Site, name: str, incarnation: int) -> None:
        self._site = site
        self._name = name
        self._stream = site.population.stream(f"{name}/faults")
        self._spoils = site.population.faults.spoils_calls
        self.incarnation = incarnation
        self.slowest_s = 0.0  # of its recent answers; older ones count less and less
        self.run_auths: dict[str, str] = {}  # container -> run_auth that its lock answered
        self._known = site.names

    @property
    def process(self) -> str:
        """The name of this incarnation, as histories show it."""
        return f"{self._name}#{self.incarnation}"

    def forget(self) -> None:
        """What a crash does: a new process that knows nothing but the token."""
        self._site.transport.drop(self._name)
        self.incarnation += 1
        self.run_auths.clear()
        self._known = self._site.names

    def learn(self, secret: str) -> None:
        """Take a container auth into account when answers are searched for secrets."""
        self._known = {**self._site.names, secret: f"{self._name}'s container auth"}

    async def call(
        self, op: str, uuid: str | None = None, sent: dict[str, Any] | None = None, auth: str | None = None
    ) -> Answer:
        """Make one call with the shared token, or with a container auth; what the dispatcher heard.

        Raises Unreachable where nobody takes it, Crashed where the dispatcher ends with it.
        """
        token = self._site.token if auth is None else auth
        run_auth = self.run_auths.get(uuid or "") if auth is None else None
        call = Call(op=op, token=token, uuid=uuid, sent=sent, run_auth=run_auth)
        as_whom = {"token": "shared"} if auth is None else {"token": f"{self._name}.auth", "secret": self._hash(auth)}
        began_ns = monotonic_ns()
        try:
            answer = await self._spoilt(self._fault(), call, as_whom)
        except asyncio.CancelledError:
            self._unheard(call, as_whom, began_ns, "halt")
            raise
        if answer.run_auth is not None and uuid is not None:
            self.run_auths[uuid] = answer.run_auth
        return answer

    def event(self, op: str) -> None:
        """Record something that is no request: a crash, a pause."""
        now = monotonic_ns()
        self._site.finished.append(
            Operation(
                op=op,
                process=self.process,
                pid=os.getpid(),
                invoke_ns=now,
                return_ns=now,
                type="ok",
                outcome="granted",
            )
        )

    # how a call goes

    def _fault(self) -> str | None:
        """Which fault this call meets, from the dispatcher's own stream."""
        if not self._spoils or self._site.over.is_set():
            return None
        faults, drawn = self._site.population.faults, self._stream.random()
        for name in (*_MESSAGE_FAULTS, "crash", "pause"):
            drawn -= getattr(faults, name)
            if drawn < 0:
                return name
        return None

    async def _spoilt(self, fault: str | None, call: Call, as_whom: dict[str, str]) -> Answer:
        match fault:
            case "lose_request":
                return self._unheard(call, as_whom, monotonic_ns(), "lose request")
            case "lose_reply":
                return await self._whole(call, as_whom, lost="lose reply")
            case "delay":
                return await self._delayed(call, as_whom)
            case "reset":
                return await self._broken_off(call, as_whom, "reset")
            case "crash":
                await self._crashing(call, as_whom)
                raise Crashed
            case "pause":
                await self._paused()
        return await self._whole(call, as_whom)

    async def _whole(self, call: Call, as_whom: dict[str, str], lost: str | None = None) -> Answer:
        """Send and wait for the answer; with `lost` its dispatcher is not told."""
        request_id, data = self._encoded(call, as_whom)
        reply = await self._reply(self._site.transport.call(data, lane=self._name))
        if lost is not None:
            return self._unheard(call, as_whom, reply.invoke_ns, lost, request_id)
        exchange = exchange_of(call, request_id, reply, self._known, self._site.wire)
        self.slowest_s = max(self.slowest_s * 0.95, (exchange.return_ns - exchange.invoke_ns) / 1e9)
        return self._note(call, exchange, as_whom)

    async def _broken_off(self, call: Call, as_whom: dict[str, str], fault: str) -> Answer:
        """Send, and break the connection before an answer can be read."""
        request_id, data = self._encoded(call, as_whom)
        transport = self._site.transport
        try:
            await transport.connect(self._name)
        except NotSent as error:
            raise self._missed() from error
        sending = asyncio.create_task(transport.call(data, lane=self._name))
        await asyncio.sleep(0)  # its bytes leave in this turn of the loop: the connection is open
        transport.drop(self._name)
        reply = await self._reply(sending)
        return self._unheard(call, as_whom, reply.invoke_ns, fault, request_id)

    async def _delayed(self, call: Call, as_whom: dict[str, str]) -> Answer:
        """Send it late; later than its dispatcher waits, it is as good as lost, and arrives all the same."""
        began_ns = monotonic_ns()
        delay = self._stream.uniform(0, 2 * _PATIENCE_S)
        await self._site.rest(min(delay, _PATIENCE_S))
        request_id, data = self._encoded(call, as_whom)
        if delay > _PATIENCE_S:
            self._site.later(self._arrive(data, delay - _PATIENCE_S))
            return self._unheard(call, as_whom, began_ns, "delay", request_id)
        reply = await self._reply(self._site.transport.call(data, lane=self._name))
        exchange = exchange_of(call, request_id, reply, self._known, self._site.wire)
        return self._note(call, msgspec.structs.replace(exchange, invoke_ns=began_ns), as_whom | {"fault": "delay"})

    async def _arrive(self, data: bytes, after: float) -> None:
        await self._site.rest(after)
        with contextlib.suppress(NotSent, Lost, Garbled):  # nobody waits for its answer
            await self._site.transport.call(data)

    async def _crashing(self, call: Call, as_whom: dict[str, str]) -> None:
        """The call in which a dispatcher ends: not sent, sent and not answered, or answered just in time."""
        match self._stream.choice(_MOMENTS_OF_A_CRASH):
            case "during":
                await self._broken_off(call, as_whom, "crash")
            case "after":
                await self._whole(call, as_whom)

    async def _paused(self) -> None:
        self.event("pause")
        await self._site.rest(self._stream.uniform(_PATIENCE_S, 4 * _PATIENCE_S))
        self.event("resume")

    # what is known of it

    def _encoded(self, call: Call, as_whom: dict[str, str]) -> tuple[str, bytes]:
        """The id of a request and its bytes, which leave next."""
        request_id = new_request_id()
        if self._site.tell_begun is not None and call.op in _CHANGING:
            self._site.tell_begun(self._operation(call, _unanswered(monotonic_ns(), request_id), as_whom))
        request = self._site.wire.encode(call, request_id)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
        return request_id, self._site.transport.prepare(request.method, request.path, headers, request.body)

    async def _reply(self, sending: Awaitable[Any]) -> Reply:
        try:
            answer = await sending
        except NotSent as error:
            raise self._missed() from error
        except Lost as error:
            return _failed("timeout" if error.timed_out else "reset", error.times)
        except Garbled as error:
            return _failed("garbled", error.times)
        return Reply(
            invoke_ns=answer.times.invoke_ns,
            return_ns=answer.times.return_ns,
            pid=os.getpid(),
            status=answer.status,
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers),
            body=answer.body,
        )

    def _missed(self) -> Unreachable:
        self._site.unsent += 1
        return Unreachable()

    def _unheard(
        self, call: Call, as_whom: dict[str, str], invoke_ns: int, fault: str, request_id: str | None = None
    ) -> Answer:
        """Record a call of which its dispatcher heard nothing."""
        return self._note(call, _unanswered(invoke_ns, request_id), as_whom | {"fault": fault})

    def _note(self, call: Call, exchange: Exchange, more: dict[str, str]) -> Answer:
        operation = self._operation(call, exchange, more)
        self._site.finished.append(operation)
        if operation.type == "info":
            self.incarnation += 1  # the old process's call may still take effect
        return exchange.answer

    def _operation(self, call: Call, exchange: Exchange, more: dict[str, str]) -> Operation:
        return operation_of(call, exchange, self.process, self._hash, self._site.own, **more)

    def _hash(self, secret: str) -> str:
        return self._site.hashed(secret)


def _unanswered(invoke_ns: int, request_id: str | None) -> Exchange:
    """The exchange of a call of which nothing was heard."""
    return Exchange(
        answer=_NOTHING_HEARD,
        invoke_ns=invoke_ns,
        return_ns=monotonic_ns(),
        pid=os.getpid(),
        request_id=request_id,
    )


def _failed(failure: Failure, times: Times) -> Reply:
    return Reply(invoke_ns=times.invoke_ns, return_ns=times.return_ns, pid=os.getpid(), failure=failure)
