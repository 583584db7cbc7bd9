"""The way of every request: an httpx transport of our own, and a leaner call underneath it.

httpx's stock transport scans its whole pool for every request and closes connections that it has already given
away now and then; with this one 100 dispatchers in a process send many times the requests a second, and what
happened to each request is known exactly (`harness.drive.failures`). httpx's own objects are most of what is left:
fleets call `Transport.call` with bytes from `Transport.prepare`.

    async with Transport("http://127.0.0.1:8000") as transport:
        await transport.warm(range(10), transport.prepare("GET", "/"))
        answer = await transport.call(transport.prepare("GET", "/"), lane=3)

A *lane* is a connection with a name that the caller chose. It carries one request at a time, is opened when first
used, and replaced when the server has closed it, or it has idled so long that the server might, before a byte of a
request has left; never after. Requests without a lane share a pool of unnamed ones.
"""

import asyncio
import re
import ssl
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from types import TracebackType
from typing import Any, Self

import httpx

from harness.drive.connection import Answer, Connection, Limits
from harness.drive.failures import Garbled, Lost, NotSent
from harness.drive.gate import Gate, look

_WARM_STEPS = 64
_BUSY_LANES = 4
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNFIT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")
_UNFIT_IN_VALUE = re.compile(rb"[\x00\r\n]")
_OURS = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"accept-encoding", b"expect")
)
_BODYLESS = frozenset((b"GET", b"HEAD", b"DELETE", b"OPTIONS"))


@dataclass
class Statistics:
    """What a transport has done so far."""

    connects: int = 0
    replaced: int = 0  # idle connections that had ended, or idled too long, before anything was sent
    answers: int = 0
    not_sent: int = 0
    lost: int = 0
    garbled: int = 0


class _Lane:
    __slots__ = ("connection", "lock")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.lock = asyncio.Lock()


class Transport(httpx.AsyncBaseTransport):
    """Connections to one origin, `scheme://host[:port]`; requests to any other are refused, so is a redirect's.

    `timeout_s` limits the whole answer, `connect_timeout_s` the connect with its TLS handshake and the wait for a
    lane that is in use. `idle_s` is when an idle connection counts as stale (uvicorn closes after 5 s).
    `insecure` accepts any certificate; otherwise `verify`, or the system's authorities, must vouch for the server.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 10.0,
        idle_s: float = 3.0,
        max_unnamed: int = 100,
        limits: Limits = Limits(),  # noqa: B008 (immutable)
        verify: ssl.SSLContext | None = None,
        insecure: bool = False,
    ) -> None:
        origin = httpx.URL(url)
        if origin.scheme not in {"http", "https"} or not origin.host:
            raise ValueError(f"{url!r} is no target: give http://HOST[:PORT] or https://HOST[:PORT]")
        tls = origin.scheme == "https"
        self.timeout_s = timeout_s
        self.statistics = Statistics()
        self._origin = (origin.scheme, origin.host, origin.port or (443 if tls else 80))
        self._host_line = b"Host: " + origin.netloc + b"\r\n"
        self._connect_timeout_s = connect_timeout_s
        self._idle_ns = round(idle_s * 1e9)
        self._limits = limits
        self._ssl = _context(verify, insecure) if tls else None
        self._lanes: dict[Hashable, _Lane] = {}
        self._unnamed: list[_Lane] = []  # idle ones, most recently used last
        self._turns = asyncio.Semaphore(max_unnamed)

    # the lean call

    def prepare(
        self, method: str | bytes, path: str | bytes, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b""
    ) -> bytes:
        """A request as the bytes that `call` sends; may be sent any number of times."""
        verb = method.encode("ascii") if isinstance(method, str) else method
        target = path.encode("ascii") if isinstance(path, str) else path
        if not _TOKEN.fullmatch(verb) or not target.startswith(b"/") or _UNFIT_IN_TARGET.search(target):
            raise httpx.LocalProtocolError(f"no request line can be made of {verb!r} {target!r}")
        lines = [verb, b" ", target, b" HTTP/1.1\r\n", self._host_line]
        for name, value in headers:
            if name.lower() in _OURS:
                continue
            if not _TOKEN.fullmatch(name) or _UNFIT_IN_VALUE.search(value):
                raise httpx.LocalProtocolError(f"the header {name!r} has characters that no header may have")
            lines += (name, b": ", value, b"\r\n")
        if body or verb not in _BODYLESS:
            lines.append(b"Content-Length: %d\r\n" % len(body))
        lines += (b"\r\n", body)
        return b"".join(lines)

    async def call(
        self,
        data: bytes,
        *,
        lane: Hashable = None,
        timeout_s: float | None = None,
        gate: Gate | None = None,
        racer: int | None = None,
    ) -> Answer:
        """Send prebuilt bytes and wait for the whole answer; raises NotSent, Lost or Garbled."""
        if lane is None:
            return await self._on_unnamed(data, timeout_s, gate, racer)
        track = self._lanes.get(lane)
        if track is None:
            track = self._lanes[lane] = _Lane()
        return await self._on(track, data, timeout_s, gate, racer)

    async def warm(self, lanes: Iterable[Hashable], request: bytes) -> None:
        """Open those lanes that are not, spread over the target's workers; each new one carries one `request`.

        Where workers share a listening socket, the first to wake accepts all connections that wait, and requests on
        one worker do not race. So connections come one by one (in many small groups, of a large fleet), each while
        the last few open ones carry a request: their workers are busy, another accepts.

        Raises NotSent where nobody takes a connection. An answer that is lost or garbled only ends this: what is not
        open yet is opened by the first call on it.
        """
        tracks = [self._lanes.setdefault(lane, _Lane()) for lane in lanes]
        opened: list[_Lane] = []
        due: list[_Lane] = []
        for track in tracks:
            is_open = track.connection is not None and self._fresh(track.connection)
            (opened if is_open else due).append(track)
        step = -(-len(due) // _WARM_STEPS) or 1
        for begin in range(0, len(due), step):
            coming = due[begin : begin + step]
            busy = [track for track in opened[-_BUSY_LANES:] if not track.lock.locked()]
            if not await _all([self._on(track, request, None, None, None) for track in (*busy, *coming)]):
                return
            opened += coming

    async def connect(self, lane: Hashable) -> None:
        """Make sure that a lane is open: the next request on it leaves at once."""
        track = self._lanes.setdefault(lane, _Lane())
        async with track.lock:
            if track.connection is None or not self._fresh(track.connection):
                await self._ready(track)

    def rotate(self, lanes: Sequence[Hashable], by: int = 1) -> None:
        """Hand each lane the connection of the lane `by` places on; between rounds, while none is in use."""
        tracks = [self._lanes.setdefault(lane, _Lane()) for lane in lanes]
        if any(track.lock.locked() for track in tracks):
            raise RuntimeError("lanes rotate between rounds only: one of them is in use")
        connections = [track.connection for track in tracks]
        for place, track in enumerate(tracks):
            track.connection = connections[(place + by) % len(connections)]

    def drop(self, lane: Hashable) -> None:
        """Close a lane's connection and forget the name; a request under way fails."""
        track = self._lanes.pop(lane, None)
        if track is not None and track.connection is not None:
            track.connection.close()

    async def aclose(self) -> None:
        """Close every connection; requests under way fail."""
        tracks = [*self._lanes.values(), *self._unnamed]
        for track in tracks:
            if track.connection is not None:
                track.connection.close()
        await asyncio.sleep(0)  # asyncio closes the sockets in the next turn of the loop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    # httpx's face

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """httpx's side: `extensions` may carry `lane`, `gate` and `racer`; the response's carry the times."""
        url, extensions = request.url, request.extensions
        tls = url.scheme == "https"
        if (url.scheme, url.host, url.port or (443 if tls else 80)) != self._origin:
            raise httpx.UnsupportedProtocol(f"this transport speaks to {self._origin} only, not to {url.host}")
        data = self.prepare(request.method.encode("ascii"), url.raw_path, request.headers.raw, await request.aread())
        answer = await self.call(
            data,
            lane=extensions.get("lane"),
            timeout_s=extensions.get("timeout", {}).get("read"),
            gate=extensions.get("gate"),
            racer=extensions.get("racer"),
        )
        times: dict[str, Any] = answer.times._asdict()
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body, extensions=times)

    # inside

    async def _on_unnamed(self, data: bytes, timeout_s: float | None, gate: Gate | None, racer: int | None) -> Answer:
        await self._take(self._turns)
        track = self._unnamed.pop() if self._unnamed else _Lane()
        try:
            return await self._on(track, data, timeout_s, gate, racer)
        finally:
            self._unnamed.append(track)
            self._turns.release()

    async def _on(
        self, track: _Lane, data: bytes, timeout_s: float | None, gate: Gate | None, racer: int | None
    ) -> Answer:
        """One exchange on one lane; counts how it ended."""
        connection = None
        try:
            await self._take(track.lock)
            try:
                connection = track.connection
                if connection is None or not self._fresh(connection):
                    connection = None
                    connection = await self._ready(track)
                limit_s = self.timeout_s if timeout_s is None else timeout_s
                answer = await connection.send(data, limit_s, gate, racer, data.startswith(b"HEAD "))
            finally:
                if connection is not None and connection.busy:  # cancelled: its answer would be taken for the next's
                    connection.close()
                track.lock.release()
        except NotSent:
            self.statistics.not_sent += 1
            if connection is None and gate is not None:
                gate.forfeit()  # the others need not wait for a racer that cannot come
            raise
        except Lost:
            self.statistics.lost += 1
            raise
        except Garbled:
            self.statistics.garbled += 1
            raise
        self.statistics.answers += 1
        return answer

    async def _take(self, lock: asyncio.Lock | asyncio.Semaphore) -> None:
        if not lock.locked():
            await lock.acquire()  # at once, and without the cost of a timeout
            return
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await lock.acquire()
        except TimeoutError:
            raise NotSent(f"no connection was free within {self._connect_timeout_s:g} s") from None

    def _fresh(self, connection: Connection) -> bool:
        return monotonic_ns() - connection.idle_since_ns < self._idle_ns and not connection.stirred()

    async def _ready(self, track: _Lane) -> Connection:
        """The lane's open connection, a new one where there is none that can be trusted."""
        connection = track.connection
        if connection is not None and not connection.closed and connection.stirred():
            await look()  # a TLS session ticket is no reason to leave, an end is
        if connection is not None and self._fresh(connection):
            return connection
        if connection is not None:
            connection.close()
            self.statistics.replaced += 1
        track.connection = None
        track.connection = await self._connect()
        return track.connection

    async def _connect(self) -> Connection:
        scheme, host, port = self._origin
        where = f"{host}:{port}"
        self.statistics.connects += 1
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self._limits), host, port, ssl=self._ssl
                )
        except TimeoutError:
            raise NotSent(f"could not connect to {where} within {self._connect_timeout_s:g} s") from None
        except ssl.SSLCertVerificationError as error:
            raise NotSent(f"nobody vouches for the certificate of {where}: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise NotSent(f"no TLS with {where}: {error.reason or error}") from None
        except ConnectionRefusedError:
            raise NotSent(f"connection refused by {where}") from None
        except OSError as error:
            raise NotSent(f"could not connect to {where} ({scheme}): {error}") from None
        return connection


def _context(verify: ssl.SSLContext | None, insecure: bool) -> ssl.SSLContext:
    if verify is not None and not insecure:
        return verify
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _all(waits: Sequence[Any]) -> bool:
    """Wait for all, so that none is left running; whether all were answered. Raises the first NotSent."""
    results = await asyncio.gather(*waits, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, (Lost, Garbled)):
            raise result
    return not any(isinstance(result, BaseException) for result in results)


__all__ = ["Answer", "Limits", "Statistics", "Transport"]
