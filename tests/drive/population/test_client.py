"""What becomes of a call that is spoilt on its way, and what the history says of it; against a scripted server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from harness.drive.population import Faults, Population
from harness.drive.population.client import Client, Crashed, Site, Unreachable
from harness.drive.population.messages import Assignment
from harness.drive.transport import Transport
from harness.history import Operation
from harness.wire import Answer
from tests.drive.scripted import Peer, refusing, serving
from tests.limits import LIMIT_S

UUID = "zzzzz-dz642-000000000000000"
LOCKED = b'{"uuid": "%s", "state": "Locked"}' % UUID.encode()


def said(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


class Counting:
    """A server that grants every request and counts them."""

    def __init__(self, answer: bytes = said(b"200 OK", LOCKED)) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.came = asyncio.Event()

    async def __call__(self, peer: Peer) -> None:
        while True:
            self.requests.append(await peer.request())
            self.came.set()
            await peer.say(self.answer)


def site_of(url: str, transport: Transport, faults: Faults) -> Site:
    population = Population(faults=faults, second_s=0.001, seed=3)
    secrets = {"shared": "s" * 50}
    return Site(
        Assignment(url, False, LIMIT_S, secrets, "zzzzz-gj3su-0", b"salt" * 4, population, {0: 1}, [UUID]), transport
    )


def tried(
    faults: Faults, work: Callable[[Client, Site, Counting], Awaitable[Any]], answer: bytes = said(b"200 OK", LOCKED)
) -> tuple[Any, list[Operation], Counting]:
    async def go() -> tuple[Any, list[Operation], Counting]:
        server = Counting(answer)
        async with serving(server) as url, Transport(url) as transport:
            site = site_of(url, transport, faults)
            result = await work(Client(site, "D0", 1), site, server)
            return result, site.finished, server

    return asyncio.run(go())


async def one_lock(client: Client, site: Site, server: Counting) -> Answer:
    answer = await client.call("lock", UUID)
    await site.settled()
    return answer


def test_a_call_without_a_fault_is_recorded_as_it_went() -> None:
    answer, (operation,), _ = tried(Faults(), one_lock)
    assert answer.outcome == "granted"
    assert (operation.type, operation.process, operation.token, operation.fault) == ("ok", "D0#1", "shared", None)
    assert operation.value is not None
    assert operation.value.state == "Locked"


def test_a_lost_request_never_leaves() -> None:
    answer, (operation,), server = tried(Faults(lose_request=1.0), one_lock)
    assert answer.outcome == "indeterminate"
    assert (operation.type, operation.return_ns, operation.fault) == ("info", None, "lose request")
    assert server.requests == []


def test_a_lost_reply_is_one_that_the_server_gave_and_nobody_heard() -> None:
    answer, (operation,), server = tried(Faults(lose_reply=1.0), one_lock)
    assert answer.outcome == "indeterminate"
    assert (operation.type, operation.value, operation.fault) == ("info", None, "lose reply")
    assert len(server.requests) == 1


def test_a_reset_comes_after_the_bytes_have_left() -> None:
    async def broken(client: Client, site: Site, server: Counting) -> Answer:
        answer = await client.call("lock", UUID)
        async with asyncio.timeout(LIMIT_S):
            await server.came.wait()
        return answer

    answer, (operation,), server = tried(Faults(reset=1.0), broken)
    assert answer.outcome == "indeterminate"
    assert (operation.type, operation.fault) == ("info", "reset")
    assert len(server.requests) == 1


def test_a_message_delayed_for_longer_than_its_sender_waits_arrives_all_the_same() -> None:
    async def many(client: Client, site: Site, server: Counting) -> list[Answer]:
        answers = [await client.call("lock", UUID) for _ in range(12)]
        await site.settled()
        return answers

    answers, operations, server = tried(Faults(delay=1.0), many)
    heard = [one.outcome for one in answers]
    assert {"granted", "indeterminate"} == set(heard)
    assert len(server.requests) == 12
    assert [one.type for one in operations] == [{"granted": "ok", "indeterminate": "info"}[one] for one in heard]
    for operation in operations:
        if operation.return_ns is not None:
            assert operation.return_ns > operation.invoke_ns


def test_after_an_unheard_call_the_dispatcher_goes_on_under_another_name() -> None:
    async def two(client: Client, site: Site, server: Counting) -> None:
        await client.call("lock", UUID)
        await client.call("get", UUID)

    _, (first, second), _ = tried(Faults(lose_reply=1.0), two)
    assert (first.process, second.process) == ("D0#1", "D0#2")


def test_a_crash_comes_before_during_or_after_a_call() -> None:
    async def crash_often(client: Client, site: Site, server: Counting) -> int:
        for _ in range(12):
            with pytest.raises(Crashed):
                await client.call("lock", UUID)
            client.forget()
        return len(server.requests)

    _, operations, _ = tried(Faults(crash=1.0), crash_often)
    kinds = {operation.type for operation in operations}
    assert kinds == {"ok", "info"}
    assert len(operations) < 12  # the others crashed before they sent anything
    assert len({operation.process for operation in operations}) == len(operations)


def test_a_pause_is_told_of_and_then_the_call_goes_its_way() -> None:
    answer, operations, _ = tried(Faults(pause=1.0), one_lock)
    assert answer.outcome == "granted"
    assert [operation.op for operation in operations] == ["pause", "resume", "lock"]


def test_a_call_that_nobody_takes_did_not_happen() -> None:
    async def go() -> Site:
        with refusing() as url:
            async with Transport(url) as transport:
                site = site_of(url, transport, Faults())
                with pytest.raises(Unreachable):
                    await Client(site, "D0", 1).call("lock", UUID)
                return site

    site = asyncio.run(go())
    assert site.finished == []
    assert site.unsent == 1


def test_a_cancelled_call_may_have_happened() -> None:
    came = asyncio.Event()

    async def never(peer: Peer) -> None:
        await peer.request()
        came.set()
        await asyncio.sleep(3600)

    async def go() -> list[Operation]:
        async with serving(never) as url, Transport(url) as transport:
            site = site_of(url, transport, Faults())
            call = asyncio.create_task(Client(site, "D0", 1).call("lock", UUID))
            await came.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return site.finished

    (operation,) = asyncio.run(go())
    assert (operation.type, operation.fault) == ("info", "halt")


def test_what_may_be_killed_is_told_before_it_leaves() -> None:
    told: list[tuple[str, int]] = []

    async def work(client: Client, site: Site, server: Counting) -> None:
        site.tell_begun = lambda operation: told.append((operation.op, len(server.requests)))
        await client.call("lock", UUID)
        await client.call("get", UUID)

    _, operations, _ = tried(Faults(), work)
    assert told == [("lock", 0)]  # a read changes nothing: nobody misses it
    assert len(operations) == 2


def test_no_secret_is_recorded() -> None:
    secret = "k" * 40

    async def work(client: Client, site: Site, server: Counting) -> None:
        answer = await client.call("auth", UUID)
        assert answer.secret == secret
        client.learn(secret)
        await client.call("use", auth=secret)

    body = b'{"uuid": "zzzzz-gj3su-1", "api_token": "%s"}' % secret.encode()
    _, operations, _ = tried(Faults(), work, said(b"200 OK", body))
    assert operations[0].value is not None
    assert operations[0].value.secret == operations[1].secret
    assert secret not in repr(operations)
    assert "s" * 50 not in repr(operations)


def test_of_a_listing_only_own_containers_are_recorded() -> None:
    other = "zzzzz-dz642-111111111111111"

    async def work(client: Client, site: Site, server: Counting) -> None:
        await client.call("list", sent={"state": "Queued", "above_priority": 0, "limit": 20})

    body = b'{"items": [{"uuid": "%s"}, {"uuid": "%s"}]}' % (UUID.encode(), other.encode())
    _, (operation,), server = tried(Faults(), work, said(b"200 OK", body))
    assert operation.value is not None
    assert operation.value.found == [UUID]
    assert b"limit=20" in server.requests[0]
    assert b"%22priority%22%2C+%22%3E%22%2C+0" in server.requests[0]


def test_the_same_seed_spoils_the_same_calls() -> None:
    faults = Faults(lose_request=0.3, lose_reply=0.3)

    async def many(client: Client, site: Site, server: Counting) -> list[str]:
        return [(await client.call("get", UUID)).outcome for _ in range(30)]

    first, operations, _ = tried(faults, many)
    again, repeated, _ = tried(faults, many)
    assert first == again
    assert [one.fault for one in operations] == [one.fault for one in repeated]
    assert len({one.fault for one in operations}) == 3
