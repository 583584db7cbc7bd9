"""Mutants that only calls at once can find: a row is looked at first and written later.

A  [ look: Queued ]                    [ write: Locked by A ]  granted
B           [ look: Queued ]    [ write: Locked by B ]         granted
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from reference_server.mutants.catalogue import mutant
from reference_server.places import Change as ChangePlace
from reference_server.rules import Call, Change, Decision, Rule, cannot_lock
from reference_server.stores import Store

if TYPE_CHECKING:
    from reference_server.stores.postgres import PostgresStore

COMPANY_S = 0.2
Pause = Callable[[str], Awaitable[object]]


class Company:
    """Where callers that have looked at one container wait for a second one, for a short while."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Event] = {}

    async def wait(self, uuid: str) -> bool:
        """Return once a second caller is here for the same container (True), or after COMPANY_S seconds (False)."""
        other = self.waiting.pop(uuid, None)
        if other:
            other.set()
            return True
        mine = self.waiting[uuid] = asyncio.Event()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COMPANY_S):
                await mine.wait()
        if self.waiting.get(uuid) is mine:
            del self.waiting[uuid]
        return mine.is_set()


async def look_then_write(store: Store, uuid: str, rule: Rule, call: Call, pause: Pause) -> Decision | None:
    """Decide on the row as it is, pause, and write that decision whatever the row has become since."""
    row = await store.container(uuid)
    decision = None if row is None else rule(row, call)
    if not isinstance(decision, Change) or decision.after is row:
        return decision
    await pause(uuid)
    return await store.change(uuid, lambda _: decision)


def unguarded(faithful: ChangePlace, verbs: tuple[str, ...], pause: Pause) -> ChangePlace:
    """The place `change`, where the calls of these verbs look first and write later."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        if call.verb not in verbs:
            return await faithful(store, uuid, rule, call)
        return await look_then_write(store, uuid, rule, call, pause)

    return change


async def busy_wait(seconds: float) -> None:
    """Wait for less than the event loop's own clock can: other tasks run meanwhile, at least once."""
    end = time.perf_counter() + seconds
    await asyncio.sleep(0)
    while time.perf_counter() < end:  # noqa: ASYNC110  nothing will tell us
        await asyncio.sleep(0)


@mutant("change", "LOCK-3", invariant="single_winner", seen="Arvados 5afa718bbf: checked before the row lock", crowd=2)
def check_before_lock(faithful: ChangePlace) -> ChangePlace:
    """Lock checks the state before it takes the row: of two that have checked, both are granted."""
    return unguarded(faithful, ("lock",), Company().wait)


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2)
def check_then_act_0(faithful: ChangePlace) -> ChangePlace:
    """Lock checks, then acts, with nothing in between but the way to the database."""
    return unguarded(faithful, ("lock",), lambda _: asyncio.sleep(0))


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2)
def check_then_act_100us(faithful: ChangePlace) -> ChangePlace:
    """Lock checks, then acts 0.1 ms later."""
    return unguarded(faithful, ("lock",), lambda _: busy_wait(0.000_1))


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2)
def check_then_act_1ms(faithful: ChangePlace) -> ChangePlace:
    """Lock checks, then acts 1 ms later."""
    return unguarded(faithful, ("lock",), lambda _: busy_wait(0.001))


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2)
def check_then_act_10ms(faithful: ChangePlace) -> ChangePlace:
    """Lock checks, then acts 10 ms later."""
    return unguarded(faithful, ("lock",), lambda _: asyncio.sleep(0.010))


@mutant(
    "change", "STATE-4", "arvados", "single_winner", "Arvados bc882be0f7: an update judged before its row lock", crowd=2
)
def update_stale(faithful: ChangePlace) -> ChangePlace:
    """An update that locks is judged on a row read before the row lock: two are told that they hold the lock."""
    return unguarded(faithful, ("update",), Company().wait)


@mutant("change", "STATE-4", "arvados", "single_winner", "Arvados e348da8c60: validated on stale rows", crowd=2)
def update_unguarded(faithful: ChangePlace) -> ChangePlace:
    """Lock is guarded, and an update to Locked is not: it checks, then acts 5 ms later."""
    return unguarded(faithful, ("update",), lambda _: asyncio.sleep(0.005))


@mutant("change", "UNLOCK-2", invariant="unlock_only_locked", seen="Arvados 5a36ea60ca: unlock sent twice", crowd=2)
def unlock_twice(faithful: ChangePlace) -> ChangePlace:
    """Unlock checks before it takes the row: of two that have checked, both are granted."""
    return unguarded(faithful, ("unlock",), Company().wait)


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2, workers=2)
def mutex_per_process(faithful: ChangePlace) -> ChangePlace:
    """Lock is guarded by a mutex in memory, which another worker process knows nothing of."""
    mutexes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    inner = unguarded(faithful, ("lock",), lambda _: asyncio.sleep(0.002))

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        async with mutexes[uuid]:
            return await inner(store, uuid, rule, call)

    return change


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2, tokens=2)
def mutex_per_token(faithful: ChangePlace) -> ChangePlace:
    """Lock is guarded by a mutex of the caller's token, which another token does not wait for."""
    mutexes: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
    inner = unguarded(faithful, ("lock",), lambda _: asyncio.sleep(0.010))

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        async with mutexes[uuid, call.caller.uuid]:
            return await inner(store, uuid, rule, call)

    return change


@mutant("change", "LOCK-3", invariant="single_winner", crowd=2, database="postgresql")
def read_committed(faithful: ChangePlace) -> ChangePlace:
    """Lock reads and writes in one transaction of the weaker isolation, which does not hold the row still."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        if call.verb != "lock" or store.kind != "postgresql":
            return await faithful(store, uuid, rule, call)
        store = cast("PostgresStore", store)
        async with store.connection() as connection, connection.transaction(isolation="read_committed"):
            return await store.change_unguarded(connection, uuid, lambda row: rule(row, call))

    return change


@mutant("change", "LOCK-3", invariant="linearizable", seen="Arvados fbc576b769: FOR UPDATE NOWAIT", crowd=2)
def both_back_off(faithful: ChangePlace) -> ChangePlace:
    """Of two locks at once, each sees the other one coming and is refused: nobody wins."""
    company = Company()

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        if call.verb == "lock" and await company.wait(uuid):
            return cannot_lock("other transaction in progress")
        return await faithful(store, uuid, rule, call)

    return change


@mutant("change", "LIVE-1", invariant="no_deadlock", seen="Arvados 28da710485 and others (#20240)", crowd=2)
def lock_order(faithful: ChangePlace) -> ChangePlace:
    """Lock takes the container, then the table; the others take the table, then the container: they wait for ever."""
    containers: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
    table = asyncio.Lock()

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        mutexes = [containers[uuid], table] if call.verb == "lock" else [table, containers[uuid]]
        async with mutexes[0]:
            await asyncio.sleep(0.02)
            async with mutexes[1]:
                return await faithful(store, uuid, rule, call)

    return change
