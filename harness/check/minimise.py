"""The fewest operations that still violate: what a reader has to look at.

Leaving an operation out may not create a violation that the history does not have: without its unlock, a second lock
looks wrong. So an operation that changes the container is never cut away, it is made optional: the rest must be
impossible to explain whether or not it took effect. What is then still required violates by itself, too, because an
operation that is absent is one that took no effect. In the same way what came before a window becomes an unknown
state at its start, together with two facts that need one operation each to show: which auths had been issued by then,
and until when a lock lasts at least.

Because a window that violates proves that the whole history does, this is also how a violation in a large history
is proved in a short time.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

from harness.check.linear.search import Evidence, Found, search
from harness.check.linear.spec import Spec, starts_of
from harness.check.linear.timed import NEVER, Timed
from harness.check.verdict import Counterexample

FIRST_WINDOW = 12  # operations; most violations show in the last few
WINDOW_BOUND = 100_000  # steps of the model that judging one window may cost
SMALL_HISTORY = 100  # operations: all others can be looked at while one is made smaller
THINNING_BOUND = 400_000  # steps that making one counterexample smaller may cost


def smallest(spec: Spec, timed: Sequence[Timed], numbers: Container[int]) -> Counterexample:
    """The counterexample that the operations with these numbers are, with fewer of them where the history is small."""
    kept = [one for one in timed if one.number in numbers]
    others = [_optional(one, -1) for one in timed if one.number not in numbers and _can_stay(one)]
    part = _Part(kept, others, Evidence())
    if len(timed) <= SMALL_HISTORY and _violates(spec, part, WINDOW_BOUND):
        kept = _thinned(spec, part).required
    return confirmed(spec, kept)


class _Part(NamedTuple):
    """Operations that must be explained, and those around them that may have taken effect."""

    required: list[Timed]
    context: list[Timed]
    evidence: Evidence

    def all(self) -> list[Timed]:
        return [*self.required, *self.context]


def explain(spec: Spec, timed: Sequence[Timed], stuck: int) -> Counterexample | None:
    """A counterexample of a history in order of return, or None when no window that can be judged violates.

    `stuck` is the position of the operation at whose return the trouble showed.
    """
    marks = _Marks(timed)
    size = FIRST_WINDOW
    while True:
        part = _window(timed, stuck, size, marks)
        if _violates(spec, part, WINDOW_BOUND if size <= stuck else THINNING_BOUND):
            return confirmed(spec, _with_evidence(_less_evidence(spec, _thinned(spec, part)), marks, timed))
        if size > stuck:
            return None
        size *= 4


class _Marks:
    """Of each auth, the operation that showed it first and the one that showed it last, as positions."""

    def __init__(self, timed: Sequence[Timed]) -> None:
        self.first: dict[str, int] = {}
        self.last: dict[str, int] = {}
        for position, one in enumerate(timed):
            auth = one.request.shown_auth
            if isinstance(auth, str) and not one.optional:
                self.first.setdefault(auth, position)
                if one.invoke >= timed[self.last.setdefault(auth, position)].invoke:
                    self.last[auth] = position


def _window(timed: Sequence[Timed], stuck: int, size: int, marks: _Marks) -> _Part:
    """The last `size` operations up to the stuck one, with all that was pending at either end made optional."""
    begin = max(0, stuck + 1 - size)
    cut = timed[begin - 1].return_ if begin else -1
    end = timed[stuck].return_
    required = [one for one in timed[begin : stuck + 1] if one.invoke > cut and not one.optional]
    required += [one for one in timed[stuck + 1 :] if one.request.op == "create" and one.invoke > cut]
    around = [one for one in timed[begin : stuck + 1] if one.changes and (one.invoke <= cut or one.optional)]
    around += [one for one in timed[stuck + 1 :] if one.changes and one.invoke <= end]
    context = _few_endless(required, [_optional(one, cut) for one in around if _can_stay(one)])
    context = [one for one in context if not _over(one, marks, timed, cut)]
    auths = {one.request.shown_auth for one in (*required, *context) if isinstance(one.request.shown_auth, str)}
    issued = {auth for auth in auths & marks.first.keys() if timed[marks.first[auth]].return_ <= cut}
    pins = {auth: timed[marks.last[auth]].invoke for auth in auths & marks.last.keys()}
    return _Part(required, context, Evidence(issued, {auth: pin for auth, pin in pins.items() if pin > end}))


def _over(one: Timed, marks: _Marks, timed: Sequence[Timed], cut: int) -> bool:
    """Whether a lock must have taken effect before the window: something that returned before it showed its auth."""
    first = marks.first.get(one.request.shown_auth) if isinstance(one.request.shown_auth, str) else None
    return first is not None and one.request.op == "lock" and timed[first].return_ <= cut


def _few_endless(required: Sequence[Timed], context: list[Timed]) -> list[Timed]:
    """The context without more operations of unknown outcome than an order can need.

    Between two operations that matter an order needs each kind at most once: going round again changes nothing but
    the lock count. So where a count is shown, all are kept.
    """
    if any(isinstance(one.request.lock_count, int) for one in (*required, *context)):
        return context
    most = 2 * (len(required) + sum(1 for one in context if one.return_ != NEVER)) + 4
    begin = min((one.invoke for one in required), default=0)
    kept: list[Timed] = []
    counts: Counter[object] = Counter()
    for one in context:
        early = one.return_ == NEVER and one.invoke < begin
        counts[one.request] += early
        if not early or counts[one.request] <= most:
            kept.append(one)
    return kept


def _thinned(spec: Spec, part: _Part) -> _Part:
    """The part without what is not needed: blocks first, then one by one until nothing can go."""
    left = THINNING_BOUND
    size = max(1, len(part.required) // 2)
    while True:
        before = len(part.required)
        start = 0
        while start < len(part.required):
            block = part.required[start : start + size]
            smaller = part._replace(
                required=part.required[:start] + part.required[start + size :],
                context=part.context
                + [_optional(one, -1) for one in block if one.changes and one.request.op != "create"],
            )
            left -= 50 * len(smaller.all())
            if left < 0:
                return part
            if _violates(spec, smaller, WINDOW_BOUND):
                part = smaller
            else:
                start += size
        if size == 1 and len(part.required) == before:
            return part
        size = max(1, size // 2)


def _less_evidence(spec: Spec, part: _Part) -> _Part:
    """The part without the evidence that it does not need."""
    for auth in (*part.evidence.issued, *part.evidence.pins):
        pins = {other: pin for other, pin in part.evidence.pins.items() if other != auth}
        smaller = part._replace(evidence=Evidence(part.evidence.issued - {auth}, pins))
        if _violates(spec, smaller, WINDOW_BOUND):
            part = smaller
    return part


def _violates(spec: Spec, part: _Part, bound: int) -> bool:
    timed = part.all()
    return search(spec, timed, starts_of(spec.rules, timed), bound, part.evidence).verdict == "violated"


def _with_evidence(part: _Part, marks: _Marks, timed: Sequence[Timed]) -> list[Timed]:
    """What is required, with the operations that the evidence about it rests on, in order of return."""
    auths = [one.request.shown_auth for one in part.required if isinstance(one.request.shown_auth, str)]
    shown = [timed[marks.first[auth]] for auth in auths if auth in part.evidence.issued]
    shown += [timed[marks.last[auth]] for auth in auths if auth in part.evidence.pins]
    return sorted({*part.required, *shown}, key=lambda one: (one.return_, one.invoke))


def confirmed(spec: Spec, kept: Sequence[Timed]) -> Counterexample:
    """The counterexample made of these operations, in order of return, judged again by itself."""
    again = search(spec, kept, starts_of(spec.rules, kept))
    assert again.verdict != "linearizable", "a counterexample must violate by itself"  # unknown: too large to judge
    return Counterexample(tuple(one.number for one in kept), *legal_prefix(spec, kept, again))


def legal_prefix(spec: Spec, kept: Sequence[Timed], found: Found) -> tuple[tuple[int, ...], int | None]:
    """Of operations in order of return that violate: a legal order of all that returned while there still was one, and
    the operation at whose return there was none. Both by number; `found` is what the search said of them all.

    The search gives up an order early, at an auth that it knows to come back, and would blame what a reader finds
    right. It is taken at its word only where the bound does not suffice for more.
    """

    def until(size: int) -> tuple[list[Timed], Found]:
        end = kept[size - 1].return_ if size else -1
        rest = [
            one if one.request.op == "create" else _optional(one, -1)
            for one in kept[size:]
            if one.invoke <= end and (one.changes or one.request.op == "create")
        ]
        part = [*kept[:size], *rest]
        return part, search(spec, part, starts_of(spec.rules, part), WINDOW_BOUND)

    size = bisect_left(range(len(kept)), True, key=lambda size: until(size)[1].verdict == "violated")
    part, legal = until(max(size - 1, 0))
    if size == 0 or legal.verdict != "linearizable":
        stuck = None if found.stuck is None else kept[found.stuck].number
        return tuple(kept[position].number for position in found.order), stuck
    return tuple(part[position].number for position in legal.order), kept[size - 1].number


def _can_stay(one: Timed) -> bool:
    """Whether an operation can have taken effect without being required."""
    return one.changes and one.request.op != "create"


def _optional(one: Timed, begin: int) -> Timed:
    return one._replace(invoke=max(one.invoke, begin), optional=True)
