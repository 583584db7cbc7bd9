"""Impatient: asks for a refused lock again and again, for a minute, and does nothing else meanwhile.

So did the client of 2016, which took a refusal for something that passes.
"""

from harness.drive.population.acts import lock, queue, run, see_after_suspects
from harness.drive.population.dispatcher import Dispatcher

PAUSE = 2.0  # seconds of its time between two tries
TRIES = 26


async def impatient(one: Dispatcher) -> bool:
    """Insist on the first container of the queue."""
    await see_after_suspects(one)
    for uuid in (await queue(one))[:1]:
        for _ in range(TRIES):
            if await lock(one, uuid):
                await run(one, uuid)
                return True
            if one.site.over.is_set():
                break
            await one.rest(PAUSE)
    return False
