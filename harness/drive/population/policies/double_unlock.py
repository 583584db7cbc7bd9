"""Double unlock: gives locks back often, and twice, as one whose error handler and caller both unlock.

The second one may end a lock that somebody has taken since: the known race `late_unlock`.
"""

from harness.drive.population.acts import give_back, lock, queue, run, see_after_suspects
from harness.drive.population.dispatcher import Dispatcher

GIVES_BACK = 0.3
PAUSE = 2.0  # seconds of its time before it unlocks again


async def double_unlock(one: Dispatcher) -> bool:
    """As a careful one, but what is given back is given back twice."""
    await see_after_suspects(one)
    for uuid in await queue(one):
        if await lock(one, uuid):
            if one.stream.random() < GIVES_BACK:
                await give_back(one, uuid)
                await one.rest(PAUSE)
                await one.client.call("unlock", uuid)
            else:
                await run(one, uuid)
            return True
    return False
