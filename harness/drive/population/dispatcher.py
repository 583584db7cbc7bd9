"""One dispatcher: turns of its policy, one after the other, until all is over; crashes and starts again in between."""

import string
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from harness.contract import STATES
from harness.drive.population.client import Client, Crashed, Site, Unreachable
from harness.wire import Answer

POLL = 10.0  # seconds of a dispatcher's time between two looks at an empty queue
GRACE = 60.0  # after so many without a change a lock or a run counts as abandoned
RESTART = 5.0  # from a crash to the next incarnation
MOST_POLLS_A_SECOND = 150.0  # of the whole population while the queue is empty, in real seconds
PAGE = 20  # of a listing
_ALPHABET = string.digits + string.ascii_lowercase


class Lock(NamedTuple):
    """A lock as its holder knows it."""

    uuid: str
    auth_uuid: str | None
    secret: str | None  # of the container auth


class Sight(NamedTuple):
    """How a container looked, and since when it has looked so (monotonic seconds)."""

    state: str | None
    auth_uuid: str | None
    since: float


Policy = Callable[["Dispatcher"], Awaitable[bool]]
"""One turn of a dispatcher; whether it found anything to do."""


class Dispatcher:
    """What a policy works with: calls, a memory that a crash wipes out, random numbers of its own."""

    def __init__(self, site: Site, number: int, incarnation: int, turn: Policy) -> None:
        self.name = f"D{number}"
        self.client = Client(site, self.name, incarnation)
        self.stream = site.population.stream(self.name)
        self.site = site
        self.suspects: dict[str, Sight] = {}  # containers that may be stuck by something that it did
        self.looks_around_at = 0.0  # (monotonic seconds) not before does it look for what carries its token
        self._turn = turn
        self._after: str | None = self._somewhere()
        self._idle_s = max(POLL * site.population.second_s, site.population.dispatchers / MOST_POLLS_A_SECOND)

    async def live(self) -> None:
        """Work until all is over."""
        await self.rest(self.stream.uniform(0, POLL))  # nobody starts all its dispatchers at one moment
        while not self.site.over.is_set():
            try:
                busy = await self._turn(self)
            except Unreachable:
                busy = False
            except Crashed:
                await self._start_again()
                continue
            if not busy:
                await self.rest(self.stream.uniform(0.5, 1.5) * self._idle_s / self.site.population.second_s)

    async def rest(self, seconds: float) -> None:
        """Wait for some seconds of its own time."""
        await self.site.rest(seconds)

    async def page(self, **wanted: str | int) -> list[str]:
        """The next page, by uuid, of containers that match; after the last one the first again."""
        sent: dict[str, str | int] = {**wanted, "limit": PAGE}
        if self._after is not None:
            sent["after_uuid"] = self._after
        answer = await self.client.call("list", sent=sent)
        shown = answer.value.found if answer.outcome == "granted" and answer.value is not None else None
        found = shown if isinstance(shown, list) else []
        self._after = answer.last if answer.items >= PAGE else None
        return [uuid for uuid in found if uuid in self.site.own]

    async def look(self, uuid: str) -> Sight | None:
        """How a container looks now; None where that cannot be learnt."""
        answer = await self.client.call("get", uuid)
        return sight_of(answer)

    def suspect(self, uuid: str, sight: Sight | None = None) -> None:
        """Remember a container that may be stuck."""
        self.suspects[uuid] = sight or Sight(None, None, monotonic())

    @property
    def looks_around(self) -> bool:
        """Whether it is time to look for what carries its token and may be stuck.

        Only one that has crashed, or was once not answered, has reason to: what it asked for may take effect at any
        later time, when it has long looked and seen nothing.
        """
        return self.client.incarnation > 1 and monotonic() > self.looks_around_at

    @property
    def grace_s(self) -> float:
        """How long a lock may stand still before its holder counts as dead: longer where the server is slow."""
        return GRACE * self.site.population.second_s + 10 * self.client.slowest_s

    def _somewhere(self) -> str:
        """A place among the uuids to begin to list at, so that not all fall upon the same containers."""
        return f"{self.site.token_uuid[:5]}-dz642-" + "".join(self.stream.choices(_ALPHABET, k=15))

    async def _start_again(self) -> None:
        self.client.event("crash")
        self.client.forget()
        self.suspects.clear()
        self.looks_around_at = 0.0
        await self.rest(RESTART)


def sight_of(answer: Answer) -> Sight | None:
    """What a granted answer shows of a container; None where it shows no state."""
    value = answer.value
    if answer.outcome != "granted" or value is None or value.state not in STATES:
        return None
    return Sight(value.state, value.auth_uuid if isinstance(value.auth_uuid, str) else None, monotonic())
