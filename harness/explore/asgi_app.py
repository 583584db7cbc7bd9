"""A Python server as an application to call: found by its name, started and ended, asked one request at a time.

What a real server makes of an application's faults is made of them here too: an exception is a 500, an answer that
stops half way is a connection that was cut.
"""

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from harness.wire import Request
from harness.wire.message import Failure

Message = MutableMapping[str, Any]
AsgiApp = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

Paced = Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]]
"""What slows down the work on a request."""

END_LIMIT_S = 5.0
"""An application that has not ended after so long is left alone."""

LARGEST_BODY_BYTES = 64 * 1024 * 1024
"""No answer of the API is as large: who sends more is never going to end."""


class BadAppError(Exception):
    """What stands after `asgi:` names no application, or it does not start; the text says why."""


class Answered(NamedTuple):
    """What an application answered: all of it, or how it failed to."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    failure: Failure | None = None


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
    except (Exception, SystemExit) as error:  # whatever the user's module does when it is imported
        raise BadAppError(f"asgi:{spec}: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadAppError(f"asgi:{spec}: {name} is no application, it cannot be called")
    if not is_factory:
        return lambda: found
    given = [argument for argument in arguments.split(",") if argument]

    def made() -> AsgiApp:
        try:
            app: Any = found(*given)
        except (Exception, SystemExit) as error:
            raise BadAppError(
                f"asgi:{spec}: {name}({', '.join(map(repr, given))}): {type(error).__name__}: {error}"
            ) from None
        if not callable(app):
            raise BadAppError(f"asgi:{spec}: {name} made {type(app).__name__}, which cannot be called")
        return app  # type: ignore[no-any-return]

    return made


def _scope(request: Request, state: Message) -> Message:
    path, _, query = request.path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in (("host", "asgi"), *request.headers)],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": dict(state),
    }


class _Exchange:
    """One request and what is sent back, held to the order that the ASGI specification gives."""

    def __init__(self, body: bytes) -> None:
        self.answered: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._request: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._status: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = bytearray()
        self._over = asyncio.Event()

    async def receive(self) -> Message:
        """The request; after it nothing, until the answer is complete."""
        if self._request is not None:
            message, self._request = self._request, None
            return message
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a piece of the answer; raises what tells the application that it is none."""
        kind = message["type"]
        if self._over.is_set():
            return  # as a server does when the client has gone
        if kind == "http.response.start" and self._status is None:
            status, headers = message["status"], message.get("headers", ())
            self._headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
            if not isinstance(status, int) or not 100 <= status <= 999:
                raise ValueError(f"the status {status!r} of http.response.start is none")
            self._status = int(status)
        elif kind == "http.response.body" and self._status is not None:
            self._body += message.get("body", b"")
            if len(self._body) > LARGEST_BODY_BYTES:
                raise ValueError(f"the answer is larger than {LARGEST_BODY_BYTES:,} bytes")
            if not message.get("more_body", False):
                self._end(Answered(self._status, self._headers, bytes(self._body)))
        else:
            raise RuntimeError(f"{kind!r} is not what may be sent at this point of an answer")

    def end(self, why: bytes) -> None:
        """The application is done: where nothing was answered, `why` is, as a server would; half an answer is cut."""
        unsaid = Answered(500, (("content-type", "text/plain"),), why)
        self._end(unsaid if self._status is None else Answered(failure="reset"))

    def _end(self, answered: Answered) -> None:
        self._over.set()
        if not self.answered.done():
            self.answered.set_result(answered)


class RunningApp:
    """An application between its start and its end; a context manager. One that knows no lifespan is fine.

    `failed` is told of every exception that the application lets out.
    """

    def __init__(self, app: AsgiApp, failed: Callable[[Exception], None] = lambda _: None) -> None:
        self._app = app
        self._failed = failed
        self._state: Message = {}  # what the application's lifespan keeps for its requests
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._from_app: asyncio.Queue[Message] = asyncio.Queue()
        self._lifespan: asyncio.Task[None] | None = None
        self._at_work: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._lifespan = asyncio.create_task(self._live(), name="lifespan")
        await self._tell("lifespan.startup")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)
        if self._lifespan is None or self._lifespan.done():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_LIMIT_S):
                await self._tell("lifespan.shutdown")
                await self._lifespan

    async def ask(self, request: Request, paced: Paced | None = None) -> Answered:
        """What the application answers, as soon as that is complete; what it does afterwards goes on meanwhile.

        Cancelling this cancels the work on it.
        """
        exchange = _Exchange(request.body)
        work = self._work(request, exchange)
        name = getattr(asyncio.current_task(), "get_name", lambda: None)()  # who asks, for whoever reads a trace
        task = asyncio.create_task(work if paced is None else paced(work), name=name)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        try:
            return await exchange.answered
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _work(self, request: Request, exchange: "_Exchange") -> None:
        try:
            await self._app(_scope(request, self._state), exchange.receive, exchange.send)
        except Exception as error:
            self._failed(error)
            exchange.end(b"the application raised an exception")
        finally:
            exchange.end(b"the application did not answer")

    async def _live(self) -> None:
        scope: Message = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:
            self._failed(error)
        finally:  # nobody waits for it any longer, however it ended
            self._from_app.put_nowait({"type": "ended"})

    async def _tell(self, what: str) -> None:
        await self._to_app.put({"type": what})
        answer = await self._from_app.get()
        if answer["type"] == "lifespan.startup.failed":
            raise BadAppError(f"the application did not start: {answer.get('message', '')}")
