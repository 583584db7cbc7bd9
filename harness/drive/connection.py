"""One HTTP/1.1 keep-alive connection: one request out in one write, one future per answer."""

import asyncio
import select
from time import monotonic_ns
from typing import NamedTuple, cast

import httptools

from harness.drive.failures import Garbled, Lost, NotSent, Times
from harness.drive.gate import Gate


class Answer(NamedTuple):
    """A whole answer; header names as the server spelled them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    times: Times


class Limits(NamedTuple):
    """Bounds for what a target may send in one answer; counted in bytes of the wire, chunk framing included."""

    header_bytes: int = 64 * 1024
    answer_bytes: int = 16 * 1024 * 1024


class _Call:
    """A request under way."""

    __slots__ = ("future", "gate", "headless", "invoke_ns", "is_head", "released_ns", "sent", "timer")

    def __init__(self, future: asyncio.Future[Answer], gate: Gate | None, is_head: bool) -> None:
        self.future = future
        self.gate = gate
        self.is_head = is_head
        self.headless = True  # until the header of the final answer is complete
        self.sent = False
        self.invoke_ns = 0
        self.released_ns: int | None = None
        self.timer: asyncio.TimerHandle | None = None


class Connection(asyncio.Protocol):
    """A connection and, at most, one request on it.

    httptools calls the `on_...` methods while it parses. A connection that did anything unexpected (bytes nobody
    asked for, an early or a broken answer, a timeout) is closed: what it says next could not be trusted.
    """

    def __init__(self, limits: Limits) -> None:
        self.closed = False
        self.idle_since_ns = monotonic_ns()
        self.answers = 0
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._parser = httptools.HttpResponseParser(self)
        self._call: _Call | None = None
        self._held = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._received = 0
        self._arrived_ns = 0
        self._problem: str | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self._arrived_ns = monotonic_ns()
        call = self._call
        if call is None:
            self.close()
            return
        self._received += len(data)
        if self._received > self._limits.answer_bytes:
            self._fail(Garbled(f"the answer is longer than {self._limits.answer_bytes} bytes", self._times(call)))
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._problem = "the answer switches to another protocol, which nobody asked for"
        except httptools.HttpParserError as error:
            self._problem = f"the answer is not HTTP/1.1: {error}"
        if self._call is not call:
            if self._problem is not None or call.is_head:
                self._after_answer()
            return
        if call.headless and self._received > self._limits.header_bytes:
            self._problem = f"the answer's header is longer than {self._limits.header_bytes} bytes"
        if self._problem is not None:
            self._fail(Garbled(self._problem, self._times(call)))

    def eof_received(self) -> bool:
        self.closed = True  # at once: `connection_lost` comes a turn of the loop later
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        call = self._call
        if call is None:
            return
        self._arrived_ns = monotonic_ns()
        if exc is None and not call.headless and self._ends_at_close():
            self._finish(call)
        elif call.sent:
            how = "closed the connection" if exc is None else f"broke the connection ({exc})"
            where = "before it answered" if self._received == 0 else "in the middle of its answer"
            self._fail(Lost(f"the target {how} {where}", self._times(call)))
        else:
            self._fail(NotSent("the target closed the connection before anything was sent", self._times(call)))

    # the caller's side

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._call is not None

    def stirred(self) -> bool:
        """Whether the kernel holds something unread while idle: an end, or what only the loop can tell apart."""
        return self.closed or bool(self._poll.poll(0))

    def send(
        self, data: bytes, timeout_s: float, gate: Gate | None = None, racer: int | None = None, is_head: bool = False
    ) -> asyncio.Future[Answer]:
        """Write one prebuilt request; the future gives its Answer, or one of the failures.

        The connection must be open and idle. With a gate a part is held until its release, which
        `timeout_s`, the limit for the whole answer, includes.
        """
        if self.closed or self._call is not None or self._transport is None:
            raise NotSent("the connection is closed or busy")
        call = _Call(self._loop.create_future(), gate, is_head)
        self._received = 0
        self._call = call
        call.timer = self._loop.call_later(timeout_s, self._time_out, call, timeout_s)
        call.invoke_ns = monotonic_ns()
        if gate is None:
            call.sent = True
            self._transport.write(data)
            return call.future
        now, self._held = gate.split(data)
        if now:
            call.sent = True
            self._transport.write(now)
        gate.hold(lambda: self._let_go(call), racer)
        return call.future

    def close(self) -> None:
        """Close at once; a request under way fails."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    # httptools' side

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        call = self._call
        if call is None:
            return
        if self._parser.get_status_code() >= 200:
            call.headless = False
            if call.is_head:  # the parser would wait for the body that the header speaks of
                self._finish(call)

    def on_body(self, body: bytes) -> None:
        if self._call is None:
            self._problem = "bytes after the end of the answer"
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        call = self._call
        if call is None:
            return
        if call.headless:  # 100 Continue, 103 Early Hints: the answer is still to come
            self._headers = []
            return
        keep_alive = self._parser.should_keep_alive()
        self._finish(call)
        if not keep_alive:
            self.close()

    def on_message_begin(self) -> None:
        if self._call is None:
            self._problem = "bytes after the end of the answer"

    # what happens to a call

    def _let_go(self, call: _Call) -> None:
        if self._call is not call or self.closed or self._transport is None:
            return  # it has ended meanwhile, and its caller knows how
        call.sent = True
        call.released_ns = monotonic_ns()
        self._transport.write(self._held)

    def _finish(self, call: _Call) -> None:
        headers = self._headers
        if any(name.lower() == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
            self._problem = "the answer is compressed, which nobody asked for"
            self._fail(Garbled(self._problem, self._times(call)))
            return
        answer = Answer(self._parser.get_status_code(), headers, b"".join(self._body), self._times(call))
        held = call.gate is not None and call.released_ns is None
        if held and call.gate is not None:
            call.gate.early += 1
        self._end(call)
        if held or call.future.done():
            self.close()  # the rest of the request can no longer be sent, or nobody waits for the answer
        if not call.future.done():
            self.answers += 1
            call.future.set_result(answer)

    def _fail(self, failure: NotSent | Lost | Garbled) -> None:
        call = self._call
        if call is None:
            return
        self._end(call)
        self.close()
        if not call.future.done():
            call.future.set_exception(failure)

    def _end(self, call: _Call) -> None:
        self._call = None
        self._headers = []
        self._body = []
        self.idle_since_ns = self._arrived_ns
        if call.timer is not None:
            call.timer.cancel()

    def _after_answer(self) -> None:
        """Tidy up behind an answer that the parser had not ended by itself, or that had something behind it."""
        if self._problem is None and self._parser.should_keep_alive():
            self._parser = httptools.HttpResponseParser(self)
        else:
            self.close()

    def _time_out(self, call: _Call, timeout_s: float) -> None:
        self._arrived_ns = monotonic_ns()
        if call.sent:
            self._fail(Lost(f"no whole answer within {timeout_s:g} s", self._times(call), timed_out=True))
        else:
            self._fail(NotSent(f"the gate did not open within {timeout_s:g} s", self._times(call)))

    def _times(self, call: _Call) -> Times:
        released_ns = call.invoke_ns if call.released_ns is None else call.released_ns
        return Times(call.invoke_ns, released_ns, self._arrived_ns)

    def _ends_at_close(self) -> bool:
        """Whether the answer under way has no length of its own (RFC 9112, 6.3): its end is the connection's."""
        return not any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._headers)
