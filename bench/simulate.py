"""A crowd on PostgreSQL, and a million operations with faults that may accuse nobody.

    .venv/bin/python bench/simulate.py                    both, about an hour
    .venv/bin/python bench/simulate.py --only crowd       1,000 dispatchers, 2,000 containers, 4 workers: a minute
    .venv/bin/python bench/simulate.py --only faults --operations 100000

Everything runs on this machine, servers included. Exit code 1 where a bound is missed or anybody is accused.
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from harness.check.population import Tally
from harness.drive.population import Faults, Populated, Population
from harness.drive.served import ReferenceTarget, reference_catalogue
from harness.run import RunOptions
from harness.simulate import patience_s, simulate

CROWD_LIMIT_S = 120.0
CROWD_LIMIT_MIB = 2048
STORES = {"sqlite": ["--workers", "2"], "postgres": ["--database", "embedded-postgres", "--workers", "4"]}
MIX = {"careful": 5, "adopting": 1, "impatient": 1, "double_unlock": 1}
RATES = dict.fromkeys(("lose_request", "lose_reply", "delay", "reset", "crash", "pause"), 0.05)


class Watcher:
    """Keeps what a population came to."""

    tally = Tally()

    def at(self, ended: int, created: int, operations: int) -> None:
        """Shows nothing: the table comes at the end."""

    def judging(self, populated: Populated) -> None:
        """Nor here."""

    def judged(self, populated: Populated, tally: Tally) -> None:  # noqa: ARG002 (the protocol asks for it)
        self.tally = tally


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--only", choices=("crowd", "faults"))
    parse.add_argument("--operations", type=int, default=1_000_000, help="of all fault runs together")
    parse.add_argument("--stores", nargs="+", choices=tuple(STORES), default=list(STORES))
    parse.add_argument("--seed", type=int, default=1)
    chosen = parse.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="lockrace-bench-") as folder:
        if chosen.only != "faults":
            good &= crowd(Path(folder), chosen.seed)
        if chosen.only != "crowd":
            good &= with_faults(Path(folder), chosen.stores, chosen.operations, chosen.seed)
    return 0 if good else 1


def crowd(folder: Path, seed: int) -> bool:
    """Issue 5, 2: every container exactly once, in under two minutes and 2 GB."""
    watcher, population = Watcher(), Population(dispatchers=1000, containers=2000, seed=seed)
    target = ReferenceTarget(tuple(STORES["postgres"]))
    options = RunOptions(level="arvados", out=folder, timeout_s=patience_s(population))
    began = time.monotonic()
    with peak_memory() as peak:
        result = asyncio.run(simulate(population, target, options, watcher))
    seconds, tally = time.monotonic() - began, watcher.tally
    label = result.results[0].label if result.results else result.unreachable
    print(
        f"crowd: {label}; {tally.run_once} of {tally.containers} containers run by exactly one, {tally.run_twice} by "
        f"more, in {seconds:.0f} s with the start of everything and the check; {tally.operations} operations; "
        f"at most {peak[0]} MiB with the server and its database"
    )
    fast = seconds < CROWD_LIMIT_S and peak[0] < CROWD_LIMIT_MIB
    return label == "conforms" and tally.run_once == tally.containers == 2000 and fast


def with_faults(folder: Path, stores: list[str], operations: int, seed: int) -> bool:
    """Issue 5, 3: the faithful server and every variant, on both stores: no accusation."""
    level_of = {None: "arvados"} | {one["name"]: one["level"] for one in reference_catalogue()["variants"]}
    variants = list(level_of)
    each = -(-operations // (len(variants) * len(stores)))
    table = Table("server", "store", "operations", "seconds", "containers", "not ended", "accused of", "label")
    good, done = True, 0
    for number, (store, name) in enumerate((store, name) for store in stores for name in variants):
        restart = 1 if store == "sqlite" else 0  # the embedded database ends with its server
        faults = Faults(**RATES, kill=1, stop=1, restart=restart)
        population = Population(
            dispatchers=80, containers=200, mix=MIX, faults=faults, operations=each, seed=seed + number
        )
        arguments = (*STORES[store], *(("--variant", name) if name else ()))
        watcher = Watcher()
        options = RunOptions(level=level_of[name], out=folder / str(number), budget_s=1800, timeout_s=10)
        result = asyncio.run(simulate(population, ReferenceTarget(arguments, name), options, watcher))
        one = result.results[0] if result.results else None
        accused = sorted({f"{v.requirement} {v.name}" for v in one.verdict.violations}) if one else []
        good &= one is not None and one.label in {"conforms", "known race"}
        done += watcher.tally.operations
        row = (
            watcher.tally.operations,
            f"{result.seconds:.0f}",
            watcher.tally.containers,
            len(watcher.tally.unfinished),
        )
        label = one.label if one else result.unreachable
        table.add_row(name or "faithful", store, *(str(value) for value in row), ", ".join(accused), label)
        print(f"{name or 'faithful'} on {store}: {label} {accused}", flush=True)
    Console(width=140).print(table)
    print(f"{done} operations in all")
    return good


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """The most memory, in MiB, that this process and all below it held at one time, shared pages counted once."""
    peak, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            peak[0] = max(peak[0], sum(_proportional_kib(pid) for pid in _family()) // 1024)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield peak
    finally:
        over.set()
        watching.join()


def _family() -> set[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {int(Path("/proc/self").resolve().name)}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    sys.exit(main())
