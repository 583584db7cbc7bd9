"""Nobody is accused under load: calls at random against the faithful server and every variant, on both stores.

    .venv/bin/python bench/load.py                                half an hour
    .venv/bin/python bench/load.py --operations 5000 --only turns_away --stores sqlite

A hundred clients of one shared token, ten to a container, lock, unlock (their own locks and others'), read auths, look,
update states and priorities, use container auths; a few answers are lost. One more lists. The whole check then judges
the history. Everything runs on this machine. Exit code 1 where anybody is accused, or nothing could be said.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from harness.check import Verdict, check
from harness.contract import Level
from harness.drive.population import Faults, Population
from harness.drive.population.client import Client, Site
from harness.drive.population.messages import Assignment
from harness.drive.provision import ATTRIBUTES
from harness.drive.record import operation_of
from harness.drive.served import ReferenceTarget, reference_catalogue
from harness.drive.target import OpenTarget, connected
from harness.drive.transport import Transport
from harness.history import Header, History, Operation
from harness.wire import Call

STORES = {"sqlite": ["--workers", "2"], "postgres": ["--database", "embedded-postgres", "--workers", "2"]}
CLIENTS = 100
TOGETHER = 10  # clients on a container
TURNS = 150  # calls on a container before the next one takes its place
LOST = 0.02
LOOK_EVERY_S = 0.1
TIMEOUT_S = 60.0


class Place:
    """Where some clients work: one container at a time."""

    def __init__(self, site: Site, number: int) -> None:
        self.site = site
        self.provider = Client(site, f"provider{number}", 1)
        self.uuid = ""
        self.left = 0

    async def fresh(self) -> None:
        """Make the next container."""
        self.left = TURNS
        answer = await self.provider.call("create", sent=ATTRIBUTES)
        if answer.value is not None and isinstance(answer.value.uuid, str):
            self.uuid = answer.value.uuid
            self.site.own.add(self.uuid)


class Caller:
    """One client: what it holds, and what it does next."""

    def __init__(self, site: Site, number: int, place: Place, chance: random.Random) -> None:
        self.client = Client(site, f"D[{number}]", 1)
        self.place, self.chance = place, chance
        self.uuid = ""  # that it holds the lock of, as far as it knows
        self.secret: str | None = None

    async def turn(self) -> None:
        """One call on the container of this moment."""
        place, call = self.place, self.client.call
        place.left -= 1
        if place.left == 0:
            await place.fresh()
        uuid = place.uuid
        drawn = self.chance.random()
        if self.uuid != uuid:
            if drawn < 0.55:
                if (await call("lock", uuid)).outcome == "granted":
                    self.uuid, self.secret = uuid, None
            elif drawn < 0.93:
                await call(self.chance.choice(("get", "get", "auth", "unlock")), uuid)
            else:
                await call("update", uuid, {"priority": self.chance.choice((0, 1, 2, 3))})
        elif self.secret is None and drawn < 0.5:
            self.secret = (await call("auth", uuid)).secret
        elif drawn < 0.6:
            await call("get", uuid, auth=self.secret)
        elif drawn < 0.7:
            await call("use", auth=self.secret)
        elif drawn < 0.98:
            await call("unlock", uuid)
            self.uuid = ""
        else:
            await call("update", uuid, {"state": "Running"})
            await call("update", uuid, {"state": self.chance.choice(("Complete", "Cancelled"))}, auth=self.secret)
            self.uuid, place.left = "", 1


async def load(target: OpenTarget, operations: int, seed: int) -> list[Operation]:
    """So many calls, in the order in which they came to their end."""
    secrets = {name: caller.secret for name, caller in target.callers.items()}
    endpoint = target.endpoint
    assignment = Assignment(
        url=endpoint.url,
        insecure=endpoint.insecure,
        timeout_s=TIMEOUT_S,
        secrets=secrets,
        token_uuid=target.callers["shared"].uuid,
        salt=b"bench",
        population=Population(seed=seed, faults=Faults(lose_reply=LOST)),
        dispatchers={},
        containers=[],
    )
    async with Transport(endpoint.url, timeout_s=TIMEOUT_S) as transport:
        site = Site(assignment, transport)
        places = [Place(site, number) for number in range(CLIENTS // TOGETHER)]
        for place in places:
            await place.fresh()

        async def work(number: int) -> None:
            caller = Caller(site, number, places[number % len(places)], random.Random(f"{seed}/{number}"))
            while len(site.finished) < operations:
                await caller.turn()

        async def look() -> None:
            chance = random.Random(seed)
            while len(site.finished) < operations:
                asked = {"state": chance.choice(("Queued", "Locked")), "uuid": [place.uuid for place in places]}
                call = Call(op="list", token=secrets["shared"], sent=asked)
                exchange = await target.line.call(0, call, site.names)  # to its last page
                site.finished.append(operation_of(call, exchange, "lister#1", site.hashed, site.own, token="shared"))
                await asyncio.sleep(LOOK_EVERY_S)

        await asyncio.gather(look(), *(work(number) for number in range(CLIENTS)))
        return site.finished


async def one(arguments: list[str], variant: str | None, level: Level, operations: int, seed: int) -> History:
    target = ReferenceTarget((*arguments, *(["--variant", variant] if variant else [])), variant)
    async with connected(target, TIMEOUT_S) as opened:
        finished = await load(opened, operations, seed)
        tokens = {name: caller.uuid for name, caller in opened.callers.items()}
    return History(Header(level=level, tokens=tokens), finished)


def cases(stores: list[str], only: str | None) -> Iterator[tuple[str, str | None, Level]]:
    levels: dict[str | None, Level] = {None: "arvados"}
    levels |= {entry["name"]: entry["level"] for entry in reference_catalogue()["variants"]}
    for store in stores:
        for variant, level in levels.items():
            if only in (None, variant or "faithful"):
                yield store, variant, level


def accused(verdict: Verdict) -> str:
    found = Counter(f"{one.requirement} {one.name}" for one in verdict.violations)
    return ", ".join([*(f"{count} x {name}" for name, count in found.items()), *verdict.inconclusive]) or "nobody"


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--operations", type=int, default=100_000, help="for each server and store")
    parse.add_argument("--stores", nargs="+", choices=tuple(STORES), default=list(STORES))
    parse.add_argument("--only", metavar="VARIANT", help="or faithful")
    parse.add_argument("--seed", type=int, default=1)
    chosen = parse.parse_args()
    table = Table("server", "store", "operations", "calls/s", "s to judge", "accused")
    good, done = True, 0
    for number, (store, variant, level) in enumerate(cases(chosen.stores, chosen.only)):
        began = time.monotonic()
        history = asyncio.run(one(STORES[store], variant, level, chosen.operations, chosen.seed + number))
        driven = time.monotonic()
        verdict = check(history)
        judged = time.monotonic()
        size = len(history.operations)
        done += size
        good &= not verdict.violations and not verdict.inconclusive
        row = (f"{size}", f"{size / (driven - began):.0f}", f"{judged - driven:.1f}", accused(verdict))
        table.add_row(variant or "faithful", store, *row)
        print(variant or "faithful", store, *row, flush=True)
    Console(width=140).print(table)
    print(f"{done} operations in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
