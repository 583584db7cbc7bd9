"""What a gate keeps back, when it lets go, and how much of a round overlapped."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from harness.drive.failures import Lost, NotSent
from harness.drive.gate import Gate, GateKind, GateNotArmedError, look
from harness.drive.transport import Answer, Transport
from tests.limits import LIMIT_S

from .scripted import OK, Peer, ever, serving


class Arrivals:
    """A script that notes what has come of each request, byte by byte."""

    def __init__(self) -> None:
        self.came = asyncio.Semaphore(0)
        self.bytes: dict[int, bytes] = {}
        self.order: list[bytes] = []

    async def __call__(self, peer: Peer) -> None:
        data = b""
        while not data.endswith(b"{}"):
            data += await peer.reader.read(1000)
            self.bytes[peer.number] = data
            self.came.release()
        self.order.append(data.split(b" ")[1])
        await peer.say(OK)


async def racers(
    transport: Transport, gate: Gate, count: int, numbers: Sequence[int] | None = None
) -> list[asyncio.Task[Answer]]:
    """Start a request each and wait until all are held."""
    numbers = numbers or range(count)
    tasks = [
        asyncio.create_task(
            transport.call(
                transport.prepare("POST", f"/{n}", body=b"{}"), lane=n, gate=gate, racer=n, timeout_s=LIMIT_S
            )
        )
        for n in numbers
    ]
    await gate.armed(LIMIT_S)
    return tasks


@pytest.mark.parametrize("kind", ["gate", "burst"])
def test_nothing_whole_leaves_before_the_release(kind: GateKind) -> None:
    arrivals = Arrivals()

    async def run() -> list[Answer]:
        async with serving(arrivals) as url, Transport(url) as transport:
            for lane in range(3):
                await transport.connect(lane)
            gate = Gate(3, kind)
            tasks = await racers(transport, gate, 3)
            if kind == "gate":
                for _ in range(3):
                    await arrivals.came.acquire()
                assert all(seen.endswith(b"\r\n\r\n{") for seen in arrivals.bytes.values())
            else:
                await look()
                assert arrivals.bytes == {}
            assert arrivals.order == []
            gate.release()
            return list(await asyncio.gather(*tasks))

    answers = asyncio.run(run())
    for answer in answers:
        assert answer.times.invoke_ns < answer.times.release_ns < answer.times.return_ns
    assert max(answer.times.release_ns for answer in answers) < min(answer.times.return_ns for answer in answers)
    assert len(arrivals.order) == 3


def test_an_empty_body_holds_the_header_s_last_byte() -> None:
    data = Transport("http://127.0.0.1:1").prepare("POST", "/lock")
    now, held = Gate(1).split(data)
    assert now + held == data
    assert now.endswith(b"\r\n\r")


def test_offsets_order_the_releases_and_are_kept() -> None:
    async def run() -> tuple[int, list[int]]:
        async with serving(Arrivals()) as url, Transport(url) as transport:
            gate = Gate(3)
            tasks = await racers(transport, gate, 3, [2, 0, 1])
            start_ns = time.monotonic_ns() + 2_000_000
            await gate.release_at(start_ns, [4_000_000, 0, 300_000])
            return start_ns, [answer.times.release_ns for answer in await asyncio.gather(*tasks)]

    start_ns, (two, zero, one) = asyncio.run(run())
    assert start_ns <= one < two < zero
    assert two >= start_ns + 300_000
    assert zero >= start_ns + 4_000_000


@pytest.mark.parametrize("offset_ns", [1, 50_000, 3_000_000])
def test_answers_are_read_before_a_later_racer_goes(offset_ns: int) -> None:
    seen: list[str] = []

    async def run() -> None:
        gate = Gate(2)
        loop = asyncio.get_running_loop()
        gate.hold(lambda: loop.call_soon(seen.append, "answer to the first"))
        gate.hold(lambda: seen.append("second"))
        await gate.release_at(time.monotonic_ns() - 1_000_000, [0, offset_ns])

    asyncio.run(run())
    assert seen == ["answer to the first", "second"]


def test_a_start_that_has_passed_releases_at_once() -> None:
    gone: list[int] = []
    gate = Gate(2)
    gate.hold(lambda: gone.append(0))
    gate.hold(lambda: gone.append(1))
    asyncio.run(gate.release_at(time.monotonic_ns() - 1_000_000_000))
    assert gone == [0, 1]


def test_negative_offsets_are_refused() -> None:
    with pytest.raises(ValueError, match="count from the start"):
        asyncio.run(Gate(2).release_at(0, [0, -1]))


def test_an_open_gate_lets_the_late_through() -> None:
    gone: list[int] = []
    gate = Gate(1)
    gate.release()
    gate.hold(lambda: gone.append(1))
    assert (gone, gate.late) == ([1], 1)


def test_two_racers_of_one_number_are_a_mistake() -> None:
    gate = Gate(2)
    gate.hold(lambda: None, 5)
    with pytest.raises(ValueError, match="racer 5 already waits"):
        gate.hold(lambda: None, 5)


def test_waiting_for_racers_has_a_limit() -> None:
    gate = Gate(3)
    gate.hold(lambda: None)
    with pytest.raises(GateNotArmedError, match="1 of 3 racers"):
        asyncio.run(gate.armed(0.01))


def test_a_racer_that_cannot_connect_is_not_waited_for() -> None:
    async def run() -> int:
        async with serving(ever) as url, Transport(url) as there, Transport("http://127.0.0.1:1") as nowhere:
            gate = Gate(2)
            lost = asyncio.create_task(nowhere.call(nowhere.prepare("GET", "/"), lane=0, gate=gate))
            task = asyncio.create_task(there.call(there.prepare("GET", "/"), lane=0, gate=gate))
            await gate.armed(LIMIT_S)
            gate.release()
            with pytest.raises(NotSent):
                await lost
            return (await task).status

    assert asyncio.run(run()) == 200


@pytest.mark.parametrize(("kind", "failure"), [("gate", Lost), ("burst", NotSent)])
def test_a_gate_that_never_opens_ends_with_the_answer_s_limit(kind: GateKind, failure: type[Exception]) -> None:
    async def run() -> None:
        async with serving(ever) as url, Transport(url) as transport:
            await transport.call(transport.prepare("GET", "/"), lane=0, gate=Gate(2, kind), timeout_s=0.05)

    with pytest.raises(failure, match=r"0\.05 s"):
        asyncio.run(run())


def test_an_answer_before_the_release_is_counted_and_its_connection_dropped() -> None:
    async def eager(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(OK)
        await peer.reader.read()

    async def run() -> tuple[Answer, int, int]:
        async with serving(eager) as url, Transport(url) as transport:
            gate = Gate(1)
            post = transport.prepare("POST", "/", body=b"{}")
            answer = await transport.call(post, lane=0, gate=gate)
            gate.release()
            await transport.call(post, lane=0)
            return answer, gate.early, transport.statistics.connects

    answer, early, connects = asyncio.run(run())
    assert (answer.status, early, connects) == (200, 1, 2)
