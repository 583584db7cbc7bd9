"""Which of some granted operations lies between two moments; answered in logarithmic time."""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from harness.check.index import Index
from harness.history import Operation


class Latest:
    """Granted operations, ready to be asked for one that lies between two moments."""

    def __init__(self, index: Index, numbers: Iterable[int]) -> None:
        operations = index.operations
        chosen = sorted((index.ends[number], operations[number].invoke_ns, number) for number in numbers)
        self._ends = [end for end, _, _ in chosen]
        self._best = list(accumulate(((invoked, number) for _, invoked, number in chosen), max))

    def invoked_after(self, start: int, operation: Operation) -> int | None:
        """One that was invoked after `start` and had returned before an operation was invoked."""
        at = bisect_left(self._ends, operation.invoke_ns) - 1
        return self._best[at][1] if at >= 0 and self._best[at][0] > start else None
