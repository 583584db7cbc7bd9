"""The SQL that both databases speak, with values always as parameters."""

from collections.abc import Callable

from msgspec.structs import replace

from reference_server.objects import CONTAINER_COLUMNS, TOKEN_COLUMNS, Container, Token, now
from reference_server.query import Condition, Query
from reference_server.rules import Change, Decision

TABLE_OF_CONTAINERS = """
CREATE TABLE IF NOT EXISTS containers (
    uuid TEXT {collate} NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    priority BIGINT NOT NULL,
    locked_by_uuid TEXT {collate},
    auth_uuid TEXT {collate},
    lock_count BIGINT NOT NULL,
    run_auth_hash TEXT,
    requested_by_uuid TEXT {collate},
    runtime_status TEXT NOT NULL,
    started_at TEXT {collate},
    finished_at TEXT {collate},
    created_at TEXT {collate},
    modified_at TEXT {collate},
    owner_uuid TEXT {collate} NOT NULL,
    details TEXT NOT NULL,
    version BIGINT NOT NULL
)
"""

TABLE_OF_TOKENS = """
CREATE TABLE IF NOT EXISTS tokens (
    uuid TEXT NOT NULL PRIMARY KEY,
    secret TEXT NOT NULL,
    user_uuid TEXT,
    is_admin BOOLEAN NOT NULL,
    is_active BOOLEAN NOT NULL,
    scopes TEXT NOT NULL,
    expires_at TEXT,
    container_uuid TEXT,
    created_at TEXT,
    secret_hash TEXT NOT NULL UNIQUE
)
"""

INDEXES = (
    "CREATE INDEX IF NOT EXISTS containers_by_state ON containers (state, priority)",
    "CREATE INDEX IF NOT EXISTS containers_by_holder ON containers (locked_by_uuid)",
    "CREATE INDEX IF NOT EXISTS containers_by_auth ON containers (auth_uuid)",
)

CONTAINER_LIST = ", ".join(CONTAINER_COLUMNS)
TOKEN_LIST = ", ".join(TOKEN_COLUMNS)
CONTAINER_AND_AUTH_LIST = ", ".join(
    [f"containers.{column}" for column in CONTAINER_COLUMNS] + [f"tokens.{column}" for column in TOKEN_COLUMNS]
)

# The columns that a change may write; the others stay as they were created.
WRITTEN = (
    "state",
    "priority",
    "locked_by_uuid",
    "auth_uuid",
    "lock_count",
    "run_auth_hash",
    "runtime_status",
    "started_at",
    "finished_at",
    "modified_at",
    "details",
)


def is_written(before: Container, decision: Decision) -> bool:
    """Whether a decision leaves anything to write."""
    return isinstance(decision, Change) and bool(
        decision.after is not before or decision.issue is not None or decision.revoke is not None
    )


def stamped(before: Container, change: Change) -> Change:
    """The change with its row's next version and time of modification."""
    after = replace(change.after, version=before.version + 1, modified_at=now())
    shown = change.shown and replace(change.shown, version=after.version, modified_at=after.modified_at)
    return replace(change, after=after, shown=shown)


def find_sql(query: Query, placeholder: Callable[[int], str]) -> tuple[str, str, list[object]]:
    """A query as SQL: the page, the count, and the parameters of both."""
    values: list[object] = []

    def bind(value: object) -> str:
        values.append(value)
        return placeholder(len(values))

    clauses = [_clause(condition, bind) for condition in query.conditions]
    if query.readable_by is not None:
        mine = f"requested_by_uuid = {bind(query.readable_by.user_uuid)}"
        clauses.append(f"({mine} OR auth_uuid = {bind(query.readable_by.uuid)})")
    where = " WHERE " + " AND ".join(clauses) if clauses else ""
    order = ", ".join(
        f"{column} {'DESC NULLS FIRST' if descending else 'ASC NULLS LAST'}" for column, descending in query.order
    )
    # Column names come from the fixed list that make_query checks against; limit and offset are integers.
    page = f"SELECT {CONTAINER_LIST} FROM containers{where} ORDER BY {order} LIMIT {query.limit} OFFSET {query.offset}"  # noqa: S608
    return page, f"SELECT count(*) FROM containers{where}", values  # noqa: S608


def _clause(condition: Condition, bind: Callable[[object], str]) -> str:
    column, value = condition.column, condition.value
    if isinstance(value, tuple):
        return _membership(condition, value, bind)
    if value is None:
        return f"{column} IS {'NOT ' if condition.operator == '!=' else ''}NULL"
    if condition.operator == "!=":
        return f"({column} != {bind(value)} OR {column} IS NULL)"
    return f"{column} {condition.operator} {bind(value)}"


def _membership(condition: Condition, values: tuple[object, ...], bind: Callable[[object], str]) -> str:
    column, known = condition.column, [value for value in values if value is not None]
    places = ", ".join(bind(value) for value in known)
    inside = f"{column} IN ({places})" if known else "1 = 0"
    if None in values:
        inside = f"({inside} OR {column} IS NULL)"
    if condition.operator == "in":
        return inside
    return f"({column} IS NULL OR NOT {inside})" if None not in values else f"NOT {inside}"


def token_values(token: Token, secret_hash: str) -> tuple[object, ...]:
    """A token's columns in the table's order."""
    return (*(getattr(token, column) for column in TOKEN_COLUMNS), secret_hash)


def container_values(row: Container) -> tuple[object, ...]:
    """A container's columns in the table's order."""
    return tuple(getattr(row, column) for column in CONTAINER_COLUMNS)


def written_values(row: Container) -> tuple[object, ...]:
    """The columns that a change writes, in their order."""
    return tuple(getattr(row, column) for column in WRITTEN)
