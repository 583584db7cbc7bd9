"""What policies are made of: lock, run, give back, and see after what may be stuck."""

from time import monotonic

from harness.drive.population.dispatcher import Dispatcher, Lock, Sight

TRIES = 3
MOST_TRIED = 4  # of a page of the queue: what one does not get, others have locked meanwhile
WORK = (1.0, 10.0)  # seconds of a dispatcher's time that a container runs
CANCELS = 0.05  # of the runs end as Cancelled
CARRIED_PAGE = 100
MOST_SUSPECTS = 5  # that are looked at in one turn
_OVER = frozenset({"Queued", "Complete", "Cancelled"})


async def queue(one: Dispatcher) -> list[str]:
    """A few of the containers that wait for a dispatcher, in an order of its own."""
    found = await one.page(state="Queued", above_priority=0)
    return one.stream.sample(found, min(MOST_TRIED, len(found)))


async def lock(one: Dispatcher, uuid: str) -> bool:
    """Try to lock a container; whether it was granted. A lock of unknown outcome is looked at again later."""
    answer = await one.client.call("lock", uuid)
    if answer.outcome in {"indeterminate", "garbled"}:
        one.suspect(uuid)
    return answer.outcome == "granted"


async def give_back(one: Dispatcher, uuid: str) -> None:
    """Unlock what it holds, as after a failed submission."""
    answer = await one.client.call("unlock", uuid)
    if answer.outcome != "granted":
        one.suspect(uuid)


async def run(one: Dispatcher, uuid: str) -> None:
    """Run a container under the lock that carries its token: Running, the auth used, progress, Complete."""
    one.suspect(uuid)  # whatever happens from here on, until it has ended
    held = await _fetch_auth(one, uuid)
    if held is None or not await _reach(one, held, "Running"):
        return
    await _use(one, held)
    await one.rest(one.stream.uniform(*WORK))
    await _tell_progress(one, held)
    if await _reach(one, held, "Cancelled" if one.stream.random() < CANCELS else "Complete"):
        one.suspects.pop(uuid, None)
        await _use(one, held)  # by now it must be dead


async def see_after_suspects(one: Dispatcher) -> None:
    """Free what has stood still for too long: unlock what is Locked, cancel what is Running."""
    if one.looks_around:
        await _look_around(one)
    chosen = list(one.suspects)
    for uuid in one.stream.sample(chosen, min(MOST_SUSPECTS, len(chosen))):
        before, now = one.suspects[uuid], await one.look(uuid)
        if now is None:
            continue
        if now.state in _OVER:
            del one.suspects[uuid]
        elif now[:2] != before[:2]:
            one.suspect(uuid, now)
        elif monotonic() - before.since > one.grace_s:
            await _free(one, uuid, now)


async def _free(one: Dispatcher, uuid: str, sight: Sight) -> None:
    if sight.state == "Locked":
        answer = await one.client.call("unlock", uuid)
    else:
        answer = await one.client.call("update", uuid, {"state": "Cancelled"})
    if answer.outcome == "granted":
        one.suspects.pop(uuid, None)
    else:
        one.suspect(uuid, sight._replace(since=monotonic()))


async def _look_around(one: Dispatcher) -> None:
    """All that carries the token may be stuck by what this dispatcher, or an incarnation before, once asked for."""
    for state in ("Locked", "Running"):
        carried = await everything_carried(one, state)
        if carried is None:
            return  # next time, then
        for uuid in carried:
            if uuid not in one.suspects:
                one.suspect(uuid)
    one.looks_around_at = monotonic() + one.grace_s


async def everything_carried(one: Dispatcher, state: str) -> list[str] | None:
    """Every container in a state whose lock carries the token, page after page; None where one was not heard."""
    wanted: dict[str, str | int] = {"state": state, "locked_by_uuid": one.site.token_uuid, "limit": CARRIED_PAGE}
    found: list[str] = []
    after = ""
    while not one.site.over.is_set():
        answer = await one.client.call("list", sent=wanted | ({"after_uuid": after} if after else {}))
        page = answer.value.found if answer.outcome == "granted" and answer.value is not None else None
        if not isinstance(page, list):
            return None
        found += page
        if answer.items < CARRIED_PAGE or answer.last is None or answer.last <= after:
            break
        after = answer.last
    return [uuid for uuid in found if uuid in one.site.own]


async def _fetch_auth(one: Dispatcher, uuid: str) -> Lock | None:
    """The lock with its container auth; None where the lock is not there any more."""
    for _ in range(TRIES):
        answer = await one.client.call("auth", uuid)
        if answer.outcome == "granted" and answer.value is not None and answer.secret is not None:
            auth_uuid = answer.value.auth_uuid
            one.client.learn(answer.secret)
            return Lock(uuid, auth_uuid if isinstance(auth_uuid, str) else None, answer.secret)
        if answer.outcome not in {"indeterminate", "garbled", "limited"}:
            return None
    return None


async def _reach(one: Dispatcher, held: Lock, state: str) -> bool:
    """Bring a container to a state; False where it is not its lock any more, or it will not go."""
    for _ in range(TRIES):
        answer = await one.client.call("update", held.uuid, {"state": state})
        if answer.outcome == "granted":
            return True
        seen = await one.look(held.uuid)
        if seen is not None and seen.state == state:
            return state != "Running" or seen.auth_uuid == held.auth_uuid
        if seen is not None and seen.auth_uuid != held.auth_uuid:
            return False
    return False


async def _use(one: Dispatcher, held: Lock) -> None:
    await one.client.call("use", auth=held.secret)


async def _tell_progress(one: Dispatcher, held: Lock) -> None:
    await one.client.call("update", held.uuid, {"progress": round(one.stream.random(), 2)}, auth=held.secret)
