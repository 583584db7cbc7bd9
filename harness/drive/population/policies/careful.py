"""Careful: runs only what it was told it has locked, and lets live locks alone."""

from harness.drive.population.acts import give_back, lock, queue, run, see_after_suspects
from harness.drive.population.dispatcher import Dispatcher

GIVES_BACK = 0.05  # of the locks: what it wanted to start could not be started


async def careful(one: Dispatcher) -> bool:
    """Lock the first container that can be had, run it or give it back."""
    await see_after_suspects(one)
    for uuid in await queue(one):
        if await lock(one, uuid):
            await (give_back if one.stream.random() < GIVES_BACK else run)(one, uuid)
            return True
    return False
