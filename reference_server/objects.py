"""The contract's objects as rows: containers and tokens, and how new ones are named.

Times are ISO 8601 text in UTC with nine digits of fraction, as Arvados writes them: text order is time order.
"""

import hashlib
import secrets
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

CLUSTER = "zzzzz"
STATES = ("Queued", "Locked", "Running", "Complete", "Cancelled")
SYSTEM_USER = f"{CLUSTER}-tpzed-000000000000000"
ADMIN_USER = f"{CLUSTER}-tpzed-adminadminadmin"

_SECRET_LENGTH = 50


class Token(Struct, frozen=True, gc=False):
    """One api_client_authorization. Whoever calls the API is one of these."""

    uuid: str
    secret: str
    user_uuid: str | None = SYSTEM_USER
    is_admin: bool = False
    is_active: bool = True  # of the user; the token of a user who is gone opens nothing
    scopes: str = '["all"]'  # JSON
    expires_at: str | None = None
    container_uuid: str | None = None  # the container whose auth this is
    created_at: str | None = None


class Container(Struct, frozen=True, gc=False):
    """One container: what the rules look at as fields, the rest as one JSON text."""

    uuid: str
    state: str
    priority: int
    locked_by_uuid: str | None = None
    auth_uuid: str | None = None
    lock_count: int = 0
    run_auth_hash: str | None = None  # of the current lock; the secret itself is not kept
    requested_by_uuid: str | None = None  # the user who asks for it to run; null when no one does
    runtime_status: str = "{}"  # JSON
    started_at: str | None = None
    finished_at: str | None = None
    created_at: str | None = None
    modified_at: str | None = None
    owner_uuid: str = SYSTEM_USER
    details: str = "{}"  # JSON: everything else, as given at creation and written while Running
    version: int = 1  # grows by one with every change; guards writes


CONTAINER_COLUMNS: tuple[str, ...] = Container.__struct_fields__
TOKEN_COLUMNS: tuple[str, ...] = Token.__struct_fields__


def now() -> str:
    """The present moment as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")[: -len("+00:00")] + "000Z"


def hash_of(secret: str) -> str:
    """SHA-256 of a secret: what is looked up, so that no comparison's duration tells a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """A secret that nobody can guess."""
    return secrets.token_hex(_SECRET_LENGTH // 2)


def new_container_uuid() -> str:
    """A name that no container had before."""
    return f"{CLUSTER}-dz642-{secrets.token_hex(8)[:15]}"


def new_token_uuid() -> str:
    """A name that no token had before."""
    return f"{CLUSTER}-gj3su-{secrets.token_hex(8)[:15]}"


def configured_token(text: str, user_uuid: str) -> Token:
    """An admin token from its spelling, `SECRET` or `v2/UUID/SECRET`.

    A bare secret gets a uuid made from the secret, so that every worker and every restart knows it by the same name.
    """
    uuid, secret = "", text
    if text.startswith("v2/"):
        _, uuid, secret = text.split("/")[:3]
    if not uuid:
        uuid = f"{CLUSTER}-gj3su-{hash_of('uuid of ' + secret)[:15]}"
    return Token(uuid=uuid, secret=secret, user_uuid=user_uuid, is_admin=True)


_DEFAULT_DETAILS: dict[str, object] = {
    "command": [],
    "container_image": "",
    "cwd": ".",
    "environment": {},
    "mounts": {},
    "output_path": "",
    "runtime_constraints": {},
    "scheduling_parameters": {},
    "output": None,
    "log": None,
    "exit_code": None,
    "progress": None,
    "output_properties": {},
    "gateway_address": None,
    "cost": 0,
    "subrequests_cost": 0,
}


def details_of(row: Container) -> dict[str, object]:
    """The container's further attributes by name."""
    return {**_DEFAULT_DETAILS, **msgspec.json.decode(row.details)}


def status_of(row: Container) -> dict[str, object]:
    """The container's runtime_status."""
    return dict(msgspec.json.decode(row.runtime_status))


def container_record(row: Container) -> dict[str, object]:
    """The whole record as the API shows it: no secret, nothing internal."""
    return {
        "kind": "arvados#container",
        "etag": hash_of(f"{row.uuid} {row.version}")[:25],
        "uuid": row.uuid,
        "owner_uuid": row.owner_uuid,
        "created_at": row.created_at,
        "modified_at": row.modified_at,
        "state": row.state,
        "priority": row.priority,
        "locked_by_uuid": row.locked_by_uuid,
        "auth_uuid": row.auth_uuid,
        "lock_count": row.lock_count,
        "runtime_status": status_of(row),
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        **details_of(row),
    }


CONTAINER_ATTRIBUTES: tuple[str, ...] = tuple(
    name for name in container_record(Container(uuid="", state="Queued", priority=0)) if name not in ("kind", "etag")
)


def lock_record(row: Container) -> dict[str, object]:
    """The five fields with which Arvados answers lock and unlock (LOCK-5)."""
    return {
        "uuid": row.uuid,
        "locked_by_uuid": row.locked_by_uuid,
        "priority": row.priority,
        "state": row.state,
        "auth_uuid": row.auth_uuid,
    }


def token_record(token: Token) -> dict[str, object]:
    """A token as its own holder sees it, secret included."""
    return {
        "kind": "arvados#apiClientAuthorization",
        "etag": hash_of(token.uuid)[:25],
        "uuid": token.uuid,
        "owner_uuid": token.user_uuid,
        "created_at": token.created_at,
        "api_token": token.secret,
        "expires_at": token.expires_at,
        "scopes": msgspec.json.decode(token.scopes),
    }


def user_record(token: Token) -> dict[str, object]:
    """The user of a token, as far as a client of the contract asks for it."""
    return {
        "kind": "arvados#user",
        "etag": hash_of(str(token.user_uuid))[:25],
        "uuid": token.user_uuid,
        "owner_uuid": SYSTEM_USER,
        "is_active": token.is_active,
        "is_admin": token.is_admin,
    }
