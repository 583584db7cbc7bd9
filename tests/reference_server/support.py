"""Servers in processes of their own, and applications called without a network."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx

from reference_server.app import App, Behaviour
from reference_server.databases import store_of
from reference_server.objects import ADMIN_USER, SYSTEM_USER, configured_token
from reference_server.places import Places
from tests.limits import LIMIT_S

SHARED, STRANGER, ADMIN = "sharedtoken0", "strangertoken0", "admintoken0"
CONTAINER = {"command": ["true"], "container_image": "image", "output_path": "/out", "priority": 1}


def empty_postgres(url: str) -> str:
    async def drop() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("DROP TABLE IF EXISTS containers, tokens")
        await connection.close()

    asyncio.run(drop())
    return url


class Caller:
    """One token's view of an application or server: `await caller("POST", "containers/UUID/lock")`."""

    def __init__(self, client: httpx.AsyncClient, token: str | None, store: Any = None) -> None:
        self.client = client
        self.token = token
        self.store = store

    async def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        return await self.client.request(method, f"/arvados/v1/{path}", headers=headers, **options)

    async def create(self, **attributes: Any) -> str:
        answer = await self("POST", "containers", json={"container": CONTAINER | attributes})
        if answer.status_code == 429:  # a server that turns calls away has done nothing about this one
            answer = await self("POST", "containers", json={"container": CONTAINER | attributes})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["uuid"])

    def as_token(self, token: str | None) -> "Caller":
        return Caller(self.client, token, self.store)


@contextlib.asynccontextmanager
async def serving(database: str, places: Places | None = None, **behaviour: Any) -> AsyncIterator[Caller]:
    """The application on a database, called in process by the shared token."""
    tokens = [
        configured_token(SHARED, SYSTEM_USER),
        configured_token(STRANGER, SYSTEM_USER),
        configured_token(ADMIN, ADMIN_USER),
    ]
    app = App(store_of(database), tokens, Behaviour(places=places or Places(), **behaviour))
    await app.start()
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server", timeout=LIMIT_S) as client:
        yield Caller(client, SHARED, app.store)
    await app.store.close()


class Server:
    """A `python -m reference_server` in a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        tokens = {"LOCKRACE_TOKEN": SHARED, "LOCKRACE_TOKEN2": STRANGER, "LOCKRACE_ADMIN_TOKEN": ADMIN}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reference_server", "--end-with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | tokens | environment,
            text=True,
        )
        self.lines: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if found := re.search(r"ready url=(\S+)", line):
                self.url = found[1]
                return
        raise AssertionError(f"the server did not start: {self.process.communicate()[1]}")

    def end(self) -> tuple[int, str]:
        """Close its standard input; exit code and standard error."""
        assert self.process.stdin
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        code = self.process.wait(LIMIT_S)
        assert self.process.stderr
        assert self.process.stdout
        errors = self.process.stderr.read()
        self.process.stderr.close()
        self.process.stdout.close()
        return code, errors


def filters(*conditions: list[Any]) -> dict[str, str]:
    return {"filters": json.dumps(list(conditions))}
