"""The HTTP protocol with limits: a header that is too large is refused, one that is too slow ends the connection."""

import asyncio
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEADER_BYTES = 131_072
HEADER_TIMEOUT_S = 30.0


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol. Counts what arrives while a header is incomplete, and how long that takes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.header_bytes = 0
        self.header_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_header()

    def data_received(self, data: bytes) -> None:
        if self.header_timer is not None:
            self.header_bytes += len(data)
            if self.header_bytes > LARGEST_HEADER_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", "header is too large")
                return
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """ERR-1: also what is no HTTP at all is refused in JSON."""
        self._refuse(b"400 Bad Request", msg)

    def _refuse(self, status: bytes, message: str) -> None:
        body = msgspec.json.encode({"errors": [message]})
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.header_timer is None:
            self._await_header()

    def on_headers_complete(self) -> None:
        self._header_is_here()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._header_is_here()
        super().connection_lost(exc)

    def _await_header(self) -> None:
        self.header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self.transport.close)

    def _header_is_here(self) -> None:
        if self.header_timer is not None:
            self.header_timer.cancel()
        self.header_timer, self.header_bytes = None, 0
