"""Races of real processes against a real reference server: who does what, what is recorded, and how each ends."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.drive.crew import HarnessFault
from harness.drive.drive import Driven, DriveOptions, drive
from harness.drive.race import in_order_of_completion
from harness.drive.release import ReleaseChoice
from harness.drive.served import ReferenceTarget
from harness.drive.squad import Squad
from harness.drive.target import OpenTarget, connected
from harness.history import History, Operation, race_figures, read_history, release_sentence
from harness.plan import make_plan
from harness.scenario import Scenario, load_text
from tests.limits import LIMIT_S
from tests.processes import kill_for_good

HEAD = """
format: 1
scenario: tried
summary: a test
level: must
requires: [LOCK-1]
"""

HERD = """
given:
  containers: {c1: Queued}
  tokens: {D: shared}
fleets:
  D:
    count: 5
    steps:
      - {barrier: ready}
      - {id: lock, lock: c1, expect: [granted, refused]}
      - {id: auth, auth: c1, when: lock.granted, save: token}
schedule:
  race: {runs: 10}
outcome:
  always:
    one: count(D.lock.granted) == 1
"""

TWO_LEGS = """
given:
  containers: {c: Queued}
  tokens: {D: shared}
fleets:
  D:
    count: 3
    steps:
      - {id: lock, lock: "c[member]", expect: granted}
      - {id: auth, auth: "c[member]", save: token}
      - {barrier: held}
      - {id: use, use: D.token, expect: granted}
schedule:
  race: {runs: 2}
"""

ENTANGLED = """
given:
  containers: {c1: Queued}
  tokens: {A: shared, B: shared}
sessions:
  A:
    - {id: a_lock, lock: c1, expect: granted}
    - {id: a_get, get: c1}
  B:
    - {id: b_unlock, unlock: c1, after: a_lock, expect: granted}
    - {id: b_lock, lock: c1, when: a_lock.granted, expect: granted}
schedule:
  race: {runs: 3}
"""


FAULTY = """
given:
  containers: {c1: Queued}
  tokens: {A: shared, B: shared, C: shared}
sessions:
  A:
    - {id: a_lock, lock: c1, fault: {lose: reply}, expect: [granted, indeterminate]}
  B:
    - {id: b_get, get: c1, fault: {hold: request, until: c_get}}
  C:
    - {id: c_get, get: c1, after: a_lock, expect: granted}
    - {id: c_use, get: c1, fault: {lose: request}}
schedule:
  race: {runs: 2}
"""


def scenario(rest: str) -> Scenario:
    return load_text(HEAD.lstrip() + rest.lstrip(), Path("tried.race.yaml"))[0]


def raced(
    what: list[Scenario],
    folder: Path,
    *arguments: str,
    after_run: Callable[[OpenTarget, int], None] = lambda _target, _run: None,
) -> list[tuple[Driven, History]]:
    """Drive scenarios one after the other against one reference server."""

    async def work() -> list[Driven]:
        async with connected(ReferenceTarget(arguments), timeout_s=LIMIT_S) as target:
            return [
                await drive(
                    make_plan(one, seed=1),
                    target,
                    DriveOptions(release="burst"),
                    folder / f"{number}.jsonl",
                    lambda run: after_run(target, run),
                )
                for number, one in enumerate(what)
            ]

    return [(driven, read_history(driven.path)) for driven in asyncio.run(work())]


def test_the_release_that_was_measured_stands_in_the_history(tmp_path: Path) -> None:
    async def work(release: ReleaseChoice, path: Path) -> None:
        async with connected(ReferenceTarget(), timeout_s=LIMIT_S) as target:
            await drive(make_plan(scenario(HERD), seed=1, runs=2), target, DriveOptions(release=release), path)

    asyncio.run(work("auto", tmp_path / "auto.jsonl"))
    said = release_sentence(read_history(tmp_path / "auto.jsonl").operations)
    assert said is not None
    assert re.fullmatch(r"by (gate|burst) \(.*\): its answers came within \d+ us, those by .* within \d+ us", said)
    asyncio.run(work("gate", tmp_path / "gate.jsonl"))
    said = release_sentence(read_history(tmp_path / "gate.jsonl").operations)
    assert said == "by gate (last bytes held back), not measured"


def test_the_reference_server_stamps_what_arrives(played: list[tuple[Driven, History]]) -> None:
    for _, history in played:
        heard = [one for one in history.operations if one.status is not None]
        assert heard
        assert all(one.arrival_ns is not None for one in heard)
    figures = race_figures(by_run(played[0][1]))
    assert figures.arrived_p50_us is not None
    assert figures.arrived_p50_us > 0


def by_run(history: History) -> dict[int, list[Operation]]:
    runs: dict[int, list[Operation]] = {}
    for operation in history.operations:
        runs.setdefault(operation.run, []).append(operation)
    return runs


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Driven, History]]:
    """All scenarios against a faithful server, in one go: starting processes is what takes long."""
    all_of_them = [scenario(HERD), scenario(TWO_LEGS), scenario(ENTANGLED), scenario(FAULTY)]
    return raced(all_of_them, tmp_path_factory.mktemp("races"))


def test_a_fleet_spread_over_processes_has_one_winner_each_run(played: list[tuple[Driven, History]]) -> None:
    driven, history = played[0]
    assert (driven.runs, driven.lost) == (10, None)
    runs = by_run(history)
    assert sorted(runs) == list(range(10))
    for operations in runs.values():
        locks = [one for one in operations if one.op == "lock"]
        assert sorted(one.process for one in locks) == [f"D[{number}]#1" for number in range(5)]
        assert [one.outcome for one in locks].count("granted") == 1
        assert [one.op for one in operations if one.phase == "probe"] == ["use", "get"]
        (winner,) = (one.process for one in locks if one.outcome == "granted")
        assert [one.process for one in operations if one.op == "auth"] == [winner]
    assert len({one.pid for one in history.operations if one.op == "lock"}) == 2


def test_what_is_recorded_tells_how_each_round_was_released(played: list[tuple[Driven, History]]) -> None:
    runs = by_run(played[0][1])
    for operations in runs.values():
        (start,) = (one for one in operations if one.op == "barrier")
        assert start.sent is not None
        assert start.sent["release"] == "burst"
        for one in operations:
            if one.op == "lock":
                assert one.release_ns is not None
                assert start.invoke_ns < one.invoke_ns <= one.release_ns < (one.return_ns or 0)
        ends = [one.return_ns for one in operations if one.phase == "run" and one.return_ns is not None]
        assert ends == sorted(ends)
    assert all((operations[1].sent or {})["distance_ns"] == 0 for run, operations in runs.items() if run < 8)
    assert race_figures(runs).racers == 5


def test_a_barrier_holds_everyone_until_the_last_has_come(played: list[tuple[Driven, History]]) -> None:
    _, history = played[1]
    for operations in by_run(history).values():
        before = [one for one in operations if one.phase == "run" and one.op in {"lock", "auth"}]
        after = [one for one in operations if one.phase == "run" and one.op == "use"]
        assert len(before) == 6
        assert [one.outcome for one in after] == ["granted"] * 3
        assert max(one.return_ns or 0 for one in before) < min(one.release_ns or 0 for one in after)
        assert len({one.secret for one in after}) == 3


def test_dispatchers_that_wait_for_each_other_do(played: list[tuple[Driven, History]]) -> None:
    driven, history = played[2]
    assert driven.lost is None
    for operations in by_run(history).values():
        named = {one.step: one for one in operations if one.step is not None}
        assert set(named) == {"a_lock", "a_get", "b_unlock", "b_lock"}
        assert (named["a_lock"].return_ns or 0) < named["b_unlock"].invoke_ns
        assert len({one.pid for one in named.values()}) == 1


def test_faults_meet_the_calls_of_a_race(played: list[tuple[Driven, History]]) -> None:
    driven, history = played[3]
    assert driven.lost is None
    for operations in by_run(history).values():
        named = {one.step: one for one in operations if one.step is not None}
        assert (named["a_lock"].fault, named["a_lock"].type) == ("lose reply", "info")
        assert named["c_get"].value is not None
        assert named["c_get"].value.state == "Locked"  # A lost only the reply
        assert (named["b_get"].fault, named["b_get"].outcome) == ("hold request", "granted")
        assert (named["b_get"].return_ns or 0) > (named["c_get"].return_ns or 0)
        assert (named["c_use"].fault, named["c_use"].type) == ("lose request", "fail")  # the harness knows better


def test_a_check_that_is_not_an_act_is_found(tmp_path: Path) -> None:
    ((_, history),) = raced([scenario(HERD)], tmp_path, "--mutant", "check_before_lock")
    winners = [
        sum(one.op == "lock" and one.outcome == "granted" for one in operations)
        for operations in by_run(history).values()
    ]
    assert max(winners) > 1


def test_a_target_that_dies_in_the_middle_ends_the_race_with_that(tmp_path: Path) -> None:
    what = scenario(HERD.replace("runs: 10", "runs: 400"))
    target = ReferenceTarget()

    async def work() -> Driven:
        async with asyncio.timeout(LIMIT_S), connected(target, timeout_s=LIMIT_S) as opened:

            def kill(run: int) -> None:
                assert target._process is not None
                if run == 7:  # the end of the first batch
                    kill_for_good(target._process.pid)

            return await drive(
                make_plan(what, seed=1), opened, DriveOptions(release="gate"), tmp_path / "h.jsonl", kill
            )

    driven = asyncio.run(work())
    assert driven.lost is not None
    assert driven.runs == 8


def test_a_fleet_process_that_dies_is_a_fault_of_the_harness(tmp_path: Path) -> None:
    def kill(target: OpenTarget, run: int) -> None:
        assert isinstance(target.squad, Squad)
        if run == 7:
            target.squad._posts[1].process.kill()

    with pytest.raises(HarnessFault, match="fleet process"):
        raced([scenario(HERD.replace("runs: 10", "runs: 400"))], tmp_path, after_run=kill)


def test_operations_of_processes_are_merged_in_order_of_completion() -> None:
    def one(process: str, invoke_ns: int, return_ns: int | None) -> Operation:
        kind, outcome = ("info", "indeterminate") if return_ns is None else ("ok", "granted")
        return Operation(
            op="lock",
            process=process,
            invoke_ns=invoke_ns,
            return_ns=return_ns,
            type=kind,  # type: ignore[arg-type]
            outcome=outcome,  # type: ignore[arg-type]
        )

    first = [one("A#1", 1, 10), one("A#1", 11, None), one("A#2", 40, 50)]
    second = [one("B#1", 2, 20), one("B#1", 21, 30)]
    merged = list(in_order_of_completion([first, second]))
    assert [(each.process, each.invoke_ns) for each in merged] == [
        ("A#1", 1),
        ("A#1", 11),
        ("B#1", 2),
        ("B#1", 21),
        ("A#2", 40),
    ]
