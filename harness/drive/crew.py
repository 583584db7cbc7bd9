"""The crew: dispatcher processes of `multiprocess` (spawn), and the conductor's line to each."""

import asyncio
import itertools
import os
import signal
from collections.abc import Sequence
from typing import Any

import multiprocess

from harness.drive import dispatcher
from harness.drive.messages import Arm, Armed, Failed, Release, Send, Sent, Settings, decode_report, encode
from harness.wire import Reply, Request

_START_LIMIT_S = 60.0
_ANSWER_GRACE_S = 60.0  # beyond the request's own limit, before a silent process counts as broken


class HarnessFault(Exception):
    """Something of the harness itself broke; the text says what. Exit code 70."""


class Desk:
    """One dispatcher process as the conductor sees it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._loop = asyncio.get_running_loop()
        context = multiprocess.get_context("spawn")
        self._connection, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=dispatcher.main, args=(theirs, settings), daemon=True)
        self.process.start()
        theirs.close()  # else its end would not be seen here
        self._loop.add_reader(self._connection.fileno(), self._read)
        self._open = True
        self._there = False

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return int(self.process.pid)

    async def started(self) -> None:
        """Be back once the process is there: the time that it takes to start is no part of a request's."""
        if not self._there:
            number, _ = await self.arm([])
            self.release(number, 0)
            self._there = True

    async def send(self, request: Request, via: str | None = None) -> Reply:
        """Send one request from this process, to the target or through the fault proxy at `via`."""
        await self.started()
        number = next(self._numbers)
        answered = self._expect(number)
        self._tell(Send(number, request, via))
        reply: Reply = await self._within(answered, self._settings.timeout_s + _ANSWER_GRACE_S)
        return reply

    async def arm(self, requests: Sequence[Request]) -> tuple[int, list[asyncio.Future[Reply]]]:
        """Make requests ready to go together; returns what `release` needs, and a future reply each."""
        number = next(self._numbers)
        numbered = [(next(self._numbers), request) for request in requests]
        armed = self._expect(number)
        replies = [self._expect(one) for one, _ in numbered]
        self._tell(Arm(number, numbered))
        await self._within(armed, _START_LIMIT_S)
        return number, replies

    def release(self, number: int, at_ns: int) -> None:
        """Let go what was armed under `number` at a moment of CLOCK_MONOTONIC."""
        self._tell(Release(number, at_ns))

    def send_signal(self, number: signal.Signals) -> int:
        """Send the process a signal; its number."""
        os.kill(self.pid, number)
        return self.pid

    def kill(self) -> None:
        """kill -9, which loses only what a real dispatcher would lose; every reply that is still awaited is a fault."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        self._lose(None)
        self.process.kill()

    def close(self) -> None:
        """Kill it and see it end."""
        self.kill()
        self.process.join(2)

    def _expect(self, number: int) -> asyncio.Future[Any]:
        self._waiting[number] = self._loop.create_future()
        return self._waiting[number]

    def _tell(self, command: Send | Arm | Release) -> None:
        try:
            self._connection.send_bytes(encode(command))
        except OSError:
            self._lose(None)

    def _read(self) -> None:
        try:
            report = decode_report(self._connection.recv_bytes())
        except (EOFError, OSError):
            self._loop.remove_reader(self._connection.fileno())
            self._lose(None)
            return
        match report:
            case Sent(number, reply):
                self._settle(number, reply)
            case Armed(number):
                self._settle(number, None)
            case Failed(text):
                self._lose(HarnessFault(f"a dispatcher process broke: {text}"))

    def _settle(self, number: int, result: Any) -> None:
        future = self._waiting.pop(number, None)
        if future is not None and not future.done():
            future.set_result(result)

    def _lose(self, error: Exception | None) -> None:
        """The process is gone: nothing that it still owed will come."""
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(error or HarnessFault("a dispatcher process ended in the middle of a request"))

    async def _within(self, future: asyncio.Future[Any], limit_s: float) -> Any:
        try:
            async with asyncio.timeout(limit_s):
                return await future
        except TimeoutError:
            raise HarnessFault(f"a dispatcher process said nothing for {limit_s:.0f} s") from None


class Crew:
    """Desks by number, started when first needed and kept for the whole run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._desks: dict[int, Desk] = {}

    def desk(self, number: int) -> Desk:
        """The desk of that number."""
        if number not in self._desks:
            self._desks[number] = Desk(self._settings)
        return self._desks[number]

    def replace(self, number: int) -> None:
        """kill -9 the process of a desk; the next use starts a new one."""
        desk = self._desks.pop(number, None)
        if desk is not None:
            desk.close()

    def close(self) -> None:
        """End every process."""
        for desk in self._desks.values():
            desk.kill()
        for desk in self._desks.values():
            desk.close()
        self._desks.clear()
