"""How a call looks on the wire: headers, query, form or JSON in; status, JSON and headers out.

Carries what real clients send: `Bearer` and `OAuth2`, `api_token` in query or form, JSON inside one form field,
`container[state]=Locked`, attributes without their wrapper, a method in `_method` or `X-HTTP-Method-Override`, empty
bodies of any kind.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, field

LARGEST_BODY_BYTES = 1_048_576
BODY_TIMEOUT_S = 30.0
LARGEST_URL_BYTES = 32_768
MOST_PARAMETERS = 200
DEEPEST = 100  # lists and objects in each other, of an attribute
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Headers = list[tuple[bytes, bytes]]

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class WireError(ValueError):
    """The call cannot be understood."""

    def __init__(self, text: str, status: int = 422) -> None:
        super().__init__(text)
        self.status = status


class GoneError(Exception):
    """The client left before all of its request was here: what it wanted is not known, so nothing is done."""


class Request(Struct):
    """One call, as far as it is understood before anyone asks who calls."""

    method: str
    path: str  # decoded, without trailing slash and `.json`
    query: dict[str, str]
    form: dict[str, str]
    content_type: str
    body: bytes
    token: str | None
    request_id: str
    run_auth: str | None = None
    client: str = ""  # address and port of the other end
    root_url: str = "/"  # where the client reached this server

    def parameters(self) -> dict[str, object]:
        """Query, form or JSON body as one dict; raises WireError where the body is not what it says it is."""
        merged: dict[str, object] = {**self.query, **self.form}
        if self.content_type == JSON and self.body.strip():
            merged.update(_json_object(self.body))
        return merged


class Response(Struct):
    """One answer. `content` is JSON to be, or bytes that go out as they are."""

    status: int
    content: Any
    headers: Headers = field(default_factory=list)
    content_type: str = "application/json; charset=utf-8"
    is_chunked: bool = False

    def body(self) -> bytes:
        """The bytes of the answer."""
        return self.content if isinstance(self.content, bytes) else msgspec.json.encode(self.content)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises WireError beyond its limits of size and time, GoneError where its rest will not come."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" and _has_body(scope):
                    raise GoneError
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > LARGEST_BODY_BYTES:
                    raise WireError("body is too large", 413)
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise WireError("body did not come in time", 408) from None
    return b"".join(chunks)


def _has_body(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0 ") != b""


def make_request(scope: Scope, body: bytes) -> Request:
    """The call behind an ASGI scope and its body. Raises WireError where it is larger than any client's."""
    raw_query = scope["query_string"]
    if len(raw_query) + len(scope["path"]) > LARGEST_URL_BYTES:
        raise WireError("URL is too long", 414)
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    content_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    query = _pairs(raw_query.decode("latin-1")) if raw_query else {}
    form = _pairs(body.decode("utf-8", "replace")) if body and content_type == FORM else {}
    client = scope.get("client") or ("", 0)
    return Request(
        method=_method(scope["method"], headers.get(b"x-http-method-override"), form),
        path=_path(scope["path"]),
        query=query,
        form=form,
        content_type=content_type,
        body=body,
        token=_token(headers.get(b"authorization"), query, form),
        request_id=_request_id(headers.get(b"x-request-id")),
        run_auth=headers.get(b"x-run-auth"),
        client=f"{client[0]}:{client[1]}",
        root_url=f"{scope['scheme']}://{_host(headers.get(b'host'))}/",
    )


def decoded(parameters: dict[str, object], name: str) -> object:
    """A parameter that is JSON where it comes as text; the text itself where it is not JSON."""
    value = parameters.get(name)
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def select_of(parameters: dict[str, object]) -> list[str] | None:
    """The attributes that the answer is to be cut to, if the call says so."""
    names = decoded(parameters, "select")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError('#<ArgumentError: Could not parse "select" param as an array>')
    return names


def attributes_of(parameters: dict[str, object], known: tuple[str, ...]) -> dict[str, object]:
    """The container attributes that a create or update sends, wrapped or bare.

    Numbers may come as text from a form. Raises WireError for an attribute that containers do not have.
    """
    wrapped: object = parameters.get("container")
    if wrapped is None:
        wrapped = {
            name[len("container[") : -1]: value
            for name, value in parameters.items()
            if name.startswith("container[") and name.endswith("]")
        } or {name: value for name, value in parameters.items() if name in known}
    if isinstance(wrapped, str):
        try:
            wrapped = msgspec.json.decode(wrapped)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WireError(f"container parameter is not JSON: {error}") from None
    if not isinstance(wrapped, dict):
        raise WireError("#<ArgumentError: No container hash provided with request>")
    _check_depth(wrapped)
    for name in wrapped:
        if name not in known:
            raise WireError(f"#<ActiveModel::UnknownAttributeError: unknown attribute '{name[:100]}' for Container.>")
    return {name: _number(name, value) for name, value in wrapped.items()}


def error_response(status: int, errors: tuple[str, ...], request_id: str) -> Response:
    """ERR-1: the one shape of all refusals."""
    texts = [f"{text} ({request_id})" for text in errors]
    return Response(status, {"errors": texts, "error_token": f"{int(time.time())}+{secrets.token_hex(4)}"})


def _pairs(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MOST_PARAMETERS))
    except ValueError:
        raise WireError(f"More than {MOST_PARAMETERS} parameters") from None


def _path(path: str) -> str:
    return path.removesuffix("/").removesuffix(".json")


def _method(method: str, override: str | None, form: dict[str, str]) -> str:
    if method != "POST":
        return method
    return (override or form.get("_method") or method).upper()


def _token(authorization: str | None, query: dict[str, str], form: dict[str, str]) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    if scheme in ("Bearer", "OAuth2") and token.strip():
        return token.strip()
    return query.get("api_token") or form.get("api_token")


def _host(given: str | None) -> str:
    return given if given and _HOST.fullmatch(given) else "localhost"


def _request_id(given: str | None) -> str:
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return f"req-{secrets.token_hex(10)}"


def _json_object(body: bytes) -> dict[str, object]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError("body is not a JSON object")
    return value


def _check_depth(value: object) -> None:
    """Refuse what nests so deeply that those who walk through it would not come back."""
    layer = [value]
    for _ in range(DEEPEST):
        if not layer:
            return
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    if layer:
        raise WireError(f"#<ArgumentError: nested more than {DEEPEST} deep>")


def _number(name: str, value: object) -> object:
    if name in ("priority", "lock_count", "exit_code") and isinstance(value, str) and re.fullmatch(r"\d{1,19}", value):
        return int(value)
    return value
