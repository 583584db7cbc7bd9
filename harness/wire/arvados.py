"""The Arvados API on the wire: paths, bodies, statuses. The one place that knows them."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from msgspec import UNSET

from harness.contract import Outcome
from harness.history import Shown
from harness.wire.message import Answer, Call, Reply, Request

_BASE = "/arvados/v1"
_CONTAINERS = f"{_BASE}/containers"

_OUTCOME_OF_STATUS: dict[int, Outcome] = {
    200: "granted",
    422: "refused",
    403: "forbidden",
    401: "unauthenticated",
    404: "missing",
    429: "limited",
}

_KEPT_TEXT_LENGTH = 500  # of one error text: enough to read, too little to flood a history
PAGE_SIZE = 1000
_AFTER = "after_uuid"  # in a listing: only what comes after this uuid
_ABOVE = "above_priority"  # in a listing: only what has more priority
_LIMIT = "limit"  # in a listing: the size of a page


def encode(call: Call, request_id: str | None = None) -> Request:
    """The request that a real dispatcher would send for `call`."""
    headers = [("Accept", "application/json")]
    if call.token:
        headers.append(("Authorization", f"Bearer {call.token}"))
    if request_id is not None:
        headers.append(("X-Request-Id", request_id))
    if call.run_auth is not None:
        headers.append(("X-Run-Auth", call.run_auth))
    method, path, body = _line_and_body(call)
    if body is not None:
        headers.append(("Content-Type", "application/json"))
    if method != "GET":
        headers.append(("Content-Length", str(len(body or b""))))
    return Request(method, path, tuple(headers), body or b"")


def _line_and_body(call: Call) -> tuple[str, str, bytes | None]:
    one = f"{_CONTAINERS}/{quote(call.uuid or '', safe='')}"
    match call.op:
        case "create":
            return "POST", _CONTAINERS, msgspec.json.encode({"container": call.sent})
        case "lock" | "unlock":
            return "POST", f"{one}/{call.op}", None
        case "auth":
            return "GET", f"{one}/auth", None
        case "get":
            return "GET", one, None
        case "update":
            return "PUT", one, msgspec.json.encode({"container": call.sent})
        case "list":
            return "GET", f"{_CONTAINERS}?{_query(call.sent or {})}", None
        case "use":
            return "GET", f"{_BASE}/api_client_authorizations/current", None
    raise ValueError(f"the Arvados API has no call {call.op!r}")


def _query(sent: Mapping[str, Any]) -> str:
    """The query of a listing that pages by uuid, so that nothing that matches throughout is skipped."""
    filters = [_filter(name, value) for name, value in sent.items() if name != _LIMIT]
    return urlencode(
        {
            "filters": json.dumps(filters),
            "order": json.dumps(["uuid"]),
            "limit": str(sent.get(_LIMIT, PAGE_SIZE)),
            "count": "none",
            "select": json.dumps(["uuid", "state", "priority", "locked_by_uuid", "auth_uuid"]),
        }
    )


def _filter(name: str, value: Any) -> list[Any]:
    if name == _AFTER:
        return ["uuid", ">", value]
    if name == _ABOVE:
        return ["priority", ">", value]
    return [name, "in" if isinstance(value, list) else "=", value]


def next_page(call: Call, found: list[str]) -> Call | None:
    """The call that lists what comes after a page; None after an empty one, or one that does not go on.

    A page that is not full is no end: a server may answer fewer at a time than it was asked for.
    """
    if not found or max(found) <= (call.sent or {}).get(_AFTER, ""):
        return None
    return msgspec.structs.replace(call, sent=dict(call.sent or {}) | {_AFTER: max(found)})


def classify(call: Call, reply: Reply, secrets: Mapping[str, str]) -> Answer:
    """What `reply` says, in the contract's words.

    `secrets` maps every secret that the run knows to the name under which it may be reported. It is looked for
    where it may not stand, and taken out of error texts.
    """
    if reply.failure is not None:
        return Answer(outcome="garbled" if reply.failure == "garbled" else "indeterminate", problem=reply.failure)
    assert reply.status is not None
    outcome = _outcome(reply)
    text = reply.body.decode("utf-8", "replace")
    may_hold_secrets = outcome == "granted" and call.op in {"auth", "use"}
    leaked = [] if may_hold_secrets else _leaked(text, secrets)
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        body = None
    if outcome == "granted":
        return _granted(call, body, leaked)
    errors, problem = _errors(body, reply, secrets)
    if outcome == "indeterminate":  # a 5xx: its shape is not judged, ERR-2 is
        problem = None
    return Answer(outcome=outcome, errors=errors, problem=problem, leaked=leaked or None)


def _outcome(reply: Reply) -> Outcome:
    status = reply.status or 0
    if status == 503 and reply.header("retry-after") is not None:
        return "limited"
    if status >= 500:
        return "indeterminate"
    return _OUTCOME_OF_STATUS.get(status, "garbled")


def _granted(call: Call, body: Any, leaked: list[str]) -> Answer:
    if not isinstance(body, dict):
        return Answer(outcome="garbled", leaked=leaked or None)
    if call.op == "list":
        return _listed(body, leaked)
    value, problem = _shown(call, body)
    if value is None:
        return Answer(outcome="garbled", problem=problem, leaked=leaked or None)
    secret = body.get("api_token") if call.op == "auth" else None
    run_auth = body.get("run_auth")
    if secret is None and call.op == "auth":
        problem = "the auth holds no api_token"
    if call.op not in {"auth", "use"} and isinstance(body.get("api_token"), str):
        leaked = [*leaked, "api_token"]
    return Answer(
        outcome="granted",
        value=value,
        problem=problem,
        leaked=leaked or None,
        secret=secret if isinstance(secret, str) else None,
        run_auth=run_auth if isinstance(run_auth, str) else None,
    )


def _shown(call: Call, body: dict[str, Any]) -> tuple[Shown | None, str | None]:
    """The contract's fields of one record; None and the reason when a field has the wrong type."""
    if call.op in {"auth", "use"}:
        fields = {"auth_uuid": body.get("uuid", UNSET)}
    else:
        names = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid", "lock_count")
        fields = {name: body[name] for name in names if name in body}
        status = body.get("runtime_status", UNSET)
        if isinstance(status, dict):
            fields["runtime_error"] = status.get("error")
    try:
        return msgspec.convert({k: v for k, v in fields.items() if v is not UNSET}, Shown), None
    except msgspec.ValidationError as error:
        return None, f"the record cannot be read: {error}"


def _listed(body: dict[str, Any], leaked: list[str]) -> Answer:
    items = body.get("items")
    if not isinstance(items, list):
        return Answer(outcome="garbled", problem="the list holds no items", leaked=leaked or None)
    found = [item["uuid"] for item in items if isinstance(item, dict) and isinstance(item.get("uuid"), str)]
    if len(found) != len(items):
        return Answer(outcome="garbled", problem="an item of the list holds no uuid", leaked=leaked or None)
    if any(isinstance(item.get("api_token"), str) for item in items):
        leaked = [*leaked, "api_token"]
    return Answer(outcome="granted", value=Shown(found=found), leaked=leaked or None)


def _errors(body: Any, reply: Reply, secrets: Mapping[str, str]) -> tuple[list[str] | None, str | None]:
    """The error texts of a refusal, secrets taken out, and what is wrong with their shape."""
    expected = 'want JSON {"errors": [text, ...]}'
    errors = body.get("errors") if isinstance(body, dict) else None
    if body is None:
        kind = reply.header("content-type") or "no content type"
        return None, f"the answer is not JSON ({kind[:60]}); {expected}"
    if not isinstance(errors, list) or not errors or not all(isinstance(text, str) for text in errors):
        return None, f"the answer has no list of error texts; {expected}"
    return [_without_secrets(text, secrets)[:_KEPT_TEXT_LENGTH] for text in errors[:10]], None


def _leaked(text: str, secrets: Mapping[str, str]) -> list[str]:
    """Names of the secrets that stand in an answer that may hold none."""
    return sorted({name for secret, name in secrets.items() if secret and _bare(secret) in text})


def _bare(token: str) -> str:
    """The secret part of a token: the third of "v2/UUID/SECRET", else all of it."""
    parts = token.split("/")
    return parts[2] if len(parts) >= 3 and parts[0] == "v2" else token


def _without_secrets(text: str, secrets: Mapping[str, str]) -> str:
    for secret, name in secrets.items():
        if secret:
            text = text.replace(_bare(secret), f"<{name}>")
    return text
