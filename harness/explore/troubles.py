"""Faults without a network: what the fault proxy does to messages, done to calls inside this process."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec import structs

from harness.drive.line import Exchange, Trouble
from harness.wire import Answer

_SWALLOWED = frozenset({"lose request", "reset before"})
_UNTOLD = frozenset({"lose reply", "reset after", "half-open"})


class Troubles:
    """The faults of one line; `now` is its clock, in ns."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._holding: dict[str, asyncio.Event] = {}
        self._released: dict[str, asyncio.Event] = {}

    async def give(self, trouble: Trouble, send: Callable[[], Awaitable[Exchange]]) -> Exchange:
        """Send a call, or not, and answer what its dispatcher gets to see."""
        if trouble.kind in _SWALLOWED:
            begun_ns = self._now()
            return self._unanswered(trouble, begun_ns, swallowed=True)
        if trouble.kind == "hold request":
            begun_ns = self._now()
            await self._hold(trouble)
            return structs.replace(await send(), invoke_ns=begun_ns, fault=trouble.kind)
        exchange = await send()
        if trouble.kind in _UNTOLD:
            return self._unanswered(trouble, exchange.invoke_ns, swallowed=False)
        if trouble.kind == "hold reply":
            await self._hold(trouble)
            return structs.replace(exchange, return_ns=self._now(), fault=trouble.kind)
        return structs.replace(exchange, fault=trouble.kind)  # a delay is nothing to a clock that only counts

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        await self._event(self._holding, trouble).wait()

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        self._event(self._released, trouble).set()

    async def _hold(self, trouble: Trouble) -> None:
        self._event(self._holding, trouble).set()
        await self._event(self._released, trouble).wait()

    def _event(self, events: dict[str, asyncio.Event], trouble: Trouble) -> asyncio.Event:
        return events.setdefault(trouble.id, asyncio.Event())

    def _unanswered(self, trouble: Trouble, invoke_ns: int, *, swallowed: bool) -> Exchange:
        return Exchange(
            answer=Answer(outcome="indeterminate"),
            invoke_ns=invoke_ns,
            return_ns=self._now(),
            failure="reset",
            fault=trouble.kind,
            swallowed=swallowed,
        )
