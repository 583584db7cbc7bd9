"""A target of a test's own: it makes containers as it should, and after that behaves as badly as the test wants."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.drive.target import UrlTarget
from tests.drive.scripted import Peer, serving

SECRETS = {"shared": "s" * 40}
Misbehave = Callable[[Peer, bytes], Awaitable[None]]


def answer(body: object, status: str = "200 OK") -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


@dataclass
class Turn:
    """When the target turns bad: at its n-th request after the queue was filled."""

    good: int
    seen: int = 0


@asynccontextmanager
async def target_that(misbehave: Misbehave, good: int = 10) -> AsyncIterator[UrlTarget]:
    """A target that turns bad after `good` requests of the dispatchers; until then every list is empty."""
    numbers = itertools.count()
    turn = Turn(good)

    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.startswith(b"GET /arvados/v1/api_client_authorizations/current"):
                await peer.say(answer({"uuid": "zzzzz-gj3su-000000000000000"}))
            elif request.startswith(b"POST /arvados/v1/containers "):
                uuid = f"zzzzz-dz642-{next(numbers):015d}"
                await peer.say(answer({"uuid": uuid, "state": "Queued", "priority": 1}))
            elif turn.seen < turn.good:
                turn.seen += 1
                await peer.say(answer({"items": []}))
            else:
                await misbehave(peer, request)

    async with serving(serve) as url:
        yield UrlTarget(url, SECRETS)


async def says_nothing(peer: Peer, request: bytes) -> None:
    await asyncio.sleep(3600)


async def says_garbage(peer: Peer, request: bytes) -> None:
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngarbage")


async def hangs_up(peer: Peer, request: bytes) -> None:
    peer.reset()
    raise ConnectionError
