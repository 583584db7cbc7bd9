"""The discovery document: what the Arvados SDKs read to learn which calls there are.

It names the URL at which the client reached it, for clients send their further calls there.
"""

from typing import Any

_UUID = {"uuid": {"type": "string", "location": "path", "required": True}}
_SELECT = {"select": {"type": "array", "location": "query", "required": False}}
_PAGE = {
    "filters": {"type": "array", "location": "query", "required": False},
    "where": {"type": "object", "location": "query", "required": False},
    "order": {"type": "array", "location": "query", "required": False},
    "distinct": {"type": "boolean", "location": "query", "required": False},
    "limit": {"type": "integer", "location": "query", "required": False},
    "offset": {"type": "integer", "location": "query", "required": False},
    "count": {"type": "string", "location": "query", "required": False},
}
_CONTAINER_BODY = {"required": True, "properties": {"container": {"$ref": "Container"}}}


def _method(
    name: str, call: str, answer: str, parameters: dict[str, Any], body: dict[str, Any] | None = None
) -> dict[str, Any]:
    verb, path = call.split()
    method = {
        "id": f"arvados.{name}",
        "path": path,
        "httpMethod": verb,
        "parameters": parameters,
        "response": {"$ref": answer},
    }
    return method | ({"request": body} if body else {})


_CONTAINERS = {
    "get": _method("containers.get", "GET containers/{uuid}", "Container", _UUID | _SELECT),
    "list": _method("containers.list", "GET containers", "ContainerList", _PAGE | _SELECT),
    "create": _method("containers.create", "POST containers", "Container", _SELECT, _CONTAINER_BODY),
    "update": _method("containers.update", "PUT containers/{uuid}", "Container", _UUID | _SELECT, _CONTAINER_BODY),
    "lock": _method("containers.lock", "POST containers/{uuid}/lock", "Container", _UUID),
    "unlock": _method("containers.unlock", "POST containers/{uuid}/unlock", "Container", _UUID),
    "auth": _method("containers.auth", "GET containers/{uuid}/auth", "ApiClientAuthorization", _UUID),
    "current": _method("containers.current", "GET containers/current", "Container", _SELECT),
}
_TOKENS = {
    "current": _method(
        "api_client_authorizations.current",
        "GET api_client_authorizations/current",
        "ApiClientAuthorization",
        _SELECT,
    ),
}
_USERS = {"current": _method("users.current", "GET users/current", "User", _SELECT)}
_SCHEMAS = ("Container", "ContainerList", "ApiClientAuthorization", "User")


def discovery_document(root_url: str) -> dict[str, Any]:
    """The document for a server that is reached at `root_url`, which ends in a slash."""
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "arvados:v1",
        "name": "arvados",
        "version": "v1",
        "rootUrl": root_url,
        "servicePath": "arvados/v1/",
        "schemas": {name: {"id": name, "type": "object"} for name in _SCHEMAS},
        "resources": {
            "containers": {"methods": _CONTAINERS},
            "api_client_authorizations": {"methods": _TOKENS},
            "users": {"methods": _USERS},
        },
    }
