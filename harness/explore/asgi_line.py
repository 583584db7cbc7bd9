"""Calls to an application on the running loop, no socket between; the loop may be a deterministic one."""

import asyncio
from collections.abc import Mapping, Sequence

from harness.drive.line import Exchange, Trouble, exchange_of, to_its_end
from harness.explore.asgi_app import RunningApp
from harness.explore.troubles import Troubles
from harness.wire import ARVADOS, Call, Reply, Wire


class Clock:
    """Counts events: the only time that a deterministic loop has."""

    def __init__(self) -> None:
        self.now_ns = 0

    def tick(self) -> int:
        """The next moment."""
        self.now_ns += 1
        return self.now_ns


class AsgiLine:
    """Calls as ASGI requests on the running loop."""

    def __init__(self, app: RunningApp, clock: Clock, wire: Wire = ARVADOS) -> None:
        self._app = app
        self._wire = wire
        self._clock = clock
        self._troubles = Troubles(clock.tick)
        self._requests = 0

    async def call(
        self,
        desk: int,  # noqa: ARG002
        call: Call,
        secrets: Mapping[str, str],
        trouble: Trouble | None = None,
    ) -> Exchange:
        """Send one call, again if it is turned away; a listing goes on until its last page."""
        if trouble is not None:
            return await self._troubles.give(trouble, lambda: self._one(call, secrets))
        first = await self._one(call, secrets)
        return await to_its_end(
            call, first, lambda: self._one(call, secrets), lambda page: self._one(page, secrets), self._wire
        )

    async def held(self, trouble: Trouble) -> None:
        """Wait until a held request or reply is really being held."""
        await self._troubles.held(trouble)

    def let_go(self, trouble: Trouble) -> None:
        """Let a held request or reply go on."""
        self._troubles.let_go(trouble)

    async def together(self, calls: Sequence[tuple[int, Call]], secrets: Mapping[str, str]) -> list[Exchange]:
        """All calls at once, each a task of its own."""
        return list(await asyncio.gather(*(self.call(desk, call, secrets) for desk, call in calls)))

    def crash(self, desk: int) -> int | None:
        """There is no process to kill."""

    def pause(self, desk: int) -> int | None:
        """There is no process to stop."""

    def resume(self, desk: int) -> int | None:
        """There is no process that stands still."""

    def close(self) -> None:
        """Nothing to end."""

    async def _one(self, call: Call, secrets: Mapping[str, str]) -> Exchange:
        self._requests += 1
        request_id = f"req-{self._requests:020d}"
        invoke_ns = self._clock.tick()
        answered = await self._app.ask(self._wire.encode(call, request_id))
        reply = Reply(**answered._asdict(), invoke_ns=invoke_ns, release_ns=invoke_ns, return_ns=self._clock.tick())
        return exchange_of(call, request_id, reply, secrets, self._wire)
