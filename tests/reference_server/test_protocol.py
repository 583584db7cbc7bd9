"""Who sends too slowly is let go: a connection that comes to nothing holds nothing for long."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from reference_server import app as app_module
from reference_server import protocol
from reference_server.asgi import make_app
from reference_server.protocol import LimitedProtocol
from tests.limits import LIMIT_S

NEVER_S = 3600.0
SOON_S = 0.05


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    """The port of the application, served over a real socket in this process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(make_app(), http=LimitedProtocol, lifespan="on", log_level="critical")
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


async def said(*sent: bytes) -> bytes:
    """All that the server says to a client that sends this and then nothing more, until it closes the connection."""
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(sent))
        async with asyncio.timeout(LIMIT_S):
            answer = await reader.read()
        writer.close()
        return answer


POST = (
    b"POST /arvados/v1/containers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer admintoken0\r\nContent-Length: 100\r\n"
)


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", NEVER_S)
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", NEVER_S)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", POST], ids=["nothing", "half a line", "half a header"])
def test_a_header_that_does_not_come_ends_the_connection(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", SOON_S)
    assert asyncio.run(said(sent)) == b""


def test_a_second_header_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def talk() -> tuple[bytes, bytes]:
        async with served() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(LIMIT_S):
                writer.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
                first = await reader.read(12)
                monkeypatch.setattr(protocol, "HEADER_TIMEOUT_S", SOON_S)
                writer.write(b"GET / HT")
                rest = await reader.read()
            writer.close()
            return first, rest

    first, rest = asyncio.run(talk())
    assert first.startswith(b"HTTP/1.1 4")
    assert b"HTTP/1.1 " not in rest


@pytest.mark.parametrize("sent", [b"", b'{"container":'], ids=["nothing", "a part"])
def test_a_body_that_does_not_come_is_refused(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "BODY_TIMEOUT_S", SOON_S)
    answer = asyncio.run(said(POST, b"\r\n", sent))  # which ends: the connection is closed, too
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"errors":["body did not come in time' in answer
