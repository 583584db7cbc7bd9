"""A gate keeps the last byte, or the whole, of every racer's request and lets all go at once.

    racer 0  ──write all but one byte──┐ held          ┌─last byte──────► answer
    racer 1  ──write all but one byte──┤ held          ├─last byte──────► answer
                                     armed          release

A server cannot act on a request whose header is not complete, so what is left to do at the release is one byte per
racer. `burst` holds whole requests instead: more bytes at the release, yet no connection that a server already
reads from. Which of the two collides better depends on the target; measure.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal

GateKind = Literal["gate", "burst"]

LOOP_TICK_NS = 1_200_000  # an asyncio timer rounds up to a millisecond of epoll: never wait for it past this
NAP_NS = 150_000  # longest blocking sleep between two looks at the sockets
SPIN_NS = 70_000  # a blocking sleep overshoots by about this: the rest is spun


class GateNotArmedError(Exception):
    """Not every racer reached the gate in time; nothing was released."""


class Gate:
    """Holds the requests of one round; made for one round only.

    `racers` requests are expected. `early` counts answers that came while the last byte was still held: the target
    answers at the end of the header, so that a last byte of the body holds nothing back there. `late` counts
    requests that came after the release and were let through at once.
    """

    def __init__(self, racers: int, kind: GateKind = "gate") -> None:
        self.racers = racers
        self.kind = kind
        self.early = 0
        self.late = 0
        self._held: dict[int, Callable[[], None]] = {}
        self._arrived = 0
        self._open = False
        self._all_here = asyncio.Event()
        self._check_all_here()

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What may be written now, and what the gate keeps."""
        return (b"", data) if self.kind == "burst" else (data[:-1], data[-1:])

    def hold(self, let_go: Callable[[], None], racer: int | None = None) -> None:
        """Keep `let_go`, the call that writes the rest of a request, under the racer's number (else by arrival)."""
        if self._open:
            self.late += 1
            let_go()
            return
        key = self._arrived if racer is None else racer
        if key in self._held:
            raise ValueError(f"racer {key} already waits at this gate; give every racer its own number")
        self._held[key] = let_go
        self._arrived += 1
        self._check_all_here()

    def forfeit(self) -> None:
        """One racer less to wait for: it could not connect, or had nothing to send."""
        self.racers -= 1
        self._check_all_here()

    async def armed(self, timeout_s: float) -> None:
        """Wait until every racer's request is held."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._all_here.wait()
        except TimeoutError:
            raise GateNotArmedError(
                f"{self._arrived} of {self.racers} racers reached the gate within {timeout_s:g} s"
            ) from None

    def release(self) -> None:
        """Let all go in one tight loop, in order of their numbers."""
        for let_go in self._opened():
            let_go()

    async def release_at(self, start_ns: int, offsets_ns: Sequence[int] = ()) -> None:
        """Let all go at a moment of CLOCK_MONOTONIC, racer i `offsets_ns[i]` later; missing offsets are 0.

        The loop is asked for answers before every write that had to wait: an answer that came before a later
        racer's release is stamped before it, so that an overlap is never claimed where there was none. A start
        that has passed releases at once.
        """
        offsets = [*offsets_ns, *[0] * (max(self._held, default=-1) + 1 - len(offsets_ns))]
        if min(offsets, default=0) < 0:
            raise ValueError("offsets count from the start: none may be negative")
        order = sorted(self._held, key=lambda racer: (offsets[racer], racer))
        due = [(start_ns + offsets[racer], self._held[racer]) for racer in order]
        if due:
            await _sleep_until(due[0][0])  # racers that arrive meanwhile are still held, and go last
        latest = [let_go for racer, let_go in self._held.items() if racer not in order]
        self._opened()
        moment_before_ns = due[0][0] if due else start_ns
        for moment_ns, let_go in due:
            if moment_ns != moment_before_ns:
                await look()
                await _sleep_until(moment_ns)
                moment_before_ns = moment_ns
            let_go()
        for let_go in latest:
            let_go()

    def _opened(self) -> list[Callable[[], None]]:
        held = [self._held[racer] for racer in sorted(self._held)]
        self._held.clear()
        self._open = True
        return held

    def _check_all_here(self) -> None:
        if self._arrived >= self.racers:
            self._all_here.set()


async def _sleep_until(moment_ns: int) -> None:
    """Come back at a moment of CLOCK_MONOTONIC, a few microseconds late at most on an idle core.

    Far away the loop sleeps; nearer short blocking sleeps leave the core to the target (spinning all the way took
    it from the target and made detection twenty times rarer), each followed by a look at the sockets.
    """
    while (left_ns := moment_ns - time.monotonic_ns()) > SPIN_NS:
        if left_ns > 2 * LOOP_TICK_NS:
            await asyncio.sleep((left_ns - LOOP_TICK_NS) / 1e9)
        else:
            time.sleep(min(left_ns - SPIN_NS, NAP_NS) / 1e9)  # noqa: ASYNC251 (finer than a loop timer can be)
            await look()
    while time.monotonic_ns() < moment_ns:
        pass


async def look() -> None:
    """Let the loop read whatever has come: one turn to see it, one to hand it over."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
