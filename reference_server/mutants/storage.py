"""Mutants of the store: what is acknowledged before it is safe."""

import asyncio

from reference_server.mutants.catalogue import mutant
from reference_server.objects import Container, Token
from reference_server.places import OpenStore
from reference_server.query import LARGEST_PAGE, Query
from reference_server.rules import Change, Decision
from reference_server.stores import Decide, Store
from reference_server.stores.memory import MemoryStore

BEHIND_S = 0.3


class WriteBehindStore(MemoryStore):
    """Serves from memory, and writes each change to the real store a moment after it was acknowledged."""

    def __init__(self, behind: Store) -> None:
        super().__init__()
        self.behind = behind
        self.writes: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Lock()

    async def load(self) -> None:
        """Take over what the real store has kept."""
        for row in (await self.behind.find(Query(order=(("uuid", False),), limit=LARGEST_PAGE))).rows:
            found = await self.behind.container_and_auth(row.uuid)
            await super().add([row], [found[1]] if found and found[1] else [])

    async def close(self) -> None:
        await asyncio.gather(*self.writes)
        await self.behind.close()

    async def add(self, containers: list[Container], tokens: list[Token]) -> None:
        await self.behind.add(containers, tokens)
        await super().add(containers, tokens)

    async def change(self, uuid: str, decide: Decide) -> Decision | None:
        decision = await super().change(uuid, decide)
        if isinstance(decision, Change):
            task = asyncio.create_task(self.write_later(uuid, decision))
            self.writes.add(task)
            task.add_done_callback(self.writes.discard)
        return decision

    async def write_later(self, uuid: str, change: Change) -> None:
        """Do to the real store what was done to the one in memory."""
        await asyncio.sleep(BEHIND_S)
        async with self.turn:
            await self.behind.change(uuid, lambda _: change)


@mutant("open_store", "DUR-1", invariant="durable", restart=True)
def acknowledged_before_commit(faithful: OpenStore) -> OpenStore:
    """A change is acknowledged a moment before it is written: what a crash finds in between is lost."""

    async def open_store(store: Store) -> Store:
        behind = WriteBehindStore(await faithful(store))
        await behind.load()
        return behind

    return open_store
