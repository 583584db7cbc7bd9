"""Whole populations: real worker processes against a real reference server, and against targets that behave badly."""

import asyncio
import contextlib
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from multiprocess import resource_tracker

from harness.check.population import judge_population
from harness.drive.crew import HarnessFault
from harness.drive.population import Faults, Populated, PopulateOptions, Population, populate
from harness.drive.population import conductor as conductor_module
from harness.drive.served import ReferenceTarget
from harness.drive.target import OpenTarget, Target, TargetRefused, UrlTarget, connected
from harness.history import History, read_history
from tests.drive.population.scripted_api import Misbehave, answer, hangs_up, says_garbage, says_nothing, target_that
from tests.drive.scripted import Peer, serving


class Onlooker:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []

    def at(self, ended: int, created: int, operations: int) -> None:
        self.seen.append((ended, created, operations))


def children() -> set[int]:
    """Processes that this one has started and that still run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.add(int(path.parent.name))
    return found


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    resource_tracker.ensure_running()  # it stays, and ends with us
    before = children()
    yield
    assert children() - before == set()


async def driven(
    population: Population, target: Target, path: Path, options: PopulateOptions | None = None
) -> Populated:
    options = options or PopulateOptions(budget_s=60)
    async with connected(target, options.timeout_s) as opened:
        return await populate(population, opened, options, path, Onlooker())


def simulated(population: Population, folder: Path, target: Target | None = None) -> tuple[Populated, History]:
    populated = asyncio.run(driven(population, target or ReferenceTarget(), folder / "h.jsonl"))
    return populated, read_history(populated.path)


def test_careful_dispatchers_run_everything_exactly_once(tmp_path: Path) -> None:
    populated, history = simulated(Population(dispatchers=20, containers=30, processes=2, seed=1), tmp_path)
    verdict, tally = judge_population(history)
    assert (populated.created, populated.ended, populated.lost) == (30, 30, None)
    assert (tally.containers, tally.run_once, tally.run_twice, tally.unfinished) == (30, 30, 0, [])
    assert (verdict.violations, verdict.inconclusive, verdict.known_races) == ([], [], [])
    assert verdict.linearizability == "linearizable"
    assert populated.operations == len(history.operations)
    assert len({one.pid for one in history.operations if one.process.startswith("D")}) == 2
    assert history.header.seed == 1


def test_a_population_with_every_fault_ends_and_accuses_nobody(tmp_path: Path) -> None:
    faults = Faults(0.05, 0.05, 0.05, 0.05, 0.05, 0.05, kill=1, stop=1, restart=1)
    mix = {"careful": 4, "adopting": 1, "impatient": 1, "double_unlock": 1}
    population = Population(dispatchers=14, containers=20, mix=mix, faults=faults, seed=2, second_s=0.005)
    populated, history = simulated(population, tmp_path)
    verdict, tally = judge_population(history)
    assert populated.ended == 20
    assert verdict.violations == []
    assert verdict.inconclusive == []
    assert verdict.linearizability == "linearizable"
    assert {"lose request", "lose reply", "reset", "delay", "crash", "pause", "restart"} <= set(tally.faults)
    killed = Counter(one.pid for one in history.operations if one.op == "crash")
    assert sum(count >= 7 for count in killed.values()) >= 1  # all dispatchers of a killed worker, and their crashes


def test_what_a_killed_worker_had_begun_may_have_happened(tmp_path: Path) -> None:
    faults = Faults(kill=2)
    population = Population(dispatchers=20, containers=30, faults=faults, seed=3, second_s=0.005)
    populated, history = simulated(population, tmp_path)
    verdict, _ = judge_population(history)
    assert populated.ended == 30
    assert verdict.violations == []
    crashed = {one.process for one in history.operations if one.op == "crash"}
    assert len(crashed) >= 10
    for process in crashed:  # whose next incarnation never uses a name that was used before
        name, _, incarnation = process.partition("#")
        died = next(one.invoke_ns for one in history.operations if one.op == "crash" and one.process == process)
        later = [one for one in history.operations if one.process.partition("#")[0] == name and one.invoke_ns > died]
        assert all(int(one.process.partition("#")[2]) > int(incarnation) for one in later)


def test_the_queue_is_kept_filled_until_so_many_operations_were_made(tmp_path: Path) -> None:
    population = Population(dispatchers=20, containers=20, operations=500, seed=4)
    populated, history = simulated(population, tmp_path)
    assert populated.operations >= 500
    assert populated.created > 20
    assert populated.ended == populated.created
    assert judge_population(history)[0].violations == []


def test_time_is_up_for_a_population_too(tmp_path: Path) -> None:
    population = Population(dispatchers=1, containers=60, seed=5)
    populated = asyncio.run(driven(population, ReferenceTarget(), tmp_path / "h.jsonl", PopulateOptions(budget_s=0.5)))
    assert populated.out_of_time
    verdict, tally = judge_population(read_history(populated.path))
    assert tally.unfinished
    assert verdict.violations == []
    assert "had not ended" in verdict.inconclusive[0]


@pytest.mark.parametrize("misbehave", [says_nothing, says_garbage, hangs_up])
def test_a_target_that_turns_bad_is_told_of_in_time(
    misbehave: Misbehave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor_module, "_SILENCE_S", 0.6)
    population = Population(dispatchers=6, containers=4, seed=6)
    options = PopulateOptions(timeout_s=0.3, budget_s=60)

    async def work() -> Populated:
        async with target_that(misbehave) as target:
            return await driven(population, target, tmp_path / "h.jsonl", options)

    began = time.monotonic()
    populated = asyncio.run(work())
    assert populated.lost is not None
    assert "nothing that can be understood" in populated.lost
    assert time.monotonic() - began < 30
    history = read_history(populated.path)  # complete, whatever happened
    assert sum(one.op == "create" for one in history.operations) == 4
    assert {one.type for one in history.operations if one.outcome in {"indeterminate", "garbled"}} == {"info"}


def test_a_target_that_dies_in_the_middle_is_lost(tmp_path: Path) -> None:
    class Dying(ReferenceTarget):
        def at(self, ended: int, created: int, operations: int) -> None:
            assert self._process is not None
            if operations > created and self._process.returncode is None:  # the dispatchers are at work
                self._process.kill()

    async def work() -> Populated:
        target = Dying()
        async with connected(target, 1.0) as opened:
            options = PopulateOptions(timeout_s=1.0, budget_s=600)
            population = Population(dispatchers=10, containers=500, seed=7)
            return await populate(population, opened, options, tmp_path / "h.jsonl", target)

    populated = asyncio.run(work())
    assert populated.lost is not None
    assert (populated.created, populated.ended < 500) == (500, True)
    assert read_history(populated.path).operations


def test_a_target_that_dies_while_the_queue_is_filled_is_lost(tmp_path: Path) -> None:
    numbers = itertools.count()

    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            if request.startswith(b"GET /arvados/v1/api_client_authorizations/current"):
                await peer.say(answer({"uuid": "zzzzz-gj3su-000000000000000"}))
                continue
            if (number := next(numbers)) >= 20:
                peer.reset()
                return
            await peer.say(answer({"uuid": f"zzzzz-dz642-{number:015d}", "state": "Queued", "priority": 1}))

    async def work() -> Populated:
        async with serving(serve) as url:
            target = UrlTarget(url, {"shared": "s" * 40})
            return await driven(Population(containers=100), target, tmp_path / "h.jsonl")

    populated = asyncio.run(work())
    assert populated.created == 20
    assert populated.lost is not None
    assert "after it had made 20" in populated.lost
    assert sum(one.outcome == "granted" for one in read_history(populated.path).operations) == 20


def test_a_target_that_makes_no_containers_is_refused(tmp_path: Path) -> None:
    async def serve(peer: Peer) -> None:
        while True:
            request = await peer.request()
            good = request.startswith(b"GET /arvados/v1/api_client_authorizations/current")
            body = {"uuid": "zzzzz-gj3su-000000000000000"} if good else {"errors": ["no room"]}
            await peer.say(answer(body, "200 OK" if good else "422 Unprocessable"))

    async def work() -> None:
        async with serving(serve) as url:
            await driven(Population(containers=3), UrlTarget(url, {"shared": "s" * 40}), tmp_path / "h.jsonl")

    with pytest.raises(TargetRefused, match=r"makes no containers.*refused.*no room"):
        asyncio.run(work())


def test_only_a_server_that_the_harness_started_can_be_restarted(tmp_path: Path) -> None:
    async def work() -> None:
        async with target_that(says_nothing) as target:
            await driven(Population(faults=Faults(restart=1)), target, tmp_path / "h.jsonl")

    with pytest.raises(TargetRefused, match="restart"):
        asyncio.run(work())


def test_a_worker_that_ends_by_itself_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    before: set[int] = set()

    class Killing(Onlooker):
        """Kills a worker as soon as it works."""

        def at(self, ended: int, created: int, operations: int) -> None:
            if not self.seen and operations > created:
                self.seen.append((ended, created, operations))
                os.kill((children() - before).pop(), signal.SIGKILL)

    async def work() -> None:
        nonlocal before
        async with target_that(says_garbage, good=10**9) as target, connected(target, 2.0) as opened:
            before = children()
            options, population = PopulateOptions(timeout_s=2.0), Population(dispatchers=4, containers=2)
            with pytest.raises(HarnessFault, match="ended by itself"):
                await populate(population, opened, options, tmp_path / "h.jsonl", Killing())

    asyncio.run(work())


def test_an_interrupted_population_leaves_a_history_and_cancels_what_it_made(tmp_path: Path) -> None:
    class Interrupting(Onlooker):
        task: asyncio.Task[Populated]

        def at(self, ended: int, created: int, operations: int) -> None:
            self.task.cancel()

    async def work(opened: OpenTarget) -> None:
        onlooker = Interrupting()
        options = PopulateOptions(timeout_s=2.0)
        population = Population(dispatchers=4, containers=5)
        onlooker.task = asyncio.create_task(populate(population, opened, options, tmp_path / "h.jsonl", onlooker))
        with pytest.raises(asyncio.CancelledError):
            await onlooker.task

    async def go() -> None:
        async with target_that(says_garbage, good=10**9) as target, connected(target, 2.0) as opened:
            await work(opened)

    asyncio.run(go())
    history = read_history(tmp_path / "h.jsonl")
    cancelled = [one for one in history.operations if one.phase == "cleanup"]
    assert len(cancelled) == 5
    assert {(one.sent or {})["state"] for one in cancelled} == {"Cancelled"}
