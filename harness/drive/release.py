"""Which release brings requests closer together at this target: a held last byte, or whole requests in a burst.

It depends on the target and on the way to it, so it is measured, with a request that changes nothing. Arrivals cannot
be seen from here; the answers can, and what arrives together is answered together.
"""

import asyncio
from collections.abc import Hashable, Sequence
from statistics import median
from typing import Literal, get_args

from msgspec import Struct

from harness.drive.failures import Garbled, Lost
from harness.drive.gate import Gate, GateKind
from harness.drive.transport import Answer, Transport

ReleaseChoice = Literal["auto", "gate", "burst"]

ROUNDS = 15  # of each kind
_WAIT_S = 60.0


class Measured(Struct, frozen=True):
    """Median spread of the answers of one round, in ns, by kind of release; `early` answers came before a release."""

    gate_ns: int
    burst_ns: int
    early: int

    @property
    def better(self) -> GateKind:
        """The kind to use; never a gate that this target does not wait for."""
        return "gate" if not self.early and self.gate_ns < self.burst_ns else "burst"


async def measure(transport: Transport, request: bytes, racers: int) -> Measured:
    """Release `racers` copies of a harmless prebuilt request by both kinds, in turns; NotSent when nobody is there."""
    lanes: list[Hashable] = [f"measure {number}" for number in range(racers)]
    await transport.warm(lanes, request)
    spreads: dict[GateKind, list[int]] = {kind: [] for kind in get_args(GateKind)}
    early = 0
    for _ in range(ROUNDS):
        for kind, found in spreads.items():
            gate = Gate(racers, kind)
            answers = await _round(transport, request, lanes, gate)
            early += gate.early
            if len(answers) > 1:
                returns = [answer.times.return_ns for answer in answers]
                found.append(max(returns) - min(returns))
    for lane in lanes:
        transport.drop(lane)
    return Measured(
        gate_ns=round(median(spreads["gate"] or [0])), burst_ns=round(median(spreads["burst"] or [0])), early=early
    )


async def _round(transport: Transport, request: bytes, lanes: Sequence[Hashable], gate: Gate) -> list[Answer]:
    tasks = [asyncio.create_task(transport.call(request, lane=lane, gate=gate)) for lane in lanes]
    try:
        await gate.armed(_WAIT_S)
        gate.release()
    finally:
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, (Lost, Garbled)):
            raise result
    return [result for result in results if isinstance(result, Answer)]
