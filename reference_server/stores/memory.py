"""A store in memory, for exploring a server in one process: nothing is durable, every step is an await point.

A deterministic scheduler may let another task run wherever a real database would be waited for, so a departure that
looks first and acts later is found by its order alone, without a clock.
"""

import asyncio
from functools import cmp_to_key

from reference_server.objects import Container, Token, hash_of
from reference_server.query import COMPARISONS, Condition, Page, Query
from reference_server.rules import Change, Decision, readable
from reference_server.stores import Decide
from reference_server.stores.sql import is_written, stamped


async def step() -> None:
    """A place where any other task may run."""
    await asyncio.sleep(0)


class MemoryStore:
    """Dicts of rows. `change` itself has no await point inside: that is what a transaction is."""

    kind = "memory"

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.tokens: dict[str, Token] = {}
        self.uuid_of_secret: dict[str, str] = {}

    async def open(self) -> None:
        await step()

    async def close(self) -> None:
        await step()

    async def add(self, containers: list[Container], tokens: list[Token]) -> None:
        await step()
        for row in containers:
            self.containers.setdefault(row.uuid, row)
        for token in tokens:
            if token.uuid not in self.tokens:
                self.keep_token(token)

    async def container(self, uuid: str) -> Container | None:
        await step()
        return self.containers.get(uuid)

    async def token(self, secret_hash: str) -> Token | None:
        await step()
        return self.tokens.get(self.uuid_of_secret.get(secret_hash, ""))

    async def container_and_auth(self, uuid: str) -> tuple[Container, Token | None] | None:
        await step()
        row = self.containers.get(uuid)
        return None if row is None else (row, self.tokens.get(row.auth_uuid or ""))

    async def container_of_auth(self, auth_uuid: str) -> Container | None:
        await step()
        return next((row for row in self.containers.values() if row.auth_uuid == auth_uuid), None)

    async def find(self, query: Query) -> Page:
        await step()
        rows = [row for row in self.containers.values() if matches(row, query)]
        rows.sort(key=cmp_to_key(lambda one, other: compare(one, other, query)))
        page = rows[query.offset : query.offset + query.limit]
        return Page(page, len(rows) if query.with_count else None)

    async def change(self, uuid: str, decide: Decide) -> Decision | None:
        await step()
        row = self.containers.get(uuid)
        if row is None:
            return None
        decision = decide(row)
        if isinstance(decision, Change) and is_written(row, decision):
            decision = stamped(row, decision)
            self.write(decision)
        await step()
        return decision

    def write(self, change: Change) -> None:
        """Put a change into the tables."""
        self.containers[change.after.uuid] = change.after
        if change.revoke:
            gone = self.tokens.pop(change.revoke, None)
            if gone:
                del self.uuid_of_secret[hash_of(gone.secret)]
        if change.issue:
            self.keep_token(change.issue)

    def keep_token(self, token: Token) -> None:
        """Put a token into the tables, in place of one of the same name."""
        old = self.tokens.get(token.uuid)
        if old:
            del self.uuid_of_secret[hash_of(old.secret)]
        self.tokens[token.uuid] = token
        self.uuid_of_secret[hash_of(token.secret)] = token.uuid


def matches(row: Container, query: Query) -> bool:
    """Whether a row is among what the query asks for."""
    if query.readable_by is not None and not readable(row, query.readable_by):
        return False
    return all(_holds(row, condition) for condition in query.conditions)


def _holds(row: Container, condition: Condition) -> bool:
    actual, name, value = getattr(row, condition.column), condition.operator, condition.value
    if isinstance(value, tuple):
        return (actual in value) == (name == "in")
    if actual is None or value is None:
        return (actual == value) == (name == "=") if name in ("=", "!=") else False
    return bool(COMPARISONS[name](actual, value))


def compare(one: Container, other: Container, query: Query) -> int:
    """Which of two rows comes first: below 0 is `one`. Null counts as larger than anything."""
    for column, descending in query.order:
        left, right = getattr(one, column), getattr(other, column)
        if left == right:
            continue
        is_less = left is not None and (right is None or left < right)
        return 1 if is_less == descending else -1
    return 0
