"""How hard the product tries, beside what people write: client speed, spread of arrivals, detection of lock bugs.

    .venv/bin/python bench/race.py                  all of it, a few minutes
    .venv/bin/python bench/race.py --only detect --seconds 3 --stores sqlite

Everything runs on this machine, servers included; ratios within one run hold, absolute numbers are its own.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import httpx
from methods import Gather, Headers, Method, Own, OwnInTwoProcesses, Threads
from rich.console import Console
from rich.table import Table

from harness.drive.drive import DriveOptions, drive
from harness.drive.provision import ATTRIBUTES
from harness.drive.served import ReferenceTarget
from harness.drive.target import connected
from harness.drive.transport import Transport
from harness.history import Operation, race_figures, stream_history
from harness.plan import make_plan
from harness.scenario import load_text

CONTAINERS = "/arvados/v1/containers"
WINDOWS = {"0": "check_then_act_0", "0.1 ms": "check_then_act_100us", "1 ms": "check_then_act_1ms"}
WINDOWS["10 ms"] = "check_then_act_10ms"
STORES = {"sqlite": ("--workers", "2"), "postgres": ("--workers", "4", "--database", "embedded-postgres")}

NARROW = "sqlite, bare"
"""SELECT then UPDATE in one breath; see narrow_server.py."""

Maker = Callable[[str, Headers, int], Method]
METHODS: dict[str, Maker] = {
    "gather over httpx": Gather,
    "threads, barrier": Threads,
    "gate": lambda url, headers, racers: Own(url, headers, racers, "gate"),
    "burst": lambda url, headers, racers: Own(url, headers, racers, "burst"),
    "gate, 2 processes": lambda url, headers, racers: OwnInTwoProcesses(url, headers, racers, "gate"),
    "burst, 2 processes": lambda url, headers, racers: OwnInTwoProcesses(url, headers, racers, "burst"),
}
LARGEST = {"gather over httpx": 50, "threads, barrier": 50}

HERD = """
format: 1
scenario: herd
summary: Dispatchers lock one container at once.
level: must
requires: [LOCK-3]
given:
  containers: {{c1: Queued}}
  tokens: {{D: shared}}
fleets:
  D:
    count: {racers}
    steps:
      - {{id: lock, lock: c1, expect: [granted, refused]}}
schedule:
  race: {{runs: 200}}
"""

console = Console(width=130)


class Server(NamedTuple):
    """A reference server under test."""

    url: str
    headers: Headers


@contextlib.asynccontextmanager
async def reference(*arguments: str) -> AsyncIterator[Server]:
    target = ReferenceTarget(("--max-dispatch-attempts", "1000", *arguments))
    try:
        endpoint = await target.open()
        yield Server(endpoint.url, {"Authorization": f"Bearer {endpoint.secrets['shared']}"})
    finally:
        await target.close()


@contextlib.asynccontextmanager
async def beside(script: str, *arguments: str) -> AsyncIterator[str]:
    """The URL of a server that lies beside this file; ends it on leaving."""
    pipe = asyncio.subprocess.PIPE
    path = str(Path(__file__).with_name(script))
    server = await asyncio.create_subprocess_exec(sys.executable, path, *arguments, stdin=pipe, stdout=pipe)
    assert server.stdout is not None
    assert server.stdin is not None
    try:
        port = (await server.stdout.readline()).decode().strip()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stdin.close()
        await server.wait()


class Site:
    """What a bench does to a server between rounds: make a container, give it back."""

    def __init__(self, server: Server) -> None:
        self._client = httpx.AsyncClient(
            base_url=server.url, headers=server.headers, transport=Transport(server.url), trust_env=False, timeout=30
        )

    async def container(self) -> str:
        response = await self._client.post(CONTAINERS, json={"container": ATTRIBUTES})
        return f"{CONTAINERS}/{response.raise_for_status().json()['uuid']}"

    async def again(self, path: str) -> str:
        """Unlock a container, or make a new one where it has been locked as often as the server permits."""
        response = await self._client.post(f"{path}/unlock")
        return path if response.raise_for_status().json()["state"] == "Queued" else await self.container()

    async def close(self) -> None:
        await self._client.aclose()


# the client itself


async def rate(seconds: float, workers: int, one: Callable[[int], Awaitable[object]]) -> float:
    """Requests a second of closed loops."""
    count, end = 0, time.monotonic() + seconds

    async def loop(number: int) -> None:
        nonlocal count
        while time.monotonic() < end:
            await one(number)
            count += 1

    await asyncio.gather(*(loop(number) for number in range(workers)))
    return count / seconds


async def client(seconds: float) -> dict[str, float]:
    async with beside("trivial_server.py") as url:
        rates = await _client_rates(url, seconds)
    stock = rates["stock httpx"]
    table = Table("client, 100 connections", "requests/s", "times stock", title="The client itself")
    for name, one in rates.items():
        table.add_row(name, f"{one:,.0f}", f"{one / stock:.1f}")
    console.print(table)
    return rates


async def _client_rates(url: str, seconds: float) -> dict[str, float]:
    path, headers = f"{CONTAINERS}/zzzzz-dz642-000000000000000/lock", {"Authorization": "Bearer x"}
    async with httpx.AsyncClient(base_url=url, trust_env=False) as stock:
        rates = {"stock httpx": await rate(seconds, 100, lambda _: stock.post(path, headers=headers))}
    own = Transport(url)
    async with httpx.AsyncClient(base_url=url, transport=own, trust_env=False) as over:
        rates["httpx over our transport"] = await rate(
            seconds, 100, lambda lane: over.post(path, headers=headers, extensions={"lane": lane})
        )
        request = over.build_request("POST", path, headers=headers)
        rates["the same, prebuilt request"] = await rate(seconds, 100, lambda _: over.send(request))
        data = own.prepare("POST", path, [(b"Authorization", b"Bearer x")])
        rates["our transport, lean call"] = await rate(seconds, 100, lambda lane: own.call(data, lane=lane))
    return rates


# spread of arrivals


async def spread(sizes: list[int], rounds: int) -> None:
    table = Table(
        "method", *(f"N={size}" for size in sizes), title="Spread of arrivals at the server, us: median / p95"
    )
    releases: list[str] = []
    async with reference("--stamp-arrivals", "--workers", "2") as server:
        site = Site(server)
        path = await site.container()
        for name, make in METHODS.items():
            cells = []
            for size in sizes:
                if size > LARGEST.get(name, size):
                    cells.append("-")
                    continue
                arrivals, release = await _spreads(make(server.url, server.headers, size), f"{path}/lock", rounds)
                cells.append(f"{_quantile(arrivals, 0.5):,.0f} / {_quantile(arrivals, 0.95):,.0f}")
                if size == sizes[0]:
                    releases.append(f"{name} {_quantile(release, 0.5):,.0f}")
            table.add_row(name, *cells)
        await site.close()
    console.print(table)
    console.print(f"Spread of the releases at N={sizes[0]}, median us: {'; '.join(releases)}")


async def _spreads(method: Method, path: str, rounds: int) -> tuple[list[float], list[float]]:
    await method.open()
    arrivals, releases = [], []
    for _ in range(rounds):
        hits = await method.round(path)
        stamps = [hit.arrival_ns for hit in hits if hit.arrival_ns is not None]
        arrivals.append((max(stamps) - min(stamps)) / 1000)
        times = [hit.release_ns for hit in hits]
        releases.append((max(times) - min(times)) / 1000)
    await method.close()
    return arrivals, releases


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


# detection


class Found(NamedTuple):
    """What a method found in some seconds."""

    rounds: int
    requests: int
    detections: int
    seconds: float

    def cells(self) -> tuple[str, ...]:
        chance = f"{self.detections / self.rounds:.3f}" if self.rounds else "-"
        until = f"{self.requests / self.detections:,.1f}" if self.detections else f"none in {self.requests:,}"
        return chance, until, f"{self.detections / self.seconds:,.2f}"


async def detect_by_rounds(server: Server, make: Maker, racers: int, seconds: float) -> Found:
    site = Site(server)
    method = make(server.url, server.headers, racers)
    await method.open()
    path = await site.container()
    rounds = detections = 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        granted = sum(hit.status == 200 for hit in await method.round(f"{path}/lock"))
        rounds += 1
        detections += granted > 1
        path = await site.again(path)
    found = Found(rounds, rounds * racers, detections, time.monotonic() - began)
    await method.close()
    await site.close()
    return found


async def detect_by_hammering(server: Server, seconds: float, loops: int = 10) -> Found:
    """Closed loops over stock httpx that lock and unlock; two grants at once are a detection."""
    site = Site(server)
    path = await site.container()
    held = requests = detections = 0
    client = httpx.AsyncClient(base_url=server.url, headers=server.headers, trust_env=False, timeout=30)

    async def one(_: int) -> None:
        nonlocal held, requests, detections, path
        requests += 1
        if (await client.post(f"{path}/lock")).status_code == 200:
            held += 1
            detections += held == 2
            requests += 1
            held -= 1
            if "Cancelled" in (await client.post(f"{path}/unlock")).text:  # locked as often as the server permits
                path = await site.container()

    async with client:
        began = time.monotonic()
        await rate(seconds, loops, one)
    await site.close()
    return Found(0, requests, detections, time.monotonic() - began)


async def detect_by_product(mutant: str, arguments: tuple[str, ...], racers: int, runs: int, seed: int) -> Found:
    """The whole product: fresh containers, processes, aim, probes, the history on disk."""
    scenario = load_text(HERD.lstrip().format(racers=racers), Path("herd.race.yaml"))[0]
    with tempfile.TemporaryDirectory() as folder:
        async with connected(ReferenceTarget(("--mutant", mutant, *arguments)), 30) as target:
            began = time.monotonic()
            driven = await drive(
                make_plan(scenario, seed, runs), target, DriveOptions(seed=seed), Path(folder) / "history.jsonl"
            )
            seconds = time.monotonic() - began
        operations: dict[int, list[Operation]] = {}
        _, stream = stream_history(driven.path)
        for operation in stream:
            operations.setdefault(operation.run, []).append(operation)
    double = [sum(one.op == "lock" and one.outcome == "granted" for one in run) > 1 for run in operations.values()]
    console.print(f"  {race_figures(operations).sentence()}", style="dim", highlight=False)
    return Found(len(double), len(double) * racers, sum(double), seconds)


async def detect_by_all(server: Server, seconds: float) -> dict[str, Found]:
    found = {"hammering over httpx": await detect_by_hammering(server, seconds)}
    for name, make in METHODS.items():
        for racers in (2, 10):
            found[f"{name}, {racers}"] = await detect_by_rounds(server, make, racers, seconds)
    return found


async def detect(stores: list[str], windows: list[str], seconds: float) -> dict[tuple[str, str, str], Found]:
    found: dict[tuple[str, str, str], Found] = {}
    if "sqlite" in stores and "0" in windows:
        async with beside("narrow_server.py", "2") as url:
            for name, one in (await detect_by_all(Server(url, {}), seconds)).items():
                found[NARROW, "0", name] = one
    for store in stores:
        for window in windows:
            mutant = WINDOWS[window]
            async with reference("--mutant", mutant, *STORES[store]) as server:
                for name, one in (await detect_by_all(server, seconds)).items():
                    found[store, window, name] = one
            for racers in (2, 10):
                found[store, window, f"lockrace run, {racers}"] = await detect_by_product(
                    mutant, STORES[store], racers, 200, random.randrange(10**6)
                )
    table = Table(
        "store",
        "window",
        "method",
        "a round",
        "requests each",
        "detections/s",
        title="Detection of a check-then-act lock",
    )
    for (store, window, name), one in found.items():
        table.add_row(store, window, name, *one.cells())
    console.print(table)
    return found


async def in_every_run(stores: list[str], windows: list[str], times: int, runs: int) -> None:
    """Whether the shipped number of rounds finds every window, run after run."""
    for store in stores:
        for window in windows:
            for racers in (2, 10):
                hits = [
                    (await detect_by_product(WINDOWS[window], STORES[store], racers, runs, seed)).detections > 0
                    for seed in range(times)
                ]
                console.print(
                    f"{store}, window {window}, {racers} dispatchers, {runs} rounds: {sum(hits)} of {times} runs"
                )


def targets(rates: dict[str, float] | None, found: dict[tuple[str, str, str], Found]) -> None:
    """The figures that the project set itself, met or missed."""

    def say(what: str, value: float, least: float) -> None:
        console.print(f"{'met   ' if value >= least else 'MISSED'} {what}: {value:,.2f}, at least {least:g}")

    if rates is not None:
        say("our client, times stock httpx", rates["our transport, lean call"] / rates["stock httpx"], 10)
    gather = found.get((NARROW, "0", "gather over httpx, 2"))
    if gather is not None:
        naive_until = gather.requests / max(1, gather.detections)
        naive_rate = max(1, gather.detections) / gather.seconds
        for name, least in (("gate, 2", 15), ("burst, 2", 45)):
            own = found[NARROW, "0", name]
            say(f"{name}: times fewer requests per detection", naive_until * own.detections / own.requests, least)
        best = max(found[NARROW, "0", name].detections / found[NARROW, "0", name].seconds for name in _PAIRS)
        say("times more detections a second", best / naive_rate, 100)
    for window, share in (("1 ms", 0.9), ("0.1 ms", 0.5)):
        one = found.get(("sqlite", window, "lockrace run, 10"))
        if one is not None:
            say(f"lockrace run, 10 dispatchers, window {window}: a round", one.detections / one.rounds, share)


_PAIRS = ("gate, 2", "burst, 2", "gate, 2 processes, 2", "burst, 2 processes, 2")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", choices=("client", "spread", "detect", "every-run"), action="append")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=60, help="of each spread")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 10, 50, 200, 1000])
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES))
    parser.add_argument("--windows", nargs="+", choices=WINDOWS, default=list(WINDOWS))
    parser.add_argument("--times", type=int, default=20, help="of --only every-run")
    parser.add_argument("--runs", type=int, default=200, help="rounds of each run of --only every-run")
    chosen = parser.parse_args()
    parts = chosen.only or ["client", "spread", "detect"]
    rates = await client(chosen.seconds) if "client" in parts else None
    if "spread" in parts:
        await spread(chosen.sizes, chosen.rounds)
    found = await detect(chosen.stores, chosen.windows, chosen.seconds) if "detect" in parts else {}
    if "every-run" in parts:
        await in_every_run(chosen.stores, chosen.windows, chosen.times, chosen.runs)
    targets(rates, found)


if __name__ == "__main__":
    asyncio.run(main())
