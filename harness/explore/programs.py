"""Dispatchers on the model: what each knows, what each may do next, and what must never come of it.

What matters of an auth or a run_auth is only whether it belongs to the current lock. So the symbols of the model are
renamed after every move: `now` for the current lock, `old` for any lock that has ended. That keeps the number of
states finite however many requests are made, and it loses nothing: no answer tells one ended lock from another.
"""

from collections.abc import Iterator
from typing import NamedTuple

from harness.contract import STATES, Level, Outcome
from harness.model import Call, Container, Result, Rules, Symbol, permitted, run_auth_works

NOW, OLD, _NEW = "now", "old", "new"
SHARED = "shared"  # the one dispatch token of a site, as its uuid

REQUESTS = ("lock", "unlock", "auth", "get", *STATES)
"""What a dispatcher may ask; a state's name is an update to that state."""

LOSE = "lose:"  # before a request: it is done, but its answer never arrives
CRASH = "crash"  # the dispatcher forgets all but its dispatch token; not a request

API_OF_9898 = ("lock", "unlock", "auth", "Running", "Complete", "Cancelled")
EVERYTHING = (*REQUESTS, CRASH, *(LOSE + name for name in ("lock", "unlock", "Locked", "Queued", "Cancelled")))

INVARIANTS: dict[str, str] = {
    "both_hold": "RUN-1: two dispatchers believe that they hold the lock, and both hold a working auth",
    "single_winner": "LOCK-3: two dispatchers were granted the same lock",
    "single_holder": "RUN-1: two dispatchers hold a working auth or a working run_auth",
    "told_of_loss": "RUN-2: a dispatcher whose lock was taken away was answered as if it still held it",
    "late_unlock_harmless": "RUN-3: an unlock sent late, for a lock that has ended, changed something",
    "only_holder_starts": "RUN-4: a dispatcher that does not hold the current lock made the container Running",
}
RUN_AUTH_INVARIANTS = ("single_holder", "told_of_loss", "late_unlock_harmless", "only_holder_starts", "both_hold")
DEFAULT_INVARIANTS: dict[Level, tuple[str, ...]] = {
    "must": ("both_hold",),
    "arvados": ("both_hold",),
    "run_auth": RUN_AUTH_INVARIANTS,
}


class Local(NamedTuple):
    """What one dispatcher knows. `done` counts its steps; None where they are not counted."""

    done: int | None = None
    believes: bool = False  # its last lock was granted, and nothing since told it otherwise
    lock: Symbol | None = None  # the lock that it was last granted, named by its auth
    auth: Symbol | None = None  # the auth that it read last
    run_auth: Symbol | None = None  # the run_auth that it saw last; it sends it in every call


class Move(NamedTuple):
    """One thing that one dispatcher did, and what came of it."""

    name: str
    outcome: Outcome
    container: Container
    local: Local
    ends: bool  # the lock of before is over: what others know of it is `old` from here on
    broken: tuple[str, ...]  # invariants that this move breaks whatever the others know


class World(NamedTuple):
    """Everything at one moment: the container, and what each dispatcher knows."""

    container: Container
    locals: tuple[Local, ...]


class Protocol(NamedTuple):
    """The rules in force; `every_answer` also follows the answers that the contract leaves open, not only the first."""

    rules: Rules
    every_answer: bool = False


def age(local: Local) -> Local:
    """The same knowledge after the current lock has ended."""
    return Local(local.done, local.believes, *(OLD if symbol == NOW else symbol for symbol in local[2:]))


def moves(protocol: Protocol, container: Container, local: Local, name: str, caller: str = SHARED) -> Iterator[Move]:
    """What may come of `name` done by a dispatcher that knows `local`."""
    if local.done is not None:
        local = local._replace(done=local.done + 1)
    if name == CRASH:
        yield Move(name, "granted", container, Local(local.done), ends=False, broken=())
        return
    request = name.removeprefix(LOSE)
    call = _call(request, caller, local)
    results = permitted(protocol.rules, container, call, _NEW)
    for result in results if protocol.every_answer else results[:1]:
        assert result.container is not None
        learned = _learn(local, request, caller, result) if name == request else _learn_nothing(local, request)
        ends = container.auth is not None and result.container.auth != container.auth
        after = _forget_attempts(protocol.rules, result.container)
        granted = result.outcome == "granted"
        broken = tuple(_broken(protocol.rules, container, local, request, after)) if granted else ()
        before = age(learned) if ends else learned
        yield Move(name, result.outcome, _renamed(after), _settled(before), ends, broken)


def _call(request: str, caller: str, local: Local) -> Call:
    if request in STATES:
        return Call("update", caller, (("state", request),), run_auth=local.run_auth)
    return Call(request, caller, run_auth=local.run_auth)


_GIVES_UP = frozenset({"unlock", "Queued", "Complete", "Cancelled"})


def _learn_nothing(local: Local, request: str) -> Local:
    """The answer is lost: a lock is not believed, and who asked to give it back no longer acts on it."""
    asked = request in _GIVES_UP or request in {"lock", "Locked"}
    return local._replace(believes=False) if asked else local


def _learn(local: Local, request: str, caller: str, result: Result) -> Local:
    """What the dispatcher makes of the answer."""
    shown = result.shown
    if result.outcome != "granted" or shown is None:
        return local._replace(believes=False)
    if shown.run_auth is not None:
        local = local._replace(run_auth=shown.run_auth)
    if request in {"lock", "Locked"}:
        return local._replace(believes=True, lock=shown.auth)
    if request == "auth":
        return local._replace(auth=shown.auth)
    if request in _GIVES_UP:
        return local._replace(believes=False)
    mine = shown.state in {"Locked", "Running"} and shown.locked_by == caller
    return local._replace(believes=local.believes and mine)


def _forget_attempts(rules: Rules, container: Container) -> Container:
    """Attempts are counted only where they decide something, and no further than they do."""
    limit = rules.max_dispatch_attempts
    return container._replace(lock_count=0 if limit is None else min(container.lock_count, limit))


def _renamed(container: Container) -> Container:
    """The new lock's symbols become those of the current lock."""
    return container._replace(
        auth=NOW if container.auth == _NEW else container.auth,
        run_auth=NOW if container.run_auth == _NEW else container.run_auth,
    )


def _settled(local: Local) -> Local:
    return Local(local.done, local.believes, *(NOW if symbol == _NEW else symbol for symbol in local[2:]))


def _broken(rules: Rules, before: Container, local: Local, request: str, after: Container) -> Iterator[str]:
    """Invariants that a granted `request` breaks by itself."""
    names_its_lock = local.run_auth is not None or not rules.run_auth
    if local.believes and local.lock == OLD and names_its_lock and request not in {"lock", "Locked", "get"}:
        yield "told_of_loss"
    if request in {"unlock", "Queued"} and local.lock == OLD and names_its_lock and after != before:
        yield "late_unlock_harmless"
    if (before.state, after.state) == ("Locked", "Running") and local.lock != NOW:
        yield "only_holder_starts"


def holdings(rules: Rules, container: Container, local: Local) -> frozenset[str]:
    """Invariants that this dispatcher would break together with another one of which the same is true."""
    found = set()
    if local.believes and local.auth == NOW:
        found.add("both_hold")
    if local.believes and local.lock == NOW:
        found.add("single_winner")
    if local.auth == NOW or run_auth_works(rules, container, local.run_auth):
        found.add("single_holder")
    return frozenset(found)


def broken_by_state(rules: Rules, world: World) -> set[str]:
    """Invariants that are broken in this very moment."""
    seen: set[str] = set()
    broken: set[str] = set()
    for local in world.locals:
        held = holdings(rules, world.container, local)
        broken |= held & seen
        seen |= held
    return broken


def after_move(world: World, index: int, move: Move) -> World:
    """The whole world once dispatcher `index` has done `move`."""
    others = (age(local) if move.ends else local for local in world.locals)
    return World(
        move.container,
        tuple(move.local if number == index else local for number, local in enumerate(others)),
    )
