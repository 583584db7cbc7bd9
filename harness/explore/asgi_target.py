"""A Python application as the target of a run: in this process, on an event loop in a thread of its own.

    our loop  ── call ──►  its loop: the application; requests sent together take turns as the seed has it

So the harness goes on, and every wait has its limit, whatever the application does to its own loop. Threads and
sockets of the application work as they do under any server.
"""

import asyncio
import contextlib
import os
import random
import sys
import threading
import time
import traceback
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from harness.drive.line import Exchange, TargetLost, Trouble, exchange_of, new_request_id, to_its_end
from harness.drive.patience import until_taken
from harness.drive.served import log_end
from harness.drive.target import TOKEN_NAMES, Caller, Endpoint, OpenTarget, TargetRefused, TokenRefused, introduce
from harness.explore.asgi_app import END_LIMIT_S, BadAppError, RunningApp, load_app
from harness.explore.troubles import Troubles
from harness.wire import ARVADOS, Call, Reply, Request, Wire

_START_LIMIT_S = 60.0
_GRACE_S = 1.0  # a loop that says nothing for so much longer than a request's limit stands still
_LOG_LIMIT_BYTES = 1_000_000
_YIELD_SHARE = 0.5  # how often a request that could go on lets the others go first

_T = TypeVar("_T")


class AsgiTarget:
    """`asgi:MODULE:NAME`, or `asgi:MODULE:NAME:TEXTS`, started when it is opened; one instance for a whole run.

    `made_up` names the tokens that nobody gave. The application is told all of them in the environment.
    """

    def __init__(
        self, spec: str, secrets: dict[str, str], made_up: frozenset[str], log: Path, wire: Wire = ARVADOS
    ) -> None:
        self.name = f"asgi:{spec}"
        self.wire = wire
        self.log = log
        self._spec = spec
        self._secrets = secrets
        self._made_up = made_up
        self._living: _Living | None = None

    async def open(self) -> Endpoint:
        """Import the application and start it; raises TargetRefused."""
        self.log.unlink(missing_ok=True)
        self._living = _Living(self._spec, self._note)
        try:
            await self._living.start()
        except BadAppError as error:
            what = str(error) if self.name in str(error) else f"{self.name}: {error}"
            raise TargetRefused(f"{what}{self._words()}") from None
        return Endpoint(self.name, self._secrets, disposable=True, wire=self.wire)

    async def connect(self, timeout_s: float, seed: int) -> OpenTarget:
        """Open it and learn whose the tokens are; one that was made up and is not accepted is left out."""
        endpoint = await self.open()
        assert self._living is not None
        line = AppLine(self._living, timeout_s, seed, self.wire)
        callers: dict[str, Caller] = {}
        for name in (name for name in TOKEN_NAMES if name in self._secrets):
            try:
                callers[name] = await introduce(line, endpoint, name)
            except TokenRefused:
                if name not in self._made_up:
                    raise
                if name == "shared":
                    raise TokenRefused(
                        f"{self.name} does not know the token: none was given, so one was made up, which the "
                        "application finds in LOCKRACE_TOKEN; or give its own with --token-file"
                    ) from None
            except TargetRefused as refused:
                raise TargetRefused(f"{refused}{self._words()}") from None
        return OpenTarget(self.name, endpoint, line, callers)

    async def close(self) -> None:
        """End the application."""
        if self._living is not None:
            await self._living.stop()

    def _words(self) -> str:
        return f"\n{log_end(self.log)}" if self.log.exists() else ""

    def _note(self, text: str) -> None:
        """Write what the application let out to the log of the run, up to a size; no token stands in it."""
        for name, secret in self._secrets.items():
            text = text.replace(secret.rpartition("/")[2], f"<{name} token>")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            if file.tell() < _LOG_LIMIT_BYTES:
                file.write(text)


class _Living:
    """The thread, its loop and the application on it; `home` is the loop of whoever made it."""

    def __init__(self, spec: str, note: Callable[[str], None]) -> None:
        self._spec = spec
        self._note = note
        self._home = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._home.create_future()
        self._thread = threading.Thread(target=self._live, name=f"asgi:{spec}", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._app: RunningApp | None = None
        self._ended = ""  # by what, where it did so by itself

    async def start(self) -> None:
        """Run the thread until the application has started. Raises BadAppError."""
        self._thread.start()
        done, _ = await asyncio.wait([self._started], timeout=_START_LIMIT_S)
        if not done:
            raise BadAppError(f"asgi:{self._spec} did not start within {_START_LIMIT_S:.0f} s; {self._where()}")
        self._started.result()

    async def do(self, work: Callable[[RunningApp], Coroutine[Any, Any, _T]], limit_s: float) -> _T:
        """The result of work on the application's loop. Raises TargetLost where that loop stands still or has ended."""
        if self._loop is None or self._app is None or not self._thread.is_alive():
            raise await self._lost()
        doing = asyncio.run_coroutine_threadsafe(work(self._app), self._loop)
        finished, _ = await asyncio.wait([asyncio.wrap_future(doing)], timeout=limit_s + _GRACE_S)
        if not finished:
            doing.cancel()
            raise TargetLost(f"asgi:{self._spec} kept its event loop from going on for {limit_s:g} s; {self._where()}")
        if doing.cancelled():
            raise await self._lost()
        return doing.result()

    async def stop(self) -> None:
        """End the application and the thread, as far as they will."""
        if self._loop is not None and self._main is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has ended in this moment
                self._loop.call_soon_threadsafe(self._main.cancel)
            await asyncio.to_thread(self._thread.join, END_LIMIT_S + _GRACE_S)

    def _live(self) -> None:
        try:
            asyncio.run(self._stay())
        except asyncio.CancelledError:
            self._tell(BadAppError(f"asgi:{self._spec} was ended before it had started"))
        except BaseException as error:  # whatever the application ends its loop with
            self._ended = f"{type(error).__name__}: {error}"
            if not isinstance(error, BadAppError):
                self._failed(error)
                error = BadAppError(f"asgi:{self._spec} did not start: {self._ended}")
            self._tell(error)

    async def _stay(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._loop.set_exception_handler(self._failed_in_background)
        make_app = load_app(self._spec)
        async with RunningApp(make_app(), self._failed) as self._app:
            self._tell(None)
            await asyncio.Event().wait()  # until cancelled

    def _tell(self, trouble: BadAppError | None) -> None:
        """Let whoever waits for the start know how it went."""

        def tell() -> None:
            if not self._started.done():
                self._started.set_result(None) if trouble is None else self._started.set_exception(trouble)

        with contextlib.suppress(RuntimeError):  # nobody waits any more
            self._home.call_soon_threadsafe(tell)

    def _failed(self, error: BaseException) -> None:
        self._note("".join(traceback.format_exception(error)))

    def _failed_in_background(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._note(f"{context.get('message')}\n")
        if isinstance(error := context.get("exception"), BaseException):
            self._failed(error)

    async def _lost(self) -> TargetLost:
        await asyncio.to_thread(self._thread.join, END_LIMIT_S + _GRACE_S)
        return TargetLost(f"asgi:{self._spec} has ended its event loop" + (f": {self._ended}" if self._ended else ""))

    def _where(self) -> str:
        """Where the thread is at this moment, innermost first."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.extract_stack(frame)[-3:] if frame is not None else []
        places = [f"{one.name} ({Path(one.filename).name}:{one.lineno})" for one in reversed(stack)]
        return f"it is in {', called by '.join(places)}" if places else "its thread has ended"


class AppLine:
    """Calls to an application on its own loop."""

    def __init__(self, living: _Living, timeout_s: float, seed: int, wire: Wire = ARVADOS) -> None:
        self._living = living
        self._wire = wire
        self._timeout_s = timeout_s
        self._seed = seed
        self._groups = 0
        self._troubles = Troubles(time.monotonic_ns)

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
        return await self._to_its_end(call, secrets, await self._one(call, secrets))

    async def together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        """Start all calls at one moment; at each await chance says who goes on, the same for the same seed."""
        chance = random.Random(f"{self._seed}:{self._groups}")
        self._groups += 1
        encoded = [(call, request_id := new_request_id(), self._wire.encode(call, request_id)) for _, call in calls]

        async def all_of_them(app: RunningApp) -> list[Reply]:
            released_ns = time.monotonic_ns()
            asking = (self._reply(app, request, chance, released_ns) for *_, request in encoded)
            return await asyncio.gather(*asking)

        replies = await self._living.do(all_of_them, self._timeout_s)
        exchanges = [
            exchange_of(call, request_id, reply, secrets, self._wire)
            for (call, request_id, _), reply in zip(encoded, replies, strict=True)
        ]
        return [
            await self._to_its_end(call, secrets, exchange)
            for (_, call), exchange in zip(calls, exchanges, strict=True)
        ]

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        await self._troubles.held(trouble)

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        self._troubles.let_go(trouble)

    def crash(self, desk: int) -> int | None:
        """There is no process to kill."""

    def pause(self, desk: int) -> int | None:
        """There is no process to stop."""

    def resume(self, desk: int) -> int | None:
        """There is no process that stands still."""

    def close(self) -> None:
        """Nothing to end: the application is the target's."""

    async def _to_its_end(self, call: Call, secrets: Mapping[str, str], first: Exchange) -> Exchange:
        def again() -> Awaitable[Exchange]:
            return self._one(call, secrets)

        return await to_its_end(
            call, first, again, lambda page: until_taken(lambda: self._one(page, secrets)), self._wire
        )

    async def _one(self, call: Call, secrets: Mapping[str, str]) -> Exchange:
        request_id = new_request_id()
        request = self._wire.encode(call, request_id)
        reply = await self._living.do(lambda app: self._reply(app, request), self._timeout_s)
        return exchange_of(call, request_id, reply, secrets, self._wire)

    async def _reply(
        self, app: RunningApp, request: Request, chance: random.Random | None = None, released_ns: int | None = None
    ) -> Reply:
        """One reply, on the application's loop; an answer that does not come in time is a failure."""
        paced = None if chance is None else (lambda work: by_turns(work, chance))
        begun_ns = time.monotonic_ns() if released_ns is None else released_ns
        try:
            async with asyncio.timeout(self._timeout_s):
                answered = (await app.ask(request, paced))._asdict()
        except TimeoutError:
            answered = {"failure": "timeout"}
        return Reply(
            **answered, invoke_ns=begun_ns, release_ns=released_ns, return_ns=time.monotonic_ns(), pid=os.getpid()
        )


async def by_turns(work: Awaitable[_T], chance: random.Random) -> _T:
    """The result of work, which before each of its steps lets others on the loop go first as often as chance has it."""
    return await _stepwise(work, chance)


@types.coroutine
def _stepwise(work: Awaitable[_T], chance: random.Random) -> Generator[Any, Any, _T]:
    steps = work.__await__()
    raised: BaseException | None = None  # what is for the work, such as its cancellation
    while True:
        try:
            while raised is None and chance.random() < _YIELD_SHARE:
                yield
        except BaseException as error:
            raised = error
        try:
            waits_for = next(steps) if raised is None else steps.throw(raised)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        raised = None
        try:
            yield waits_for
        except BaseException as error:
            raised = error
