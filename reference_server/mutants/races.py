"""Mutants that only calls at once can find: a row is looked at first and written later.

A  [ look: Queued ]                    [ write: Locked by A ]  granted
B           [ look: Queued ]    [ write: Locked by B ]         granted
"""

import asyncio
import contextlib

from reference_server.mutants.catalogue import mutant
from reference_server.places import Change as ChangePlace
from reference_server.rules import Call, Change, Decision, Refusal, Rule
from reference_server.stores import Store

COMPANY_S = 0.2


class Company:
    """Where callers that have looked at one container wait for a second one, for a short while."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Event] = {}

    async def wait(self, uuid: str) -> None:
        """Return once a second caller is here for the same container, or after COMPANY_S seconds."""
        other = self.waiting.pop(uuid, None)
        if other:
            other.set()
            return
        mine = self.waiting[uuid] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(mine.wait(), COMPANY_S)
        if self.waiting.get(uuid) is mine:
            del self.waiting[uuid]


async def look(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
    """What the rule says of the row as it is just now, with nothing held still."""
    row = await store.container(uuid)
    return None if row is None else rule(row, call)


async def write(store: Store, uuid: str, decision: Decision | None) -> Decision | None:
    """Do what was decided earlier, whatever the row has become since."""
    if decision is None or isinstance(decision, Refusal):
        return decision
    return await store.change(uuid, lambda _: decision)


@mutant(
    "change", "LOCK-3", invariant="single_winner", seen="Arvados 5afa718bbf: state checked before the row lock", crowd=2
)
def check_before_lock(faithful: ChangePlace) -> ChangePlace:
    """Lock checks the state before it takes the row: of two that have checked, both are granted."""
    company = Company()

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        if call.verb != "lock":
            return await faithful(store, uuid, rule, call)
        decision = await look(store, uuid, rule, call)
        if decision is not None and not isinstance(decision, Refusal):
            await company.wait(uuid)
        return await write(store, uuid, decision)

    return change


@mutant(
    "change",
    "STATE-4 LOCK-3",
    "arvados",
    invariant="single_winner",
    seen="Arvados bc882be0f7 (2.7.0): update validated on the row read before its lock",
    crowd=2,
)
def update_stale(faithful: ChangePlace) -> ChangePlace:
    """An update that locks is judged on a row read before the row lock: two are told that they hold the lock."""
    company = Company()

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        if call.verb != "update" or call.attributes.get("state") != "Locked":
            return await faithful(store, uuid, rule, call)
        decision = await look(store, uuid, rule, call)
        if isinstance(decision, Change) and decision.issue:
            await company.wait(uuid)
        return await write(store, uuid, decision)

    return change
