"""The JSON Schema of profiles, for completion and hints in editors. The reader stays the judge."""

from typing import Any

from harness.contract import OUTCOMES, STATES
from harness.profile.words import (
    ALWAYS_THERE,
    ANSWERED_BY_NOTHING,
    MAX_OUTCOMES,
    SENT,
    WITH_ATTRIBUTES,
)
from harness.wire.arvados import PROFILE

Schema = dict[str, Any]

_NAME = "^[A-Za-z][A-Za-z0-9_.-]{0,59}$"
_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}
_SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}


def profile_schema() -> Schema:
    """The schema of one `*.profile.yaml` file, as JSON Schema 2020-12."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lockrace profile, format 1",
        "description": "How another implementation of the API looks; what is not mentioned is as Arvados has it.",
        "$defs": {
            "headers": {"type": "object", "additionalProperties": _TEXT},
            "outcomes": {"type": "array", "items": _outcome(), "maxItems": MAX_OUTCOMES},
            "answer": _answer(),
        },
        **_record(_top(), required=("format", "profile")),
    }


def _top() -> dict[str, Schema]:
    states: dict[str, Schema] = dict.fromkeys(STATES, _TEXTS)
    return {
        "format": _told("The version of this format.", {"const": 1}),
        "profile": _told(
            "Its name, which settings and reports carry.", {**_TEXT, "pattern": "^[A-Za-z][A-Za-z0-9_.-]*$"}
        ),
        "headers": _told("Sent with every request; Content-Type only with a body.", _ref("headers")),
        "token": _told("How a token is presented.", _token()),
        "request_id": _told("The header that carries the id of a request.", _TEXT),
        "run_auth": _told("The header that carries a run_auth.", _TEXT),
        "calls": _told("How each call is sent and answered.", _record({op: _call(op) for op in PROFILE.calls})),
        "fields": _told("What the fields are called; lock.holder is a key in an object.", _record(_fields())),
        "states": _told("What the states are called; of several the first is sent.", _record(states)),
        "outcomes": _told("Tried in this order, then Arvados's own.", _ref("outcomes")),
    }


def _token() -> Schema:
    return _record(
        {
            "header": _told("The header that carries it.", _TEXT),
            "value": _told("What stands in the header.", {**_TEXT, "pattern": r"\{token\}"}),
            "query": _told("Instead of a header: a parameter of the query.", _TEXT),
            "v2": _told("Whether it may be spelled v2/UUID/SECRET too.", {"type": "boolean"}),
        }
    )


def _call(op: str) -> Schema:
    keys: dict[str, Schema] = {
        "method": _told("GET, POST, ...", {"type": "string", "pattern": "^[A-Z]{1,20}$"}),
        "path": _told("With {uuid} where the container's stands.", {"type": "string", "pattern": "^/"}),
        "headers": _told("Sent with this call.", _ref("headers")),
        "body": _told("The JSON that is sent; {attributes} and {uuid} are filled in.", {}),
        "outcomes": _told("Tried before those of all calls.", _ref("outcomes")),
    }
    if op in WITH_ATTRIBUTES:
        keys["attributes"] = _told("Sent in addition to what is asked for.", {"type": "object"})
    if op == "list":
        told = "Parameters, with what is asked for in braces; one that is not asked for is left out."
        keys["query"] = _told(told, {"type": "object", "additionalProperties": _TEXT})
    else:
        types = ["string", "null"] if op in ANSWERED_BY_NOTHING else ["string"]
        keys["answer"] = _told("Where the record is in the answer.", {"type": types})
    return _record(keys)


def _fields() -> dict[str, Schema]:
    names = (*PROFILE.fields, *SENT)
    return {name: _TEXT if name in ALWAYS_THERE else {"type": ["string", "null"]} for name in names}


def _outcome() -> Schema:
    one = {**_record({outcome: _ref("answer") for outcome in OUTCOMES}), "minProperties": 1, "maxProperties": 1}
    return _told("An outcome and all that must be true of such an answer.", one)


def _answer() -> Schema:
    status: Schema = {
        "anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, {"type": "string", "pattern": "^[1-5]xx$"}]
    }
    header: Schema = {"type": "object", "additionalProperties": _TEXT}
    values: Schema = {"type": "object", "additionalProperties": _SCALAR}
    conditions = {
        "status": _told("One, or any of several.", {"anyOf": [status, {"type": "array", "items": status}]}),
        "header": _told("Headers that are there, or that have a value.", {"anyOf": [*_TEXTS["anyOf"], header]}),
        "json": _told("Places that are there, or that have a value.", {"anyOf": [*_TEXTS["anyOf"], values]}),
        "text": _told("What the body holds.", _TEXT),
    }
    return {**_record(conditions), "minProperties": 1}


def _told(description: str, schema: Schema) -> Schema:
    return {"description": description, **schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _record(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, "additionalProperties": False, **needed}
