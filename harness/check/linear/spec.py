"""One step of the model, for a checker that does not always know which lock it is looking at.

The model names each lock by a symbol. Here the symbol is a `Lock`: the auth and the run_auth that answers showed for
it, each None until an answer shows it. The first answer that shows a field of the current lock settles it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.check.linear.request import ANY, Request
from harness.check.linear.timed import Timed
from harness.contract import FINAL_STATES, STATES, covers
from harness.model import Call, Container, Rules, permitted


class Lock(NamedTuple):
    """One lock of a container, as far as answers have shown it.

    Each is None until it is shown, and UNKNOWN instead where the lock is older than the history: then it may be one
    that was seen before. (A `run_auth` that the lock's own answer did not show is never shown again: nobody has it.)
    """

    auth: str | None = None
    run_auth: str | None = None


UNKNOWN = "?"
ANYONE = "?"
"""The holder of a lock that is older than the history, if no token of the history holds it."""

OWN = "shown by its lock alone"
"""Stands for the auth of a lock that nothing else shows: such locks differ in nothing but their times."""

_NO_LOCK = Lock("", "")
"""Equals no lock that a container can be in."""

State = Container | None
"""A container between two operations; None before it was created."""


class Spec:
    """The model under one run's rules, with its answers remembered."""

    def __init__(self, rules: Rules, known_uuids: Iterable[str] = ()) -> None:
        self.rules = rules
        self._known_uuids = frozenset(known_uuids)
        self._memory: dict[tuple[State, Request], tuple[State, ...]] = {}

    def steps(self, state: State, request: Request) -> tuple[State, ...]:
        """Every container that can be after `request` was answered so; empty when that answer is not permitted."""
        key = (state, request)
        found = self._memory.get(key)
        if found is None:
            found = tuple(dict.fromkeys(self._steps(state, request)))
            self._memory[key] = found
        return found

    def _steps(self, state: State, request: Request) -> Iterable[State]:
        if (state is None) != (request.op == "create"):
            return
        fresh = Lock(
            request.shown_auth if isinstance(request.shown_auth, str) else None,
            request.shown_run_auth if isinstance(request.shown_run_auth, str) else None,
        )
        for known in _settled(state, request):
            for result in permitted(self.rules, known, _call(known, request), fresh):
                if result.outcome != ("granted" if request.outcome == "unknown" else request.outcome):
                    continue
                if _issued_again(known, result.container, fresh):
                    continue
                if request.outcome != "granted" or result.shown is None:
                    yield result.container
                    continue
                after = self._shown(result.container, result.shown, request)
                if after is not ANY:
                    yield after

    def _shown(self, container: State, shown: Container, request: Request) -> Any:
        """The container after the answer, with its lock settled by it; ANY when the answer shows another."""
        assert container is not None
        if not (
            request.state in (ANY, shown.state)
            and (request.priority in (ANY, shown.priority) or shown.state in FINAL_STATES)  # Arvados then sets it to 0
            and request.lock_count in (ANY, shown.lock_count)
            and (request.locked_by is ANY or self._same_holder(shown.locked_by, request.locked_by))
        ):
            return ANY
        container = _show_lock(container, request.shown_auth)
        if container is ANY or request.shown_run_auth is ANY:
            return container
        handed = shown.run_auth.run_auth if isinstance(shown.run_auth, Lock) else None
        return container if request.shown_run_auth == handed else ANY

    def _same_holder(self, caller: str | None, shown: str | None) -> bool:
        if caller is None or shown is None:
            return caller is shown
        if caller == ANYONE:
            return False  # whoever is shown somewhere has a start of their own
        return caller == shown or caller not in self._known_uuids


def _issued_again(before: State, after: State, fresh: Lock) -> bool:
    """Whether a lock was taken whose auth is that of the lock before, which an update to Queued may have kept."""
    if before is None or after is None or after.lock_count == before.lock_count:
        return False
    return isinstance(before.auth, Lock) and fresh.auth not in {None, OWN} and before.auth.auth == fresh.auth


def _settled(state: State, request: Request) -> Iterable[State]:
    """The state, and where its lock is not known yet, also as if it were the one that the request names."""
    named = _named_auths(request)
    yield state
    if state is None or not isinstance(state.auth, Lock):
        return
    if state.auth.auth in {None, UNKNOWN}:
        for auth in named:
            yield _settle(state, auth=auth)
    if state.auth.run_auth == UNKNOWN and request.run_auth is not None:
        yield _settle(state, run_auth=request.run_auth)


def _settle(container: Container, **shown: str) -> Container:
    lock = container.auth
    assert isinstance(lock, Lock)
    settled = lock._replace(**shown)
    run_auth = settled if container.run_auth == lock else container.run_auth
    return container._replace(auth=settled, run_auth=run_auth)


def _show_lock(container: Container, shown: Any) -> Any:
    """The container after its auth_uuid was shown; ANY when it is another one."""
    if shown is ANY:
        return container
    lock = container.auth
    if shown is None or not isinstance(lock, Lock):
        return container if shown is None and lock is None else ANY
    if lock.auth in {None, UNKNOWN}:
        return _settle(container, auth=shown)
    return container if lock.auth == shown else ANY


def _named_auths(request: Request) -> set[str]:
    named = {value for name, value in request.attributes if name == "auth_uuid" and isinstance(value, str)}
    return named | {request.auth} if request.auth is not None else named


def _call(state: State, request: Request) -> Call:
    """The model's call, with every auth and run_auth as the symbol of the lock it belongs to."""
    lock = state.auth if state is not None and isinstance(state.auth, Lock) else None
    attributes = tuple(
        (name, lock if name == "auth_uuid" and lock is not None and value == lock.auth else value)
        for name, value in request.attributes
    )
    auth = None
    if request.caller is None:
        same = lock is not None and request.auth in (None, lock.auth)
        auth = lock if same else _NO_LOCK
    run_auth: Any = None
    if request.run_auth is not None:
        own = state.run_auth if state is not None else None
        run_auth = own if isinstance(own, Lock) and own.run_auth == request.run_auth else _NO_LOCK
    return Call(request.op, request.caller, attributes, auth, run_auth)


def starts_of(rules: Rules, timed: Sequence[Timed]) -> frozenset[State]:
    """In which states a container can be before its history: not there, where the history creates it."""
    if any(one.request.op == "create" for one in timed):
        return frozenset({None})
    return unknown_starts(rules, timed)


def unknown_starts(rules: Rules, timed: Sequence[Timed]) -> frozenset[State]:
    """Every state in which a container can be that the history did not create, as far as its requests can tell."""
    requests = [one.request for one in timed]
    holders = {r.caller for r in requests if r.caller} | {r.locked_by for r in requests if isinstance(r.locked_by, str)}
    holders |= {
        value for r in requests for name, value in r.attributes if name == "locked_by_uuid" and isinstance(value, str)
    }
    priorities = {r.priority for r in requests if isinstance(r.priority, int)} | {0, 1}
    free: list[Container] = [
        Container(state, priority, None, None, count, None)
        for state in STATES
        for priority in priorities
        for count in (_start_counts(rules, timed) if covers(rules.level, "arvados") else {0})
    ]
    starts = set(free)
    for container in free:
        if container.state in {"Locked", "Running"}:
            if covers(rules.level, "arvados"):
                starts.discard(container)
            for holder in {*holders, ANYONE}:
                starts.add(container._replace(locked_by=holder, auth=Lock(UNKNOWN)))
                if rules.run_auth:
                    lock = Lock(UNKNOWN, UNKNOWN)
                    starts.add(container._replace(locked_by=holder, auth=lock, run_auth=lock))
    return frozenset(starts)


def _start_counts(rules: Rules, timed: Sequence[Timed]) -> set[int]:
    """How many locks the container can have had before the history.

    The first answer that shows a count bounds it: less the locks that were taken by then. Where none does, only the
    attempt limit matters.
    """
    shown = [one for one in timed if isinstance(one.request.lock_count, int)]
    locks = [one for one in timed if one.changes and _can_lock(one.request)]
    sure = [one for one in shown if not one.optional]
    if sure:
        first = min(sure, key=lambda one: one.return_)
        certain = [
            one for one in locks if one.request.op == "lock" and not one.optional
        ]  # an update may change nothing
        least = sum(1 for one in certain if one.return_ < first.invoke)
        most = sum(1 for one in locks if one.invoke <= first.return_)
        return {
            first.request.lock_count - taken for taken in range(least, most + 1) if first.request.lock_count >= taken
        }
    counts = {one.request.lock_count - taken for one in shown for taken in range(len(locks) + 1)}
    return {count for count in counts if count >= 0} | set(range((rules.max_dispatch_attempts or 0) + 1))


def _can_lock(request: Request) -> bool:
    return request.op == "lock" or ("state", "Locked") in request.attributes
