"""Sends hostile calls to the reference server: no answer is a 5xx, none is missing, each refusal has its shape.

    python -m bench.fuzz [--requests 10000] [--seed 1]

Calls are near misses of real ones: known paths, parameters and attributes, with values that are too large, of the
wrong type, nested too deep, or not even text.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from typing import Any
from urllib.parse import quote

from bench.kills import CONTAINER, PREFIX, TOKEN, Victim
from bench.races import Connection, address_of
from reference_server.embedded import embedded_postgres
from reference_server.objects import CONTAINER_ATTRIBUTES

ANSWER_S = 120
MOST_BYTES = 100_000  # a header beyond the server's limit ends its connection
CONNECTIONS = 8
TEXTS = ("", "0", "Queued", "Locked", "\0", "\ud800", "é", "𝒳", "'; drop table containers; --", "%", "[]", "x" * 5000)
NUMBERS: tuple[Any, ...] = (0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, 1e308, True)
METHODS = ("GET", "GET", "POST", "POST", "PUT", "PATCH", "HEAD", "OPTIONS", "DELETE")
PARAMETERS = ("filters", "where", "order", "select", "limit", "offset", "count", "container", "_method", "api_token")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", "like", "", None)
SPELLINGS = ("{}", "{}/lock", "{}/unlock", "{}/auth", "{}/", "{}.json", "{}/lock/lock", "current", "")


def value(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    kind = chance.randrange(7 if depth < 4 else 4)
    if kind < 2:
        return chance.choice(TEXTS)
    if kind == 2:
        return chance.choice(NUMBERS)
    if kind == 3:
        return None
    items = [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return items if kind < 6 else {str(chance.choice((*TEXTS, *CONTAINER_ATTRIBUTES))): item for item in items}


def parameter(chance: random.Random) -> Any:
    """Some value of a list call's parameter, often nearly right."""
    if chance.random() < 0.4:
        return value(chance)
    condition = [chance.choice((*CONTAINER_ATTRIBUTES, "nothing")), chance.choice(OPERATORS), value(chance)]
    return chance.choice(([condition], condition, [[*condition, 1]], [condition] * 60, ["uuid"], ["priority desc"]))


def body(chance: random.Random) -> tuple[str, bytes]:
    """Some content type and body."""
    kind = chance.randrange(6)
    attributes = {chance.choice(CONTAINER_ATTRIBUTES): value(chance) for _ in range(chance.randrange(3))}
    if kind == 0:
        return "application/json", chance.randbytes(chance.randrange(60))
    if kind == 1:
        return "application/json", b"[" * chance.randrange(5000)
    if kind == 2:
        return "application/json", json.dumps(value(chance)).encode()
    if kind == 3:
        fields = {chance.choice((*PARAMETERS, "container[state]")): parameter(chance) for _ in range(2)}
        text = "&".join(f"{quote(name)}={quote(json.dumps(item))}" for name, item in fields.items())
        return "application/x-www-form-urlencoded", text.encode()
    full = CONTAINER | attributes if chance.random() < 0.5 else attributes
    return "application/json", json.dumps({"container": full} if kind == 4 else full).encode()


def call(chance: random.Random, uuids: list[str]) -> bytes:
    """The bytes of some call."""
    uuid = chance.choice(
        (*uuids, *uuids, "zzzzz-dz642-000000000000000", *(quote(text, errors="replace") for text in TEXTS))
    )
    path = f"{PREFIX}/{chance.choice(SPELLINGS).format(uuid)}" if chance.random() < 0.7 else PREFIX
    if chance.random() < 0.5:
        fields = {chance.choice(PARAMETERS): parameter(chance) for _ in range(chance.randrange(1, 4))}
        path += "?" + "&".join(f"{name}={quote(json.dumps(item))}" for name, item in fields.items())
    content_type, content = body(chance)
    token = chance.choice((TOKEN, TOKEN, TOKEN, TOKEN, "other", "nobody", "v2//", "v2/a/b/c/d", "é", ""))
    headers = [
        "Host: x",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(content)}",
        f"Content-Type: {content_type}",
        f"X-Request-Id: {chance.choice(('req-1', 'x' * 300, 'a b'))}",
        f"X-Run-Auth: {chance.choice(TEXTS[:3])}",
    ]
    method = chance.choice(METHODS)
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *headers, "", ""])
    return head.encode("utf-8", "replace") + content


async def fuzz_with(url: str, chance: random.Random, uuids: list[str], count: int) -> Counter[str]:
    """What was answered to so many calls, one after the other."""
    seen: Counter[str] = Counter()
    connection = Connection(*await asyncio.open_connection(*address_of(url)))
    for _ in range(count):
        sent = call(chance, uuids)
        while len(sent) > MOST_BYTES:
            sent = call(chance, uuids)
        connection.writer.write(sent)
        try:
            async with asyncio.timeout(ANSWER_S):
                head = await connection.reader.readuntil(b"\r\n\r\n")
        except (TimeoutError, asyncio.IncompleteReadError):
            seen[f"no answer: {sent[:300]!r}"] += 1
            return seen
        length = int(head.decode().lower().partition("content-length: ")[2].partition("\r")[0])
        content = b"" if sent.startswith(b"HEAD ") else await connection.reader.readexactly(length)
        status = int(head.split()[1])
        seen[str(status)] += 1
        if status >= 500:
            seen[f"{status}: {sent[:300]!r}"] += 1
        elif status >= 400 and content and not json.loads(content)["errors"]:
            seen[f"no error text: {sent[:300]!r}"] += 1
        if b"connection: close" in head:
            connection.writer.close()
            connection = Connection(*await asyncio.open_connection(*address_of(url)))
    connection.writer.close()
    return seen


async def fuzz(url: str, requests: int, seed: int) -> Counter[str]:
    """What was answered, by status; anything that is not a status is a finding."""
    first = Connection(*await asyncio.open_connection(*address_of(url)))
    made = [await first.call("POST", PREFIX, TOKEN, {"container": CONTAINER}) for _ in range(4)]
    first.writer.close()
    uuids = [record["uuid"] for _, record in made]
    share = -(-requests // CONNECTIONS)
    parts = [fuzz_with(url, random.Random(f"{seed} {number}"), uuids, share) for number in range(CONNECTIONS)]
    return sum(await asyncio.gather(*parts), Counter())


def findings(seen: Counter[str]) -> list[str]:
    """Everything in the count that is not a status below 500."""
    return [text for text in seen if not text.isdecimal() or int(text) >= 500]


def fuzz_server(database: str, requests: int, seed: int) -> Counter[str]:
    """Fuzz a server of its own on this database."""
    server = Victim(database, 1)
    try:
        return asyncio.run(fuzz(server.url, requests, seed))
    finally:
        server.end()


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--requests", type=int, default=10_000, help="on each database (default: %(default)s)")
    parse.add_argument("--seed", type=int, default=1)
    options = parse.parse_args()
    is_good = True
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as postgres:
        for name, database in (("SQLite", f"{folder}/fuzz.db"), ("PostgreSQL", postgres)):
            seen = fuzz_server(database, options.requests, options.seed)
            print(name, dict(sorted((key, count) for key, count in seen.items() if key.isdecimal())))
            print(*findings(seen)[:20], sep="\n")
            is_good = is_good and not findings(seen)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
