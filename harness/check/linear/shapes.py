"""Shapes: operations that differ only in their times, the auth and the lock count they show are one shape.

A history of a million operations has a few dozen shapes. The model is asked about each shape once, and its answers
become a code, an integer that the fast check can test with one machine instruction.
"""

from collections.abc import Sequence

from harness.check.linear.request import ANY, Request
from harness.check.linear.section import COUNTED, CREATES, LOCKS, MOST_STATES, OTHER, QUEUED, UNLOCKS
from harness.check.linear.spec import Lock, Spec
from harness.model import Container

_SOME = "some auth"  # stands in a shape for any auth that was shown

_ELSEWHERE = -1  # a state that no lock history comes into


class Shapes:
    """The shapes of one history, numbered as they appear."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.changes: list[bool] = []  # by number; of an update also when it was refused
        self._numbers: dict[Request, int] = {}

    def number(self, request: Request) -> int:
        """The number of the shape of a request."""
        shape = request
        if isinstance(request.shown_auth, str):
            shape = shape._replace(shown_auth=_SOME)
        if request.lock_count is not ANY:
            shape = shape._replace(lock_count=0)
        number = self._numbers.setdefault(shape, len(self.requests))
        if number == len(self.requests):
            self.requests.append(shape)
            self.changes.append(shape.changes or shape.op == "update")
        return number

    def request(self, number: int, auth: str | None, count: int | None) -> Request:
        """The request of a shape that showed this auth and this lock count."""
        shape = self.requests[number]
        if auth is not None:
            shape = shape._replace(shown_auth=auth)
        return shape if count is None else shape._replace(lock_count=count)


def codes_of(spec: Spec, shapes: Sequence[Request], priority: int) -> list[int]:
    """The code of each shape for a container of this priority; see `section` for what a code says."""
    holders = sorted({shape.caller for shape in shapes if shape.caller is not None and _takes_lock(shape)})
    if spec.rules.run_auth or len(holders) >= MOST_STATES:
        return [OTHER] * len(shapes)
    states = [Container("Queued", priority)]
    states += [Container("Locked", priority, holder, Lock(_SOME), 1) for holder in holders]
    return [_code(spec, shape, states) for shape in shapes]


def _takes_lock(shape: Request) -> bool:
    return shape.outcome in {"granted", "unknown"} and (shape.op == "lock" or ("state", "Locked") in shape.attributes)


def _code(spec: Spec, shape: Request, states: list[Container]) -> int:
    if shape.op == "create":  # of a lock count that it shows, the outline asks
        return CREATES if spec.steps(None, shape._replace(lock_count=ANY)) else OTHER
    if shape.caller is None or any(name == "auth_uuid" for name, _ in shape.attributes):
        return OTHER  # what it does depends on whose auth it names
    counted = 0 if shape.lock_count is ANY else COUNTED
    after = [_after(spec, shape._replace(lock_count=ANY), state, states) for state in states]
    if shape.outcome == "unknown":
        return _unknown_code(after)
    if all(not one or one == {bit} for bit, one in enumerate(after)):
        kept = sum(1 << bit for bit, one in enumerate(after) if one)
        return counted | kept << MOST_STATES if counted else kept
    if len(after[0]) == 1 and after[0].isdisjoint({0, _ELSEWHERE}) and not any(after[1:]):
        bit = QUEUED << min(after[0])
        at_once = bit if shape.shown_auth == _SOME and not counted else 0
        return LOCKS | counted | bit << MOST_STATES | at_once
    if not after[0] and all(not one or {0} <= one <= {0, _ELSEWHERE} for one in after[1:]):
        return UNLOCKS | counted | _ending(after) << MOST_STATES
    return OTHER


def _unknown_code(after: list[set[int]]) -> int:
    """Only what it can do between Queued and Locked counts: an order may leave it out.

    One that can do nothing there, and something elsewhere, is OTHER: an order that leaves it out is legal still, but
    that none is found so says nothing.
    """
    begun = after[0] - {0, _ELSEWHERE}
    if begun:
        return LOCKS | QUEUED << min(begun) << MOST_STATES
    ending = _ending(after)
    if ending:
        return UNLOCKS | ending << MOST_STATES
    return OTHER if any(_ELSEWHERE in one for one in after) else 0


def _ending(after: list[set[int]]) -> int:
    return sum(1 << bit for bit, one in enumerate(after) if bit and 0 in one)


def _after(spec: Spec, shape: Request, state: Container, states: list[Container]) -> set[int]:
    """Into which of `states` the container can come when the shape is answered."""
    found = set()
    for one in spec.steps(state, shape):
        assert one is not None
        count = 0 if one.state == "Queued" else 1
        lock = Lock(_SOME) if isinstance(one.auth, Lock) else None
        plain = one._replace(lock_count=count, auth=lock)
        found.add(states.index(plain) if plain in states else _ELSEWHERE)
    return found
