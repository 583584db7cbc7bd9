"""No second sees more requests than were allowed, whatever time each takes on its way; on a clock that tests turn."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.drive.drive import DriveOptions, drive
from harness.drive.pace import Pace, absence_ns, room_at
from harness.drive.roster import most_requests, roster
from harness.drive.target import connected
from harness.history import read_history
from harness.plan import make_plan
from harness.scenario import Scenario, load_text
from tests.drive.watched import watched

SECOND = 1_000_000_000


class Clock:
    """Stands still until everybody sleeps, then goes on to the first who is due."""

    def __init__(self) -> None:
        self.ns = 0
        self._due: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()

    def now(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._due, (self.ns + round(seconds * SECOND), next(self._numbers), future))
        await future

    async def turn(self, *works: Coroutine[Any, Any, Any]) -> None:
        tasks = [asyncio.create_task(work) for work in works]
        while True:
            for _ in range(30):  # as far as anything goes without the clock
                await asyncio.sleep(0)
            if all(task.done() for task in tasks):
                break
            assert self._due, "everybody waits and nobody sleeps"
            self.ns, _, future = heapq.heappop(self._due)
            if not future.done():
                future.set_result(None)
        for task in tasks:
            task.result()


class Sent(NamedTuple):
    requests: int
    begun_ns: int
    over_ns: int


def sent_by(per_second: int, asked: list[tuple[int, float]]) -> list[Sent]:
    """What leaves when, where each of `asked` is a number of requests at once and the seconds that they take."""
    clock, done = Clock(), []
    pace = Pace(per_second, clock.now, clock.sleep)

    async def send(requests: int, seconds: float) -> None:
        async with pace.room(requests):
            begun_ns = clock.ns
            await clock.sleep(seconds)
            done.append(Sent(requests, begun_ns, clock.ns))

    asyncio.run(clock.turn(*(send(*one) for one in asked)))
    return sorted(done, key=lambda one: one.begun_ns)


def test_so_many_leave_at_once_and_the_next_a_second_after_the_first_answer() -> None:
    sent = sent_by(2, [(1, 0.25), (1, 0.5), (1, 0.1), (1, 0.1)])
    assert [one.begun_ns / SECOND for one in sent] == [0, 0, 1.25, 1.5]


def test_a_round_is_not_split_and_a_large_one_has_its_time_to_itself() -> None:
    sent = sent_by(2, [(1, 0.0), (6, 0.5), (1, 0.0)])
    assert [(one.requests, round(one.begun_ns / SECOND, 3)) for one in sent] == [(1, 0), (6, 1), (1, 4.5)]


def test_a_large_round_is_not_overtaken_for_ever() -> None:
    sent = sent_by(2, [(1, 0.0), (2, 0.0), *[(1, 0.0)] * 6])
    assert [one.requests for one in sent][:2] == [1, 2]


@settings(max_examples=200, deadline=None)
@given(
    per_second=st.integers(1, 5),
    asked=st.lists(st.tuples(st.integers(1, 9), st.floats(0, 3)), min_size=1, max_size=12),
)
def test_no_second_sees_more_wherever_within_its_time_each_request_arrives(
    per_second: int, asked: list[tuple[int, float]]
) -> None:
    sent = sent_by(per_second, asked)
    assert len(sent) == len(asked)
    for one in sent:
        # whoever may arrive less than a second before it does
        near = [
            other
            for other in sent
            if other.begun_ns <= one.begun_ns < other.over_ns + absence_ns(other.requests, per_second)
        ]
        assert near == [one] or sum(other.requests for other in near) <= per_second


@pytest.mark.parametrize(
    ("requests", "away", "returns", "expected"),
    [
        (1, 0, [], 0),
        (3, 0, [], 0),
        (9, 0, [], 0),
        (1, 2, [], 0),
        (1, 3, [], None),
        (9, 1, [], None),
        (1, 2, [(7, 1)], 7),
        (2, 1, [(7, 1), (8, 1)], 8),
        (3, 0, [(7, 1), (8, 2)], 8),
        (9, 0, [(7, 1), (8, 2)], 8),
        (3, 1, [(7, 1), (8, 1)], None),
    ],
)
def test_when_there_is_room_in_a_bucket_of_three(
    requests: int, away: int, returns: list[tuple[int, int]], expected: int | None
) -> None:
    assert room_at(requests, 3, away, returns) == expected


def test_inside_a_room_there_is_room_and_a_further_page_waits_for_its_first() -> None:
    clock = Clock()
    pace = Pace(1, clock.now, clock.sleep)
    moments = []

    async def work() -> None:
        async with pace.room(2):
            async with pace.room():
                moments.append(clock.ns)
            async with pace.page():
                moments.append(clock.ns)

    asyncio.run(clock.turn(work()))
    assert moments == [0, 2 * SECOND]


def test_who_gives_up_waiting_leaves_no_trace() -> None:
    clock = Clock()
    pace = Pace(1, clock.now, clock.sleep)

    async def wait() -> None:
        async with pace.room():
            pytest.fail("there was no room")

    async def work() -> None:
        async with pace.room():
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        async with pace.room():
            assert clock.ns == SECOND

    asyncio.run(clock.turn(work()))


HEAD = """
format: 1
scenario: tried
summary: a test
level: must
requires: [LOCK-1]
given:
  containers: {c1: Queued}
"""

HERD = """
  tokens: {D: shared}
fleets:
  D:
    count: 3
    steps:
      - {id: lock, lock: c1, retry: {times: 1, if: [refused]}, expect: [granted, refused]}
      - {id: find, list: {state: Locked}}
schedule:
  race: {runs: 2}
"""

HELD = """
  tokens: {A: shared, B: shared}
sessions:
  A:
    - {id: a_lock, lock: c1, fault: {hold: request, until: b_get}, expect: granted}
    - {id: a_unlock, unlock: c1, fault: {hold: reply, until: b_last}, expect: granted}
  B:
    - {id: b_get, get: c1, after: a_lock}
    - {id: b_last, get: c1, after: a_unlock}
schedule: {order: [a_lock, b_get, a_unlock, b_last]}
"""

TOGETHER = """
  tokens: {A: shared, B: shared}
sessions:
  A: [{id: a_lock, lock: c1, fault: {lose: reply}}]
  B: [{id: b_lock, lock: c1, expect: [granted, refused]}]
schedule: {order: [[a_lock, b_lock]]}
"""


def scenario(rest: str) -> Scenario:
    return load_text(HEAD.lstrip() + rest.lstrip("\n"), Path("tried.race.yaml"))[0]


def test_most_requests_of_a_round() -> None:
    assert most_requests(roster(scenario(HERD))) == 9


@pytest.mark.parametrize(
    ("rest", "per_second"), [(HERD, 10), (HELD, 1), (TOGETHER, 2)], ids=["race", "held", "together"]
)
def test_a_server_sees_no_more_than_that_in_any_second(rest: str, per_second: int, tmp_path: Path) -> None:
    came: list[int] = []

    def now() -> int:  # four seconds of this clock are one
        return 4 * time.monotonic_ns()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds / 4)

    async def work() -> None:
        async with watched(came, now) as target, connected(target, 20, Pace(per_second, now, sleep)) as opened:
            plan = make_plan(scenario(rest), seed=1, runs=2 if rest == HERD else 1)
            driven = await drive(plan, opened, DriveOptions(), tmp_path / "h.jsonl")
            assert (driven.runs, driven.lost) == (plan.runs, None)

    asyncio.run(work())
    history = read_history(tmp_path / "h.jsonl")
    assert {one.outcome for one in history.operations if one.phase != "run"} == {"granted"}
    assert len(came) > 2 * per_second  # else nothing had to wait
    assert all(later - earlier > SECOND for earlier, later in zip(came, came[per_second:], strict=False))
    if rest == HELD:  # what is held still ends where the scenario says
        ends = {one.step: one.return_ns or 0 for one in history.operations}
        assert ends["b_get"] < ends["a_lock"] < ends["b_last"] < ends["a_unlock"]
