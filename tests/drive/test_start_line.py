"""Processes that meet before a round: nobody goes before all are there, and nobody waits for ever."""

import asyncio

import pytest

from harness.drive.start_line import CELLS, StartLine, StartLineBrokenError
from tests.limits import LIMIT_S


def test_all_get_one_moment_and_none_before_the_last_has_come() -> None:
    cells = [0] * CELLS
    events: list[tuple[str, int, int]] = []

    async def process(place: int, legs: int) -> list[int]:
        line = StartLine(cells, place, 3)
        moments = []
        for leg in range(1, legs + 1):
            for _ in range(place):  # each comes at its own pace
                await asyncio.sleep(0)
            events.append(("came", leg, place))
            moments.append(await line.meet(leg, LIMIT_S))
            events.append(("goes", leg, place))
        return moments

    async def run() -> list[list[int]]:
        return await asyncio.gather(*(process(place, 6) for place in range(3)))

    first, second, third = asyncio.run(run())
    assert first == second == third
    assert first == sorted(set(first))
    for leg in range(1, 7):
        came = [index for index, (what, one, _) in enumerate(events) if (what, one) == ("came", leg)]
        goes = [index for index, (what, one, _) in enumerate(events) if (what, one) == ("goes", leg)]
        assert len(came) == len(goes) == 3
        assert max(came) < min(goes)


def test_fewer_processes_may_go_on_where_more_have_met() -> None:
    cells = [0] * CELLS

    async def run() -> None:
        await asyncio.gather(StartLine(cells, 0, 2).meet(1, LIMIT_S), StartLine(cells, 1, 2).meet(1, LIMIT_S))
        for leg in (2, 3, 4):
            await StartLine(cells, 0, 1).meet(leg, LIMIT_S)
        late, early = await asyncio.gather(
            StartLine(cells, 1, 2).meet(5, LIMIT_S), StartLine(cells, 0, 2).meet(5, LIMIT_S)
        )
        assert late == early

    asyncio.run(run())


@pytest.mark.parametrize("place", [0, 1])
def test_whoever_waits_in_vain_is_told(place: int) -> None:
    with pytest.raises(StartLineBrokenError, match="not every dispatcher process came"):
        asyncio.run(StartLine([0] * CELLS, place, 2).meet(1, 0.01))


def test_a_place_must_be_on_the_line() -> None:
    with pytest.raises(ValueError, match="place 2 of 2"):
        StartLine([0] * CELLS, 2, 2)
