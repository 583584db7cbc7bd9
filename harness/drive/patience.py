"""Calls that were turned away (429, or 503 with Retry-After) are sent again: they were not processed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from msgspec import structs

if TYPE_CHECKING:
    from harness.drive.line import Exchange

_FIRST_PAUSE_S = 0.05
LIMIT_S = 10.0
"""How long all pauses of one call may last together."""


async def until_taken(
    send: Callable[[], Awaitable["Exchange"]],
    turned_away: "Exchange | None" = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> "Exchange":
    """Send a call until the target takes it, with longer and longer pauses, and none shorter than it asks for.

    `turned_away` is an exchange of this call that is over. The last exchange is returned, whatever it came to, with
    those before it.
    """
    exchange = await send() if turned_away is None else turned_away
    before: list[Exchange] = []
    pause_s, spent_s = _FIRST_PAUSE_S, 0.0
    while exchange.answer.outcome == "limited":
        wanted_s = max(pause_s, exchange.again_after_s or 0.0)
        spent_s += wanted_s
        if spent_s > LIMIT_S:
            break
        await sleep(wanted_s)
        pause_s *= 2
        before.append(exchange)
        exchange = await send()
    return structs.replace(exchange, turned_away=tuple(before)) if before else exchange
