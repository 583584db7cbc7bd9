"""Ways to send N requests at once: the naive ones that people write, and the product's own."""

import asyncio
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import httpx
import multiprocess

from harness.drive.gate import Gate, GateKind
from harness.drive.lifeline import end_with_parent
from harness.drive.start_line import CELLS, StartLine
from harness.drive.transport import Answer, Transport

Headers = dict[str, str]
LIMIT_S = 30.0
SPARE_LANES = 4
RENEW_ROUNDS = 16
_ARRIVAL = "x-arrival-ns"


class Hit(NamedTuple):
    """One answer of a round: its status, when the client let it go, and when the server says that it came."""

    status: int
    release_ns: int
    arrival_ns: int | None


class Method(Protocol):
    """One way to send a round; made for one number of requests."""

    async def open(self) -> None: ...
    async def round(self, path: str) -> list[Hit]: ...
    async def close(self) -> None: ...


class Gather:
    """asyncio.gather over stock httpx, connections warm."""

    def __init__(self, url: str, headers: Headers, racers: int) -> None:
        limits = httpx.Limits(max_connections=racers, max_keepalive_connections=racers)
        self._client = httpx.AsyncClient(base_url=url, headers=headers, limits=limits, trust_env=False, timeout=LIMIT_S)
        self._racers = racers

    async def open(self) -> None:
        await asyncio.gather(*(self._client.get("/") for _ in range(self._racers)))

    async def round(self, path: str) -> list[Hit]:
        return list(await asyncio.gather(*(self._one(path) for _ in range(self._racers))))

    async def _one(self, path: str) -> Hit:
        release_ns = time.monotonic_ns()
        return _hit(await self._client.post(path), release_ns)

    async def close(self) -> None:
        await self._client.aclose()


class Threads:
    """A thread and an httpx client each, and a barrier before the request."""

    def __init__(self, url: str, headers: Headers, racers: int) -> None:
        self._clients = [
            httpx.Client(base_url=url, headers=headers, trust_env=False, verify=False, timeout=LIMIT_S)
            for _ in range(racers)
        ]
        self._pool = ThreadPoolExecutor(racers)
        self._barrier = threading.Barrier(racers)

    async def open(self) -> None:
        await asyncio.to_thread(lambda: list(self._pool.map(lambda client: client.get("/"), self._clients)))

    async def round(self, path: str) -> list[Hit]:
        def one(client: httpx.Client) -> Hit:
            self._barrier.wait(LIMIT_S)
            release_ns = time.monotonic_ns()
            return _hit(client.post(path), release_ns)

        return await asyncio.to_thread(lambda: list(self._pool.map(one, self._clients)))

    async def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients:
            client.close()


class Own:
    """The product's transport and gate, in one process; each round draws its connections anew."""

    def __init__(self, url: str, headers: Headers, racers: int, kind: GateKind) -> None:
        self._transport = Transport(url, timeout_s=LIMIT_S)
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._harmless = self._transport.prepare("GET", "/", self._headers)
        self._racers = racers
        self._rounds = 0
        self._kind: GateKind = kind
        self._lanes = range(racers + SPARE_LANES)

    async def open(self) -> None:
        await self._transport.warm(self._lanes, self._harmless)

    async def round(self, path: str) -> list[Hit]:
        gate, tasks = await self._armed(path)
        gate.release()
        return [_own_hit(answer) for answer in await asyncio.gather(*tasks)]

    async def round_at(self, path: str, line: StartLine, leg: int) -> list[Hit]:
        """As `round`, together with other processes at the start line."""
        gate, tasks = await self._armed(path)
        await gate.release_at(await line.meet(leg, LIMIT_S))
        return [_own_hit(answer) for answer in await asyncio.gather(*tasks)]

    async def _armed(self, path: str) -> tuple[Gate, Sequence[asyncio.Task[Answer]]]:
        self._rounds += 1
        if self._rounds % RENEW_ROUNDS == 0:  # as the product does between batches
            for lane in random.sample(self._lanes, len(self._lanes) // 4):
                self._transport.drop(lane)
            await self._transport.warm(self._lanes, self._harmless)
        request = self._transport.prepare("POST", path, self._headers)
        lanes = random.sample(self._lanes, self._racers)
        await self._transport.warm(lanes, self._harmless)
        gate = Gate(self._racers, self._kind)
        tasks = [asyncio.create_task(self._transport.call(request, lane=lane, gate=gate)) for lane in lanes]
        await gate.armed(LIMIT_S)
        return gate, tasks

    async def close(self) -> None:
        await self._transport.aclose()


class OwnInTwoProcesses:
    """The product's transport and gate, half of the racers in a second process, met at the start line."""

    def __init__(self, url: str, headers: Headers, racers: int, kind: GateKind) -> None:
        context = multiprocess.get_context("spawn")
        cells = context.RawArray("q", CELLS)
        self._mine = Own(url, headers, racers - racers // 2, kind)
        self._line = StartLine(cells, 0, 2)
        self._connection, theirs = context.Pipe()
        half = (url, headers, racers // 2, kind)
        self._process = context.Process(target=_second_process, args=(theirs, cells, half), daemon=True)
        self._process.start()
        theirs.close()
        self._leg = 0

    async def open(self) -> None:
        await self._mine.open()
        await asyncio.to_thread(self._connection.recv)

    async def round(self, path: str) -> list[Hit]:
        self._leg += 1
        self._connection.send(path)
        mine = await self._mine.round_at(path, self._line, self._leg)
        theirs: list[Hit] = await asyncio.to_thread(self._connection.recv)
        return mine + theirs

    async def close(self) -> None:
        self._connection.close()
        self._process.join(5)
        await self._mine.close()


def _second_process(connection: Any, cells: Any, half: tuple[str, Headers, int, GateKind]) -> None:
    end_with_parent()

    async def serve() -> None:
        method, line, leg = Own(*half), StartLine(cells, 1, 2), 0
        await method.open()
        connection.send("ready")
        while True:
            try:
                path = await asyncio.to_thread(connection.recv)
            except EOFError:
                return
            leg += 1
            connection.send(await method.round_at(path, line, leg))

    asyncio.run(serve())


def _hit(response: httpx.Response, release_ns: int) -> Hit:
    stamp = response.headers.get(_ARRIVAL)
    return Hit(response.status_code, release_ns, None if stamp is None else int(stamp))


def _own_hit(answer: Answer) -> Hit:
    stamp = next((int(value) for name, value in answer.headers if name.lower() == _ARRIVAL.encode()), None)
    return Hit(answer.status, answer.times.release_ns, stamp)
