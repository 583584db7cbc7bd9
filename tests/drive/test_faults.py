"""What a dispatcher sees of each fault, what the target sees, and what the harness is told."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
import trustme

from harness.drive.failures import Garbled, Lost, NotSent
from harness.drive.faults import KINDS, FaultKind, FaultProxy, Happened, fault_header
from harness.drive.transport import Answer, Transport
from tests.limits import LIMIT_S

from .scripted import Peer, serving


@dataclass
class Target:
    """Answers with 422, and keeps what it was sent."""

    requests: list[bytes] = field(default_factory=list)

    async def __call__(self, peer: Peer) -> None:
        while True:
            request = await peer.request()
            self.requests.append(request)
            head = request.startswith(b"HEAD")
            body = b"" if head else b"no\n"
            await peer.say(b"HTTP/1.1 422 Refused\r\nX-Request-Id: r7\r\nContent-Length: 3\r\n\r\n" + body)


@dataclass
class Place:
    """A target, the proxy before it, and a dispatcher's way to the proxy."""

    target: Target
    proxy: FaultProxy
    way: Transport

    async def call(self, kind: FaultKind | None = None, delay_ms: int = 0) -> Answer:
        headers = [] if kind is None else [fault_header("f1", kind, delay_ms)]
        data = self.way.prepare("POST", "/lock?a=b", [(b"X-Mine", b"1"), *headers], b"{}")
        return await self.way.call(data, lane=0, timeout_s=LIMIT_S)

    async def what_happened(self) -> Happened:
        """What became of the fault, once its request has come to the proxy and all is known."""
        async with asyncio.timeout(LIMIT_S):
            while (happened := await self.proxy.take("f1", LIMIT_S)) is None:  # noqa: ASYNC110 (nobody is told)
                await asyncio.sleep(0)
        return happened


async def leave(call: asyncio.Task[Answer]) -> None:
    """What a dispatcher does that gives up: it closes its connection."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


def at(use: Callable[[Place], Awaitable[None]], hold_limit_s: float = LIMIT_S) -> None:
    async def run() -> None:
        target = Target()
        async with (
            serving(target) as url,
            FaultProxy(url, hold_limit_s=hold_limit_s) as proxy,
            Transport(proxy.url) as way,
        ):
            await use(Place(target, proxy, way))

    asyncio.run(run())


def test_without_a_fault_messages_pass_unchanged() -> None:
    async def use(place: Place) -> None:
        for _ in range(3):
            answer = await place.call()
            assert (answer.status, answer.body) == (422, b"no\n")
            assert (b"X-Request-Id", b"r7") in answer.headers
        assert place.way.statistics.connects == 1
        head, body = place.target.requests[0].split(b"\r\n\r\n")
        assert head.startswith(b"POST /lock?a=b HTTP/1.1\r\n")
        assert b"X-Mine: 1" in head
        assert body == b"{}"

    at(use)


def test_head_and_the_end_of_a_header_s_answer_pass() -> None:
    async def use(place: Place) -> None:
        for _ in range(2):
            answer = await place.way.call(place.way.prepare("HEAD", "/"), lane=0, timeout_s=LIMIT_S)
            assert (answer.status, answer.body) == (422, b"")
            assert (b"Content-Length", b"3") in answer.headers

    at(use)


@pytest.mark.parametrize("kind", ["lose request", "reset before"])
def test_a_swallowed_request_never_happened_and_the_harness_knows(kind: FaultKind) -> None:
    async def use(place: Place) -> None:
        with pytest.raises(Lost):
            await place.call(kind)
        assert await place.what_happened() == Happened(kind)
        assert place.target.requests == []

    at(use)


@pytest.mark.parametrize("kind", ["lose reply", "reset after"])
def test_a_lost_reply_was_given_and_the_harness_knows_its_status(kind: FaultKind) -> None:
    async def use(place: Place) -> None:
        with pytest.raises(Lost):
            await place.call(kind)
        happened = await place.what_happened()
        assert (happened.kind, happened.status, happened.problem) == (kind, 422, None)
        assert happened.forwarded_ns is not None
        assert happened.answered_ns is not None
        assert happened.forwarded_ns < happened.answered_ns
        assert len(place.target.requests) == 1
        assert b"lockrace" not in place.target.requests[0].lower()

    at(use)


def test_lose_reply_waits_for_the_answer_and_reset_after_does_not() -> None:
    async def run(kind: FaultKind) -> bool:
        """Whether the target was still thinking when the dispatcher lost its connection."""
        asked, think = asyncio.Event(), asyncio.Event()

        async def slow(peer: Peer) -> None:
            await peer.request()
            asked.set()
            await think.wait()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        async with serving(slow) as url, FaultProxy(url) as proxy, Transport(proxy.url) as way:
            post = way.prepare("POST", "/", [fault_header("f1", kind)])
            call = asyncio.create_task(way.call(post, lane=0, timeout_s=LIMIT_S))
            await asked.wait()
            if kind == "reset after":
                with pytest.raises(Lost, match="broke"):
                    await call
            ended_early = call.done()
            think.set()
            await asyncio.gather(call, return_exceptions=True)
            happened = await proxy.take("f1", LIMIT_S)
            assert happened is not None
            assert happened.status == 200
            return ended_early

    assert asyncio.run(run("reset after"))
    assert not asyncio.run(run("lose reply"))


def test_half_open_is_silence_until_the_dispatcher_gives_up() -> None:
    async def use(place: Place) -> None:
        call = asyncio.create_task(place.call("half-open"))
        assert (await place.what_happened()).status == 422
        assert not call.done()
        await leave(call)
        assert (await place.call()).status == 422

    at(use)


def test_delay_comes_before_the_target() -> None:
    async def use(place: Place) -> None:
        answer = await place.call("delay", delay_ms=30)
        happened = await place.what_happened()
        assert answer.status == happened.status == 422
        assert happened.forwarded_ns is not None
        assert happened.forwarded_ns - answer.times.release_ns >= 30_000_000

    at(use)


@pytest.mark.parametrize(("kind", "reached"), [("hold request", 0), ("hold reply", 1)])
def test_hold_keeps_a_message_until_released(kind: FaultKind, reached: int) -> None:
    async def use(place: Place) -> None:
        call = asyncio.create_task(place.call(kind))
        await place.proxy.held("f1", LIMIT_S)
        assert len(place.target.requests) == reached
        assert not call.done()
        place.proxy.release("f1")
        assert (await call).status == 422
        assert len(place.target.requests) == 1
        assert (await place.what_happened()).status == 422

    at(use)


def test_a_hold_released_beforehand_holds_nothing() -> None:
    async def use(place: Place) -> None:
        place.proxy.release("f1")
        assert (await place.call("hold request")).status == 422

    at(use)


def test_a_hold_that_is_never_released_has_a_limit() -> None:
    async def use(place: Place) -> None:
        with pytest.raises(Lost):
            await place.call("hold request")
        happened = await place.what_happened()
        assert happened.forwarded_ns is None
        assert "never released" in (happened.problem or "")

    at(use, hold_limit_s=0.05)


def test_a_held_request_goes_on_although_its_dispatcher_has_left() -> None:
    async def use(place: Place) -> None:
        call = asyncio.create_task(place.call("hold request"))
        await place.proxy.held("f1", LIMIT_S)
        await leave(call)
        assert place.target.requests == []
        place.proxy.release("f1")
        assert (await place.what_happened()).status == 422  # late, as a network does it
        assert len(place.target.requests) == 1

    at(use)


@pytest.mark.parametrize("kind", [None, *(kind for kind in KINDS if kind not in {"lose request", "reset before"})])
def test_an_unreachable_target_is_a_closed_connection_and_counted(kind: FaultKind | None) -> None:
    async def run() -> None:
        async with FaultProxy("http://127.0.0.1:1") as proxy, Transport(proxy.url) as way:
            proxy.release("f1")
            place = Place(Target(), proxy, way)
            call = asyncio.create_task(place.call(kind))
            if kind is not None:
                happened = await place.what_happened()
                assert happened.forwarded_ns is None
                assert "refused" in (happened.problem or "")
            if kind == "half-open":
                await leave(call)
            else:
                with pytest.raises(Lost):
                    await call
            assert proxy.unreachable == 1

    asyncio.run(run())


def test_garbage_of_the_target_stays_garbage() -> None:
    async def garbage(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"SSH-2.0\r\n")

    async def run() -> None:
        async with serving(garbage) as url, FaultProxy(url) as proxy, Transport(proxy.url) as way:
            with pytest.raises(Garbled):
                await way.call(way.prepare("GET", "/"), timeout_s=LIMIT_S)

    asyncio.run(run())


def test_what_never_came_is_not_known() -> None:
    async def use(place: Place) -> None:
        place.proxy.release("f2")
        assert await place.proxy.take("f1", LIMIT_S) is None
        assert await place.proxy.take("f2", LIMIT_S) is None

    at(use)


@pytest.mark.parametrize(
    ("request_bytes", "says"),
    [
        (b"GET / HTTP/1.1\r\nX-Lockrace-Fault: f1 0 explode\r\n\r\n", b"with a kind of lose request"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"send a Content-Length"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"the body is longer"),
    ],
)
def test_requests_it_cannot_serve_are_refused_in_words(request_bytes: bytes, says: bytes) -> None:
    async def use(place: Place) -> None:
        answer = await place.way.call(request_bytes, timeout_s=LIMIT_S)
        assert answer.status == 400
        assert says in answer.body
        assert place.target.requests == []

    at(use)


def test_a_fault_id_cannot_break_the_header() -> None:
    for bad in ("", "a b", "a\r\nX: y"):
        with pytest.raises(ValueError, match="fault id"):
            fault_header(bad, "delay")


def test_an_https_target_is_verified() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def run() -> None:
        async with serving(Target(), server) as url:
            async with FaultProxy(url, verify=trusting) as proxy, Transport(proxy.url) as way:
                assert (await way.call(way.prepare("GET", "/"), timeout_s=LIMIT_S)).status == 422
            async with FaultProxy(url) as proxy, Transport(proxy.url) as way:
                with pytest.raises(Lost):
                    await way.call(way.prepare("GET", "/"), timeout_s=LIMIT_S)
                assert proxy.unreachable == 1

    asyncio.run(run())


def test_closing_the_proxy_leaves_nothing_running() -> None:
    async def run() -> None:
        async with serving(Target()) as url:
            async with FaultProxy(url) as proxy, Transport(proxy.url) as way:
                call = asyncio.create_task(way.call(way.prepare("GET", "/", [fault_header("f1", "hold request")])))
                await proxy.held("f1", LIMIT_S)
            with pytest.raises((Lost, NotSent)):
                await call
            assert [task for task in asyncio.all_tasks() if "FaultProxy" in repr(task)] == []

    asyncio.run(run())
