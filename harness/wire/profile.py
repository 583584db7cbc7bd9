"""A profile: how one implementation of the API looks on the wire, as data; all that a server may call otherwise."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from harness.contract import Outcome
from harness.wire.places import Place

ATTRIBUTES = "{attributes}"
"""What stands in a body for the attributes of a create or update; `{uuid}` stands for the container's in any text."""


class Matcher(Struct, frozen=True, kw_only=True):
    """An outcome, and all that must be true of an answer for it to be that."""

    outcome: Outcome
    statuses: frozenset[int] | None = None  # None: any
    headers: tuple[tuple[str, str | None], ...] = ()  # a name in lower case, and its value; None: any
    values: tuple[tuple[Place, Any], ...] = ()  # of the JSON; UNSET: there, whatever it is
    text: str | None = None  # what the body holds


class CallProfile(Struct, frozen=True, kw_only=True):
    """How one call is sent, and where its answer holds what."""

    method: str
    path: str  # with {uuid}
    body: Any = None  # JSON; None: no body
    query: Mapping[str, str] | None = None  # of a listing, with {state} and the like; None: Arvados's filters
    headers: Mapping[str, str] = {}
    attributes: Mapping[str, Any] = {}  # sent in addition to what is asked for
    answer: Place | None = ()  # of the record in a granted answer; None: it holds none
    outcomes: tuple[Matcher, ...] = ()  # tried before those of the profile


class TokenProfile(Struct, frozen=True, kw_only=True):
    """How a token is presented: in a header, or in the query."""

    header: str | None = "Authorization"
    value: str = "Bearer {token}"
    query: str | None = None
    v2: bool = True  # whether it may also be spelled v2/UUID/SECRET


class Profile(Struct, frozen=True, kw_only=True):
    """How an implementation looks. Its defaults are what no server is likely to change; the rest is in `arvados`."""

    name: str
    calls: Mapping[str, CallProfile]
    fields: Mapping[str, Place | None]  # of the contract's names; None: it is not sent (errors: none are told)
    outcomes: tuple[Matcher, ...]  # tried in this order; what none of them matches is garbled
    states: Mapping[str, tuple[str, ...]] = {}  # what each is called, the first is sent; empty: as in the contract
    headers: Mapping[str, str] = {}
    token: TokenProfile = TokenProfile()
    request_id: str = "X-Request-Id"
    run_auth: str = "X-Run-Auth"

    def __str__(self) -> str:
        return self.name
