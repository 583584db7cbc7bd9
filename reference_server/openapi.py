"""The OpenAPI document of this server: every path, every status, the shape of every answer."""

from typing import Any

from reference_server.objects import STATES

_ERRORS = {
    "type": "object",
    "required": ["errors"],
    "properties": {
        "errors": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "error_token": {"type": "string"},
    },
}
_UUID_OR_NULL = {"type": ["string", "null"]}
_CONTAINER = {
    "type": "object",
    "properties": {
        "kind": {"const": "arvados#container"},
        "uuid": {"type": "string", "pattern": "^[0-9a-z]{5}-dz642-[0-9a-z]{15}$"},
        "state": {"enum": list(STATES)},
        "priority": {"type": "integer", "minimum": 0},
        "locked_by_uuid": _UUID_OR_NULL,
        "auth_uuid": _UUID_OR_NULL,
        "lock_count": {"type": "integer", "minimum": 0},
        "runtime_status": {"type": "object"},
        "run_auth": {"type": "string"},
    },
}
_CONTAINER_LIST = {
    "type": "object",
    "required": ["kind", "items", "offset", "limit"],
    "properties": {
        "kind": {"const": "arvados#containerList"},
        "items": {"type": "array", "items": _CONTAINER},
        "items_available": {"type": "integer", "minimum": 0},
        "offset": {"type": "integer", "minimum": 0},
        "limit": {"type": "integer", "minimum": 0, "maximum": 1000},
    },
}
_TOKEN = {
    "type": "object",
    "properties": {"uuid": {"type": "string"}, "api_token": {"type": "string"}, "scopes": {"type": "array"}},
}
_USER = {"type": "object", "properties": {"uuid": {"type": "string"}, "is_admin": {"type": "boolean"}}}
_OBJECT = {"type": "object"}

_REFUSALS = {
    "401": "no live token",
    "403": "not with this token",
    "404": "no such container, or no such path",
    "408": "the body did not come in time",
    "413": "the body is too large",
    "414": "the URL is too long",
    "422": "not possible in this state, or malformed",
}
_TEXT = {"type": "string"}


def _query(**parameters: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "in": "query", "schema": schema} for name, schema in parameters.items()]


_SELECT = _query(select={"type": "string", "description": "JSON array of attribute names"})
_PAGE = _query(
    filters={"type": "string", "description": "JSON array of [attribute, operator, operand]"},
    where={"type": "string", "description": "JSON object of attribute and value"},
    order={"type": "string", "description": "JSON array of attributes, each with asc or desc"},
    limit={"type": "integer", "minimum": 0},
    offset={"type": "integer", "minimum": 0},
    count={"enum": ["exact", "none"]},
)
_RUN_AUTH = [{"name": "X-Run-Auth", "in": "header", "schema": _TEXT}]
_UUID = [{"name": "uuid", "in": "path", "required": True, "schema": _TEXT}]


def _operation(
    summary: str, answer: dict[str, Any], parameters: list[dict[str, Any]], body: bool = False, is_public: bool = False
) -> dict[str, Any]:
    responses = {"200": {"description": "granted", "content": {"application/json": {"schema": answer}}}}
    for status, text in _REFUSALS.items():
        responses[status] = {"description": text, "content": {"application/json": {"schema": _ERRORS}}}
    operation: dict[str, Any] = {"summary": summary, "parameters": parameters, "responses": responses}
    if body:
        container = {"type": "object", "properties": {"container": {"type": "object"}}}
        operation["requestBody"] = {"content": {"application/json": {"schema": container}}}
    return operation | ({"security": []} if is_public else {})


def openapi_document(root_url: str) -> dict[str, Any]:
    """The document, for a server that is reached at `root_url`."""
    create = _operation("Create a Queued container", _CONTAINER, _SELECT, body=True)
    update = _operation("Change attributes, or the state", _CONTAINER, _SELECT + _RUN_AUTH, body=True)
    get_current = {"get": _operation("The container whose auth calls", _CONTAINER, _SELECT)}
    use = {"get": _operation("The token that calls", _TOKEN, _SELECT)}
    prefix = "/arvados/v1"
    return {
        "openapi": "3.1.0",
        "info": {"title": "Container lock and unlock", "version": "1", "license": {"name": "Apache-2.0"}},
        "servers": [{"url": root_url.removesuffix("/")}],
        "security": [{"bearer": []}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            f"{prefix}/containers": {
                "get": _operation("List containers", _CONTAINER_LIST, _PAGE + _SELECT),
                "post": create,
            },
            f"{prefix}/containers/{{uuid}}": {
                "parameters": _UUID,
                "get": _operation("Read a container", _CONTAINER, _SELECT),
                "put": update,
                "patch": update,
            },
            f"{prefix}/containers/{{uuid}}/lock": {
                "parameters": _UUID,
                "post": _operation("Lock a Queued container", _CONTAINER, []),
            },
            f"{prefix}/containers/{{uuid}}/unlock": {
                "parameters": _UUID,
                "post": _operation("Unlock a Locked container", _CONTAINER, _RUN_AUTH),
            },
            f"{prefix}/containers/{{uuid}}/auth": {
                "parameters": _UUID,
                "get": _operation("The container auth of the current lock", _TOKEN, _RUN_AUTH),
            },
            f"{prefix}/containers/current": get_current,
            f"{prefix}/api_client_authorizations/current": use,
            f"{prefix}/users/current": {"get": _operation("The user who calls", _USER, _SELECT)},
            "/discovery/v1/apis/arvados/v1/rest": {
                "get": _operation("The discovery document", _OBJECT, [], is_public=True)
            },
            "/openapi.json": {"get": _operation("This document", _OBJECT, [], is_public=True)},
        },
    }
