"""The conductor's line to one worker process; a thread reads what it says, so that the two cannot block each other."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import multiprocess

from harness.drive.population import worker
from harness.drive.population.messages import (
    Assignment,
    Batch,
    Begun,
    Containers,
    Ended,
    FromWorker,
    Halt,
    decode_report,
    encode,
)
from harness.history import Operation

_JOIN_S = 5.0

Receive = Callable[[FromWorker], None]


class Hand:
    """One worker process; `receive` is called in the conductor's loop with everything that it says."""

    def __init__(self, assignment: Assignment, receive: Receive) -> None:
        self.dispatchers = list(assignment.dispatchers)
        self.began = asyncio.Event()  # said that it is at work, or is gone
        self.ended = asyncio.Event()  # said that it has, or is gone
        self.gone = asyncio.Event()
        self.begun: dict[str | None, Operation] = {}  # request id -> a call of which nothing was heard so far
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        context = multiprocess.get_context("spawn")
        self._connection, theirs = context.Pipe(duplex=True)
        self._process = context.Process(target=worker.main, args=(theirs, assignment), daemon=True)
        self._process.start()
        theirs.close()  # else its end would not be seen here
        self._thread = threading.Thread(target=self._read, name="lockrace-hand", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return int(self._process.pid)

    async def tell(self, command: Containers | Halt) -> None:
        """Send a command; to a process that is gone it says nothing."""
        with contextlib.suppress(OSError, ValueError):
            await asyncio.to_thread(self._connection.send_bytes, encode(command))

    def send_signal(self, number: signal.Signals) -> None:
        """A signal, as long as the process is there."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    async def kill(self) -> None:
        """kill -9, and read what it had still said."""
        self.send_signal(signal.SIGKILL)
        await self.gone.wait()
        self.close()

    def close(self) -> None:
        """End the process, whatever it does."""
        self.send_signal(signal.SIGKILL)
        self._process.join(_JOIN_S)
        self._thread.join(_JOIN_S)
        self._connection.close()

    def _read(self) -> None:
        """The thread: everything that the process says, until it is gone."""
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._hand_over(decode_report(self._connection.recv_bytes()))
        self._hand_over(None)

    def _hand_over(self, report: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._take, report)

    def _take(self, report: FromWorker | None) -> None:
        self.began.set()
        match report:
            case None:
                self.ended.set()
                self.gone.set()
            case Begun(operation):
                self.begun[operation.request_id] = operation
            case Ended():
                self.ended.set()
            case Batch(operations, _):
                for operation in operations:
                    self.begun.pop(operation.request_id, None)
                self._receive(report)
            case _:
                self._receive(report)
