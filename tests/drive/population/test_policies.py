"""What each policy asks for and when, against one container that a test moves by hand; no network, no time."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import UNSET

from harness.contract import Outcome
from harness.drive.population import POLICY_NAMES, Population
from harness.drive.population import dispatcher as dispatcher_module
from harness.drive.population.acts import CARRIED_PAGE, everything_carried
from harness.drive.population.client import Client, Site
from harness.drive.population.dispatcher import Dispatcher, Sight
from harness.drive.population.policies import POLICIES
from harness.history import Shown
from harness.wire import Answer

MINE, OTHER = "zzzzz-dz642-000000000000000", "zzzzz-dz642-999999999999999"
TOKEN = "zzzzz-gj3su-000000000000000"


@dataclass
class FakeClient:
    """Answers as one container would; `next_outcomes` overrides the next answers to an op."""

    state: str = "Queued"
    auth: str | None = None
    next_outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    sent: list[Any] = field(default_factory=list)
    locks: int = 0
    incarnation: int = 1
    slowest_s: float = 0.0

    async def call(self, op: str, uuid: str | None = None, sent: Any = None, auth: str | None = None) -> Answer:
        self.asked.append((op, sent.get("state", sent) if isinstance(sent, dict) else None))
        self.sent.append(sent)
        waiting = self.next_outcomes.get(op)
        if waiting:
            return Answer(outcome=waiting.pop(0))
        return self._answer(op, sent)

    def _answer(self, op: str, sent: Any) -> Answer:
        if op == "list":
            found = [MINE, OTHER] if sent["state"] == self.state else []
            if self.state == "Queued":
                found = [one for one in found if one > sent.get("after_uuid", "")]
            return Answer(outcome="granted", value=Shown(found=found), items=len(found), last=max(found, default=None))
        if op == "lock":
            if self.state != "Queued":
                return Answer(outcome="refused")
            self.locks += 1
            self.state, self.auth = "Locked", f"auth-{self.locks}"
        elif op == "unlock":
            if self.state != "Locked":
                return Answer(outcome="refused")
            self.state, self.auth = "Queued", None
        elif op == "auth":
            return Answer(outcome="granted", value=Shown(auth_uuid=self.auth or UNSET), secret="secret")
        elif op == "update" and "state" in sent:
            self.state = sent["state"]
        return Answer(outcome="granted", value=Shown(state=self.state, auth_uuid=self.auth))

    def learn(self, secret: str) -> None:
        assert secret == "secret"

    def forget(self) -> None:
        self.incarnation += 1

    def event(self, op: str) -> None:
        self.asked.append((op, None))

    @property
    def ops(self) -> list[str]:
        return [op for op, _ in self.asked]

    @property
    def states(self) -> list[str]:
        return [wanted for op, wanted in self.asked if op == "update" and isinstance(wanted, str)]


class Stream:
    """A dispatcher's random numbers, all the same."""

    def __init__(self, drawn: float) -> None:
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn

    def sample(self, population: list[str], k: int) -> list[str]:
        return population[:k]

    def choice(self, population: list[str]) -> str:
        return population[0]

    def uniform(self, low: float, high: float) -> float:
        return low


def dispatcher(policy: str, client: FakeClient, drawn: float = 0.9) -> Dispatcher:
    site = SimpleNamespace(
        population=Population(second_s=1.0),
        token_uuid=TOKEN,
        own={MINE},
        names={},
        over=asyncio.Event(),
        rest=_no_rest,
    )
    one = Dispatcher(cast("Site", site), 0, 1, POLICIES[policy])
    one.client = cast("Client", client)
    one.stream = cast("Any", Stream(drawn))
    one._after = None
    return one


async def _no_rest(seconds: float) -> None:
    await asyncio.sleep(0)


def turn(policy: str, client: FakeClient, drawn: float = 0.9) -> Dispatcher:
    one = dispatcher(policy, client, drawn)
    asyncio.run(cast("Any", POLICIES[policy](one)))
    return one


def test_every_policy_that_can_be_chosen_is_there() -> None:
    assert tuple(POLICIES) == POLICY_NAMES


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_a_free_container_is_run_to_its_end(policy: str) -> None:
    client = FakeClient()
    one = turn(policy, client)
    assert client.ops[-7:] == ["lock", "auth", "update", "use", "update", "update", "use"]
    assert client.states == ["Running", "Complete"]
    assert one.suspects == {}


def test_only_own_containers_are_touched() -> None:
    client = FakeClient()
    one = dispatcher("careful", client)
    one.site.own.clear()
    assert asyncio.run(cast("Any", POLICIES["careful"](one))) is False
    assert client.ops == ["list"]


def test_careful_lets_a_live_lock_alone() -> None:
    client = FakeClient(state="Locked", auth="of another")
    turn("careful", client)
    assert client.ops == ["list"]


def test_careful_gives_back_now_and_then() -> None:
    client = FakeClient()
    turn("careful", client, drawn=0.01)
    assert client.ops == ["list", "lock", "unlock"]
    assert client.state == "Queued"


def test_a_lock_of_unknown_outcome_is_looked_at_again() -> None:
    client = FakeClient(next_outcomes={"lock": ["indeterminate"]})
    one = turn("careful", client)
    assert list(one.suspects) == [MINE]
    assert client.ops == ["list", "lock"]


def test_a_lock_that_stands_still_for_long_is_given_back() -> None:
    client = FakeClient(state="Locked", auth="auth-1")
    one = dispatcher("careful", client)
    one.suspects[MINE] = Sight("Locked", "auth-1", since=-1e9)
    asyncio.run(cast("Any", POLICIES["careful"](one)))
    assert client.ops[:2] == ["get", "unlock"]


def test_a_run_that_stands_still_for_long_is_cancelled() -> None:
    client = FakeClient(state="Running", auth="auth-1")
    one = dispatcher("careful", client)
    one.suspects[MINE] = Sight("Running", "auth-1", since=-1e9)
    asyncio.run(cast("Any", POLICIES["careful"](one)))
    assert client.states == ["Cancelled"]
    assert one.suspects == {}


@pytest.mark.parametrize("before", [Sight("Locked", "auth-0", -1e9), Sight("Queued", None, -1e9)])
def test_a_lock_that_has_changed_is_given_time(before: Sight) -> None:
    client = FakeClient(state="Locked", auth="auth-1")
    one = dispatcher("careful", client)
    one.suspects[MINE] = before
    asyncio.run(cast("Any", POLICIES["careful"](one)))
    assert client.ops == ["get", "list"]
    assert one.suspects[MINE].auth_uuid == "auth-1"
    assert one.suspects[MINE].since > before.since


def test_who_was_told_that_its_lock_is_gone_stops() -> None:
    client = FakeClient(next_outcomes={"auth": ["forbidden"]})
    turn("careful", client)
    assert client.states == []


def test_a_refused_update_of_a_lost_lock_is_not_insisted_on() -> None:
    client = FakeClient()

    class Robbed(FakeClient):
        async def call(self, op: str, uuid: str | None = None, sent: Any = None, auth: str | None = None) -> Answer:
            if op == "update":
                self.state, self.auth = "Locked", "of another"
                self.next_outcomes["update"] = ["refused"]
            return await super().call(op, uuid, sent, auth)

    client = Robbed()
    turn("careful", client)
    assert client.ops == ["list", "lock", "auth", "update", "get"]


def test_an_unheard_update_is_looked_after_and_not_repeated_where_it_took_effect() -> None:
    class Deaf(FakeClient):
        async def call(self, op: str, uuid: str | None = None, sent: Any = None, auth: str | None = None) -> Answer:
            answer = await super().call(op, uuid, sent, auth)
            deaf = op == "update" and sent == {"state": "Running"}
            return Answer(outcome="indeterminate") if deaf else answer

    client = Deaf()
    turn("careful", client)
    assert client.states == ["Running", "Complete"]


def test_a_restarted_dispatcher_looks_around_first() -> None:
    client = FakeClient(state="Running", auth="of who knows", incarnation=2)
    one = turn("careful", client)
    assert client.asked[:2] == [("list", "Locked"), ("list", "Running")]
    assert list(one.suspects) == [MINE]
    assert not one.looks_around  # not again at once


def test_adopting_starts_a_locked_container_that_it_did_not_lock() -> None:
    client = FakeClient(state="Locked", auth="of another")
    turn("adopting", client)
    assert client.ops[:3] == ["list", "auth", "update"]
    assert client.states == ["Running", "Complete"]


def test_adopting_cancels_a_running_container_that_it_did_not_start() -> None:
    client = FakeClient(state="Running", auth="of another")
    turn("adopting", client)
    assert client.states == ["Cancelled"]


def test_impatient_insists_for_a_minute_and_no_longer() -> None:
    client = FakeClient(next_outcomes={"lock": ["refused"] * 26})
    turn("impatient", client)
    assert client.ops == ["list", *["lock"] * 26]


def test_impatient_takes_what_it_gets_in_the_end() -> None:
    client = FakeClient(next_outcomes={"lock": ["refused"] * 3})
    turn("impatient", client)
    assert client.ops.count("lock") == 4
    assert client.states == ["Running", "Complete"]


def test_double_unlock_gives_back_twice() -> None:
    client = FakeClient()
    turn("double_unlock", client, drawn=0.2)
    assert client.ops == ["list", "lock", "unlock", "unlock"]


def test_a_page_of_which_little_was_asked_for_is_not_the_last() -> None:
    client = FakeClient(state="Locked")
    pages = [
        Answer(outcome="granted", value=Shown(found=[]), items=CARRIED_PAGE, last="u1"),
        Answer(outcome="granted", value=Shown(found=[MINE]), items=3, last="u2"),
    ]
    client._answer = lambda op, sent: pages.pop(0)  # type: ignore[method-assign]
    one = dispatcher("careful", client)
    assert asyncio.run(everything_carried(one, "Locked")) == [MINE]
    assert [sent.get("after_uuid") for sent in client.sent] == [None, "u1"]


def test_a_listing_goes_on_where_the_page_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "PAGE", 2)
    client = FakeClient()
    one = dispatcher("careful", client)

    async def pages() -> list[list[str]]:
        return [await one.page(state="Queued") for _ in range(3)]

    assert asyncio.run(pages()) == [[MINE], [], [MINE]]  # the second begins behind the last uuid of the first
