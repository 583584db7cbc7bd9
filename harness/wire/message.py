"""The four nouns of the seam: a Call is encoded as a Request, a Reply is classified as an Answer."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from harness.contract import Outcome
from harness.history import Shown

Failure = Literal["unreachable", "timeout", "reset", "garbled"]
"""Why there is no answer: never sent, none in time, cut off, or not HTTP. All but the first may have happened."""


class Call(Struct, frozen=True, kw_only=True):
    """What a dispatcher wants, in the contract's words. Holds secrets: never log it."""

    op: str
    token: str  # the secret to present, as the client would spell it
    uuid: str | None = None  # of the container
    sent: Mapping[str, Any] | None = None  # attributes of a create or update; of a list the fields it asks for
    run_auth: str | None = None

    def __repr__(self) -> str:
        return f"Call({self.op} {self.uuid or ''})"


class Request(Struct, frozen=True):
    """One HTTP request, complete before it is released. Holds secrets: never log it."""

    method: str
    path: str  # with the query
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request({self.method})"


class Reply(Struct, frozen=True, kw_only=True):
    """What came back: times in ns of CLOCK_MONOTONIC, and either a status or a failure."""

    invoke_ns: int
    return_ns: int
    release_ns: int | None = None
    pid: int = 0
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    failure: Failure | None = None
    detail: str | None = None  # what is behind a failure, for a person

    def header(self, name: str) -> str | None:
        """The first header of that name (lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Answer(Struct, frozen=True, kw_only=True):
    """A reply in the contract's words. `secret` and `run_auth` are bare secrets: hash them before they are stored."""

    outcome: Outcome
    value: Shown | None = None
    errors: list[str] | None = None
    problem: str | None = None
    leaked: list[str] | None = None
    secret: str | None = None
    run_auth: str | None = None
    items: int = 0  # of a page of a listing, also those that were not asked for and had to be left out
    last: str | None = None  # of a page of a listing: the uuid after which the next one begins

    def __repr__(self) -> str:
        return f"Answer({self.outcome})"
