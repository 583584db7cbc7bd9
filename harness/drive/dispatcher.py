"""The main program of a dispatcher process: send what the conductor asks for, say what came back and when.

It decides nothing and keeps nothing: a process that is killed loses only what a real dispatcher would lose.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine
from typing import Any

import httpx
from msgspec import structs

from harness.drive.failures import Garbled, Lost, NotSent, Times
from harness.drive.gate import Gate, GateNotArmedError
from harness.drive.lifeline import end_with_parent
from harness.drive.messages import (
    Arm,
    Armed,
    Failed,
    FromDispatcher,
    Release,
    Send,
    Sent,
    Settings,
    decode_command,
    encode,
)
from harness.drive.transport import Transport
from harness.wire import Reply, Request
from harness.wire.message import Failure


def main(connection: Any, settings: Settings) -> None:
    """Serve the conductor at the other end of `connection` until it closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the conductor ends us in order
    try:
        asyncio.run(_serve(connection, settings))
    except (EOFError, OSError):
        pass
    except Exception as error:
        connection.send_bytes(encode(Failed(f"{type(error).__name__}: {error}")))
        sys.exit(1)


async def _serve(connection: Any, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    async with _client(settings) as client:
        office = _Office(connection, client, settings)

        def read() -> None:
            try:
                office.receive(decode_command(connection.recv_bytes()))
            except BaseException as error:  # EOFError is the conductor's end; anything else is told by main
                loop.remove_reader(connection.fileno())
                if not ended.done():
                    ended.set_exception(error)

        loop.add_reader(connection.fileno(), read)
        try:
            await ended
        finally:
            await office.close()


def _client(settings: Settings) -> httpx.AsyncClient:
    transport = Transport(settings.url, timeout_s=settings.timeout_s, insecure=settings.insecure)
    return httpx.AsyncClient(base_url=settings.url, transport=transport, timeout=settings.timeout_s, trust_env=False)


class _Office:
    """Takes commands and turns each into a task; holds armed requests at a gate until their release."""

    def __init__(self, connection: Any, client: httpx.AsyncClient, settings: Settings) -> None:
        self._connection = connection
        self._client = client
        self._settings = settings
        self._others: dict[str, httpx.AsyncClient] = {}  # by URL
        self._gates: dict[int, Gate] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, command: Send | Arm | Release) -> None:
        match command:
            case Send(number, request, via):
                self._start(self._send(number, request, self._client if via is None else self._client_for(via)))
            case Arm(number, requests):
                self._start(self._arm(number, requests))
            case Release(number, at_ns):
                self._start(self._gates.pop(number).release_at(at_ns))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _client_for(self, via: str) -> httpx.AsyncClient:
        if via not in self._others:
            self._others[via] = _client(structs.replace(self._settings, url=via))
        return self._others[via]

    async def close(self) -> None:
        for client in self._others.values():
            await client.aclose()

    async def _send(self, number: int, request: Request, client: httpx.AsyncClient, gate: Gate | None = None) -> None:
        self._tell(Sent(number, await _exchange(client, request, self._settings.timeout_s, gate)))

    async def _arm(self, number: int, requests: list[tuple[int, Request]]) -> None:
        gate = self._gates[number] = Gate(len(requests))
        for one, request in requests:
            self._start(self._send(one, request, self._client, gate))
        with contextlib.suppress(GateNotArmedError):  # who is late goes at once when it comes
            await gate.armed(self._settings.timeout_s)
        self._tell(Armed(number))

    def _tell(self, report: FromDispatcher) -> None:
        with contextlib.suppress(OSError):  # the conductor has gone: its closed end is what ends us
            self._connection.send_bytes(encode(report))


async def _exchange(client: httpx.AsyncClient, request: Request, timeout_s: float, gate: Gate | None) -> Reply:
    """Send one request and read its whole answer, in at most `timeout_s` seconds after it was let go."""
    message = client.build_request(
        request.method,
        request.path,
        headers=list(request.headers),
        content=request.body,
        timeout=timeout_s,
        extensions={} if gate is None else {"gate": gate},
    )
    asked_ns = time.monotonic_ns()
    try:
        response = await client.send(message)
    except NotSent as error:
        return _failed("unreachable", error.times, asked_ns, str(error))
    except Lost as error:
        return _failed("timeout" if error.timed_out else "reset", error.times, asked_ns)
    except Garbled as error:
        return _failed("garbled", error.times, asked_ns)
    return Reply(
        invoke_ns=response.extensions["invoke_ns"],
        release_ns=response.extensions["release_ns"],
        return_ns=response.extensions["return_ns"],
        pid=os.getpid(),
        status=response.status_code,
        headers=tuple(response.headers.items()),
        body=response.content,
    )


def _failed(failure: Failure, times: Times | None, asked_ns: int, detail: str | None = None) -> Reply:
    known = times or Times(asked_ns, asked_ns, time.monotonic_ns())
    return Reply(**known._asdict(), pid=os.getpid(), failure=failure, detail=detail)
