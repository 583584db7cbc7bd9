"""PostgreSQL: every change is one statement that a version number guards.

    read the row, run the rule on it        SELECT ... WHERE uuid = $1
    write, if the row is still that one     UPDATE ... WHERE uuid = $1 AND version = $2, and INSERT or DELETE the token

Where the row has changed in between, the rule runs again on what it has become; after a few rounds the row is locked
first, so that a crowd cannot keep one caller waiting for ever. Only one row is ever locked at a time, so no two
callers can wait for each other.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import asyncpg

from reference_server.objects import CONTAINER_COLUMNS, TOKEN_COLUMNS, Container, Token, hash_of
from reference_server.query import Page, Query
from reference_server.rules import Change, Decision
from reference_server.stores import Decide, StoreError
from reference_server.stores.sql import (
    CONTAINER_AND_AUTH_LIST,
    CONTAINER_LIST,
    INDEXES,
    TABLE_OF_CONTAINERS,
    TABLE_OF_TOKENS,
    TOKEN_LIST,
    WRITTEN,
    container_values,
    find_sql,
    is_written,
    stamped,
    token_values,
    written_values,
)

CONNECTIONS = 64  # of all processes: the more wait for one flush of the log, the more does it acknowledge
COMMAND_TIMEOUT_S = 20.0
ROUNDS_WITHOUT_LOCK = 3
_SCHEMA_LOCK = 9898  # advisory lock: only one process makes the tables

_SELECT = f"SELECT {CONTAINER_LIST} FROM containers WHERE uuid = $1"  # noqa: S608
_ADD_CONTAINER = (
    f"INSERT INTO containers VALUES ({', '.join(f'${n + 1}' for n in range(len(CONTAINER_COLUMNS)))}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_ADD_TOKEN = (
    f"INSERT INTO tokens VALUES ({', '.join(f'${n + 1}' for n in range(len(TOKEN_COLUMNS) + 1))}) "  # noqa: S608
    "ON CONFLICT DO NOTHING"
)
_WITH_AUTH = (
    f"SELECT {CONTAINER_AND_AUTH_LIST} FROM containers LEFT JOIN tokens ON tokens.uuid = containers.auth_uuid "  # noqa: S608
    "WHERE containers.uuid = $1"
)


class PostgresStore:
    """One PostgreSQL database."""

    kind = "postgresql"

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        self.url = url
        self.connections = connections
        self.pool: Any = None

    async def open(self) -> None:
        self.pool = await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self.connections,
            command_timeout=COMMAND_TIMEOUT_S,
            reset=_keep_session,
            server_settings={"application_name": "reference_server", "jit": "off"},
        )
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK)
            for statement in (TABLE_OF_CONTAINERS.format(collate='COLLATE "C"'), TABLE_OF_TOKENS, *INDEXES):
                await connection.execute(statement)

    async def close(self) -> None:
        await self.pool.close()

    async def add(self, containers: list[Container], tokens: list[Token]) -> None:
        async with self.connection() as connection, connection.transaction():
            for row in containers:
                await connection.execute(_ADD_CONTAINER, *container_values(row))
            for token in tokens:
                await connection.execute(_ADD_TOKEN, *token_values(token, hash_of(token.secret)))

    async def container(self, uuid: str) -> Container | None:
        return _container(await self._row(_SELECT, uuid))

    async def token(self, secret_hash: str) -> Token | None:
        return _token(await self._row(f"SELECT {TOKEN_LIST} FROM tokens WHERE secret_hash = $1", secret_hash))  # noqa: S608

    async def container_and_auth(self, uuid: str) -> tuple[Container, Token | None] | None:
        found = await self._row(_WITH_AUTH, uuid)
        if found is None:
            return None
        token = tuple(found)[len(CONTAINER_COLUMNS) :]
        return Container(*tuple(found)[: len(CONTAINER_COLUMNS)]), None if token[0] is None else Token(*token)

    async def container_of_auth(self, auth_uuid: str) -> Container | None:
        return _container(await self._row(f"SELECT {CONTAINER_LIST} FROM containers WHERE auth_uuid = $1", auth_uuid))  # noqa: S608

    async def find(self, query: Query) -> Page:
        page, count, values = find_sql(query, lambda number: f"${number}")
        async with self.connection() as connection:
            if not query.with_count:
                return Page([Container(*row) for row in await connection.fetch(page, *values)])
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                rows = [Container(*row) for row in await connection.fetch(page, *values)]
                return Page(rows, await connection.fetchval(count, *values))

    async def change(self, uuid: str, decide: Decide) -> Decision | None:
        async with self.connection() as connection:
            for _ in range(ROUNDS_WITHOUT_LOCK):
                is_done, decision = await self._round(connection, uuid, decide, "")
                if is_done:
                    return decision
            async with connection.transaction():
                _, decision = await self._round(connection, uuid, decide, " FOR UPDATE")
                return decision

    async def change_unguarded(self, connection: Any, uuid: str, decide: Decide) -> Decision | None:
        """What `change` must not do: write over whatever the row has become since it was read. For mutants."""
        row = _container(await connection.fetchrow(_SELECT, uuid))
        if row is None:
            return None
        decision = decide(row)
        if not isinstance(decision, Change) or not is_written(row, decision):
            return decision
        decision = stamped(row, decision)
        version = await connection.fetchval("SELECT version FROM containers WHERE uuid = $1 FOR UPDATE", uuid)
        await put(connection, version, decision)
        return decision

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """A connection of the pool; whatever goes wrong with it is a StoreError."""
        try:
            async with self.pool.acquire(timeout=COMMAND_TIMEOUT_S) as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise StoreError(f"PostgreSQL: {type(error).__name__}") from error

    async def _row(self, statement: str, value: str) -> Any:
        async with self.connection() as connection:
            return await connection.fetchrow(statement, value)

    async def _round(self, connection: Any, uuid: str, decide: Decide, lock: str) -> tuple[bool, Decision | None]:
        """Read, decide, write; False if the row changed before it could be written."""
        row = _container(await connection.fetchrow(_SELECT + lock, uuid))
        if row is None:
            return True, None
        decision = decide(row)
        if not is_written(row, decision):
            return True, decision
        assert isinstance(decision, Change)
        decision = stamped(row, decision)
        return await put(connection, row.version, decision), decision


async def put(connection: Any, version: int, change: Change) -> bool:
    """Write a change onto the row of this version, tokens and all; False, and nothing written, if it is another now."""
    row, issue, revoke = change.after, change.issue, change.revoke
    values = [row.uuid, version, row.version, *written_values(row)]
    if issue:
        values += token_values(issue, hash_of(issue.secret))
    if revoke:
        values.append(revoke)
    return bool(await connection.fetchval(_put_sql(issue is not None, revoke is not None), *values))


@cache
def _put_sql(with_issue: bool, with_revoke: bool) -> str:
    number = 3 + len(WRITTEN)
    columns = ", ".join(f"{column} = ${index + 4}" for index, column in enumerate(WRITTEN))
    parts = [f"changed AS (UPDATE containers SET {columns}, version = $3 WHERE uuid = $1 AND version = $2 RETURNING 1)"]  # noqa: S608
    if with_issue:
        types = ["boolean" if column.startswith("is_") else "text" for column in (*TOKEN_COLUMNS, "secret_hash")]
        values = ", ".join(f"${number + 1 + index}::{kind}" for index, kind in enumerate(types))
        number += len(types)
        again = ", ".join(f"{column} = EXCLUDED.{column}" for column in ("secret", "secret_hash", "expires_at"))
        parts.append(
            f"issued AS (INSERT INTO tokens SELECT {values} WHERE EXISTS (SELECT FROM changed) "  # noqa: S608
            f"ON CONFLICT (uuid) DO UPDATE SET {again})"
        )
    if with_revoke:
        parts.append(f"revoked AS (DELETE FROM tokens WHERE uuid = ${number + 1} AND EXISTS (SELECT FROM changed))")  # noqa: S608
    return f"WITH {', '.join(parts)} SELECT count(*) FROM changed"  # noqa: S608


async def _keep_session(_: Any) -> None:
    """Nothing to put back between two uses of a connection; the default asks the database to, each time."""


def _container(found: Any) -> Container | None:
    return None if found is None else Container(*found)


def _token(found: Any) -> Token | None:
    return None if found is None else Token(*found)
