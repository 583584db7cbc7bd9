"""A crowd locks one container, round after round: one holder each, no 5xx, no deadlock, no auth alive but the holder's.

    python bench/races.py [--rounds 200] [--crowd 50]

Half of the rounds race with POST lock and one token, half with PUT state=Locked and two tokens.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.kills import CONTAINER, PREFIX, TOKEN, Victim
from reference_server.embedded import embedded_postgres

TOKENS = (TOKEN, "other")
ANSWER_S = 120


@dataclass
class Connection:
    """One open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, token: str, content: object = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
        )
        self.writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)

    async def read(self) -> tuple[int, Any]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r")[0])
        return int(head.split()[1]), json.loads(await self.reader.readexactly(length))

    async def call(self, method: str, path: str, token: str, content: object = None) -> tuple[int, Any]:
        self.send(method, path, token, content)
        return await self.read()


async def one_round(crowd: list[Connection], *, by_update: bool) -> tuple[list[str], str, str]:
    """What went wrong in one round; the container and its auth."""
    status, record = await crowd[0].call("POST", PREFIX, TOKEN, {"container": CONTAINER})
    assert status == 200, record
    uuid = record["uuid"]
    for number, connection in enumerate(crowd):
        if by_update:
            connection.send("PUT", f"{PREFIX}/{uuid}", TOKENS[number % 2], {"container": {"state": "Locked"}})
        else:
            connection.send("POST", f"{PREFIX}/{uuid}/lock", TOKEN)
    async with asyncio.timeout(ANSWER_S):
        answers = await asyncio.gather(*(connection.read() for connection in crowd))
    statuses = Counter(status for status, _ in answers)
    shown = {(body["locked_by_uuid"], body["auth_uuid"]) for status, body in answers if status == 200}
    _, record = await crowd[0].call("GET", f"{PREFIX}/{uuid}", TOKEN)
    wanted = {200: len(crowd)} if by_update else {200: 1, 422: len(crowd) - 1}
    wrong = [] if statuses == wanted else [f"{uuid}: {dict(statuses)} instead of {wanted}"]
    if shown != {(record["locked_by_uuid"], record["auth_uuid"])} or record["lock_count"] != 1:
        wrong.append(f"{uuid}: answers show {shown}, the record {record}")
    return wrong, uuid, record["auth_uuid"]


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    address = httpx.URL(url)
    return address.host, address.port or 80


async def race(url: str, rounds: int, crowd_size: int, *, to_first: bool) -> tuple[list[str], dict[str, str]]:
    """What went wrong in all rounds, or `to_first` that did; each container with the one auth that may live."""
    opened = [asyncio.open_connection(*address_of(url)) for _ in range(crowd_size)]
    crowd = [Connection(*pair) for pair in await asyncio.gather(*opened)]
    wrong, auths = [], {}
    for number in range(rounds):
        found, uuid, auth = await one_round(crowd, by_update=number % 2 == 1)
        wrong += found
        auths[uuid] = auth
        if found and to_first:
            break
    for connection in crowd:
        connection.writer.close()
        await connection.writer.wait_closed()
    return wrong, auths


def living_auths(database: str) -> set[tuple[str, str]]:
    """Every container auth that the database holds, with its container."""
    question = "SELECT container_uuid, uuid FROM tokens WHERE container_uuid IS NOT NULL"
    if not database.startswith("postgresql"):
        connection = sqlite3.connect(database)
        rows = connection.execute(question).fetchall()
        connection.close()
        return set(rows)

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(database)
        rows = await connection.fetch(question)
        await connection.close()
        return [tuple(row) for row in rows]

    return set(asyncio.run(ask()))


def race_rounds(
    database: str, workers: int, rounds: int, crowd_size: int, *arguments: str, to_first: bool = False
) -> list[str]:
    """A line for each thing that went wrong in so many rounds, or in the first, on a server of its own."""
    server = Victim(database, workers, *arguments)
    try:
        wrong, auths = asyncio.run(race(server.url, rounds, crowd_size, to_first=to_first))
        left = {pair for pair in living_auths(database) if pair[0] in auths and auths[pair[0]] != pair[1]}
        return wrong + [f"auth {auth} of {uuid} is alive, and is not the current lock's" for uuid, auth in left]
    finally:
        server.end()


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--rounds", type=int, default=200, help="of each kind of race (default: %(default)s)")
    parse.add_argument("--crowd", type=int, default=50, help="callers at once (default: %(default)s)")
    options = parse.parse_args()
    is_good = True
    print(f"{'store':12} {'workers':>7} {'rounds':>7} {'wrong':>6}")
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as postgres:
        for name, database, workers in (
            ("SQLite", f"{Path(folder)}/one.db", 1),
            ("SQLite", f"{Path(folder)}/two.db", 2),
            ("PostgreSQL", postgres, 4),
        ):
            wrong = race_rounds(database, workers, 2 * options.rounds, options.crowd)
            print(f"{name:12} {workers:7} {2 * options.rounds:7} {len(wrong):6}", *wrong[:20], sep="\n", flush=True)
            is_good = is_good and not wrong
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
