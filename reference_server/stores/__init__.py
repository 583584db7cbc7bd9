"""Where containers and tokens are kept, behind one small interface.

A change is made by `change`: the store finds the row, runs the rule on it while no other change can come in between,
writes what the rule decided, and returns only when that survives `kill -9`.
"""

from collections.abc import Callable
from typing import Protocol

from reference_server.objects import Container, Token
from reference_server.query import Page, Query
from reference_server.rules import Decision

Decide = Callable[[Container], Decision]


class StoreError(Exception):
    """The database could not do what was asked; nothing of it was acknowledged."""


class Store(Protocol):
    """What the server asks of a database."""

    kind: str

    async def open(self) -> None:
        """Be ready: connect, and make the tables where they are not there yet."""

    async def close(self) -> None:
        """End cleanly; nothing acknowledged is lost either way."""

    async def add(self, containers: list[Container], tokens: list[Token]) -> None:
        """Keep new rows, durably; rows that are there already stay as they are."""

    async def container(self, uuid: str) -> Container | None:
        """The container as it is now."""

    async def token(self, secret_hash: str) -> Token | None:
        """The token with this secret, expired or not."""

    async def container_and_auth(self, uuid: str) -> tuple[Container, Token | None] | None:
        """The container and its container auth, as both are at one moment."""

    async def container_of_auth(self, auth_uuid: str) -> Container | None:
        """The container whose auth this is."""

    async def find(self, query: Query) -> Page:
        """The containers that a list call asks for, as all are at one moment."""

    async def change(self, uuid: str, decide: Decide) -> Decision | None:
        """Run `decide` on the row and do as it says, all at one instant. Null: no such container."""
