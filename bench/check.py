"""How fast, and how right, the linearizability check is: `python bench/check.py [speed|wrong|fire|million] ...`.

speed    operations a second on correct histories, in memory and from JSONL
wrong    the same with one stale read at the very end
fire     the verdict on small random histories against a search over all orders
million  a million operations of 1,000 clients on one container, with the memory that it takes

Wall time and CPU time are both told: on a busy machine they differ.
"""

import argparse
import gc
import multiprocessing
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from harness.check.linearizable import LinearResult, linearize
from harness.history import HistoryWriter, Operation, stream_history
from tests.check.linear.histories import sample, without_priority
from tests.check.linear.judges import ALL_PARTS, disagreement, whole_disagreement
from tests.check.linear.oracle import orders_exist, orders_exist_at_some_priority
from tests.check.linear.simulated import HEADER, Crowd, simulate

SIZES = ((10, 1), (100, 1), (1000, 1), (1000, 10_000))
FOREIGN = ("none", "some", "most")
"""Unlocks of a lock that another client took."""


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "wrong", "fire", "million"], nargs="+")
    parser.add_argument("--operations", type=int, default=200_000)
    parser.add_argument("--histories", type=int, default=100_000)
    chosen = parser.parse_args()
    for what in chosen.what:
        if what == "fire":
            fire(chosen.histories)
        elif what == "million":
            million()
        else:
            table(chosen.operations, wrong=what == "wrong")


def table(count: int, *, wrong: bool) -> None:
    """One row for each crowd; what a crowd is like is told beside its speed."""
    print(
        "clients containers foreign | overlap lost foreign unlocks | memory: ops/s wall, CPU | JSONL: ops/s wall, CPU"
    )
    for clients, containers in SIZES:
        for foreign in FOREIGN:
            crowd = Crowd(clients, containers, rate(foreign, clients if containers == 1 else 10))
            operations = list(simulate(count, crowd))
            if wrong:
                operations.append(stale(operations))
            memory = timed(lambda operations=operations: linearize(operations, HEADER))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "history.jsonl"
                write(path, operations)
                shape = portrait(operations)
                size = len(operations)
                del operations
                lines = timed(lambda path=path: judge_file(path))
            expected = "violated" if wrong else "linearizable"
            assert memory[2].verdict == lines[2].verdict == expected, memory[2].verdict
            print(
                f"{clients:7} {containers:10} {foreign:>7} | {shape} | "
                f"{size / memory[0]:9,.0f} {size / memory[1]:9,.0f} | {size / lines[0]:9,.0f} {size / lines[1]:9,.0f}",
                flush=True,
            )


def rate(foreign: str, together: int) -> float:
    """How often one of so many clients on a container tries to unlock without having locked."""
    return {"none": 0.0, "some": 0.1 / together, "most": 0.03}[foreign]


def judge_file(path: Path) -> LinearResult:
    """The verdict on a file that is never held whole."""
    header, operations = stream_history(path)
    return linearize(operations, header)


def timed(act: Callable[[], LinearResult]) -> tuple[float, float, LinearResult]:
    """Wall and CPU seconds of the best of three calls, and what the last one gave."""
    best = []
    for _ in range(3):
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        result = act()
        best.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(one for one, _ in best), min(one for _, one in best), result


def write(path: Path, operations: Iterable[Operation]) -> None:
    with HistoryWriter(path, HEADER) as writer:
        for one in operations:
            writer.add(one)


def stale(operations: list[Operation]) -> Operation:
    """A read, after all else, of the first lock of the container that was used last."""
    end = max(one.return_ns or one.invoke_ns for one in operations)
    locks: dict[str | None, list[Operation]] = defaultdict(list)
    for one in operations:
        if one.op == "lock" and one.outcome == "granted":
            locks[one.uuid].append(one)
    busiest = max(
        locks.values(), key=lambda found: (found[-1].invoke_ns > found[0].return_ns + 5000, found[-1].invoke_ns)
    )
    return Operation(
        op="get",
        process="late#1",
        invoke_ns=end + 1,
        return_ns=end + 2,
        type="ok",
        outcome="granted",
        uuid=busiest[0].uuid,
        token="shared",
        value=busiest[0].value,
    )


def portrait(operations: list[Operation]) -> str:
    """Which share overlaps an operation that conflicts, was lost, or unlocked what another client had locked."""
    changes: dict[str | None, list[tuple[int, int]]] = defaultdict(list)
    for one in operations:
        if one.op in {"lock", "unlock"} and one.outcome in {"granted", "indeterminate"}:
            changes[one.uuid].append((one.invoke_ns, one.return_ns or one.invoke_ns))
    overlapping = 0
    for uuid, group in _by_uuid(operations).items():
        spans = sorted(changes[uuid])
        at, open_spans = 0, []
        for one in sorted(group, key=lambda one: one.invoke_ns):
            end = one.return_ns or one.invoke_ns
            while at < len(spans) and spans[at][0] <= end:
                open_spans.append(spans[at])
                at += 1
            open_spans = [span for span in open_spans if span[1] >= one.invoke_ns]
            own = (one.invoke_ns, end) in open_spans
            overlapping += len(open_spans) > own
    lost = sum(one.type == "info" for one in operations)
    holding: set[tuple[str | None, str]] = set()  # whose last lock was granted, or perhaps
    unlocks = taken = 0
    for one in operations:
        key = (one.uuid, one.process.partition("#")[0])
        if one.op == "lock" and one.outcome in {"granted", "indeterminate"}:
            holding.add(key)
        elif one.op == "unlock" and one.outcome == "granted":
            unlocks += 1
            taken += key not in holding
            holding.discard(key)
    return f"{overlapping / len(operations):6.0%} {lost / len(operations):5.1%} {taken / max(1, unlocks):8.0%}"


def _by_uuid(operations: list[Operation]) -> dict[str | None, list[Operation]]:
    groups: dict[str | None, list[Operation]] = defaultdict(list)
    for one in operations:
        groups[one.uuid].append(one)
    return groups


def fire(histories: int) -> None:
    """Compare on `histories` seeds, in two processes."""
    began = time.perf_counter()
    step = 1000
    totals: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for part in pool.imap_unordered(_fire, [range(at, at + step) for at in range(0, histories, step)]):
            totals.update(part)
    for name, number in sorted(totals.items()):
        print(f"{name}: {number:,}")
    print(f"{time.perf_counter() - began:.0f} s")


def _fire(seeds: range) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in seeds:
        one = sample(Random(seed), level="run_auth" if seed % 8 == 0 else None)
        exists = orders_exist(one.operations, one.header)
        wrong = disagreement(one, exists, ALL_PARTS) or whole_disagreement(one, exists)
        if seed % 4 == 1:
            bare = without_priority(one)
            counts["creations that tell no priority"] += 1
            wrong = wrong or whole_disagreement(bare, orders_exist_at_some_priority(bare.operations, bare.header))
        counts["histories"] += 1
        counts[f"level {one.header.level}"] += 1
        counts["violating"] += not exists
        counts["violating by one moved endpoint"] += not exists and one.made == "moved"
        counts["disagreements"] += bool(wrong)
        if wrong:
            print(f"seed {seed}: {wrong}", flush=True)
    return counts


def million() -> None:
    """Read, judge and say what it took."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        maker = multiprocessing.get_context("spawn").Process(target=_write_million, args=(path,))
        maker.start()
        maker.join()
        began = time.perf_counter()
        result = judge_file(path)
        seconds = time.perf_counter() - began
        size = path.stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{result.operations:,} operations, {size / 1e6:.0f} MB: {result.verdict}, {seconds:.1f} s, {peak:.0f} MiB")


def _write_million(path: Path) -> None:
    write(path, simulate(1_000_000, Crowd(1000, 1, 0.03)))


if __name__ == "__main__":
    main()
