"""A proxy on loopback, between dispatchers and the target, that loses, delays, cuts and holds on request.

    dispatcher ──request──► proxy ──────► target        lose request    swallowed here, connection closed
                              │                         reset before    swallowed here, RST
                              ▼                         hold request    kept here until released
    dispatcher ◄──answer─── proxy ◄────── target        lose reply      answered, then connection closed
                                                        hold reply      answered, kept here until released
                                                        half-open       answered, never told, connection left open
                                                        reset after     RST at once, whatever comes of it

What to do to a request stands in its header `X-Lockrace-Fault`, as `fault_header` writes it; the target never sees
it. The dispatcher learns no more than a real one would. The harness does: `FaultProxy.take` says whether the request
went on and how the target answered.

The proxy works on whole messages, so a gate's last byte is held before the proxy and not before the target. TLS
cannot be cut at messages from outside: the proxy speaks plain HTTP to dispatchers, which are on the same machine,
and TLS to an https target. Requests carry a Content-Length, as those of `harness.drive.transport` do.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import time
from typing import Literal, NamedTuple, Self, get_args

from harness.drive.failures import Garbled, Lost, NotSent
from harness.drive.transport import Answer, Transport

FaultKind = Literal[
    "lose request",
    "lose reply",
    "reset before",
    "reset after",
    "half-open",
    "hold request",
    "hold reply",
    "delay",
]
KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
FAULT_HEADER = b"X-Lockrace-Fault"

_MESSAGE_BYTES = 1024 * 1024
_FRAMING = frozenset((b"connection", b"keep-alive", b"transfer-encoding"))
_NEVER_FORWARDED = frozenset(("lose request", "reset before"))


class Happened(NamedTuple):
    """What really became of one request with a fault; times in ns of CLOCK_MONOTONIC."""

    kind: FaultKind
    forwarded_ns: int | None = None  # None: it never reached the target, and never will
    answered_ns: int | None = None
    status: int | None = None  # of the target's answer, whether the dispatcher saw it or not
    problem: str | None = None  # why there was no answer


class _Request(NamedTuple):
    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    fault: tuple[str, FaultKind, float] | None  # id, kind, seconds of a delay


class _Client(NamedTuple):
    """A dispatcher's connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class _Case:
    """One faulty request: what happened so far, and the two moments that the harness may wait for."""

    def __init__(self, kind: FaultKind) -> None:
        self.happened = Happened(kind)
        self.came = False
        self.held = asyncio.Event()  # reached the point where a hold keeps it
        self.released = asyncio.Event()
        self.settled = asyncio.Event()  # nothing more will become known


def fault_header(fault_id: str, kind: FaultKind, delay_ms: int = 0) -> tuple[bytes, bytes]:
    """The header that asks for a fault; the id, of no blanks, is new for every request."""
    if not fault_id or any(not 33 <= ord(letter) <= 126 for letter in fault_id):
        raise ValueError(f"a fault id is made of visible ASCII letters, without blanks: {fault_id!r}")
    return FAULT_HEADER, f"{fault_id} {delay_ms} {kind}".encode("ascii")


class FaultProxy:
    """Listens at `url` while its context is open.

    `answer_limit_s` bounds the wait for the target, `hold_limit_s` every hold: at its end the connection is closed.
    """

    def __init__(
        self,
        target: str,
        *,
        answer_limit_s: float = 60.0,
        hold_limit_s: float = 60.0,
        verify: ssl.SSLContext | None = None,
        insecure: bool = False,
    ) -> None:
        self.url = ""
        self.unreachable = 0  # requests that found no target to go to
        self._upstream = Transport(target, timeout_s=answer_limit_s, verify=verify, insecure=insecure)
        self._hold_limit_s = hold_limit_s
        self._cases: dict[str, _Case] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_MESSAGE_BYTES, backlog=2000)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._upstream.aclose()

    # the harness's side

    async def held(self, fault_id: str, timeout_s: float) -> None:
        """Wait until a hold really keeps its request or reply; TimeoutError when it does not come."""
        async with asyncio.timeout(timeout_s):
            await self._case(fault_id, "hold request").held.wait()

    def release(self, fault_id: str) -> None:
        """Let a held request or reply go on; before it came, or twice, is fine."""
        self._case(fault_id, "hold request").released.set()

    async def take(self, fault_id: str, timeout_s: float) -> Happened | None:
        """What became of a fault, once no more can become known, at most after `timeout_s`; forgets it.

        None when no request with that id has come so far: then nothing is known.
        """
        case = self._cases.get(fault_id)
        if case is None or not case.came:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                await case.settled.wait()
        except TimeoutError:
            return case.happened  # as far as it is known
        del self._cases[fault_id]
        return case.happened

    def _case(self, fault_id: str, kind: FaultKind) -> _Case:
        return self._cases.setdefault(fault_id, _Case(kind))

    # a dispatcher's connection

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections += 1
        lane, client = self._connections, _Client(reader, writer)
        try:
            while (request := await _read_request(reader)) is not None:
                if not await self._serve(request, lane, client):
                    break
        except ValueError as error:
            writer.write(_refusal(str(error)))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the dispatcher has gone, or the proxy ends
        finally:
            self._tasks.discard(task)
            self._upstream.drop(lane)
            writer.close()

    async def _serve(self, request: _Request, lane: int, client: _Client) -> bool:
        """Serve one request; whether the connection may carry another."""
        if request.fault is None:
            return await self._plain(request, lane, client)
        fault_id, kind, delay_s = request.fault
        case = self._case(fault_id, kind)
        case.came = True
        case.happened = case.happened._replace(kind=kind)
        try:
            return await self._faulty(request, lane, client, case, delay_s)
        finally:
            case.settled.set()

    async def _plain(self, request: _Request, lane: int, client: _Client) -> bool:
        try:
            answer = await self._forward(request, lane)
        except Garbled:
            client.writer.write(b"garbled by the target\r\n\r\n")  # the dispatcher shall see garbage, too
            return False
        except (NotSent, Lost):
            return False
        client.writer.write(_answer_bytes(answer, request.method))
        await client.writer.drain()
        return True

    async def _faulty(self, request: _Request, lane: int, client: _Client, case: _Case, delay_s: float) -> bool:
        kind = case.happened.kind
        if kind in _NEVER_FORWARDED:
            if kind == "reset before":
                _reset(client.writer)
            return False
        if kind == "delay":
            await asyncio.sleep(delay_s)
        if kind == "hold request" and not await self._hold(case):
            return False
        if kind == "reset after":
            await self._reset_after(request, lane, client, case)
            return False
        answer = await self._observed(request, lane, case)
        if kind == "half-open":
            case.settled.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._hold_limit_s):  # until the dispatcher leaves
                    await client.reader.read(1)
            return False
        if answer is None or kind == "lose reply" or (kind == "hold reply" and not await self._hold(case)):
            return False
        client.writer.write(_answer_bytes(answer, request.method))
        await client.writer.drain()
        return True

    async def _hold(self, case: _Case) -> bool:
        """Wait for the release; False when the limit came first."""
        case.held.set()
        try:
            async with asyncio.timeout(self._hold_limit_s):
                await case.released.wait()
        except TimeoutError:
            case.happened = case.happened._replace(problem=f"held for {self._hold_limit_s:g} s and never released")
            return False
        return True

    async def _reset_after(self, request: _Request, lane: int, client: _Client, case: _Case) -> None:
        """Forward, reset without waiting for the answer, then wait for it all the same: the harness wants to know."""
        with contextlib.suppress(NotSent):
            await self._upstream.connect(lane)
        finding_out = asyncio.create_task(self._observed(request, lane, case))
        await asyncio.sleep(0)  # the connection is open, so the request leaves now
        _reset(client.writer)
        await finding_out

    async def _observed(self, request: _Request, lane: int, case: _Case) -> Answer | None:
        """Forward, and write down how it went; None when no answer came."""
        case.happened = case.happened._replace(forwarded_ns=time.monotonic_ns())
        try:
            answer = await self._forward(request, lane)
        except NotSent as failure:
            case.happened = case.happened._replace(forwarded_ns=None, problem=str(failure))
        except (Lost, Garbled) as failure:
            case.happened = case.happened._replace(problem=str(failure))
        else:
            case.happened = case.happened._replace(answered_ns=answer.times.return_ns, status=answer.status)
            return answer
        return None

    async def _forward(self, request: _Request, lane: int) -> Answer:
        data = self._upstream.prepare(request.method, request.target, request.headers, request.body)
        try:
            return await self._upstream.call(data, lane=lane)
        except NotSent:
            self.unreachable += 1
            raise


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """The next request, or None at the end of the connection; ValueError says what is wrong with it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as end:
        if end.partial:
            raise ConnectionError("cut off in a header") from None
        return None
    except asyncio.LimitOverrunError:
        raise ValueError(f"the header is longer than {_MESSAGE_BYTES} bytes") from None
    first, *lines = head[:-4].split(b"\r\n")
    method, target, _ = first.split(b" ", 2)
    length, fault, headers = 0, None, []
    for line in lines:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                length = int(value)
            case b"transfer-encoding":
                raise ValueError("send a Content-Length: the fault proxy reads no chunked requests")
            case b"x-lockrace-fault":
                fault = _parse_fault(value.strip().decode("ascii"))
            case _:
                headers.append((name, value.strip()))
    if not 0 <= length <= _MESSAGE_BYTES:
        raise ValueError(f"the body is longer than {_MESSAGE_BYTES} bytes")
    try:
        body = await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        raise ConnectionError("cut off in a body") from None
    return _Request(method, target, headers, body, fault)


def _parse_fault(text: str) -> tuple[str, FaultKind, float]:
    fault_id, _, rest = text.partition(" ")
    delay_ms, _, kind = rest.partition(" ")
    for known in KINDS:
        if kind == known:
            return fault_id, known, int(delay_ms) / 1000
    raise ValueError(f"{FAULT_HEADER.decode()} is ID MILLISECONDS KIND, with a kind of {', '.join(KINDS)}")


def _answer_bytes(answer: Answer, method: bytes) -> bytes:
    """The answer again, its body in one piece."""
    bodyless = method == b"HEAD" or answer.status in {204, 304}
    lines = [b"HTTP/1.1 %d Forwarded\r\n" % answer.status]
    for name, value in answer.headers:
        lower = name.lower()
        if lower not in _FRAMING and (bodyless or lower != b"content-length"):
            lines.append(name + b": " + value + b"\r\n")
    if not bodyless:
        lines.append(b"Content-Length: %d\r\n" % len(answer.body))
    return b"".join([*lines, b"\r\n", answer.body])


def _refusal(text: str) -> bytes:
    body = text.encode("ascii", "replace")
    return b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: what the peer has not read yet is lost, too."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
