"""Targets: what a run can be aimed at, and how each comes to be there."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Protocol

from harness.drive.crew import Crew
from harness.drive.faults import FaultProxy
from harness.drive.line import HttpLine, Line, TargetLost
from harness.drive.messages import Settings
from harness.drive.pace import Pace
from harness.drive.squad import Squad
from harness.drive.supply import Supply
from harness.wire import ARVADOS, Call, Wire

TOKEN_NAMES = ("shared", "stranger")


class TargetRefused(Exception):
    """The target is not there, or it will not have us; the text says which and what to do. Exit code 4."""


class TokenRefused(TargetRefused):
    """The target answers as it should, and does not accept one of the tokens."""


class Caller(NamedTuple):
    """A token that the harness may use: the bare secret and the token's own uuid."""

    secret: str
    uuid: str

    def __repr__(self) -> str:
        return f"Caller({self.uuid})"


@dataclass(frozen=True)
class Endpoint:
    """Where a target answers, and with which secrets."""

    url: str
    secrets: dict[str, str] = field(repr=False)  # token name -> bare secret
    insecure: bool = False
    disposable: bool = False  # nobody will miss the containers that a run leaves behind
    restart: Callable[[], Awaitable[None]] | None = None  # kill -9 and start again, where the harness can do that
    wire: Wire = ARVADOS  # how its API looks
    supply: Supply | None = None  # of fresh containers; unset, its API makes them


class Target(Protocol):
    """Something to aim at."""

    @property
    def name(self) -> str:
        """What reports call it, as it is written after --target."""

    async def open(self) -> Endpoint:
        """Make it answer, where the harness is the one to start it; raises TargetRefused."""

    async def close(self) -> None:
        """End what `open` started."""


@dataclass
class UrlTarget:
    """A server that is there already."""

    url: str
    secrets: dict[str, str] = field(repr=False)
    insecure: bool = False
    restart: Callable[[], Awaitable[None]] | None = None  # how whoever runs it kills it and starts it again
    wire: Wire = ARVADOS
    supply: Supply | None = None

    @property
    def name(self) -> str:
        """Its URL."""
        return self.url

    async def open(self) -> Endpoint:
        """Nothing to start."""
        url = self.url.rstrip("/")
        return Endpoint(url, self.secrets, self.insecure, restart=self.restart, wire=self.wire, supply=self.supply)

    async def close(self) -> None:
        """Nothing to end."""


@dataclass
class OpenTarget:
    """A target that answered, and the tokens that it accepted."""

    name: str
    endpoint: Endpoint
    line: Line
    callers: dict[str, Caller]
    squad: Squad | None = None  # fleet processes, which only a target over HTTP has
    pace: Pace | None = None  # how many requests a second it bears
    cluster: str | None = None  # what uuids that nobody has begin with; unset, as the shared token's own does


@contextlib.asynccontextmanager
async def connected(target: Target, timeout_s: float, pace: Pace | None = None) -> AsyncIterator[OpenTarget]:
    """Open a target and learn whose tokens the dispatch tokens are; on leaving, end all that was started for it.

    Raises TargetRefused where nobody answers, or a token is not accepted.
    """
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(target.close)
        endpoint = await target.open()
        if endpoint.supply is not None:
            endpoint = replace(endpoint, supply=endpoint.supply.at(endpoint.url, endpoint.secrets))
        settings = Settings(endpoint.url, timeout_s, endpoint.insecure, endpoint.wire)
        proxy = FaultProxy(endpoint.url, answer_limit_s=timeout_s, insecure=endpoint.insecure)
        await stack.enter_async_context(proxy)
        line, squad = HttpLine(Crew(settings), proxy, pace, endpoint.wire), Squad(settings)
        stack.callback(line.close)
        stack.callback(squad.close)
        callers = {name: await introduce(line, endpoint, name) for name in TOKEN_NAMES if name in endpoint.secrets}
        if pace is not None and endpoint.restart is not None:
            endpoint = replace(endpoint, restart=partial(_restart_in_turn, endpoint.restart, pace))
        yield OpenTarget(target.name, endpoint, line, callers, squad, pace)


async def _restart_in_turn(restart: Callable[[], Awaitable[None]], pace: Pace) -> None:
    """Restart while nothing else is sent: who looks whether the server is back asks as often as the pace allows."""
    async with pace.room(pace.per_second):
        await restart()


async def introduce(line: Line, endpoint: Endpoint, name: str) -> Caller:
    """Learn whose token one is. Raises TargetRefused where it is not accepted, or nobody answers as the API does."""
    secret = endpoint.secrets[name]
    try:
        exchange = await line.call(0, Call(op="use", token=secret), {})
    except TargetLost as lost:
        hint = "is the server running, and is that its port?"
        if "certificate" in str(lost):
            hint = "give --insecure, or name its authority's file in SSL_CERT_FILE"
        raise TargetRefused(f"{endpoint.url} cannot be reached: {lost}; {hint}") from None
    answer = exchange.answer
    if answer.outcome in {"unauthenticated", "forbidden"}:
        option = "--token" if name == "shared" else "--token2"
        raise TokenRefused(
            f"{endpoint.url} refused the {name} token ({exchange.status}): check {option} or the token file"
        )
    if answer.outcome != "granted" or answer.value is None or not isinstance(answer.value.auth_uuid, str):
        expected, hint = f"the profile {endpoint.wire.profile} says", ""
        if endpoint.wire is ARVADOS:
            expected, hint = "the Arvados API does", "; if it says the same in other words, tell which with --profile"
        seen = f"status {exchange.status}" if exchange.status else exchange.failure or answer.outcome
        raise TargetRefused(
            f"{endpoint.url} does not answer as {expected}: asked whose the {name} token is, it gave {seen}{hint}"
        )
    return Caller(secret, answer.value.auth_uuid)
