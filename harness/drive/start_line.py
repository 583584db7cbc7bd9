"""Where processes meet before a round: each says that its racers are armed, one says when all go.

    process 0 (leads)   armed 7 ............ all have armed 7: go at T        T: release
    process 1           ......... armed 7 ................ reads T            T: release

Plain 8-byte cells of shared memory, each written by one process only: a message through a pipe takes longer than the
windows that a round shall hit.
"""

import time
from collections.abc import Callable, MutableSequence

from harness.drive.gate import look

LEAD_NS = 400_000  # from the word to the release: every process has read it by then
_NAP_S = 0.0001
_LONG_NAP_S = 0.001
_SHORT_NAPS = 100

MAX_PROCESSES = 62
CELLS = MAX_PROCESSES + 2
"""How many cells a line needs: one for each process, and two words of the leader, used in turn."""


class StartLineBrokenError(Exception):
    """A process did not come to the line in time."""


class StartLine:
    """One process's view of the line; the process of place 0 leads."""

    def __init__(self, cells: MutableSequence[int], place: int, processes: int) -> None:
        if not 0 <= place < processes <= MAX_PROCESSES:
            raise ValueError(f"place {place} of {processes} processes; at most {MAX_PROCESSES} can meet")
        self._cells = cells
        self._place = place
        self._processes = processes

    async def meet(self, leg: int, timeout_s: float) -> int:
        """Say that this process is armed, and give the moment (ns) at which all go.

        `leg` counts up by one from meeting to meeting, from 1, and is the same in all processes.
        """
        word = MAX_PROCESSES + leg % 2
        ends_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        if self._place == 0:
            await self._until(lambda: all(self._cells[other] >= leg for other in range(1, self._processes)), ends_ns)
            self._cells[MAX_PROCESSES + (leg + 1) % 2] = 0  # everybody has read the last word: they are here
            self._cells[word] = time.monotonic_ns() + LEAD_NS
        else:
            self._cells[self._place] = leg
            await self._until(lambda: self._cells[word] != 0, ends_ns)
        return self._cells[word]

    async def _until(self, ready: Callable[[], bool], ends_ns: int) -> None:
        naps = 0
        while not ready():
            if time.monotonic_ns() > ends_ns:
                raise StartLineBrokenError("not every dispatcher process came to the start of a round in time")
            time.sleep(_NAP_S if naps < _SHORT_NAPS else _LONG_NAP_S)  # noqa: ASYNC251 (a loop timer is too coarse)
            naps += 1
            await look()
