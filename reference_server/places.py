"""The named places of the faithful server: where a mutant or a variant may depart from it.

Everything that the contract fixes happens at one of these. The faithful server is `Places()`; a departure replaces
one function by one that is built from it, so that what a departure changes can be read in a few lines.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from reference_server import rules, updates
from reference_server.objects import (
    Container,
    Token,
    container_record,
    hash_of,
    lock_record,
    new_secret,
    new_token_uuid,
    now,
)
from reference_server.query import Page, Query
from reference_server.rules import Call, Decision, Rule
from reference_server.stores import Store
from reference_server.wire import Request, Response

Change = Callable[[Store, str, Rule, Call], Awaitable[Decision | None]]
FindToken = Callable[[str], Awaitable[Token | None]]  # by the hash of its secret
Authenticate = Callable[[FindToken, str], Awaitable[Token | None]]
Fetch = Callable[[Store, str], Awaitable[Container | None]]
Find = Callable[[Store, Query], Awaitable[Page]]
FetchAuth = Callable[[Store, str], Awaitable[tuple[Container, Token | None] | None]]
Answer = Callable[[Request], Awaitable[Response]]
Handle = Callable[[Request, Answer], Awaitable[Response]]
Show = Callable[[Container], dict[str, object]]
Issue = Callable[[str], Token]
OpenStore = Callable[[Store], Awaitable[Store]]


async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
    """LOCK-3, STATE-4: the rule runs on the row while no other change can come in between."""
    return await store.change(uuid, lambda row: rule(row, call))


async def authenticate(find_token: FindToken, presented: str) -> Token | None:
    """ERR-1, UNLOCK-3, AUTH-5: the live token that was presented, in any of its spellings."""
    uuid, secret, container_uuid = spelled(presented)
    token = await find_token(hash_of(secret))
    if token is None or not hmac.compare_digest(token.secret.encode(), secret.encode()):
        return None
    if uuid is not None and token.uuid != uuid:
        return None
    if container_uuid is not None and token.container_uuid not in (None, container_uuid):
        return None
    is_expired = token.expires_at is not None and token.expires_at <= now()
    return None if is_expired or not token.is_active else token


def spelled(presented: str) -> tuple[str | None, str, str | None]:
    """uuid, secret and container uuid of a token as sent: `SECRET` or `v2/UUID/SECRET[/CONTAINER_UUID]`."""
    if not presented.startswith("v2/"):
        return None, presented, None
    parts = presented.split("/")
    return parts[1], parts[2] if len(parts) > 2 else "", parts[3] if len(parts) > 3 else None


def issue(row_uuid: str) -> Token:
    """AUTH-3: a container auth with a name and a secret that were never used before."""
    return Token(uuid=new_token_uuid(), secret=new_secret(), container_uuid=row_uuid, created_at=now())


async def fetch(store: Store, uuid: str) -> Container | None:
    """GET-1: the container as it is now."""
    return await store.container(uuid)


async def fetch_auth(store: Store, uuid: str) -> tuple[Container, Token | None] | None:
    """AUTH-4: the container and its auth, as both are at one moment."""
    return await store.container_and_auth(uuid)


async def find(store: Store, query: Query) -> Page:
    """LIST-1: all that match, as they are at one moment."""
    return await store.find(query)


async def handle(request: Request, answer: Answer) -> Response:
    """ERR-1, ERR-2: each call gets the answer that the server works out for it."""
    return await answer(request)


async def open_store(store: Store) -> Store:
    """DUR-1: the store that was asked for, ready."""
    await store.open()
    return store


@dataclass(frozen=True)
class Places:
    """All places with what happens there."""

    lock: Rule = rules.lock
    unlock: Rule = rules.unlock
    update: Rule = updates.update
    read_auth: Rule = rules.read_auth
    change: Change = change
    authenticate: Authenticate = authenticate
    issue: Issue = issue
    fetch: Fetch = fetch
    fetch_auth: FetchAuth = fetch_auth
    find: Find = find
    show: Show = field(default=container_record)
    show_lock: Show = field(default=lock_record)
    handle: Handle = handle
    open_store: OpenStore = open_store
