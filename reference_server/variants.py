"""Variants: the reference server doing something else that the contract leaves open. None may ever be accused.

A variant's level is the highest at which what it does is still open.
"""

import asyncio

from msgspec.structs import replace

from reference_server.departures import Catalogue
from reference_server.objects import Container, container_record
from reference_server.places import Answer, Find, Handle, Show
from reference_server.places import Change as ChangePlace
from reference_server.query import Page, Query
from reference_server.rules import FOREIGN, HELD, Call, Change, Decision, Refusal, Rule, locked, refused, unlocked
from reference_server.stores import Store
from reference_server.updates import changed
from reference_server.wire import Request, Response, error_response

VARIANTS = Catalogue("variant")
variant = VARIANTS.add

SLOWNESS_S = 0.02
MOST_LISTED = 3


@variant("unlock", "UNLOCK-5", seen="Arvados until 2019-06")
def foreign_unlock_422(faithful: Rule) -> Rule:
    """Unlock with a different token is refused by 422 instead of forbidden by 403."""

    def unlock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return refused(*FOREIGN.errors) if decision == FOREIGN else decision

    return unlock


@variant("unlock", "UNLOCK-5", seen="Arvados 2016-10 to 2017-05")
def foreign_unlock_allowed(faithful: Rule) -> Rule:
    """Unlock with a different dispatch token is granted, as #9898 allows."""

    def unlock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return unlocked(row, call) if decision == FOREIGN and call.caller.is_admin else decision

    return unlock


@variant("update", "STATE-1", "arvados")
def same_state_refused(faithful: Rule) -> Rule:
    """An update to the state that the container is in already is refused."""

    def update(row: Container, call: Call) -> Decision:
        if call.attributes.get("state") == row.state and not changed(row, call.attributes):
            return refused(f"State is {row.state} already")
        return faithful(row, call)

    return update


@variant("update", "STATE-3", "arvados", seen="Arvados 2016: another token could change the priority and nothing else")
def other_admin_refused(faithful: Rule) -> Rule:
    """While a container is held, only its holder may change its state by an update."""

    def update(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        is_other = row.state in HELD and call.caller.uuid not in (row.locked_by_uuid, row.auth_uuid)
        if is_other and isinstance(decision, Change) and decision.after.state != row.state:
            return refused(f"State cannot be modified in state '{row.state}' by a different token")
        return decision

    return update


@variant("update", "STATE-1", seen="Arvados until 2019-04")
def complete_is_final(faithful: Rule) -> Rule:
    """A Complete container cannot be cancelled."""

    def update(row: Container, call: Call) -> Decision:
        if row.state == "Complete" and call.attributes.get("state") == "Cancelled":
            return refused("State cannot change from Complete to Cancelled")
        return faithful(row, call)

    return update


@variant("lock", "LOCK-4", seen="Arvados until 2017-05, where a user asked for it")
def priority_zero_locked(faithful: Rule) -> Rule:
    """Lock at priority 0 is granted."""

    def lock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        is_open = isinstance(decision, Refusal) and row.state == "Queued" and row.priority == 0
        return locked(row, call) if is_open and call.caller.is_admin else decision

    return lock


@variant("unlock", "UNLOCK-6", "arvados", seen="Arvados until 2019-02")
def no_attempt_limit(faithful: Rule) -> Rule:
    """Unlock never cancels, however often the container was locked."""

    def unlock(row: Container, call: Call) -> Decision:
        return faithful(row, replace(call, max_dispatch_attempts=None))

    return unlock


@variant("unlock", "UNLOCK-6", "arvados")
def two_attempts(faithful: Rule) -> Rule:
    """The second unlock of a container cancels it."""

    def unlock(row: Container, call: Call) -> Decision:
        return faithful(row, replace(call, max_dispatch_attempts=2))

    return unlock


@variant("unlock", "UNLOCK-6", "arvados")
def one_attempt(faithful: Rule) -> Rule:
    """Every unlock cancels: a container is tried once."""

    def unlock(row: Container, call: Call) -> Decision:
        return faithful(row, replace(call, max_dispatch_attempts=1))

    return unlock


@variant("show_lock", "LOCK-5", "arvados", seen="Arvados until 2017-05")
def whole_records(_: Show) -> Show:
    """Lock and unlock answer the whole record."""
    return container_record


@variant("show_lock", "LOCK-5")
def empty_answers(_: Show) -> Show:
    """Lock and unlock answer an empty object: whoever wants to know more reads the container."""
    return lambda _: {}


@variant("change", "LOCK-5")
def answers_from_before(faithful: ChangePlace) -> ChangePlace:
    """Lock, unlock and update answer the record as it was before they changed it."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        def from_before(row: Container, call: Call) -> Decision:
            decision = rule(row, call)
            return replace(decision, shown=row) if isinstance(decision, Change) else decision

        return await faithful(store, uuid, from_before, call)

    return change


@variant("show", "GET-1 LIST-1", "arvados")
def extra_fields(faithful: Show) -> Show:
    """Records have fields that no one knows."""
    return lambda row: {"colour": "green", "nested": {"uuid": [1, None]}, **faithful(row)}


@variant("handle", "LIVE-1", "arvados")
def slow(_: Handle) -> Handle:
    """Every answer waits a little, some longer than others."""
    calls = iter(range(10**12))

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        await asyncio.sleep(SLOWNESS_S * (1 + next(calls) % 3))
        return response

    return handle


@variant("handle", "ERR-1", "arvados")
def closes_connections(_: Handle) -> Handle:
    """Every answer ends its connection."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        response.headers.append((b"connection", b"close"))
        return response

    return handle


@variant("handle", "ERR-1", "arvados")
def chunked(_: Handle) -> Handle:
    """Answers come in chunks, without a Content-Length."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        response.is_chunked = True
        return response

    return handle


@variant("handle", "LIVE-1", "arvados")
def turns_away(_: Handle) -> Handle:
    """Every tenth call is turned away by 429, before anything is done about it."""
    calls = iter(range(10**12))

    async def handle(request: Request, answer: Answer) -> Response:
        if next(calls) % 10 == 9:
            return error_response(429, ("Too many requests",), request.request_id)
        return await answer(request)

    return handle


@variant("find", "LIST-1", "arvados")
def short_pages(faithful: Find) -> Find:
    """A list answers three at a time at most, whatever limit was asked for."""

    async def find(store: Store, query: Query) -> Page:
        return await faithful(store, replace(query, limit=min(query.limit, MOST_LISTED)))

    return find
