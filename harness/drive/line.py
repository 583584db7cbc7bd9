"""How calls reach a target: over HTTP through dispatcher processes, or some other way with the same verbs."""

import asyncio
import contextlib
import random
import signal
import string
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from msgspec import Struct, structs

from harness.drive.crew import Crew
from harness.drive.faults import FaultKind, FaultProxy, fault_header
from harness.drive.pace import Pace, room
from harness.drive.patience import until_taken
from harness.history import Shown
from harness.scenario import Fault
from harness.wire import ARVADOS, Answer, Call, Reply, Request, Wire

_HELD_LIMIT_S = 60.0
_PACED_HELD_LIMIT_S = 600.0  # the request may have to wait for room before
_RELEASE_AHEAD_NS = 2_000_000  # every process has read its release before the moment comes
_ARRIVAL = "x-arrival-ns"
_PAGES_LIMIT = 100
_DIGITS = 9
_ALPHABET = string.digits + string.ascii_lowercase


class Exchange(Struct, frozen=True, kw_only=True):
    """One call with its answer, its times and the process that sent it."""

    answer: Answer
    invoke_ns: int
    return_ns: int
    release_ns: int | None = None
    pid: int | None = None
    status: int | None = None
    request_id: str | None = None
    failure: str | None = None
    fault: str | None = None  # what the harness did to it
    swallowed: bool = False  # it never reached the target, and never will
    arrival_ns: int | None = None  # when the target says that it saw the call, where its clock is ours
    again_after_s: float | None = None  # the pause that a target asks for which has turned the call away
    turned_away: tuple["Exchange", ...] = ()  # the tries of the same call before this one


class Trouble(NamedTuple):
    """A fault to give one call: `id` is new for each."""

    id: str
    kind: FaultKind
    delay_ms: int = 0


class Line(Protocol):
    """How calls reach the target. `desk` says which dispatcher process sends."""

    async def call(self, desk: int, call: Call, secrets: Mapping[str, str], trouble: Trouble | None = None) -> Exchange:
        """Send one call and wait for its answer."""

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""

    async def together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        """Send calls at one moment; the exchanges come in the order of the calls."""

    def crash(self, desk: int) -> int | None:
        """kill -9 the dispatcher process of a desk; its number, where it is a process."""

    def pause(self, desk: int) -> int | None:
        """SIGSTOP the dispatcher process of a desk; its number, where it is a process."""

    def resume(self, desk: int) -> int | None:
        """SIGCONT it."""

    def close(self) -> None:
        """End whatever the line started."""


class TargetLost(Exception):
    """The target cannot be reached any more; the text says how. Exit code 4."""


class HttpLine:
    """Calls as HTTP requests of real processes, at the pace that the target bears."""

    def __init__(self, crew: Crew, proxy: FaultProxy, pace: Pace | None = None, wire: Wire = ARVADOS) -> None:
        self._crew = crew
        self._wire = wire
        self._proxy = proxy
        self._pace = pace
        self._held: dict[str, asyncio.Event] = {}  # requests that reach the target only when there is room again

    async def call(self, desk: int, call: Call, secrets: Mapping[str, str], trouble: Trouble | None = None) -> Exchange:
        """Send one call; a listing goes on until its last page."""
        if trouble is not None:
            return await self._troubled(desk, call, secrets, trouble)
        return await self._to_its_end(desk, call, secrets, await self._once(desk, call, secrets))

    async def together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        """Arm every process, then release all at one moment of the common clock; whoever is turned away comes later."""
        async with room(self._pace, len(calls)):
            exchanges = await self._together(calls, secrets)
        return [
            await self._to_its_end(desk, call, secrets, exchange)
            for (desk, call), exchange in zip(calls, exchanges, strict=True)
        ]

    async def _to_its_end(self, desk: int, call: Call, secrets: Mapping[str, str], first: Exchange) -> Exchange:
        again = partial(self._once, desk, call, secrets)
        return await to_its_end(call, first, again, lambda page: self._page(desk, page, secrets), self._wire)

    async def _together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        encoded = [
            (desk, call, request_id := new_request_id(), self._wire.encode(call, request_id)) for desk, call in calls
        ]
        by_desk: dict[int, list[int]] = {}
        for index, (desk, *_) in enumerate(encoded):
            by_desk.setdefault(desk, []).append(index)
        await asyncio.gather(*(self._crew.desk(desk).started() for desk in by_desk))  # nobody is armed meanwhile
        armed = await asyncio.gather(
            *(self._crew.desk(desk).arm([encoded[i][3] for i in indices]) for desk, indices in by_desk.items())
        )
        at_ns = time.monotonic_ns() + _RELEASE_AHEAD_NS
        replies: dict[int, asyncio.Future[Reply]] = {}
        for (desk, indices), (number, futures) in zip(by_desk.items(), armed, strict=True):
            self._crew.desk(desk).release(number, at_ns)
            replies |= dict(zip(indices, futures, strict=True))
        done = await asyncio.gather(*(replies[index] for index in range(len(encoded))))
        return [
            exchange_of(call, request_id, reply, secrets, self._wire)
            for (_, call, request_id, _), reply in zip(encoded, done, strict=True)
        ]

    def crash(self, desk: int) -> int | None:
        """kill -9 the dispatcher process of a desk."""
        pid = self._crew.desk(desk).pid
        self._crew.replace(desk)
        return pid

    def pause(self, desk: int) -> int | None:
        """SIGSTOP the dispatcher process of a desk."""
        return self._crew.desk(desk).send_signal(signal.SIGSTOP)

    def resume(self, desk: int) -> int | None:
        """SIGCONT it."""
        return self._crew.desk(desk).send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End every dispatcher process."""
        self._crew.close()

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        with contextlib.suppress(TimeoutError):  # it came to its end some other way, which its outcome tells
            await self._proxy.held(trouble.id, _HELD_LIMIT_S if self._pace is None else _PACED_HELD_LIMIT_S)

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        if trouble.id in self._held:
            self._held[trouble.id].set()
        else:
            self._proxy.release(trouble.id)

    async def _troubled(self, desk: int, call: Call, secrets: Mapping[str, str], trouble: Trouble) -> Exchange:
        """Send one call through the fault proxy, and learn from it what really happened."""
        request_id = new_request_id()
        request = self._wire.encode(call, request_id)
        name, value = fault_header(trouble.id, trouble.kind, trouble.delay_ms)
        marked = structs.replace(request, headers=(*request.headers, (name.decode(), value.decode())))
        async with self._kept_back(trouble):
            reply = await self._detour(desk, marked, trouble)
            happened = await self._proxy.take(trouble.id, _HELD_LIMIT_S)
        swallowed = happened is not None and happened.forwarded_ns is None
        exchange = exchange_of(call, request_id, reply, secrets, self._wire)
        return structs.replace(exchange, fault=trouble.kind, swallowed=swallowed)

    async def _detour(self, desk: int, request: Request, trouble: Trouble) -> Reply:
        """The reply to a request through the proxy; while the proxy keeps the one or the other, it takes no room."""
        sender = self._crew.desk(desk)
        if self._pace is None or trouble.id in self._held:
            return await sender.send(request, self._proxy.url)
        async with self._pace.room():
            if trouble.kind != "hold reply":
                return await sender.send(request, self._proxy.url)
            sending = asyncio.create_task(sender.send(request, self._proxy.url))
            await self._until_held(sending, trouble)
        return await sending

    async def _until_held(self, sending: asyncio.Task[Reply], trouble: Trouble) -> None:
        holding = asyncio.create_task(self.held(trouble))
        try:
            await asyncio.wait({sending, holding}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            sending.cancel()
            raise
        finally:
            holding.cancel()

    @contextlib.asynccontextmanager
    async def _kept_back(self, trouble: Trouble) -> AsyncIterator[None]:
        """Keep a held request, once it is let go, until there is room for it at the target."""
        pace = self._pace
        if pace is None or trouble.kind != "hold request":
            yield
            return
        let_go = self._held[trouble.id] = asyncio.Event()

        async def go() -> None:
            await let_go.wait()
            async with pace.room():
                self._proxy.release(trouble.id)
                await asyncio.get_running_loop().create_future()  # until it has come to its end

        going = asyncio.create_task(go())
        try:
            yield
        finally:
            del self._held[trouble.id]
            going.cancel()
            await asyncio.wait({going})

    async def _page(self, desk: int, call: Call, secrets: Mapping[str, str]) -> Exchange:
        if self._pace is None:
            return await self._one(desk, call, secrets)
        async with self._pace.page():
            return await self._one(desk, call, secrets)

    async def _one(self, desk: int, call: Call, secrets: Mapping[str, str]) -> Exchange:
        return await until_taken(partial(self._once, desk, call, secrets))

    async def _once(self, desk: int, call: Call, secrets: Mapping[str, str]) -> Exchange:
        request_id = new_request_id()
        async with room(self._pace):
            reply = await self._crew.desk(desk).send(self._wire.encode(call, request_id))
        return exchange_of(call, request_id, reply, secrets, self._wire)


async def to_its_end(
    call: Call,
    first: Exchange,
    again: Callable[[], Awaitable[Exchange]],
    page: Callable[[Call], Awaitable[Exchange]],
    wire: Wire = ARVADOS,
) -> Exchange:
    """What a call comes to after its first answer: sent again if it was turned away, a listing read on."""
    exchange = await until_taken(again, first)
    return await rest_of_listing(call, exchange, page, wire) if call.op == "list" else exchange


async def rest_of_listing(
    call: Call, first: Exchange, send: Callable[[Call], Awaitable[Exchange]], wire: Wire = ARVADOS
) -> Exchange:
    """One exchange from the first page's invocation to the last page's return; `send` asks for one more page."""
    last, pages, away = first, [*_found(first)], [*first.turned_away]
    for _ in range(_PAGES_LIMIT):
        following = wire.next_page(call, last.answer)
        if following is None:
            break
        last = await send(following)
        call = following
        pages += _found(last)
        away += last.turned_away
    else:  # too long to be read to its end: what it does not show proves nothing
        return structs.replace(last, answer=Answer(outcome="indeterminate", problem="more pages than are read"))
    if last.answer.outcome != "granted" or last is first:
        return structs.replace(last, turned_away=tuple(away))
    answer = Answer(outcome="granted", value=Shown(found=pages), leaked=last.answer.leaked)
    return Exchange(
        answer=answer,
        invoke_ns=first.invoke_ns,
        return_ns=last.return_ns,
        pid=last.pid,
        status=last.status,
        request_id=last.request_id,
        turned_away=tuple(away),
    )


def trouble_of(fault: Fault | None) -> Trouble | None:
    """What a step's fault asks of the proxy, under a new id."""
    if fault is None:
        return None
    kind: FaultKind = "delay"
    if fault.lose is not None:
        kind = "lose request" if fault.lose == "request" else "lose reply"
    elif fault.hold is not None:
        kind = "hold request" if fault.hold == "request" else "hold reply"
    elif fault.reset:
        kind = "reset after"
    elif fault.hang:
        kind = "half-open"
    return Trouble(new_request_id(), kind, fault.delay_ms or 0)


def _found(exchange: Exchange) -> list[str]:
    value = exchange.answer.value
    return value.found if value is not None and isinstance(value.found, list) else []


def exchange_of(
    call: Call, request_id: str, reply: Reply, secrets: Mapping[str, str], wire: Wire = ARVADOS
) -> Exchange:
    """What a reply says of its call; raises TargetLost where nobody was there to take it."""
    if reply.failure == "unreachable":
        raise TargetLost(reply.detail or "no connection to the target could be opened")
    return Exchange(
        answer=wire.classify(call, reply, secrets),
        invoke_ns=reply.invoke_ns,
        release_ns=reply.release_ns,
        return_ns=reply.return_ns,
        pid=reply.pid,
        status=reply.status,
        request_id=request_id,
        failure=reply.failure,
        arrival_ns=_arrival(reply),
        again_after_s=_seconds(reply.header("retry-after")),
    )


def _arrival(reply: Reply) -> int | None:
    """The target's own stamp of a call's arrival; what lies outside of the call is of another clock, or made up."""
    text = reply.header(_ARRIVAL)
    if text is None or len(text) > 20 or not (text.isascii() and text.isdecimal()):
        return None
    return int(text) if reply.invoke_ns <= int(text) <= reply.return_ns else None


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After; None where it is a date or no number."""
    return float(text) if text is not None and text.isdecimal() and len(text) < _DIGITS else None


def new_request_id() -> str:
    """An X-Request-Id as Arvados clients make them: "req-" and 20 letters or digits."""
    return "req-" + "".join(random.choices(_ALPHABET, k=20))
