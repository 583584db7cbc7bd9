"""Every way in which an answer can come, or fail to."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
import trustme

from harness.drive.connection import Limits
from harness.drive.failures import Garbled, Lost, NotSent
from harness.drive.transport import Answer, Transport
from tests.limits import LIMIT_S

from .scripted import OK, Peer, Script, ever, refusing, serving


def exchange(script: Script, method: str = "GET", **settings: object) -> Answer:
    """One request to a scripted server."""

    async def run() -> Answer:
        async with serving(script) as url, Transport(url, **settings) as transport:  # type: ignore[arg-type]
            return await transport.call(transport.prepare(method, "/x"), lane=0)

    return asyncio.run(run())


def saying(*pieces: bytes, close: bool = False) -> Script:
    """A script: read one request, write the pieces one by one, then close or wait for the client to leave."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for piece in pieces:
            await peer.say(piece)
            await asyncio.sleep(0)
        if not close:
            await peer.reader.read()

    return script


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"hi"),
        (b"HTTP/1.1 422 Nope\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 422, b"abcde"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, b"hi"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", 200, b"hi"),
    ],
)
def test_answer_arrives_whole_however_it_is_cut(answer: bytes, status: int, body: bytes) -> None:
    for pieces in ((answer,), tuple(answer[i : i + 1] for i in range(len(answer)))):
        got = exchange(saying(*pieces))
        assert (got.status, got.body) == (status, body)


def test_answer_of_no_length_ends_with_the_connection() -> None:
    got = exchange(saying(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nall there is", close=True))
    assert (got.body, got.headers) == (b"all there is", [(b"X-A", b"1")])


def test_interim_answers_leave_no_header_behind() -> None:
    got = exchange(saying(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK))
    assert got.headers == [(b"Content-Length", b"2")]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b", "compressed"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000, "longer than 2000 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 400, "longer than 2000 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 60, "header is longer than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1001, "header is longer than 1000 bytes"),
    ],
)
def test_what_is_not_an_answer_is_garbled(answer: bytes, says: str) -> None:
    with pytest.raises(Garbled, match=says):
        exchange(saying(answer), limits=Limits(1000, 2000))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (saying(close=True), "closed the connection before it answered"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Le", close=True), "in the middle of its answer"),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", close=True), "in the middle of its answer"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", close=True), "in the middle"),
    ],
)
def test_an_end_without_an_answer_is_lost(script: Script, says: str) -> None:
    with pytest.raises(Lost, match=says):
        exchange(script)


def test_a_reset_is_lost() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    with pytest.raises(Lost, match="broke the connection"):
        exchange(script)


def test_silence_is_lost_after_the_limit_and_its_times_say_when() -> None:
    with pytest.raises(Lost, match=r"no whole answer within 0\.05 s") as caught:
        exchange(saying(b"HTTP/1.1 200 OK\r\n"), timeout_s=0.05)
    times = caught.value.times
    assert times.return_ns - times.invoke_ns >= 50_000_000


def test_refused_is_not_sent() -> None:
    async def run(url: str) -> None:
        async with Transport(url) as transport:
            await transport.call(transport.prepare("GET", "/"))

    with refusing() as url, pytest.raises(NotSent, match=f"refused by {url.removeprefix('http://')}"):
        asyncio.run(run(url))


def test_a_server_that_does_not_shake_hands_is_not_sent_within_the_limit() -> None:
    async def silent(peer: Peer) -> None:
        await peer.reader.read()

    async def run() -> None:
        async with (
            serving(silent) as url,
            Transport(url.replace("http:", "https:"), connect_timeout_s=0.05, insecure=True) as transport,
        ):
            await transport.call(transport.prepare("GET", "/"))

    with pytest.raises(NotSent, match=r"within 0\.05 s"):
        asyncio.run(run())


def test_times_enclose_the_answer() -> None:
    stamps: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.request()
        stamps.append(time.monotonic_ns())
        await peer.say(OK)

    times = exchange(script).times
    assert times.invoke_ns == times.release_ns < stamps[0] < times.return_ns


def test_head_leaves_the_connection_fit_for_the_next_request() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(2):
            head = (await peer.request()).startswith(b"HEAD")
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + (b"" if head else b"hello"))

    async def run() -> tuple[Answer, Answer, int]:
        async with serving(script) as url, Transport(url) as transport:
            first = await transport.call(transport.prepare("HEAD", "/"), lane=0)
            second = await transport.call(transport.prepare("GET", "/"), lane=0)
            return first, second, transport.statistics.connects

    first, second, connects = asyncio.run(run())
    assert (first.body, second.body, connects) == (b"", b"hello", 1)


def test_dead_idle_connection_is_replaced_before_anything_is_sent() -> None:
    async def run() -> tuple[int, int, int]:
        left = asyncio.Semaphore(0)

        async def once(peer: Peer) -> None:
            await peer.request()
            await peer.say(OK)
            peer.writer.close()
            await peer.writer.wait_closed()
            left.release()

        async with serving(once) as url, Transport(url) as transport:
            for _ in range(3):
                assert (await transport.call(transport.prepare("POST", "/"), lane=0)).status == 200
                await left.acquire()
            return transport.statistics.connects, transport.statistics.replaced, transport.statistics.lost

    assert asyncio.run(run()) == (3, 2, 0)


def test_request_is_never_sent_twice() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        if len(seen) == 1:
            await peer.say(OK)
            seen.append(await peer.request())
        peer.reset()

    async def run() -> None:
        async with serving(script) as url, Transport(url) as transport:
            await transport.call(transport.prepare("POST", "/a"), lane=0)
            with pytest.raises(Lost):
                await transport.call(transport.prepare("POST", "/b"), lane=0)

    asyncio.run(run())
    assert [request.split()[1] for request in seen] == [b"/a", b"/b"]


def test_stale_connection_is_replaced() -> None:
    async def run() -> tuple[int, int]:
        async with serving(ever) as url, Transport(url, idle_s=0.0) as transport:
            for _ in range(2):
                await transport.call(transport.prepare("GET", "/"), lane=0)
            return transport.statistics.connects, transport.statistics.replaced

    assert asyncio.run(run()) == (2, 1)


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"junk"])
def test_bytes_nobody_asked_for_are_given_to_nobody(extra: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.say(OK + extra)
            await peer.reader.read()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")

    async def run() -> list[bytes]:
        async with serving(script) as url, Transport(url) as transport:
            return [(await transport.call(transport.prepare("GET", "/"), lane=0)).body for _ in range(2)]

    assert asyncio.run(run()) == [b"hi", b"good"]


def test_cancelled_request_takes_its_connection_with_it() -> None:
    got_it = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            got_it.set()
            await peer.reader.read()
        await peer.say(OK)

    async def run() -> tuple[Answer, int]:
        async with serving(script) as url, Transport(url) as transport:
            first = asyncio.create_task(transport.call(transport.prepare("GET", "/"), lane=0))
            await got_it.wait()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            return await transport.call(transport.prepare("GET", "/"), lane=0), transport.statistics.connects

    answer, connects = asyncio.run(run())
    assert (answer.status, connects) == (200, 2)


def test_lanes_are_connections_and_rotate() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % peer.number)

    async def run() -> tuple[list[bytes], list[bytes], list[bytes]]:
        async with serving(script) as url, Transport(url) as transport:
            get = transport.prepare("GET", "/")

            async def ask() -> list[bytes]:
                return [(await transport.call(get, lane=lane)).body for lane in "abc"]

            await transport.warm("abc", get)
            first, again = await ask(), await ask()
            transport.rotate("abc")
            assert transport.statistics.connects == 3
            return first, again, await ask()

    first, again, rotated = asyncio.run(run())
    assert first == again
    assert rotated == [first[1], first[2], first[0]]
    assert len(set(first)) == 3


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut off", b"garbage\r\n\r\n", b""])
def test_an_answer_that_is_lost_while_connections_are_opened_is_no_matter(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            if not (await peer.request()).startswith(b"GET /warm"):
                await peer.say(OK)
            elif answer:
                await peer.say(answer)
                peer.writer.close()
            else:
                await asyncio.sleep(3600)

    async def run() -> bytes:
        async with serving(script) as url, Transport(url, timeout_s=0.3) as transport:
            await transport.warm(range(4), transport.prepare("GET", "/warm"))
            return (await transport.call(transport.prepare("GET", "/"), lane=3, timeout_s=LIMIT_S)).body

    assert asyncio.run(run()) == b"hi"


def test_connections_come_while_the_open_ones_are_busy() -> None:
    asked: dict[int, int] = {}

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            asked[peer.number] = asked.get(peer.number, 0) + 1
            await peer.say(OK)

    async def run() -> None:
        async with serving(script) as url, Transport(url) as transport:
            get = transport.prepare("GET", "/")
            await transport.warm(range(6), get)
            assert asked == {1: 5, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}  # itself, and up to four that came after it
            await transport.warm(range(6), get)
            assert sum(asked.values()) == 20  # all are open: nothing to do
            await transport.warm(range(7), get)
            assert asked[7] == 1
            assert transport.statistics.connects == 7

    asyncio.run(run())


def test_large_fleets_open_in_groups() -> None:
    async def run() -> int:
        async with serving(ever) as url, Transport(url) as transport:
            await transport.warm(range(150), transport.prepare("GET", "/"))
            return transport.statistics.connects

    assert asyncio.run(run()) == 150


def test_one_lane_carries_one_request_at_a_time_and_the_wait_has_a_limit() -> None:
    came = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        came.set()
        await peer.reader.read()

    async def run() -> None:
        async with serving(silent) as url, Transport(url) as transport:
            get = transport.prepare("GET", "/")
            first = asyncio.create_task(transport.call(get, lane=0))
            await came.wait()
            transport._connect_timeout_s = 0.01  # not from the start: the first connects in its own time
            with pytest.raises(NotSent, match=r"no connection was free within 0\.01 s"):
                await transport.call(get, lane=0)
            assert not first.done()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

    asyncio.run(run())


def test_unnamed_requests_share_a_bounded_pool() -> None:
    async def run() -> int:
        async with serving(ever) as url, Transport(url, max_unnamed=3) as transport:
            get = transport.prepare("GET", "/")
            await asyncio.gather(*(transport.call(get) for _ in range(20)))
            return transport.statistics.connects

    assert asyncio.run(run()) == 3


def test_request_goes_out_in_one_piece_without_delay() -> None:
    async def run() -> tuple[int, bytes]:
        sent: list[bytes] = []

        async def script(peer: Peer) -> None:
            sent.append(await peer.reader.read(65536))
            await peer.say(OK)

        async with serving(script) as url, Transport(url) as transport:
            call = transport.call(transport.prepare("POST", "/a?b=c", [(b"X-A", b"1")], b"{}"), lane=0)
            await call
            connection = transport._lanes[0].connection
            assert connection is not None
            assert connection._transport is not None
            raw = connection._transport.get_extra_info("socket")
            return raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), sent[0]

    nodelay, sent = asyncio.run(run())
    assert nodelay
    head, body = sent.split(b"\r\n\r\n")
    assert body == b"{}"
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /a?b=c HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"X-A: 1", b"Content-Length: 2"]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GE T", "/", []),
        ("GET", "/a b", []),
        ("GET", "/\r\nX: y", []),
        ("GET", "http://elsewhere/", []),
        ("GET", "/", [(b"X y", b"1")]),
        ("GET", "/", [(b"X", b"1\r\nY: 2")]),
    ],
)
def test_no_request_can_be_made_to_say_more_than_one_thing(
    method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        Transport("http://127.0.0.1:1").prepare(method, path, headers)


def test_a_url_that_is_no_target_is_refused() -> None:
    with pytest.raises(ValueError, match="is no target"):
        Transport("ftp://host")


# httpx's face


def with_client(script: Script, use: Callable[[httpx.AsyncClient], Awaitable[object]]) -> None:
    async def run() -> None:
        async with serving(script) as url:
            client = httpx.AsyncClient(transport=Transport(url), base_url=url, trust_env=False)
            async with client:
                await use(client)

    asyncio.run(run())


def test_httpx_gets_its_response_and_the_times() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(b'HTTP/1.1 201 Made\r\nContent-Length: 8\r\nX-Request-Id: r1\r\n\r\n{"a": 1}')

    async def use(client: httpx.AsyncClient) -> None:
        response = await client.post("/c", json={"b": 2}, headers={"Expect": "100-continue"}, extensions={"lane": 7})
        assert (response.status_code, response.json(), response.headers["x-request-id"]) == (201, {"a": 1}, "r1")
        times = response.extensions
        assert times["invoke_ns"] <= times["release_ns"] < times["return_ns"]

    with_client(script, use)
    lower = seen[0].lower()
    assert b"accept-encoding" not in lower
    assert b"expect" not in lower
    assert seen[0].endswith(b'{"b":2}')


def test_httpx_is_kept_to_one_origin() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:1/\r\nContent-Length: 0\r\n\r\n")

    async def use(client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.UnsupportedProtocol, match=r"127\.0\.0\.2"):
            await client.get("/", follow_redirects=True)

    with_client(script, use)


def test_httpx_timeout_limits_the_whole_answer() -> None:
    async def drip(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    async def use(client: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.ReadError, match=r"within 0\.1 s"):
            await client.get("/", timeout=0.1)

    with_client(drip, use)


# TLS


def test_tls_is_verified_unless_told_otherwise() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def ask(url: str, verify: ssl.SSLContext | None = None, insecure: bool = False) -> list[int]:
        async with Transport(url, verify=verify, insecure=insecure) as transport:
            get = transport.prepare("GET", "/")
            statuses = [(await transport.call(get, lane=0)).status for _ in range(3)]
            assert transport.statistics.connects == 1  # session tickets do not look like an end
            return statuses

    async def run() -> None:
        async with serving(ever, server) as url:
            assert await ask(url, trusting) == [200, 200, 200]
            assert await ask(url, insecure=True) == [200, 200, 200]
            with pytest.raises(NotSent, match="nobody vouches for the certificate"):
                await ask(url)

    asyncio.run(run())
