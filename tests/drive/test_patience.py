"""A call that was turned away is sent again until it is taken, and not for ever."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from msgspec import structs

from harness.drive.line import Exchange, exchange_of
from harness.drive.patience import LIMIT_S, until_taken
from harness.wire import Answer, Call, Reply

TAKEN = Exchange(answer=Answer(outcome="granted"), invoke_ns=5, return_ns=6)
AWAY = Exchange(answer=Answer(outcome="limited"), invoke_ns=1, return_ns=2)


def sending(exchanges: Iterator[Exchange]) -> Callable[[], Awaitable[Exchange]]:
    async def send() -> Exchange:
        return next(exchanges)

    return send


def tried(*exchanges: Exchange, before: Exchange | None = None) -> tuple[Exchange, list[float]]:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    return asyncio.run(until_taken(sending(iter(exchanges)), before, sleep)), pauses


def test_a_call_that_is_taken_is_sent_once() -> None:
    assert tried(TAKEN) == (TAKEN, [])
    refused = structs.replace(TAKEN, answer=Answer(outcome="refused"))
    assert tried(refused) == (refused, [])


def test_pauses_grow_unless_the_target_names_them() -> None:
    asking = structs.replace(AWAY, again_after_s=3.0)
    assert tried(AWAY, AWAY, asking, TAKEN) == (
        structs.replace(TAKEN, turned_away=(AWAY, AWAY, asking)),
        [0.05, 0.1, 3.0],
    )
    at_once = structs.replace(AWAY, again_after_s=0.0)
    assert tried(at_once, TAKEN) == (structs.replace(TAKEN, turned_away=(at_once,)), [0.05])


def test_what_was_turned_away_in_a_group_is_sent_again_by_itself() -> None:
    assert tried(TAKEN, before=AWAY) == (structs.replace(TAKEN, turned_away=(AWAY,)), [0.05])


def test_a_target_that_takes_nothing_is_given_up() -> None:
    exchange, pauses = tried(*[AWAY] * 100)
    assert exchange == structs.replace(AWAY, turned_away=(AWAY,) * len(pauses))
    assert 0 < sum(pauses) <= LIMIT_S
    patient = structs.replace(AWAY, again_after_s=3600.0)
    assert tried(patient, TAKEN) == (patient, [])


@pytest.mark.parametrize(
    ("header", "seconds"), [("2", 2.0), ("0", 0.0), ("soon", None), ("-1", None), ("9" * 400, None), (None, None)]
)
def test_the_pause_is_that_of_the_answer(header: str | None, seconds: float | None) -> None:
    headers = () if header is None else (("Retry-After", header),)
    reply = Reply(invoke_ns=1, return_ns=2, status=429, headers=headers, body=b"{}")
    exchange = exchange_of(Call(op="get", token="t", uuid="u"), "req-1", reply, {})
    assert (exchange.answer.outcome, exchange.again_after_s) == ("limited", seconds)
