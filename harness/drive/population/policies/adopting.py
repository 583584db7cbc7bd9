"""Adopting: takes whatever carries its token for its own, as dispatchers that have an old token's locks do.

A Locked container that it did not lock it starts; a Running one that it did not start it cancels. With a shared token
that hits locks of others that are well alive: the known race `adopted_running`.
"""

from harness.drive.population.acts import everything_carried, run
from harness.drive.population.dispatcher import Dispatcher
from harness.drive.population.policies.careful import careful


async def adopting(one: Dispatcher) -> bool:
    """Take over one container that carries its token, else do as a careful one does."""
    for state in ("Locked", "Running"):
        carried = await everything_carried(one, state)
        if not carried:
            continue
        uuid = one.stream.choice(carried)
        if state == "Locked":
            await run(one, uuid)
        else:
            await one.client.call("update", uuid, {"state": "Cancelled"})
        return True
    return await careful(one)
