"""A server in the way that notes when each request came."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from harness.drive.faults import FaultProxy
from harness.drive.served import ReferenceTarget
from harness.drive.target import UrlTarget


class _Watched(FaultProxy):
    """Passes everything on."""

    def __init__(self, target: str, came: list[int], now_ns: Callable[[], int]) -> None:
        super().__init__(target)
        self._came, self._now_ns = came, now_ns

    async def _serve(self, request: Any, lane: int, client: Any) -> bool:
        self._came.append(self._now_ns())
        return await super()._serve(request, lane, client)


@asynccontextmanager
async def watched(came: list[int], now_ns: Callable[[], int] = time.monotonic_ns) -> AsyncIterator[UrlTarget]:
    """A reference server that is known by its URL and one token; when each request came stands in `came`."""
    reference = ReferenceTarget()
    try:
        endpoint = await reference.open()
        async with _Watched(endpoint.url, came, now_ns) as between:
            yield UrlTarget(between.url, {"shared": endpoint.secrets["shared"]})
    finally:
        await reference.close()
