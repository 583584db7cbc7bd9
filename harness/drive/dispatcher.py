"""The main program of a dispatcher process: send what the conductor asks for, say what came back and when.

It decides nothing and keeps nothing: a process that is killed loses only what a real dispatcher would lose.
"""

import asyncio
import os
import signal
import sys
import time
from typing import Any

import httpx

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
        await ended


def _client(settings: Settings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=settings.url,
        timeout=settings.timeout_s,
        trust_env=False,
        verify=settings.url.startswith("https:") and not settings.insecure,
        follow_redirects=False,
    )


class _Office:
    """Takes commands and turns each into a task; holds armed requests until their release."""

    def __init__(self, connection: Any, client: httpx.AsyncClient, settings: Settings) -> None:
        self._connection = connection
        self._client = client
        self._settings = settings
        self._armed: dict[int, list[tuple[int, Request]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, command: Send | Arm | Release) -> None:
        match command:
            case Send(number, request, timeout_s):
                self._start(number, request, timeout_s or self._settings.timeout_s, None)
            case Arm(number, requests):
                self._armed[number] = requests
                self._tell(Armed(number))
            case Release(number, at_ns):
                for one, request in self._armed.pop(number):
                    self._start(one, request, self._settings.timeout_s, at_ns)

    def _start(self, number: int, request: Request, timeout_s: float, at_ns: int | None) -> None:
        task = asyncio.create_task(self._send(number, request, timeout_s, at_ns))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, number: int, request: Request, timeout_s: float, at_ns: int | None) -> None:
        if at_ns is not None:
            await asyncio.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))
        self._tell(Sent(number, await _exchange(self._client, request, timeout_s)))

    def _tell(self, report: FromDispatcher) -> None:
        self._connection.send_bytes(encode(report))


async def _exchange(client: httpx.AsyncClient, request: Request, timeout_s: float) -> Reply:
    """Send one request and read its whole answer, in at most `timeout_s` seconds."""
    message = client.build_request(request.method, request.path, headers=list(request.headers), content=request.body)
    invoke_ns = time.monotonic_ns()

    def ended(failure: Failure) -> Reply:
        return Reply(invoke_ns=invoke_ns, return_ns=time.monotonic_ns(), pid=os.getpid(), failure=failure)

    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(message)
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return ended("unreachable")
    except (TimeoutError, httpx.TimeoutException):
        return ended("timeout")
    except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
        cut_off = "disconnected" in str(error)
        return ended("reset" if cut_off else "garbled")
    except httpx.HTTPError:
        return ended("reset")
    return Reply(
        invoke_ns=invoke_ns,
        return_ns=time.monotonic_ns(),
        pid=os.getpid(),
        status=response.status_code,
        headers=tuple(response.headers.items()),
        body=response.content,
    )
