"""Applications that misbehave when a lock is asked of them, and are the reference server's otherwise."""

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from reference_server.asgi import make_app

NEVER = threading.Event()


async def raises(scope: Any, receive: Any, send: Any) -> None:
    secrets = [value for name, value in scope["headers"] if name == b"authorization"]
    raise ValueError(f"no lock for {secrets}")


async def hangs(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def blocks(scope: Any, receive: Any, send: Any) -> None:
    NEVER.wait()


async def stays_in_a_thread(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.to_thread(NEVER.wait)


async def exits(scope: Any, receive: Any, send: Any) -> None:
    sys.exit(3)


async def stops_its_loop(scope: Any, receive: Any, send: Any) -> None:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0)


async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
    return


async def stops_half_way(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def says_no_status(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": "200"})


async def says_text_for_bytes(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [("a", "b")]})


async def says_the_end_first(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.body", "body": b"{}"})


async def never_ends_its_answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200})
    while True:
        await send({"type": "http.response.body", "body": bytes(10_000_000), "more_body": True})


async def waits_for_the_client_to_go(scope: Any, receive: Any, send: Any) -> None:
    """As Starlette does beside a streaming answer: nobody goes before the answer is complete."""
    await receive()
    watching = asyncio.create_task(receive())
    done, _ = await asyncio.wait({watching}, timeout=0.05)
    await send({"type": "http.response.start", "status": 500 if done else 422})
    await send({"type": "http.response.body", "body": b'{"errors": ["nobody went"]}'})
    assert (await watching)["type"] == "http.disconnect"


async def works_on_after_its_answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 422})
    await send({"type": "http.response.body", "body": b'{"errors": ["not now"]}'})
    await asyncio.Event().wait()


def app(name: str) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """The application that does `name` when it is asked for a lock."""
    faithful, on_lock = make_app(), globals()[name]

    async def both(scope: Any, receive: Any, send: Any) -> None:
        is_lock = scope["type"] == "http" and scope["path"].endswith("/lock")
        await (on_lock if is_lock else faithful)(scope, receive, send)

    return both


async def does_not_start(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def keeps_a_state(scope: Any, receive: Any, send: Any) -> None:
    """An application whose requests live on what its start made."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["faithful"] = make_app()
        await scope["state"]["faithful"].start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await scope["state"]["faithful"](scope, receive, send)


def takes_nothing() -> Any:
    return make_app()
