"""How fast the reference server is: lock+unlock pairs a second, by store, workers and clients, in one table.

    python bench/server.py [--seconds 3] [--clients 10 100] [--only PostgreSQL]

Every client has a connection and a container of its own and does nothing but lock and unlock it; a call's time is
from its first byte sent to its last byte read. The clients share the machine with the server.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from reference_server.embedded import embedded_postgres

TOKEN = "benchtoken0"
CONTAINER = {"command": ["true"], "container_image": "image", "output_path": "/out", "priority": 1}


@dataclass
class Case:
    name: str
    database: str
    workers: int = 1


@dataclass
class Result:
    pairs: int = 0
    refused: int = 0
    latencies_s: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that locks and unlocks its container until told to stop."""

    def __init__(self, uuid: str, result: Result) -> None:
        head = f"Host: bench\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n\r\n"
        path = f"/arvados/v1/containers/{uuid}"
        self.calls = [f"POST {path}/{verb} HTTP/1.1\r\n{head}".encode() for verb in ("lock", "unlock")]
        self.result = result
        self.turn = 0
        self.buffer = b""
        self.is_stopping = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.calls[self.turn])  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self.result.latencies_s.append(time.perf_counter() - self.sent)
        self.result.refused += not head.startswith(b"HTTP/1.1 200")
        self.result.pairs += self.turn
        self.turn, self.buffer = 1 - self.turn, b""
        if self.is_stopping and self.turn == 0:
            self.transport.close()
            self.done.set_result(None)
        else:
            self.send()


def start(case: Case) -> tuple[subprocess.Popen[str], str]:
    options = ["--end-with-stdin", "--max-dispatch-attempts", "1000"]
    options += ["--database", case.database, "--workers", str(case.workers)]
    server = subprocess.Popen(
        [sys.executable, "-m", "reference_server", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"LOCKRACE_TOKEN": TOKEN, "LOCKRACE_TOKEN2": "other", "LOCKRACE_ADMIN_TOKEN": "admin"},
        text=True,
    )
    assert server.stdout
    found = re.search(r"url=(\S+)", server.stdout.readline())
    assert found
    return server, found[1]


def create(url: str, count: int) -> list[str]:
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
        answers = [client.post("/arvados/v1/containers", json={"container": CONTAINER}) for _ in range(count)]
    return [answer.json()["uuid"] for answer in answers]


async def hammer(url: str, uuids: list[str], seconds: float) -> Result:
    result = Result()
    address = httpx.URL(url)
    loop = asyncio.get_running_loop()
    made = [
        loop.create_connection(lambda uuid=uuid: Client(uuid, result), address.host, address.port) for uuid in uuids
    ]
    clients = [client for _, client in await asyncio.gather(*made)]
    await asyncio.sleep(seconds / 4)  # warm
    result.pairs, result.latencies_s[:] = 0, []
    await asyncio.sleep(seconds)
    pairs = result.pairs
    for client in clients:
        client.is_stopping = True
    async with asyncio.timeout(30):
        await asyncio.gather(*(client.done for client in clients))
    result.pairs = pairs
    return result


def measure(case: Case, clients: int, seconds: float) -> float:
    server, url = start(case)
    result = asyncio.run(hammer(url, create(url, clients), seconds))
    assert server.stdin
    server.stdin.close()
    server.wait(20)
    cuts = statistics.quantiles(result.latencies_s, n=100)
    rate = result.pairs / seconds
    refused = f"  {result.refused} refused" if result.refused else ""
    print(
        f"{case.name:34} {case.workers:7} {clients:7} {rate:9.0f} {cuts[49] * 1e3:9.2f} {cuts[98] * 1e3:9.2f}{refused}",
        flush=True,
    )
    return rate


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default: %(default)s)")
    parse.add_argument("--clients", type=int, nargs="+", default=[10, 100], help="at once (default: 10 100)")
    parse.add_argument("--only", default="", help="cases whose name has this in it")
    options = parse.parse_args()
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as postgres:
        file = f"sqlite:///{Path(folder)}"
        cases = [
            Case("memory", "memory:"),
            Case("SQLite, FULL, group commit", f"{file}/group.db"),
            Case("SQLite, FULL, a commit per change", f"{file}/single.db?batch=1"),
            Case("SQLite, OFF, group commit", f"{file}/off.db?synchronous=OFF"),
            Case("SQLite, FULL, group commit", f"{file}/two.db", 2),
            Case("SQLite, FULL, group commit", f"{file}/four.db", 4),
            Case("PostgreSQL", postgres),
            Case("PostgreSQL", postgres, 4),
        ]
        print(f"{'store':34} {'workers':>7} {'clients':>7} {'pairs/s':>9} {'p50 ms':>9} {'p99 ms':>9}")
        rates = {
            (case.name, case.workers, clients): measure(case, clients, options.seconds)
            for case in cases
            if options.only in case.name
            for clients in options.clients
        }
        print(json.dumps({" / ".join(map(str, key)): round(rate) for key, rate in rates.items()}))


if __name__ == "__main__":
    main()
