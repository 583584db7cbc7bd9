"""From a call to its request, as a profile words it. All that can be made ready is, once: this runs before races."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

from harness.wire.message import Call, Request
from harness.wire.places import Place, written
from harness.wire.profile import CallProfile, Profile

PAGE_SIZE = 1000
AFTER = "after_uuid"  # in a listing: only what comes after this uuid
ABOVE = "above_priority"  # in a listing: only what has more priority
LIMIT = "limit"  # in a listing: the size of a page

Encode = Callable[[Call, str | None], Request]
Headers = list[tuple[str, str]]

_SELECTED = ("uuid", "state", "priority", "locked_by_uuid", "auth_uuid")
_ASKED = re.compile(r"\{([a-z_]+)\}")
_MARKED = re.compile(rb'("\{attributes\}")|\{uuid\}')
_IS_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


def encoder(op: str, call_profile: CallProfile, profile: Profile) -> Encode:
    """What makes the requests of one call, as a real dispatcher would send them."""
    method, parts, token = call_profile.method, call_profile.path.split("{uuid}"), profile.token
    names_one = len(parts) > 1
    before_token, _, after_token = token.value.partition("{token}")
    first, last = _headers(call_profile, profile)
    fill = _body(call_profile, profile)
    query = _query(call_profile, profile) if op == "list" else None
    request_id_header, run_auth_header = profile.request_id, profile.run_auth
    token_header, token_query = token.header, token.query
    if fill is None and method != "GET":
        last = [*last, ("Content-Length", "0")]

    def encode(call: Call, request_id: str | None) -> Request:
        path = parts[0]
        if names_one:
            uuid = call.uuid or ""
            path = (uuid if _IS_PLAIN(uuid) else quote(uuid, safe="")).join(parts)
        if query is not None:
            path = f"{path}{'&' if '?' in path else '?'}{query(call.sent or {})}"
        headers = first.copy()
        if call.token:
            if token_header is not None:
                headers.append((token_header, f"{before_token}{call.token}{after_token}"))
            if token_query is not None:
                path = f"{path}{'&' if '?' in path else '?'}{token_query}={quote(call.token, safe='')}"
        if request_id is not None:
            headers.append((request_id_header, request_id))
        if call.run_auth is not None:
            headers.append((run_auth_header, call.run_auth))
        headers += last
        if fill is None:
            return Request(method, path, tuple(headers))
        body = fill(call)
        headers.append(("Content-Length", str(len(body))))
        return Request(method, path, tuple(headers), body)

    return encode


def asked_by(query: Mapping[str, str]) -> frozenset[str]:
    """What a listing may ask for by a query: the names between its braces."""
    return frozenset(name for template in query.values() for name in _ASKED.findall(template))


def placeholder(known: frozenset[str], name: str, value: Any) -> str | None:
    """Under which of the names in braces a query asks for a value, or for several; None where it cannot.

    `{state}` is one state, `{states}` are several with commas between.
    """
    several = f"{name}s"
    if isinstance(value, list) and len(value) != 1:
        return several if value and several in known else None
    return name if name in known else several if several in known else None


def _headers(call_profile: CallProfile, profile: Profile) -> tuple[Headers, Headers]:
    """The headers that are always the same: those at the beginning, and those that tell of a body."""
    merged = {name.lower(): (name, value) for name, value in {**profile.headers, **call_profile.headers}.items()}
    typed = merged.pop("content-type", None)
    return list(merged.values()), [typed] if typed is not None and call_profile.body is not None else []


def _body(call_profile: CallProfile, profile: Profile) -> Callable[[Call], bytes] | None:
    """What fills the attributes and the uuid into a body; None where there is none."""
    if call_profile.body is None:
        return None
    pieces = _MARKED.split(msgspec.json.encode(call_profile.body))  # text, attributes or None for the uuid, text, ...
    word = _worded(call_profile, profile)
    to_json = msgspec.json.encode
    if word is None and len(pieces) == 3 and pieces[1] is not None:
        before, _, after = pieces
        return lambda call: before + to_json(call.sent) + after

    def fill(call: Call) -> bytes:
        sent = to_json(call.sent if word is None else word(call.sent or {}))
        filled = [pieces[0]]
        for at in range(1, len(pieces), 2):
            filled.append(sent if pieces[at] is not None else to_json(call.uuid or "")[1:-1])
            filled.append(pieces[at + 1])
        return b"".join(filled)

    return fill


def _worded(call_profile: CallProfile, profile: Profile) -> Callable[[Mapping[str, Any]], dict[str, Any]] | None:
    """What gives attributes the names and states of a profile; None where they are the contract's."""
    places = {name: place for name, place in profile.fields.items() if place != (name,) and name not in _ONLY_READ}
    states = _states(profile)
    if not (places or profile.states or call_profile.attributes):
        return None

    def word(sent: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in sent.items():
            place: Place | None = places.get(name, (name,))
            if place is None:
                continue
            holder = found
            for key in place[:-1]:
                holder = holder.setdefault(str(key), {})
            holder[str(place[-1])] = states(value) if name == "state" else value
        return found | dict(call_profile.attributes)

    return word


def _states(profile: Profile) -> Callable[[Any], Any]:
    """What turns a state of the contract, or a list of them, into what a profile calls them."""
    called = {state: names[0] for state, names in profile.states.items()}

    def states(value: Any) -> Any:
        if isinstance(value, list):
            return [states(one) for one in value]
        return called.get(value, value) if isinstance(value, str) else value

    return states


def _query(call_profile: CallProfile, profile: Profile) -> Callable[[Mapping[str, Any]], str]:
    """What makes the query of a listing that pages by uuid, so that nothing that matches throughout is skipped."""
    states, templates = _states(profile), call_profile.query
    if templates is None:
        return _filters(profile, states)

    known = asked_by(templates)

    def query(sent: Mapping[str, Any]) -> str:
        told: dict[str, str] = {}
        for name, value in {LIMIT: PAGE_SIZE, **sent}.items():
            if (held := placeholder(known, name, value)) is not None:
                told[held] = _told(states(value) if name == "state" else value)
        return urlencode(
            {
                parameter: _ASKED.sub(lambda match: told[match[1]], template)
                for parameter, template in templates.items()
                if all(name in told for name in _ASKED.findall(template))
            }
        )

    return query


def _filters(profile: Profile, states: Callable[[Any], Any]) -> Callable[[Mapping[str, Any]], str]:
    """What makes a query of Arvados's kind: a JSON list of filters."""
    names = {name: written(place) for name, place in profile.fields.items() if place}
    uuid, priority = names.get("uuid", "uuid"), names.get("priority", "priority")
    select = [names[name] for name in _SELECTED if name in names]
    always = urlencode({"order": json.dumps([uuid]), "count": "none", "select": json.dumps(select)})

    def one(name: str, value: Any) -> list[Any]:
        if name == AFTER:
            return [uuid, ">", value]
        if name == ABOVE:
            return [priority, ">", value]
        value = states(value) if name == "state" else value
        return [names.get(name, name), "in" if isinstance(value, list) else "=", value]

    def query(sent: Mapping[str, Any]) -> str:
        filters = [one(name, value) for name, value in sent.items() if name != LIMIT]
        asked = urlencode({"filters": json.dumps(filters), "limit": str(sent.get(LIMIT, PAGE_SIZE))})
        return f"{asked}&{always}"

    return query


def _told(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


_ONLY_READ = frozenset({"runtime_error", "token_uuid", "errors", "items", "api_token", "run_auth"})
