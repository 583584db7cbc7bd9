"""The ASGI application: from a request to a rule, and from its decision to an answer."""

import re
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from reference_server.discovery import discovery_document
from reference_server.objects import (
    CONTAINER_ATTRIBUTES,
    Container,
    Token,
    hash_of,
    new_container_uuid,
    new_secret,
    now,
    token_record,
    user_record,
)
from reference_server.openapi import openapi_document
from reference_server.places import Places
from reference_server.query import BadQueryError, make_query
from reference_server.rules import MISSING, Call, Decision, Refusal, Rule, Verb, read
from reference_server.stores import Store, StoreError
from reference_server.updates import creation_errors
from reference_server.wire import (
    GoneError,
    Receive,
    Request,
    Response,
    WireError,
    attributes_of,
    decoded,
    error_response,
    make_request,
    read_body,
    select_of,
)

PREFIX = "/arvados/v1/"
CONTAINER_UUID = re.compile(r"[0-9a-z]{5}-dz642-[0-9a-z]{15}")

SELECTABLE = frozenset((*CONTAINER_ATTRIBUTES, "kind", "etag"))

Send = Callable[[dict[str, Any]], Awaitable[None]]
Handler = Callable[["App", Request, Token, str], Awaitable[Response]]


@dataclass(frozen=True)
class Behaviour:
    """How this server is to behave, where the contract or an option leaves it open."""

    places: Places = field(default_factory=Places)
    max_dispatch_attempts: int | None = 10
    with_run_auth: bool = False
    with_access_log: bool = False
    stamps_arrivals: bool = False


class App:
    """The application over one store. Callable as ASGI; holds nothing but the store and its behaviour."""

    def __init__(self, store: Store, tokens: list[Token], behaviour: Behaviour) -> None:
        self.store = store
        self.tokens = tokens
        self.configured = {hash_of(token.secret): token for token in tokens}
        self.behaviour = behaviour
        self.places = behaviour.places

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def start(self) -> None:
        """Open the store and make the configured tokens known."""
        self.store = await self.places.open_store(self.store)
        await self.store.add([], self.tokens)

    async def find_token(self, secret_hash: str) -> Token | None:
        """The token with this secret. Configured ones never change, so no one asks the database for them."""
        return self.configured.get(secret_hash) or await self.store.token(secret_hash)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            print(f"reference_server: cannot open the database: {error}", file=sys.stderr)
            await send({"type": "lifespan.startup.failed"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        arrival_ns = time.monotonic_ns()
        request = None
        try:
            request = make_request(scope, await read_body(scope, receive))
            response = await self.places.handle(request, self._answer)
        except GoneError:
            return
        except WireError as error:
            response = error_response(error.status, (str(error),), request.request_id if request else "req-none")
        if request:
            response.headers.append((b"x-request-id", request.request_id.encode()))
        if self.behaviour.stamps_arrivals:
            response.headers.append((b"x-arrival-ns", str(arrival_ns).encode()))
        if self.behaviour.with_access_log and request:
            _log(request, response, arrival_ns)
        await _send(send, response, is_head=scope["method"] == "HEAD")

    async def _answer(self, request: Request) -> Response:
        """The answer to one call; what goes wrong in the server itself is told as a 500 without its details."""
        try:
            return await self._dispatch(request)
        except WireError as error:
            return error_response(error.status, (str(error),), request.request_id)
        except BadQueryError as error:
            return error_response(422, (f"#<ArgumentError: {error}>",), request.request_id)
        except StoreError as error:
            print(f"reference_server: {error} ({request.request_id})", file=sys.stderr)
            return error_response(500, ("the database did not do what was asked",), request.request_id)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            print(f"reference_server: {type(error).__name__} at {place} ({request.request_id})", file=sys.stderr)
            return error_response(500, ("internal error",), request.request_id)

    async def _dispatch(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(200, b"", content_type="text/plain; charset=utf-8")
        if request.path in PUBLIC and request.method in ("GET", "HEAD"):
            return Response(200, PUBLIC[request.path](request.root_url))
        route = find_route(request)
        if route is None:
            return error_response(404, MISSING.errors, request.request_id)
        handler, uuid = route
        caller = await self.places.authenticate(self.find_token, request.token) if request.token else None
        if caller is None:
            return error_response(401, ("Not logged in",), request.request_id)
        if not in_scope(caller, request):
            return error_response(403, ("Forbidden",), request.request_id)
        if "\0" in uuid:
            return error_response(422, ("#<ArgumentError: string contains null byte>",), request.request_id)
        return await handler(self, request, caller, uuid)

    def call_of(
        self, verb: Verb, request: Request, caller: Token, uuid: str, attributes: dict[str, object] | None = None
    ) -> Call:
        """What a rule has to know of this call."""
        return Call(
            verb=verb,
            caller=caller,
            now=now(),
            fresh=self.places.issue(uuid),
            max_dispatch_attempts=self.behaviour.max_dispatch_attempts,
            with_run_auth=self.behaviour.with_run_auth,
            run_auth=request.run_auth,
            fresh_run_auth=new_secret() if self.behaviour.with_run_auth else "",
            attributes=attributes or {},
        )

    async def change(self, rule: Rule, uuid: str, call: Call) -> Decision:
        """The decision about one change, made and kept."""
        return await self.places.change(self.store, uuid, rule, call) or MISSING


async def list_containers(app: App, request: Request, caller: Token, _: str) -> Response:
    """GET containers: LIST-1."""
    parameters = request.parameters()
    names = ("filters", "where", "order", "limit", "offset")
    asked = {name: decoded(parameters, name) for name in names} | {"count": parameters.get("count", "exact")}
    query = make_query(asked, caller)
    select = select_of(parameters)
    for name in select or []:
        if name not in SELECTABLE:
            raise BadQueryError(f"Invalid attribute '{name[:100]}' of Container in select parameter")
    page = await app.places.find(app.store, query)
    items = [cut(app.places.show(row), select and [*select, "kind"]) for row in page.rows]
    answer = {
        "kind": "arvados#containerList",
        "etag": "",
        "self_link": "",
        "offset": query.offset,
        "limit": query.limit,
        "items": items,
    }
    if page.available is not None:
        answer["items_available"] = page.available
    return Response(200, answer)


async def create_container(app: App, request: Request, caller: Token, _: str) -> Response:
    """POST containers: a Queued container that its creator asks for."""
    attributes = attributes_of(request.parameters(), CONTAINER_ATTRIBUTES)
    errors = creation_errors(attributes)
    if errors:
        return error_response(422, tuple(errors), request.request_id)
    if not caller.is_admin:
        return error_response(403, ("Forbidden",), request.request_id)
    select = known_select(request)
    details = {name: value for name, value in attributes.items() if name not in ("priority", "state", "owner_uuid")}
    row = Container(
        uuid=new_container_uuid(),
        state="Queued",
        priority=int(str(attributes.get("priority", 0))),
        requested_by_uuid=caller.user_uuid,
        created_at=now(),
        modified_at=now(),
        details=msgspec.json.encode(details).decode(),
    )
    await app.store.add([row], [])
    return Response(200, cut(app.places.show(row), select))


async def get_container(app: App, request: Request, caller: Token, uuid: str) -> Response:
    """GET a container: GET-1."""
    row = await app.places.fetch(app.store, uuid)
    decision = read(row, app.call_of("get", request, caller, uuid)) if row else MISSING
    return whole(app, request, decision)


async def update_container(app: App, request: Request, caller: Token, uuid: str) -> Response:
    """PUT or PATCH a container: STATE-1 to STATE-4."""
    attributes = attributes_of(request.parameters(), CONTAINER_ATTRIBUTES)
    known_select(request)  # refused before anything changes
    call = app.call_of("update", request, caller, uuid, attributes)
    return whole(app, request, await app.change(app.places.update, uuid, call))


async def lock_container(app: App, request: Request, caller: Token, uuid: str) -> Response:
    """POST lock: LOCK-1 to LOCK-6."""
    request.parameters()
    call = app.call_of("lock", request, caller, uuid)
    return brief(app, request, await app.change(app.places.lock, uuid, call))


async def unlock_container(app: App, request: Request, caller: Token, uuid: str) -> Response:
    """POST unlock: UNLOCK-1 to UNLOCK-6."""
    request.parameters()
    call = app.call_of("unlock", request, caller, uuid)
    return brief(app, request, await app.change(app.places.unlock, uuid, call))


async def get_auth(app: App, request: Request, caller: Token, uuid: str) -> Response:
    """GET auth: AUTH-1, AUTH-2, AUTH-4."""
    found = await app.places.fetch_auth(app.store, uuid)
    if found is None:
        return error_response(404, MISSING.errors, request.request_id)
    row, token = found
    decision = app.places.read_auth(row, app.call_of("auth", request, caller, uuid))
    if isinstance(decision, Refusal) or token is None:
        refusal = decision if isinstance(decision, Refusal) else MISSING
        return error_response(refusal.status, refusal.errors, request.request_id)
    return Response(200, token_record(token))


async def current_container(app: App, request: Request, caller: Token, _: str) -> Response:
    """GET containers/current: a container auth's own container."""
    row = await app.store.container_of_auth(caller.uuid)
    if row is None:
        return error_response(404, ("Token is not associated with a container.",), request.request_id)
    return Response(200, cut(app.places.show(row), select_of(request.parameters())))


async def current_token(_: App, request: Request, caller: Token, __: str) -> Response:
    """GET api_client_authorizations/current: what it means to use a token."""
    return Response(200, cut(token_record(caller), select_of(request.parameters())))


async def current_user(_: App, request: Request, caller: Token, __: str) -> Response:
    """GET users/current."""
    return Response(200, cut(user_record(caller), select_of(request.parameters())))


ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "containers"): list_containers,
    ("POST", "containers"): create_container,
    ("GET", "containers/current"): current_container,
    ("GET", "containers/UUID"): get_container,
    ("PUT", "containers/UUID"): update_container,
    ("PATCH", "containers/UUID"): update_container,
    ("POST", "containers/UUID/lock"): lock_container,
    ("POST", "containers/UUID/unlock"): unlock_container,
    ("GET", "containers/UUID/auth"): get_auth,
    ("GET", "api_client_authorizations/current"): current_token,
    ("GET", "users/current"): current_user,
}

PUBLIC: dict[str, Callable[[str], object]] = {
    "/discovery/v1/apis/arvados/v1/rest": discovery_document,
    "/openapi": openapi_document,  # a path's `.json` is cut off before it comes here
}


def find_route(request: Request) -> tuple[Handler, str] | None:
    """The handler of a call, and the uuid that its path names ("" if none)."""
    if not request.path.startswith(PREFIX):
        return None
    method = "GET" if request.method == "HEAD" else request.method
    path = request.path[len(PREFIX) :]
    if handler := ROUTES.get((method, path)):
        return handler, ""
    parts = path.split("/")
    if parts[0] != "containers" or len(parts) not in (2, 3):
        return None
    handler = ROUTES.get((method, "/".join(["containers", "UUID", *parts[2:]])))
    return handler and (handler, parts[1])


def in_scope(caller: Token, request: Request) -> bool:
    """Whether the token's scopes let it make this call: all, none, or a method with the beginning of a path."""
    scopes = msgspec.json.decode(caller.scopes)
    if "all" in scopes or request.path == PREFIX + "api_client_authorizations/current":
        return True
    wanted = f"{request.method} {request.path}"
    return any(wanted == scope or (scope.endswith("/") and wanted.startswith(scope)) for scope in scopes)


def whole(app: App, request: Request, decision: Decision) -> Response:
    """The answer that shows the whole record, or as much as `select` asks for."""
    if isinstance(decision, Refusal):
        return error_response(decision.status, decision.errors, request.request_id)
    record = cut(app.places.show(decision.shown or decision.after), select_of(request.parameters()))
    return Response(200, record | ({"run_auth": decision.run_auth} if decision.run_auth else {}))


def brief(app: App, request: Request, decision: Decision) -> Response:
    """The answer to lock and unlock: five fields, whatever `select` says."""
    if isinstance(decision, Refusal):
        return error_response(decision.status, decision.errors, request.request_id)
    record = app.places.show_lock(decision.shown or decision.after)
    return Response(200, record | ({"run_auth": decision.run_auth} if decision.run_auth else {}))


def known_select(request: Request) -> list[str] | None:
    """What the answer is to be cut to; WireError where nothing would be left of a container."""
    select = select_of(request.parameters())
    cut(dict.fromkeys(SELECTABLE), select)
    return select


def cut(record: dict[str, object], select: list[str] | None) -> dict[str, object]:
    """The record with the selected attributes only; unknown names are passed over, but one must be known."""
    if select is None:
        return record
    kept = {name: value for name, value in record.items() if name in select}
    if not kept:
        raise WireError("#<ArgumentError: Attribute selection list cannot be empty>")
    return kept


async def _send(send: Send, response: Response, is_head: bool) -> None:
    body = response.body()
    headers = [(b"content-type", response.content_type.encode()), *response.headers]
    if not response.is_chunked:
        headers.append((b"content-length", str(len(body)).encode()))
    body = b"" if is_head else body
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.is_chunked and len(body) > 1:
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        body = body[len(body) // 2 :]
    await send({"type": "http.response.body", "body": body})


def _log(request: Request, response: Response, arrival_ns: int) -> None:
    """One line on standard error. A path is shown only where it is nothing but known words and a container's uuid."""
    words = [
        part if CONTAINER_UUID.fullmatch(part) or re.fullmatch(r"[a-z_]{2,30}|v1", part) else "?"
        for part in request.path.split("/")[1:]
    ]
    duration_ms = (time.monotonic_ns() - arrival_ns) / 1e6
    line = (
        f"{now()} {request.request_id} {request.method[:10]} /{'/'.join(words)} {response.status} {duration_ms:.1f} ms"
    )
    print(line, file=sys.stderr)
