"""Dispatcher processes start in their own time, which is no part of any request's."""

import asyncio
from typing import Any, cast

import pytest

from harness.drive.crew import Crew, Desk
from harness.drive.faults import FaultProxy
from harness.drive.line import HttpLine
from harness.drive.messages import Settings
from harness.wire import Call, Reply, Request
from tests.limits import LIMIT_S

from .scripted import ever, serving


def test_a_process_is_sent_nothing_before_it_has_said_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[str] = []
    tell, settle = Desk._tell, Desk._settle

    def telling(self: Desk, command: Any) -> None:
        passed.append(f"to it: {type(command).__name__}")
        tell(self, command)

    def settling(self: Desk, number: int, result: Any) -> None:
        passed.append("from it")
        settle(self, number, result)

    monkeypatch.setattr(Desk, "_tell", telling)
    monkeypatch.setattr(Desk, "_settle", settling)

    async def run() -> None:
        async with serving(ever) as url:
            desk = Desk(Settings(url, LIMIT_S, False))
            try:
                for _ in range(2):
                    assert (await desk.send(Request("GET", "/", (), b""))).status == 200
            finally:
                desk.close()

    asyncio.run(run())
    assert passed == ["to it: Arm", "from it", "to it: Release", *["to it: Send", "from it"] * 2]


def test_nobody_is_armed_before_all_have_started() -> None:
    """An armed request's time runs: where another process took long to start, it was over before the release."""
    passed: list[str] = []

    class Fake:
        def __init__(self, number: int) -> None:
            self.number = number

        async def started(self) -> None:
            for _ in range(self.number):
                await asyncio.sleep(0)
            passed.append(f"{self.number} has started")

        async def arm(self, requests: list[Request]) -> tuple[int, list[asyncio.Future[Reply]]]:
            passed.append("armed")
            answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            answered.set_result(Reply(invoke_ns=1, return_ns=2, status=200, body=b"{}"))
            return self.number, [answered]

        def release(self, number: int, at_ns: int) -> None:
            passed.append("released")

    class Fakes:
        def __init__(self) -> None:
            self.desks = [Fake(number) for number in range(3)]

        def desk(self, number: int) -> Fake:
            return self.desks[number]

    line = HttpLine(cast("Crew", Fakes()), FaultProxy("http://127.0.0.1:1"))
    calls = [(number, Call(op="use", token="t")) for number in range(3)]
    assert len(asyncio.run(line.together(calls, {}))) == 3
    assert passed == ["0 has started", "1 has started", "2 has started", *["armed"] * 3, *["released"] * 3]


def test_who_is_cancelled_in_the_moment_of_the_answer_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a scenario goes on, run after run, when the run it belongs to has long ended."""
    settle = Desk._settle
    sending: list[asyncio.Task[Reply]] = []

    def settling(self: Desk, number: int, result: Any) -> None:
        settle(self, number, result)
        if isinstance(result, Reply):
            sending[0].cancel()

    monkeypatch.setattr(Desk, "_settle", settling)

    async def run() -> None:
        async with serving(ever) as url:
            desk = Desk(Settings(url, LIMIT_S, False))
            try:
                sending.append(asyncio.create_task(desk.send(Request("GET", "/", (), b""))))
                with pytest.raises(asyncio.CancelledError):
                    await sending[0]
            finally:
                desk.close()

    asyncio.run(run())
