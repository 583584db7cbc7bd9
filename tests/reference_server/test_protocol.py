"""Who sends too slowly is let go, and what did not come whole is not carried out."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from reference_server import protocol, wire
from reference_server.app import App
from reference_server.asgi import make_app
from reference_server.protocol import LimitedProtocol
from tests.limits import LIMIT_S
from tests.reference_server.support import CONTAINER

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
    monkeypatch.setattr(wire, "BODY_TIMEOUT_S", NEVER_S)


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
    monkeypatch.setattr(wire, "BODY_TIMEOUT_S", SOON_S)
    answer = asyncio.run(said(POST, b"\r\n", sent))  # which ends: the connection is closed, too
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'{"errors":["body did not come in time' in answer


async def asked(app: App, method: str, path: str, *messages: dict[str, Any], announced: bytes = b"") -> Any:
    """What the application answers to these messages, decoded; None where it answers nothing."""
    told: list[dict[str, Any]] = []
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    headers = [(b"authorization", b"Bearer admintoken0"), (b"content-type", b"application/json")]
    headers += [(b"content-length", announced)] if announced else []
    address = {"path": f"/arvados/v1/{path}", "query_string": b"", "scheme": "http", "headers": headers}
    await app({"type": "http", "method": method, **address}, receive, send)
    body = b"".join(message.get("body", b"") for message in told)
    return json.loads(body) if told else None


def test_a_request_of_which_the_rest_never_comes_is_not_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKRACE_ADMIN_TOKEN", "admintoken0")
    gone = {"type": "http.disconnect"}

    async def talk() -> list[Any]:
        app = make_app()
        await app.start()
        body = json.dumps({"container": CONTAINER | {"priority": 1}}).encode()
        made = await asked(app, "POST", "containers", {"type": "http.request", "body": body}, announced=b"9")
        path = f"containers/{made['uuid']}"
        some = {"type": "http.request", "body": b'{"priority": 1', "more_body": True}
        half = await asked(app, "PUT", path, some, gone, announced=b"24")
        held = await asked(app, "POST", f"{path}/lock", gone, announced=b"24")
        before = await asked(app, "GET", path, {"type": "http.request"})
        whole = await asked(app, "POST", f"{path}/lock", gone)  # it has no body: all of it is here
        return [half, held, before["state"], before["priority"], whole["state"]]

    assert asyncio.run(talk()) == [None, None, "Queued", 1, "Locked"]
