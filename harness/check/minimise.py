"""The fewest operations that still violate: what a reader has to look at.

Leaving an operation out may not create a violation that the history does not have: without its unlock, a second lock
looks wrong. So an operation that changes the container is never cut away, it is made optional: the rest must be
impossible to explain whether or not it took effect. What is then still required violates by itself, too, because an
operation that is absent is one that took no effect. In the same way what came before a window becomes an unknown
state at its start.
"""

from collections.abc import Iterable, Sequence

from harness.check.linear.search import search
from harness.check.linear.spec import Spec, starts_of
from harness.check.linear.timed import Timed
from harness.check.verdict import Counterexample

FIRST_WINDOW = 12  # operations; most violations show in the last few
PROBES = 400  # searches that one counterexample may cost, after which it is the smallest that was found


def explain(spec: Spec, timed: Sequence[Timed], stuck: int | None, bound: int) -> Counterexample:
    """The counterexample of a history that violates, judged again when it is found.

    `stuck` is the position of the operation at whose return the violation showed: what begins later is not needed.
    """
    end = max((one.return_ for one in timed), default=0) if stuck is None else timed[stuck].return_
    part = _Part(spec, [one for one in timed if one.invoke <= end and not one.optional], bound)
    part.context = [one for one in timed if one.invoke <= end and one.optional]
    part.narrow()
    part.thin_out()
    kept = part.required
    again = search(spec, kept, starts_of(spec.rules, kept), bound)
    return Counterexample(
        operations=tuple(one.number for one in kept),
        prefix=tuple(kept[position].number for position in again.order),
        stuck=None if again.stuck is None else kept[again.stuck].number,
    )


class _Part:
    """Operations that must be explained, in order of return, and those around them that may have taken effect."""

    def __init__(self, spec: Spec, required: list[Timed], bound: int) -> None:
        self.spec = spec
        self.required = sorted(required, key=lambda one: (one.return_, one.invoke))
        self.context: list[Timed] = []
        self._bound = bound
        self._left = PROBES

    def narrow(self) -> None:
        """Keep the last operations alone, if they violate whatever came before them."""
        size = FIRST_WINDOW
        while size < len(self.required):
            cut = self.required[-size - 1].return_
            required = [one for one in self.required if one.invoke > cut]
            context = [
                *self.context,
                *(_optional(one, cut) for one in self.required if one.invoke <= cut < one.return_),
            ]
            if self._violates(required, context):
                self.required, self.context = required, [one for one in context if one.changes]
                return
            size *= 4

    def thin_out(self) -> None:
        """Leave out what is not needed, in blocks first, then one by one until nothing can go."""
        size = max(1, len(self.required) // 2)
        while self._left > 0:
            before = len(self.required)
            start = 0
            while start < len(self.required) and self._left > 0:
                block = self.required[start : start + size]
                required = self.required[:start] + self.required[start + size :]
                context = self.context + [_optional(one, one.invoke) for one in block if one.changes]
                if self._violates(required, context):
                    self.required, self.context = required, context
                else:
                    start += size
            if size == 1 and len(self.required) == before:
                return
            size = max(1, size // 2)

    def _violates(self, required: Sequence[Timed], context: Iterable[Timed]) -> bool:
        self._left -= 1
        part = [*required, *(one for one in context if one.changes and one.request.op != "create")]
        return search(self.spec, part, starts_of(self.spec.rules, part), self._bound).verdict == "violated"


def _optional(one: Timed, begin: int) -> Timed:
    return one._replace(invoke=max(one.invoke, begin), optional=True)
