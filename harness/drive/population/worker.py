"""The main program of a worker process: many dispatchers in one loop, their finished operations sent on in batches."""

import asyncio
import contextlib
import gc
import resource
import signal
import sys
from typing import Any

from harness.drive.lifeline import end_with_parent
from harness.drive.population.client import Site
from harness.drive.population.dispatcher import Dispatcher
from harness.drive.population.messages import (
    Assignment,
    Batch,
    Begun,
    Broken,
    Containers,
    Ended,
    decode_command,
    encode,
)
from harness.drive.population.policies import POLICIES
from harness.drive.transport import Transport
from harness.history import Operation

_BATCH_S = 0.05
_END_GRACE_S = 2.0  # beyond the limit of one request, for all dispatchers to come to an end


def main(connection: Any, assignment: Assignment) -> None:
    """Let the assigned dispatchers live until the conductor at the other end of `connection` says halt."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the conductor ends us in order
    _allow_many_connections()
    gc.freeze()
    try:
        asyncio.run(_work(connection, assignment))
    except (EOFError, OSError):
        pass  # the conductor is gone
    except Exception as error:
        with contextlib.suppress(OSError):
            connection.send_bytes(encode(Broken(f"{type(error).__name__}: {error}")))
        sys.exit(1)


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _work(connection: Any, assignment: Assignment) -> None:
    async with Transport(assignment.url, timeout_s=assignment.timeout_s, insecure=assignment.insecure) as transport:
        population = assignment.population

        def tell_begun(operation: Operation) -> None:
            connection.send_bytes(encode(Begun(operation)))

        site = Site(assignment, transport, tell_begun if population.faults.kill else None)
        gone = _listen(connection, site)
        dispatchers = [
            Dispatcher(site, number, incarnation, POLICIES[population.policy_of(number)])
            for number, incarnation in assignment.dispatchers.items()
        ]
        _flush(connection, site)  # empty, and says that we are at work
        telling = asyncio.create_task(_tell(connection, site))
        lives = asyncio.gather(*(dispatcher.live() for dispatcher in dispatchers))
        try:
            ends: list[asyncio.Future[Any]] = [gone, telling, lives]
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()  # raises what went wrong
            await _finish(lives, site, assignment.timeout_s)
        finally:
            lives.cancel()
            telling.cancel()
            await asyncio.gather(lives, telling, return_exceptions=True)
        _flush(connection, site)
        connection.send_bytes(encode(Ended()))


async def _finish(lives: "asyncio.Future[Any]", site: Site, timeout_s: float) -> None:
    """Let calls under way end by themselves: each has its limit."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s + _END_GRACE_S):
            await lives
            await site.settled()


def _listen(connection: Any, site: Site) -> "asyncio.Future[None]":
    """Take the conductor's commands; the future ends with an error when the conductor is gone."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()

    def read() -> None:
        try:
            command = decode_command(connection.recv_bytes())
        except BaseException as error:  # EOFError is the conductor's end; anything else is told by main
            loop.remove_reader(connection.fileno())
            if not gone.done():
                gone.set_exception(error)
            return
        if isinstance(command, Containers):
            site.own.update(command.uuids)
        else:
            site.over.set()

    loop.add_reader(connection.fileno(), read)
    return gone


async def _tell(connection: Any, site: Site) -> None:
    """Send finished operations on, also the fact that there are none: the conductor knows so that we live."""
    while not site.over.is_set():
        await asyncio.sleep(_BATCH_S)
        if site.finished or site.unsent:
            _flush(connection, site)


def _flush(connection: Any, site: Site) -> None:
    operations, site.finished = site.finished, []
    connection.send_bytes(encode(Batch(operations, site.unsent)))
    site.unsent = 0
