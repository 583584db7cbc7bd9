"""How many requests a second may reach a target: a bucket of tokens, each back a second after its request is over.

    two a second    A |--request--|·········1 s·········| back
                    B    |--request--|·········1 s·········| back
                    C                                   |--request--|     had to wait for A's token

A token counts from the answer, not from the sending: whatever time a request takes on its way, the next one that uses
its token arrives more than a second after it. A round of a race leaves as a whole or not at all. One of more requests
than the bucket holds waits for a full bucket, and its tokens are back only after the time that so many requests take.

No thread and no timer of its own: who asks for room waits, in the order of asking.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextvars import ContextVar

_SECOND_NS = 1_000_000_000
_PAID: ContextVar[int] = ContextVar("paid", default=0)  # requests of the room that this task is in


def absence_ns(requests: int, per_second: int) -> int:
    """How long the tokens of requests that left together stay away after they are over: a second, or their share."""
    return max(_SECOND_NS, -(-requests * _SECOND_NS // per_second))


def room_at(requests: int, per_second: int, away: int, returns: Iterable[tuple[int, int]]) -> int | None:
    """The moment (ns) from which so many requests find room; 0 where it is there already.

    `away` are the tokens of requests under way, `returns` when (ns) and how many others come back, the earliest first.
    None while the room depends on requests under way. More requests than the bucket holds need it full.
    """
    coming = list(returns)
    missing = away + sum(tokens for _, tokens in coming) - max(0, per_second - requests)
    if missing <= 0:
        return 0
    for at_ns, tokens in coming:
        missing -= tokens
        if missing <= 0:
            return at_ns
    return None


class Pace:
    """The bucket of one run; every job of it asks here."""

    def __init__(
        self,
        per_second: int,
        now_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.per_second = per_second
        self._now_ns = now_ns
        self._sleep = sleep
        self._away = 0
        self._returns: deque[tuple[int, int]] = deque()  # moment (ns), tokens
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def room(self, requests: int = 1) -> AsyncIterator[None]:
        """Wait until so many requests may leave at one moment; they are over when the context ends.

        Inside it there is room for each of them already.
        """
        if _PAID.get():
            yield
            return
        async with self._turn:  # first come, first served: a large round is not overtaken for ever
            await self._wait_for(requests)
            self._away += requests
        outside = _PAID.set(requests)
        try:
            yield
        finally:
            _PAID.reset(outside)
            self._away -= requests
            self._give_back(self._now_ns() + absence_ns(requests, self.per_second), requests)
            self._over.set()

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[None]:
        """Room for one more page of a listing, which inside a room nobody has counted: it takes its first one's place.

        So it must come when the first one would be back.
        """
        if paid := _PAID.get():
            await self._sleep(absence_ns(paid, self.per_second) / 1e9)
        async with self.room():
            yield

    async def _wait_for(self, requests: int) -> None:
        while True:
            now_ns = self._now_ns()
            while self._returns and self._returns[0][0] <= now_ns:
                self._returns.popleft()
            at_ns = room_at(requests, self.per_second, self._away, self._returns)
            if at_ns is None:
                self._over.clear()
                await self._over.wait()
            elif at_ns > now_ns:
                await self._sleep((at_ns - now_ns) / 1e9)
            else:
                return

    def _give_back(self, at_ns: int, tokens: int) -> None:
        self._returns.append((at_ns, tokens))
        if len(self._returns) > 1 and self._returns[-2][0] > at_ns:  # a large round is back later than who came after
            self._returns = deque(sorted(self._returns))


def room(pace: Pace | None, requests: int = 1) -> contextlib.AbstractAsyncContextManager[None]:
    """Room in a bucket; where there is none, at once."""
    return contextlib.nullcontext() if pace is None else pace.room(requests)
