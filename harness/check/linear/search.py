"""The general check: exact for every history of one container, within a bound on its work.

It goes through the invocations and returns in order of time and keeps every configuration that is possible there: the
state of the container and which of the pending operations have taken effect. An operation takes effect as late as
it can: only when its own return, or that of an operation that needs it, forces it to. (Any legal order can be brought
into this form: an effect that nothing forces before the next return can be moved behind it.) Configurations that
agree are merged, so this is the search of Wing and Gong with Lowe's memory, ordered by time.

Worst case: exponential in the number of operations pending at once that change the container.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from harness.check.linear.request import Request
from harness.check.linear.spec import Spec, State
from harness.check.linear.timed import NEVER, Timed
from harness.check.verdict import Linearizability

DEFAULT_BOUND = 2_000_000
"""Steps of the model that one container may cost before the verdict is unknown."""

_Trail = tuple["_Trail", int] | None
"""An order of operations, newest first: (the order before, position of the operation)."""


class Found(NamedTuple):
    """What a search says; positions into the sequence that was searched.

    `order` is a legal order of all that took effect, or the longest legal one that was found; `stuck` is the operation
    that cannot be placed after any legal order of what came before it.
    """

    verdict: Linearizability
    order: tuple[int, ...] = ()
    stuck: int | None = None


class _Config(NamedTuple):
    state: State
    done: frozenset[int]  # pending operations that have taken effect


def search(spec: Spec, timed: Sequence[Timed], starts: Iterable[State], bound: int = DEFAULT_BOUND) -> Found:
    """Decide whether some order of `timed`, from one of `starts`, is legal; `unknown` after `bound` steps."""
    walk = _Walk(spec, timed, bound)
    configs: dict[_Config, _Trail] = {_Config(state, frozenset()): None for state in starts}
    for moment, position in _events(timed):
        if moment < 0:
            walk.pending.add(position)
            continue
        after = walk.force(configs, position)
        if walk.exhausted:
            return Found("unknown")
        if not after:
            return Found("violated", _longest(configs.values()), position)
        walk.note_return(position)
        configs = after
    if not configs:  # no start fits the lock counts that were shown
        return Found("violated")
    return Found("linearizable", _order(next(iter(configs.values()))))


def _events(timed: Sequence[Timed]) -> list[tuple[int, int]]:
    """(-1, position) for an invocation and (0, position) for a return, in order of time, invocations first."""
    events = [(one.invoke, -1, position) for position, one in enumerate(timed)]
    events += [(one.return_, 0, position) for position, one in enumerate(timed) if one.return_ != NEVER]
    return [(kind, position) for _, kind, position in sorted(events)]


class _Walk:
    """What holds for all configurations at one moment: who is pending, and which auths have been shown."""

    def __init__(self, spec: Spec, timed: Sequence[Timed], bound: int) -> None:
        self.timed = timed
        self.pending: set[int] = set()
        self.returned: set[str] = set()  # auths shown by operations that have returned
        self._steps: Callable[..., tuple[State, ...]] = spec.steps
        self._left = bound
        numbers: dict[Request, int] = {}
        self._kinds = [numbers.setdefault(one.request, len(numbers)) for one in timed]

    @property
    def exhausted(self) -> bool:
        return self._left < 0

    def note_return(self, position: int) -> None:
        """From now on the operation is not pending, and what it showed is known."""
        self.pending.discard(position)
        shown = self.timed[position].request.shown_auth
        if isinstance(shown, str) and not self.timed[position].optional:
            self.returned.add(shown)

    def force(self, configs: dict[_Config, _Trail], position: int) -> dict[_Config, _Trail]:
        """Every configuration after the return of the operation at `position`; empty when there is none."""
        after: dict[_Config, _Trail] = {}
        if self.timed[position].optional:  # it may have taken no effect, and from now on it cannot
            after.update((config, trail) for config, trail in configs.items() if position not in config.done)
        seen: set[_Config] = set()
        stack = list(configs.items())
        while stack and self._left >= 0:
            config, trail = self._absorb(*stack.pop())
            if position in config.done:
                after.setdefault(_Config(config.state, config.done - {position}), trail)
                continue
            if config in seen:
                continue
            seen.add(config)
            for one in self._candidates(config):
                done = config.done | {one}
                stack.extend((_Config(state, done), (trail, one)) for state in self._moves(config, one))
        return after

    def _candidates(self, config: _Config) -> Iterable[int]:
        """Pending operations that may be next: of equal requests the one that must return first stands for all."""
        first: dict[int, int] = {}
        for one in self.pending:
            if one not in config.done:
                best = first.setdefault(self._kinds[one], one)
                if (self.timed[one].return_, one) < (self.timed[best].return_, best):
                    first[self._kinds[one]] = one
        return first.values()

    def _absorb(self, config: _Config, trail: _Trail) -> tuple[_Config, _Trail]:
        """Let every pending operation take effect that only observes, where it can: that forbids nothing later."""
        for one in sorted(self.pending - config.done):
            if not self.timed[one].changes and config.state in self._moves(config, one):
                config, trail = _Config(config.state, config.done | {one}), (trail, one)
        return config, trail

    def _moves(self, config: _Config, position: int) -> list[State]:
        """The states to which a pending operation can bring a configuration."""
        self._left -= 1
        states = self._steps(config.state, self.timed[position].request)
        return [state for state in states if self._fresh(config, state)]

    def _fresh(self, config: _Config, state: State) -> bool:
        """Whether an auth that is new here was never shown before (AUTH-3)."""
        new = auth_of(state)
        if new is None or new == auth_of(config.state):
            return True
        return new not in self.returned and all(self.timed[one].request.shown_auth != new for one in config.done)


def auth_of(state: State) -> str | None:
    """The auth that is known of the container's lock."""
    lock = state.auth if state is not None else None
    return getattr(lock, "auth", None)


def _order(trail: _Trail) -> tuple[int, ...]:
    order = []
    while trail is not None:
        trail, position = trail
        order.append(position)
    return tuple(reversed(order))


def _longest(trails: Iterable[_Trail]) -> tuple[int, ...]:
    return max((_order(trail) for trail in trails), key=len, default=())
