"""Fresh containers that the API does not make: from a command, from a list; what is not fresh is never touched."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.check import check
from harness.drive.drive import Driven, DriveOptions, drive
from harness.drive.line import TargetLost
from harness.drive.population import PopulateOptions, Population, populate
from harness.drive.provision import ATTRIBUTES
from harness.drive.served import ReferenceTarget
from harness.drive.supply import CommandSupply, ListSupply, OutOfContainers, Supply, read_supply
from harness.drive.target import OpenTarget, connected
from harness.explore.player import player
from harness.history import History, read_history
from harness.plan import make_plan
from harness.scenario import Scenario, ScenarioError, load_text, shipped
from harness.wire import Call

MAKER = """
import json, os, sys, urllib.request
wanted = json.load(sys.stdin)
assert wanted["state"] == "Queued", wanted
headers = {"Authorization": f"Bearer {os.environ['LOCKRACE_TOKEN']}", "Content-Type": "application/json"}
body = json.dumps({"container": wanted["attributes"] | {"priority": 5}}).encode()
url = os.environ["LOCKRACE_TARGET"] + "/arvados/v1/containers"
with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
    uuid = json.load(answer)["uuid"]
with open("made", "a") as made:
    print(wanted["name"], uuid, file=made)
print(uuid)
"""


def shipped_scenario(name: str) -> Scenario:
    (path,) = shipped().rglob(f"{name}.race.yaml")
    return load_text(path.read_text(), path)[0]


async def make(target: OpenTarget, priority: int = 1) -> str:
    """A container that somebody made before the run."""
    token = target.callers["shared"].secret
    created = await target.line.call(0, Call(op="create", token=token, sent=ATTRIBUTES | {"priority": priority}), {})
    assert created.answer.value is not None
    return str(created.answer.value.uuid)


async def ask(target: OpenTarget, op: str, uuid: str, sent: dict[str, Any] | None = None) -> Any:
    call = Call(op=op, token=target.callers["shared"].secret, uuid=uuid, sent=sent)
    return (await target.line.call(0, call, {})).answer.value


Work = Callable[[OpenTarget], Awaitable[Any]]


def on_reference(work: Work) -> Any:
    async def all_of_it() -> Any:
        async with connected(ReferenceTarget(), timeout_s=20) as target:
            return await work(target)

    return asyncio.run(all_of_it())


async def play(target: OpenTarget, supply: Supply, what: Scenario, path: Path, keep: bool = False) -> Driven:
    endpoint = replace(target.endpoint, disposable=keep, supply=supply.at(target.endpoint.url, target.endpoint.secrets))
    return await drive(make_plan(what, 1, 3), replace(target, endpoint=endpoint), DriveOptions(), path)


def listing(folder: Path, uuids: list[str]) -> ListSupply:
    path = folder / "uuids.txt"
    path.write_text("".join(f"{uuid}\n" for uuid in uuids))
    supply = read_supply(f"uuids:{path}")
    assert isinstance(supply, ListSupply)
    return supply


def command(folder: Path, code: str, limit_s: float = 30.0) -> CommandSupply:
    script = folder / "maker.py"
    script.write_text(textwrap.dedent(code))
    supply = read_supply(f"command:{sys.executable} {script} 'one argument'")
    assert isinstance(supply, CommandSupply)
    assert supply.words[2] == "one argument"
    return replace(supply, limit_s=limit_s)


def conforms(history: History, what: Scenario) -> bool:
    verdict = check(history, what)
    assert not verdict.inconclusive
    return not verdict.violations


class TestCommand:
    @pytest.mark.parametrize("name", ["stolen_lock", "transition_table", "two_lockers", "herd_of_two_tokens"])
    def test_makes_every_container(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        what, supply = shipped_scenario(name), command(tmp_path, MAKER)

        async def work(target: OpenTarget) -> Driven:
            return await play(target, supply, what, tmp_path / "h.jsonl")

        on_reference(work)
        history = read_history(tmp_path / "h.jsonl")
        assert conforms(history, what)
        made = dict(line.split()[::-1] for line in (tmp_path / "made").read_text().splitlines())
        created = {one.uuid: one for one in history.operations if one.op == "create"}
        assert {uuid: one.container for uuid, one in created.items()} == made
        assert {one.status for one in created.values()} == {None}  # nobody's request
        raised = {one.uuid for one in history.operations if one.sent == {"priority": 1} and one.op == "update"}
        assert raised == made.keys()  # it was made with another priority than was wanted

    @pytest.mark.parametrize(
        ("code", "told"),
        [
            ("import sys; sys.exit('no quota left')", "ended with exit code 1: no quota left"),
            ("", "must print one uuid, and printed nothing"),
            ("print('a b')", "must print one uuid, and printed 'a b"),
            ("print('x' * 300)", "must print one uuid, and printed 'xxx"),
            ("import os; os.write(1, bytes(200_000))", "must print one uuid"),
            ("import os; os.kill(os.getpid(), 9)", "ended with exit code -9"),
            ("print('no-such-uuid')", "printed no-such-uuid, and reading it was missing"),
        ],
    )
    def test_whose_command_fails_is_one_clear_error(self, code: str, told: str, tmp_path: Path) -> None:
        supply = command(tmp_path, code)

        async def work(target: OpenTarget) -> Driven:
            return await play(target, supply, shipped_scenario("stolen_lock"), tmp_path / "h.jsonl")

        driven = on_reference(work)
        assert driven.lost is not None
        assert driven.lost.startswith(f"--provision: {sys.executable} ")
        assert told in driven.lost

    def test_one_that_never_ends_is_an_error(self, tmp_path: Path) -> None:
        supply = command(tmp_path, "import time; time.sleep(600)", limit_s=0.2)
        with pytest.raises(TargetLost, match=r"did not end within 0\.2 s"):
            asyncio.run(supply.next("c1", {}))

    def test_one_that_is_not_waited_for_any_more_is_ended(self, tmp_path: Path) -> None:
        told = tmp_path / "told"
        os.mkfifo(told)
        supply = command(
            tmp_path, f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        )

        async def cut_off() -> int:
            asking = asyncio.create_task(supply.next("c1", {}))
            pid = int(await asyncio.to_thread(told.read_text))
            asking.cancel()
            await asyncio.wait([asking])
            return pid

        pid = asyncio.run(cut_off())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_the_same_uuid_twice_is_an_error(self, tmp_path: Path) -> None:
        supply = command(tmp_path, "print('u1')")

        async def twice() -> None:
            assert await supply.next("c1", {}) == "u1"
            await supply.at("http://x", {}).next("c1", {})

        with pytest.raises(TargetLost, match="printed u1 for a second time"):
            asyncio.run(twice())

    def test_no_secret_stands_in_an_error(self, tmp_path: Path) -> None:
        supply = command(tmp_path, "import os, sys; sys.exit('denied to ' + os.environ['LOCKRACE_TOKEN'])")
        with pytest.raises(TargetLost) as lost:
            asyncio.run(supply.at("http://x", {"shared": "s3cret"}).next("c1", {}))
        assert str(lost.value).endswith("denied to <LOCKRACE_TOKEN>")
        assert "s3cret" not in repr(supply.at("http://x", {"shared": "s3cret"}))

    def test_a_program_that_is_gone_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(TargetLost, match="cannot be run: No such file"):
            asyncio.run(CommandSupply((str(tmp_path / "nothing"),)).next("c1", {}))


class TestList:
    def test_gives_each_once_and_they_are_cancelled_at_the_end(self, tmp_path: Path) -> None:
        what = shipped_scenario("crossed_containers")
        count = 3 * len(what.given)

        async def work(target: OpenTarget) -> list[str]:
            uuids = [await make(target, priority=7) for _ in range(count + 1)]
            driven = await play(target, listing(tmp_path, uuids), what, tmp_path / "h.jsonl")
            assert (driven.short, driven.lost, driven.runs) == (None, None, 3)
            return [(await ask(target, "get", uuid)).state for uuid in uuids]

        assert on_reference(work) == ["Cancelled"] * count + ["Queued"]
        assert conforms(read_history(tmp_path / "h.jsonl"), what)

    def test_only_those_that_nobody_has_touched_are(self, tmp_path: Path) -> None:
        what = shipped_scenario("stolen_lock")

        async def work(target: OpenTarget) -> list[Any]:
            locked, unlocked, cancelled, *good = [await make(target) for _ in range(6)]
            await ask(target, "lock", locked)
            await ask(target, "lock", unlocked)
            await ask(target, "unlock", unlocked)
            await ask(target, "update", cancelled, {"state": "Cancelled"})
            others = [locked, unlocked, cancelled]
            before = [await ask(target, "get", uuid) for uuid in others]
            supply = listing(tmp_path, [*others, "zzzzz-dz642-doesnotexistatall", *good])
            driven = await play(target, supply, what, tmp_path / "h.jsonl")
            assert driven.short is None
            assert [await ask(target, "get", uuid) for uuid in others] == before
            return good

        good = on_reference(work)
        history = read_history(tmp_path / "h.jsonl")
        assert conforms(history, what)
        assert {one.uuid for one in history.operations if one.uuid is not None} == set(good)

    @pytest.mark.parametrize("name", ["every_interleaving", "two_lockers", "crossed_containers"])
    def test_that_runs_out_is_told_and_accuses_nobody(self, name: str, tmp_path: Path) -> None:
        what = shipped_scenario(name)

        async def work(target: OpenTarget) -> Driven:
            uuids = [await make(target) for _ in range(3)]
            await ask(target, "update", uuids[0], {"state": "Cancelled"})
            driven = await play(target, listing(tmp_path, uuids), what, tmp_path / "h.jsonl")
            assert {(await ask(target, "get", uuid)).state for uuid in uuids} == {"Cancelled"}
            return driven

        driven = on_reference(work)
        assert driven.short is not None
        assert driven.short.startswith(
            f"--provision: {tmp_path / 'uuids.txt'} has no more containers: 2 of 3 used, 1 pas"
        )
        assert "it is Cancelled" in driven.short
        verdict = check(read_history(tmp_path / "h.jsonl"), what)
        assert not verdict.violations
        assert verdict.inconclusive

    def test_two_runs_share_a_list_and_no_container(self, tmp_path: Path) -> None:
        here = listing(tmp_path, ["u1", "u2", "u3"])
        assert asyncio.run(here.next("c1", {})) == "u1"
        code = f"""
            import asyncio
            from harness.drive.supply import OutOfContainers, read_supply
            supply = read_supply("uuids:{here.path}")
            print(asyncio.run(supply.next("c1", {{}})), flush=True)
            input()
        """
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "u2\n"
            assert asyncio.run(here.next("c1", {})) == "u3"
            with pytest.raises(OutOfContainers, match="2 of 3 used, 1 in use by another run"):
                asyncio.run(here.next("c1", {}))
            other.communicate("\n")

    def test_a_search_over_orders_ends_when_it_runs_out(self, tmp_path: Path) -> None:
        what = shipped_scenario("stolen_lock")

        async def work(target: OpenTarget) -> None:
            supply = listing(tmp_path, [await make(target)])
            play_one = player(replace(target, endpoint=replace(target.endpoint, supply=supply)), "must")
            await play_one(what, what.schedule.order)
            with pytest.raises(OutOfContainers, match="1 of 1 used"):
                await play_one(what, what.schedule.order)

        on_reference(work)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "1:1: holds no uuid"),
            ("\n\n", "1:1: holds no uuid"),
            ("u1\nu2 u3\nu1\n", "2:1: want one uuid a line\n    u2 u3\n    ^\n{path}:3:1: u1 stands here twice"),
            ("ü\n", "1:1: want one uuid a line"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_list_is_told_at_its_place(self, text: str, told: str, tmp_path: Path) -> None:
        path = tmp_path / "uuids.txt"
        path.write_text(text)
        with pytest.raises(ScenarioError) as found:
            read_supply(f"uuids:{path}")
        assert told.format(path=path) in str(found.value)

    def test_a_list_that_cannot_be_locked_is_an_error(self, tmp_path: Path) -> None:
        supply = listing(tmp_path, ["u1"])
        supply.path.unlink()
        with pytest.raises(TargetLost, match="cannot be locked: No such file"):
            asyncio.run(supply.next("c1", {}))


class TestPopulation:
    def populate(self, supply: Callable[[list[str]], Supply], made: int, folder: Path) -> Any:
        class Onlooker:
            def at(self, ended: int, created: int, operations: int) -> None: ...

        async def work(target: OpenTarget) -> Any:
            uuids = [await make(target, priority=2) for _ in range(made)]
            endpoint = replace(target.endpoint, supply=supply(uuids).at(target.endpoint.url, target.endpoint.secrets))
            population = Population(dispatchers=4, containers=6, seed=1)
            opened = replace(target, endpoint=endpoint)
            return await populate(population, opened, PopulateOptions(budget_s=60), folder / "p.jsonl", Onlooker())

        return on_reference(work)

    def test_works_through_containers_of_a_list(self, tmp_path: Path) -> None:
        populated = self.populate(lambda uuids: listing(tmp_path, uuids), 6, tmp_path)
        assert (populated.created, populated.ended, populated.short) == (6, 6, None)

    def test_of_a_list_that_is_too_short_does_what_there_is(self, tmp_path: Path) -> None:
        populated = self.populate(lambda uuids: listing(tmp_path, uuids), 4, tmp_path)
        assert (populated.created, populated.ended) == (4, 4)
        assert "4 of 4 used" in populated.short

    def test_works_through_containers_of_a_command(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        populated = self.populate(lambda _: command(tmp_path, MAKER), 0, tmp_path)
        assert (populated.created, populated.ended) == (6, 6)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("apy", "want api, command:PROGRAM ARGUMENT..., or uuids:FILE"),
        ("command:", "want api, command"),
        ("uuids: ", "want api, command"),
        ("command:'x", "No closing quotation"),
        ("command:no_such_program_here x", "there is no program 'no_such_program_here' that can be run"),
    ],
)
def test_what_asks_for_nothing_is_refused(written: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_supply(written)


def test_the_api_itself_needs_no_supply() -> None:
    assert read_supply("api") is None
