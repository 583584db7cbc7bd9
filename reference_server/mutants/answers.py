"""Mutants of what is answered: stale reads, lists with holes, errors without shape, and calls that fail."""

import time

from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant
from reference_server.objects import Container
from reference_server.places import Answer, Fetch, Find, Handle
from reference_server.query import Page, Query
from reference_server.stores import Store
from reference_server.wire import Request, Response, error_response

CACHED_S = 0.5


@mutant("fetch", "GET-1", invariant="read_your_writes", seen="Arvados 6f4e3ff911: stale after Cancel")
def read_cache(faithful: Fetch) -> Fetch:
    """A container that was read is read again from a cache for half a second."""
    cache: dict[str, tuple[float, Container]] = {}

    async def fetch(store: Store, uuid: str) -> Container | None:
        since, row = cache.get(uuid, (0.0, None))
        if row is not None and time.monotonic() - since < CACHED_S:
            return row
        found = await faithful(store, uuid)
        if found:
            cache[uuid] = time.monotonic(), found
        return found

    return fetch


@mutant("fetch", "LIVE-1", invariant="no_lost_container", seen="Arvados 1789aa86c5: lost while still Locked")
def requeued_is_missing(faithful: Fetch) -> Fetch:
    """A container that went back into the queue is told to be missing."""

    async def fetch(store: Store, uuid: str) -> Container | None:
        row = await faithful(store, uuid)
        return None if row and row.state == "Queued" and row.lock_count > 0 else row

    return fetch


@mutant("find", "LIST-1", invariant="list_complete", seen="Arvados ddee3839f8: what is beyond a page is ignored")
def list_drops_last(faithful: Find) -> Find:
    """A list leaves out the last container that matches."""

    async def find(store: Store, query: Query) -> Page:
        page = await faithful(store, query)
        return replace(page, rows=page.rows[:-1])

    return find


@mutant("find", "LIST-1", invariant="list_complete")
def list_cache(faithful: Find) -> Find:
    """A list that was asked for is answered again from a cache for half a second."""
    cache: dict[Query, tuple[float, Page]] = {}

    async def find(store: Store, query: Query) -> Page:
        since, page = cache.get(query, (0.0, None))
        if page is not None and time.monotonic() - since < CACHED_S:
            return page
        found = await faithful(store, query)
        cache[query] = time.monotonic(), found
        return found

    return find


@mutant("handle", "ERR-1", invariant="error_shape")
def error_as_text(_: Handle) -> Handle:
    """A refusal is plain text instead of JSON."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        if response.status < 400:
            return response
        return Response(response.status, b"no", content_type="text/plain")

    return handle


@mutant("handle", "ERR-1", invariant="error_shape")
def missing_before_anything(_: Handle) -> Handle:
    """Who sends no token, or a dead one, is told that the container is missing."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        if response.status != 401 or "/containers/" not in request.path:
            return response
        return error_response(404, ("Path not found",), request.request_id)

    return handle


@mutant("handle", "AUTH-6", invariant="no_secret_leak")
def secret_in_error(_: Handle) -> Handle:
    """The error for a token that is not valid repeats the token."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        if response.status != 401 or not request.token:
            return response
        return error_response(401, (f"Not logged in with {request.token}",), request.request_id)

    return handle


@mutant("handle", "ERR-2", invariant="no_server_error", seen="Arvados 149bd293b2: lock timeouts answered by 500")
def refused_lock_is_500(_: Handle) -> Handle:
    """A lock that comes too late is answered by an internal error."""

    async def handle(request: Request, answer: Answer) -> Response:
        response = await answer(request)
        if response.status != 422 or not request.path.endswith("/lock"):
            return response
        return error_response(500, ("lock failed",), request.request_id)

    return handle


@mutant("handle", "UNLOCK-4", invariant="recoverable")
def unlock_by_locker_only(_: Handle) -> Handle:
    """Only the connection that locked a container may unlock it: whoever crashed cannot recover."""
    clients: dict[str, str] = {}

    async def handle(request: Request, answer: Answer) -> Response:
        path, _, verb = request.path.rpartition("/")
        if verb == "unlock" and clients.get(path, request.client) != request.client:
            return error_response(403, ("locked by a different client",), request.request_id)
        response = await answer(request)
        if verb == "lock" and response.status == 200:
            clients[path] = request.client
        return response

    return handle
