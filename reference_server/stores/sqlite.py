"""SQLite: crash-safe, and fast by group commit.

Every commit of a durable database waits for the disk. So one thread writes: it takes all changes that came in while
the last commit was written, decides them one after the other in one transaction, commits once, and only then lets
each caller know.

    caller A  ----put----.                        .--done-->
    caller B  ------put--+--.                  .--+--done-->
    writer      [ commit of the batch before ][ A, B: decide, write; one commit ]

Several processes on one file take turns: a lock file orders them, so that nobody sleeps and retries as SQLite's own
busy handler does.
"""

import asyncio
import fcntl
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

BUSY_S = 20.0  # how long SQLite itself waits for another process; the lock file makes it rare
MOST_IN_A_COMMIT = 500

_SELECT = f"SELECT {CONTAINER_LIST} FROM containers WHERE uuid = ?"  # noqa: S608
_UPDATE = f"UPDATE containers SET {', '.join(f'{column} = ?' for column in WRITTEN)}, version = ? WHERE uuid = ?"  # noqa: S608
_ADD_CONTAINER = f"INSERT OR IGNORE INTO containers VALUES ({', '.join('?' * len(CONTAINER_COLUMNS))})"  # noqa: S608
_ADD_TOKEN = f"INSERT OR IGNORE INTO tokens VALUES ({', '.join('?' * (len(TOKEN_COLUMNS) + 1))})"  # noqa: S608
_ISSUE_TOKEN = f"INSERT OR REPLACE INTO tokens VALUES ({', '.join('?' * (len(TOKEN_COLUMNS) + 1))})"  # noqa: S608
_WITH_AUTH = (
    f"SELECT {CONTAINER_AND_AUTH_LIST} FROM containers LEFT JOIN tokens ON tokens.uuid = containers.auth_uuid "  # noqa: S608
    "WHERE containers.uuid = ?"
)

Work = Callable[[sqlite3.Connection], Any]
Job = tuple[Work, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class SqliteStore:
    """One SQLite file. Reads run where they are asked for; changes go through the writer thread."""

    kind = "sqlite"

    def __init__(self, path: Path, synchronous: str = "FULL", most_in_a_commit: int = MOST_IN_A_COMMIT) -> None:
        self.path = path
        self.synchronous = synchronous
        self.most_in_a_commit = most_in_a_commit
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self.reader: sqlite3.Connection | None = None
        self.writer = threading.Thread(target=self._write_for_ever, name="sqlite-writer", daemon=True)

    async def open(self) -> None:
        with self.path.with_name(self.path.name + ".turn").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # only one process makes the tables
            connection = self._connect()
            connection.execute("PRAGMA journal_mode = WAL")
            for statement in (TABLE_OF_CONTAINERS.format(collate=""), TABLE_OF_TOKENS, *INDEXES):
                connection.execute(statement)
            connection.close()
        self.reader = self._connect()
        self.writer.start()

    async def close(self) -> None:
        self.jobs.put(None)
        await asyncio.to_thread(self.writer.join, BUSY_S)
        if self.reader:
            self.reader.close()

    async def add(self, containers: list[Container], tokens: list[Token]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(_ADD_CONTAINER, [container_values(row) for row in containers])
            connection.executemany(_ADD_TOKEN, [token_values(token, hash_of(token.secret)) for token in tokens])

        await self._write(work)

    async def change(self, uuid: str, decide: Decide) -> Decision | None:
        def work(connection: sqlite3.Connection) -> Decision | None:
            found = connection.execute(_SELECT, (uuid,)).fetchone()
            if found is None:
                return None
            row = Container(*found)
            decision = decide(row)
            if isinstance(decision, Change) and is_written(row, decision):
                decision = stamped(row, decision)
                _put(connection, decision)
            return decision

        decision: Decision | None = await self._write(work)
        return decision

    async def container(self, uuid: str) -> Container | None:
        found = self._read(_SELECT, (uuid,))
        return Container(*found[0]) if found else None

    async def token(self, secret_hash: str) -> Token | None:
        return self._token("secret_hash", secret_hash)

    async def container_and_auth(self, uuid: str) -> tuple[Container, Token | None] | None:
        found = self._read(_WITH_AUTH, (uuid,))
        if not found:
            return None
        row, token = found[0][: len(CONTAINER_COLUMNS)], found[0][len(CONTAINER_COLUMNS) :]
        return Container(*row), None if token[0] is None else _token_of(token)

    async def container_of_auth(self, auth_uuid: str) -> Container | None:
        found = self._read(f"SELECT {CONTAINER_LIST} FROM containers WHERE auth_uuid = ?", (auth_uuid,))  # noqa: S608
        return Container(*found[0]) if found else None

    async def find(self, query: Query) -> Page:
        page, count, values = find_sql(query, lambda _: "?")
        assert self.reader
        self.reader.execute("BEGIN")  # page and count are of one moment
        try:
            rows = [Container(*row) for row in self._read(page, values)]
            available = int(self._read(count, values)[0][0]) if query.with_count else None
        finally:
            self.reader.execute("COMMIT")
        return Page(rows, available)

    def _token(self, column: str, value: str) -> Token | None:
        found = self._read(f"SELECT {TOKEN_LIST} FROM tokens WHERE {column} = ?", (value,))  # noqa: S608
        return _token_of(found[0]) if found else None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        return connection

    def _read(self, statement: str, values: Any) -> list[Any]:
        assert self.reader
        return self.reader.execute(statement, values).fetchall()

    async def _write(self, work: Work) -> Any:
        """What `work` returns, once it is on disk."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self.jobs.put((work, loop, future))
        return await future

    def _write_for_ever(self) -> None:
        connection = self._connect()
        with self.path.with_name(self.path.name + ".turn").open("a") as turn:
            while True:
                batch = self._next_batch()
                if not batch:
                    break
                fcntl.flock(turn, fcntl.LOCK_EX)
                try:
                    results = _run(connection, batch)
                finally:
                    fcntl.flock(turn, fcntl.LOCK_UN)
                _tell(batch, results)
        connection.close()

    def _next_batch(self) -> list[Job]:
        """All that waits, at least one job; empty when the store closes."""
        batch: list[Job] = []
        job = self.jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == self.most_in_a_commit:
                return batch
            try:
                job = self.jobs.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self.jobs.put(None)  # closing comes after this batch
        return batch


def _run(connection: sqlite3.Connection, batch: list[Job]) -> list[object]:
    """Each job's result, or the exception that it ended in, after one commit of them all."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        results = [_attempt(connection, work) for work, _, _ in batch]
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return [StoreError(f"SQLite: {error}")] * len(batch)
    return results


def _attempt(connection: sqlite3.Connection, work: Work) -> object:
    """What the job returns; a rule that fails has written nothing yet, so the others of the batch go on."""
    try:
        return work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:
        return error


def _tell(batch: list[Job], results: list[object]) -> None:
    """Give the callers their results, with one wake-up of each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], object]]] = {}
    for (_, loop, future), result in zip(batch, results, strict=True):
        by_loop.setdefault(loop, []).append((future, result))
    for loop, outcomes in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[tuple["asyncio.Future[Any]", object]]) -> None:
    for future, result in outcomes:
        if future.cancelled():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)


def _put(connection: sqlite3.Connection, change: Change) -> None:
    row = change.after
    connection.execute(_UPDATE, (*written_values(row), row.version, row.uuid))
    if change.revoke:
        connection.execute("DELETE FROM tokens WHERE uuid = ?", (change.revoke,))
    if change.issue:
        connection.execute(_ISSUE_TOKEN, token_values(change.issue, hash_of(change.issue.secret)))


def _token_of(values: tuple[Any, ...]) -> Token:
    token = dict(zip(TOKEN_COLUMNS, values, strict=True))
    return Token(**{**token, "is_admin": bool(token["is_admin"]), "is_active": bool(token["is_active"])})
