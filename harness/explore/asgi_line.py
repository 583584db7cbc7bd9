"""A Python server inside this process: calls go to its ASGI application directly, no socket between."""

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from harness import wire
from harness.drive.line import Exchange, Trouble, exchange_of, rest_of_listing
from harness.explore.troubles import Troubles
from harness.wire import Call, Reply, Request

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class BadAppError(Exception):
    """What stands after `asgi:` names no application; the text says why."""


def load_app(spec: str) -> Callable[[], AsgiApp]:
    """What makes the application of `MODULE:NAME`, or of `MODULE:NAME:ARGUMENTS`, for each run.

    With a second colon NAME is a function, called anew for each run with the texts between commas: then a run finds no
    trace of the runs before. Raises BadAppError.
    """
    module_name, _, rest = spec.partition(":")
    name, is_factory, arguments = rest.partition(":")
    if not module_name or not name:
        raise BadAppError(f"asgi:{spec} names no application; want asgi:MODULE:NAME, as in asgi:my.server:app")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as uvicorn does: `app:app` of the current folder
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # whatever the user's module does when it is imported
        raise BadAppError(f"asgi:{spec}: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadAppError(f"asgi:{spec}: {name} is no application, it cannot be called")
    if not is_factory:
        return lambda: found
    given = [argument for argument in arguments.split(",") if argument]
    return lambda: found(*given)


class Clock:
    """Counts events: the only time that a deterministic loop has."""

    def __init__(self) -> None:
        self.now_ns = 0

    def tick(self) -> int:
        """The next moment."""
        self.now_ns += 1
        return self.now_ns


class AsgiLine:
    """Calls as ASGI requests on the running loop."""

    def __init__(self, app: AsgiApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._troubles = Troubles(clock.tick)
        self._requests = 0

    async def call(
        self,
        desk: int,  # noqa: ARG002
        call: Call,
        secrets: Mapping[str, str],
        trouble: Trouble | None = None,
    ) -> Exchange:
        """Send one call; a listing goes on until its last page."""
        if trouble is not None:
            return await self._troubles.give(trouble, lambda: self._one(call, secrets))
        exchange = await self._one(call, secrets)
        if call.op == "list":
            return await rest_of_listing(call, exchange, lambda following: self._one(following, secrets))
        return exchange

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        await self._troubles.held(trouble)

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        self._troubles.let_go(trouble)

    async def together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        """All calls at once, each a task of its own."""
        return list(await asyncio.gather(*(self.call(desk, call, secrets) for desk, call in calls)))

    def crash(self, desk: int) -> int | None:
        """There is no process to kill."""

    def pause(self, desk: int) -> int | None:
        """There is no process to stop."""

    def resume(self, desk: int) -> int | None:
        """There is no process that stands still."""

    def close(self) -> None:
        """Nothing to end."""

    async def _one(self, call: Call, secrets: Mapping[str, str]) -> Exchange:
        self._requests += 1
        request_id = f"req-{self._requests:020d}"
        invoke_ns = self._clock.tick()
        status, headers, body = await _request(self._app, wire.encode(call, request_id))
        reply = Reply(
            invoke_ns=invoke_ns,
            release_ns=invoke_ns,
            return_ns=self._clock.tick(),
            status=status,
            headers=headers,
            body=body,
        )
        return exchange_of(call, request_id, reply, secrets)


async def _request(app: AsgiApp, request: Request) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """What the application answers; an exception that it lets out is a 500, as a server would make it."""
    path, _, query = request.path.partition("?")
    scope: Message = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (("host", "asgi"), *request.headers)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    received = iter([{"type": "http.request", "body": request.body, "more_body": False}])
    sent: list[Message] = []

    async def receive() -> Message:
        return next(received, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception as error:
        return 500, (), f"{type(error).__name__}: {error}".encode()
    start = next((message for message in sent if message["type"] == "http.response.start"), None)
    if start is None:
        return 500, (), b"the application did not answer"
    body = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start.get("headers", ()))
    return int(start["status"]), headers, body


class Lifespan:
    """Starts an application before the first request and ends it after the last; one that knows no lifespan is fine."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run(), name="lifespan")
        await self._ask("lifespan.startup")

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None and not self._task.done():
            await self._ask("lifespan.shutdown")
            await self._task

    async def _run(self) -> None:
        scope: Message = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception:
            await self._from_app.put({"type": "unknown"})
        else:
            await self._from_app.put({"type": "ended"})

    async def _ask(self, what: str) -> None:
        await self._to_app.put({"type": what})
        answer = await self._from_app.get()
        if answer["type"] == "lifespan.startup.failed":
            raise BadAppError(f"the application did not start: {answer.get('message', '')}")
