"""A PostgreSQL for the session, an empty database of each kind, and servers that end with the test."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from reference_server.embedded import embedded_postgres
from tests.reference_server.support import Server, empty_postgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with embedded_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "containers.sqlite")
    return empty_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def start(*arguments: str, **environment: str) -> Server:
        started.append(Server(*arguments, **environment))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None or (server.process.stderr and not server.process.stderr.closed):
            server.end()


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine to its end."""
    return asyncio.run
