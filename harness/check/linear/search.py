"""The general check: exact for every history of one container, within a bound on its work.

It goes through the invocations and returns in order of time and keeps every configuration that is possible there: the
state of the container and which of the pending operations have taken effect. An operation takes effect as late as
it can: only when its own return, or that of an operation that needs it, forces it to. (Any legal order can be brought
into this form: an effect that nothing forces before the next return can be moved behind it.) Configurations that
agree are merged, and one that has spent fewer optional operations stands for one that is otherwise the same.

Worst case: exponential in the number of operations pending at once that change the container.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.check.linear.request import Request
from harness.check.linear.spec import OWN, UNKNOWN, Lock, Spec, State
from harness.check.linear.timed import NEVER, Timed
from harness.check.verdict import Linearizability

DEFAULT_BOUND = 2_000_000
"""Steps of the model that one container may cost before the verdict is unknown."""

_Trail = tuple["_Trail", int] | None
"""An order of operations, newest first: (the order before, position of the operation)."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a part of a history from the operations around it."""

    issued: Set[str] = frozenset()  # auths that were shown before the part began
    pins: Mapping[str, int] = field(default_factory=dict)  # auth -> the last invocation of what shows it


class Found(NamedTuple):
    """What a search says; positions into the sequence that was searched.

    `order` is a legal order of all that took effect, or the longest legal one that was found; `stuck` is the operation
    that cannot be placed after any legal order of what came before it.
    """

    verdict: Linearizability
    order: tuple[int, ...] = ()
    stuck: int | None = None


_NONE: frozenset[int] = frozenset()


class _Config(NamedTuple):
    state: State
    done: frozenset[int]  # pending operations that must take effect and have, of those that can change the container
    seen: frozenset[int]  # the same of those that only observe
    spent: frozenset[int]  # optional ones with a return that have taken effect
    burnt: frozenset[str]  # auths that these have shown: no later lock can have one of them
    used: tuple[int, ...]  # how many of each kind of optional ones without a return have


def search(
    spec: Spec,
    timed: Sequence[Timed],
    starts: Iterable[State],
    bound: int = DEFAULT_BOUND,
    evidence: Evidence | None = None,
) -> Found:
    """Decide whether some order of `timed`, from one of `starts`, is legal; `unknown` after `bound` steps."""
    walk = _Walk(spec, timed, bound, evidence or Evidence())
    configs = _Frontier()
    for state in starts:
        configs.add(_Config(state, _NONE, _NONE, _NONE, frozenset(), walk.nothing_used), None)
    for kind, position in _events(timed):
        if kind == _INVOKED:
            walk.invoke(position)
            continue
        after = walk.returns(configs, position)
        if walk.left < 0:
            return Found("unknown")
        if not after.configs:
            return Found("violated", max((_order(trail) for _, trail in configs), key=len, default=()), position)
        configs = after
    if not configs.configs:  # no start fits the lock counts that were shown
        return Found("violated")
    return Found("linearizable", _order(next(iter(configs))[1]))


_INVOKED, _RETURNED = -1, 0


def _events(timed: Sequence[Timed]) -> list[tuple[int, int]]:
    """(kind, position) of each invocation and return, in order of time, invocations first."""
    events = [(one.invoke, _INVOKED, position) for position, one in enumerate(timed)]
    events += [(one.return_, _RETURNED, position) for position, one in enumerate(timed) if one.return_ != NEVER]
    return [(kind, position) for _, kind, position in sorted(events)]


class _Frontier:
    """Configurations with the order that led to each, without those that another one makes needless."""

    def __init__(self) -> None:
        self.configs: dict[tuple[State, frozenset[int], frozenset[str]], list[tuple[_Config, _Trail]]] = {}

    def add(self, config: _Config, trail: _Trail) -> bool:
        """Add one, unless one that is as good is there; whether it was added."""
        same = self.configs.setdefault((config.state, config.done, config.burnt), [])
        if any(_as_good(other, config) for other, _ in same):
            return False
        same[:] = [pair for pair in same if not _as_good(config, pair[0])]
        same.append((config, trail))
        return True

    def __iter__(self) -> Iterator[tuple[_Config, _Trail]]:
        return (pair for pairs in self.configs.values() for pair in pairs)


def _as_good(one: _Config, other: _Config) -> bool:
    """Whether whatever is possible from the other is possible from this one, which agrees in state, done and burnt."""
    return (
        one.seen >= other.seen
        and one.spent <= other.spent
        and (one.used == other.used or all(a <= b for a, b in zip(one.used, other.used, strict=True)))
    )


class _Walk:
    """What holds for all configurations at one moment: who is pending, and which auths have been shown."""

    def __init__(self, spec: Spec, timed: Sequence[Timed], bound: int, evidence: Evidence) -> None:
        self.left = bound
        self._spec = spec
        self._timed = timed
        self._requests = _anonymous(timed, evidence)
        self._pins = dict(evidence.pins)
        for one in timed:
            shown = one.request.shown_auth
            if isinstance(shown, str) and not one.optional:
                self._pins[shown] = max(one.invoke, self._pins.get(shown, 0))
        self._issued = set(evidence.issued)
        # Locks and unlocks that must take effect: none of them can while another lock lasts.
        self._ending = [
            (one.return_, position)
            for position, one in enumerate(timed)
            if not one.optional and one.request.op in {"lock", "unlock"} and one.changes
        ]
        self._ending.sort()
        self._left_over = {position for _, position in self._ending}
        self._observers: set[int] = set()  # pending
        self._changers: set[int] = set()
        numbers: dict[tuple[Request, bool], int] = {}
        self._kinds = [
            numbers.setdefault((request, one.optional), len(numbers))
            for one, request in zip(timed, self._requests, strict=True)
        ]
        endless = sorted({self._kinds[at] for at, one in enumerate(timed) if one.return_ == NEVER})
        self._endless = {kind: place for place, kind in enumerate(endless)}
        self._invoked: list[list[int]] = [[] for _ in endless]
        self.nothing_used = (0,) * len(endless)

    def invoke(self, position: int) -> None:
        """From now on the operation is pending."""
        one = self._timed[position]
        if one.return_ == NEVER:
            self._invoked[self._endless[self._kinds[position]]].append(position)
        elif one.changes:
            self._changers.add(position)
        elif not one.optional:
            self._observers.add(position)

    def returns(self, configs: _Frontier, position: int) -> _Frontier:
        """Every configuration after the return of an operation; none when it cannot have taken effect."""
        one = self._timed[position]
        after = _Frontier()
        if one.optional:
            for config, trail in configs:
                after.add(self._without(config, position), trail)
        tried = _Frontier()
        stack = list(configs)
        while stack and self.left >= 0:
            config, trail = self._absorb(*stack.pop())
            if position in config.done or position in config.seen or position in config.spent:
                after.add(self._without(config, position), trail)
            elif tried.add(config, trail):
                stack.extend(self._next(config, trail, one.return_))
        self._observers.discard(position)
        self._changers.discard(position)
        self._left_over.discard(position)
        if not one.optional:
            self._issued |= self._burns(position)
        return after

    def _without(self, config: _Config, position: int) -> _Config:
        """The configuration when the operation is no longer pending; what it showed is then known for all of them."""
        gone = frozenset({position})
        burnt = config.burnt if self._timed[position].optional else config.burnt - self._burns(position)
        return config._replace(done=config.done - gone, seen=config.seen - gone, spent=config.spent - gone, burnt=burnt)

    def _burns(self, position: int) -> frozenset[str]:
        """The auth that an operation shows, if any."""
        shown = self._requests[position].shown_auth
        return frozenset({shown}) if isinstance(shown, str) and shown != OWN else frozenset()

    def _next(self, config: _Config, trail: _Trail, now: int) -> Iterator[tuple[_Config, _Trail]]:
        """Each configuration that one more change leads to."""
        lock = lock_of(config.state)
        settling = self._observers if lock is not None and lock.auth in {None, UNKNOWN} else frozenset()
        first: dict[int, int] = {}  # of equal requests, the one that must return first stands for all
        for position in (*self._changers, *settling):
            if position not in config.done and position not in config.spent and position not in config.seen:
                best = first.setdefault(self._kinds[position], position)
                if (self._timed[position].return_, position) < (self._timed[best].return_, best):
                    first[self._kinds[position]] = position
        for position in first.values():
            for state in self._moves(config, position, now):
                burnt = config.burnt | self._burns(position)
                after = config._replace(state=state, burnt=burnt)
                if self._timed[position].optional:
                    after = after._replace(spent=config.spent | {position})
                elif self._timed[position].changes:
                    after = after._replace(done=config.done | {position})
                else:
                    after = after._replace(seen=config.seen | {position})
                yield after, (trail, position)
        for place, positions in enumerate(self._invoked):
            count = config.used[place]
            if count < len(positions):
                used = (*config.used[:place], count + 1, *config.used[place + 1 :])
                for state in self._moves(config, positions[count], now):
                    yield config._replace(state=state, used=used), (trail, positions[count])

    def _absorb(self, config: _Config, trail: _Trail) -> tuple[_Config, _Trail]:
        """Let every pending operation take effect that only observes, where it can: that forbids nothing later."""
        self.left -= 1
        content = [
            position
            for position in self._observers
            if position not in config.seen and config.state in self._spec.steps(config.state, self._requests[position])
        ]
        for position in sorted(content):
            trail = (trail, position)
        if content:
            burnt = config.burnt.union(*map(self._burns, content))
            config = config._replace(seen=config.seen.union(content), burnt=burnt)
        return config, trail

    def _moves(self, config: _Config, position: int, now: int) -> list[State]:
        """The states to which a pending operation can bring a configuration."""
        self.left -= 1
        states = self._spec.steps(config.state, self._requests[position])
        return [state for state in states if self._possible(config, state, now)]

    def _possible(self, config: _Config, state: State, now: int) -> bool:
        """Whether no auth comes back that was shown before (AUTH-3), and none goes that has yet to be shown."""
        old, new = lock_of(config.state), lock_of(state)
        if old is not None and (new is None or new.auth != old.auth) and self._pins.get(old.auth or "", 0) > now:
            return False
        if new is None or new.auth in {None, UNKNOWN}:
            return True
        if old is not None and old.auth == new.auth:
            return True
        if self._pins.get(new.auth, 0) > now and self._outlasts(config, new.auth):
            return False
        if old is not None and old.auth == UNKNOWN:
            return True
        return new.auth not in self._issued and new.auth not in config.burnt

    def _outlasts(self, config: _Config, auth: str) -> bool:
        """Whether a lock would last until after the return of an operation that cannot take effect during it."""
        pin = self._pins[auth]
        for return_, position in self._ending:
            if return_ >= pin:
                return False
            if position in self._left_over and position not in config.done and auth not in self._burns(position):
                return True
        return False


def _anonymous(timed: Sequence[Timed], evidence: Evidence) -> list[Request]:
    """The requests, with OWN for the auth of each lock that nothing else names."""
    named = Counter(one.request.shown_auth for one in timed)
    named.update(one.request.auth for one in timed)
    named.update(value for one in timed for _, value in one.request.attributes)
    for auth in (*evidence.issued, *evidence.pins):
        named[auth] += 1
    return [
        one.request._replace(shown_auth=OWN)
        if one.request.op == "lock" and isinstance(one.request.shown_auth, str) and named[one.request.shown_auth] == 1
        else one.request
        for one in timed
    ]


def lock_of(state: State) -> Lock | None:
    """The container's current lock, None where it has none."""
    return state.auth if state is not None and isinstance(state.auth, Lock) else None


def _order(trail: _Trail) -> tuple[int, ...]:
    order = []
    while trail is not None:
        trail, position = trail
        order.append(position)
    return tuple(reversed(order))
