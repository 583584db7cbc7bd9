"""A server that keeps the contract in other words: the reference server behind other paths, names and statuses.

`python leases_server.py --port 8000 [--mutant NAME] [--database FILE]`; tokens as those of the reference server.
"""

import json
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn

from reference_server import asgi, serving
from reference_server.options import options_of, parser

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BASE = "/arvados/v1"
_STATES = {"Queued": "waiting", "Locked": "leased", "Running": "started", "Complete": "done", "Cancelled": "dropped"}
_STATE_OF = {called: state for state, called in _STATES.items()}
_NAMES = {"status": "state", "rank": "priority", "image": "container_image", "id": "uuid"}
_JOB = re.compile(r"/v2/jobs/([^/]+)(?:/(lease|credential))?")
_INNER = {
    ("GET", None): ("GET", ""),
    ("PATCH", None): ("PUT", ""),
    ("PUT", "lease"): ("POST", "/lock"),
    ("DELETE", "lease"): ("POST", "/unlock"),
    ("GET", "credential"): ("GET", "/auth"),
}


class Leases:
    """The application that speaks other words; `inner` is the one that knows the contract."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path = scope.get("raw_path", scope["path"].encode()).decode().partition("?")[0]
        asked = self._asked(scope["method"], path, scope["query_string"].decode(), await _body(receive))
        if asked is None:
            await _answer(send, 404, {"error": {"code": "no_such_thing", "messages": ["there is nothing here"]}})
            return
        method, inner_path, query, body = asked
        status, told = await self._ask(scope, method, inner_path, query, body)
        await _answer(send, *_reworded(path, scope["method"], status, told))

    def _asked(self, method: str, path: str, query: str, body: bytes) -> tuple[str, str, str, bytes] | None:
        """Method, path, query and body as the inner application wants them."""
        if (method, path) == ("GET", "/v2/whoami"):
            return "GET", f"{_BASE}/api_client_authorizations/current", "", b""
        if (method, path) == ("POST", "/v2/jobs"):
            return "POST", f"{_BASE}/containers", "", _attributes(_json(body))
        if (method, path) == ("GET", "/v2/jobs"):
            return "GET", f"{_BASE}/containers", _filters(dict(parse_qsl(query))), b""
        job = _JOB.fullmatch(path)
        inner = None if job is None else _INNER.get((method, job[2]))
        if job is None or inner is None:
            return None
        wrapped = _attributes(_json(body).get("job", {})) if method == "PATCH" else b""
        return inner[0], f"{_BASE}/containers/{job[1]}{inner[1]}", "", wrapped

    async def _ask(self, scope: Message, method: str, path: str, query: str, body: bytes) -> tuple[int, Any]:
        headers = [(b"content-type", b"application/json")]
        for name, value in scope["headers"]:
            if name == b"x-lease-token":
                headers.append((b"authorization", b"Bearer " + value))
            elif name == b"x-correlation-id":
                headers.append((b"x-request-id", value))
        inner = {**scope, "method": method, "path": path, "raw_path": path.encode(), "headers": headers}
        inner["query_string"] = query.encode()
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._inner(inner, receive, send)
        told = b"".join(message.get("body", b"") for message in sent)
        return int(sent[0]["status"]), json.loads(told)


def _attributes(given: dict[str, Any]) -> bytes:
    attributes = {_NAMES.get(name, name): value for name, value in given.items() if name != "lease"}
    attributes |= {"locked_by_uuid": given["lease"]["owner"]} if "owner" in given.get("lease", {}) else {}
    attributes |= {"auth_uuid": given["lease"]["credential"]} if "credential" in given.get("lease", {}) else {}
    if "state" in attributes:
        attributes["state"] = _STATE_OF.get(attributes["state"], attributes["state"])
    return json.dumps({"container": attributes}).encode()


def _filters(asked: dict[str, str]) -> str:
    """The query of a listing: it knows a status and how to go on, and nothing else."""
    filters: list[list[str]] = []
    if "status" in asked:
        filters.append(["state", "=", _STATE_OF.get(asked["status"], asked["status"])])
    if "after" in asked:
        filters.append(["uuid", ">", asked["after"]])
    return urlencode({"filters": json.dumps(filters), "order": '["uuid"]', "limit": asked.get("page_size", "100")})


def _reworded(path: str, method: str, status: int, told: Any) -> tuple[int, Any]:
    """Status and JSON as these words have them."""
    if status == 200:
        if path == "/v2/whoami" or path.endswith("/credential"):
            return 200, {"id": told["uuid"], "secret": told.get("api_token"), "known": True}
        if "items" in told:
            return 200, {"jobs": [_job(one) for one in told["items"]]}
        if method in {"PATCH", "DELETE"}:
            return 204, None
        return 201 if method == "POST" else 200, {"job": _job(told)}
    if status == 401 and path == "/v2/whoami":
        return 200, {"known": False, "error": {"code": "stranger", "messages": told["errors"]}}
    code, status = {404: ("no_such_job", 400), 422: ("not_now", 409)}.get(status, ("no", status))
    return status, {"error": {"code": code, "messages": told["errors"]}}


def _job(row: dict[str, Any]) -> dict[str, Any]:
    lease = {"owner": row.get("locked_by_uuid"), "credential": row.get("auth_uuid"), "count": row.get("lock_count")}
    return {
        "id": row["uuid"],
        "status": _STATES.get(row["state"], row["state"]),
        "rank": row["priority"],
        "lease": {name: value for name, value in lease.items() if value is not None} or None,
    }


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(send: Send, status: int, told: Any) -> None:
    body = b"" if told is None else json.dumps(told).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [] if told is None else headers})
    await send({"type": "http.response.body", "body": body})


def make_app(departure: str | None = None) -> Leases:
    """A fresh application in memory, for a harness that runs servers in its own process."""
    return Leases(asgi.make_app(departure))


def main() -> None:
    arguments = parser().parse_args()
    arguments.database = arguments.database or str(Path("leases.sqlite").resolve())
    app = Leases(serving.make_app(options_of(arguments)))
    uvicorn.run(app, host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    sys.exit(main())
