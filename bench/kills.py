"""Kills the reference server under load, restarts it on its database, and checks that it lost nothing.

    python bench/kills.py [--kills 50]

Two clients work on each container with one token: each locks, then unlocks, whatever the answers were. So the history
of a container is counted, and after the restart the container itself tells how many locks and unlocks happened:

    granted locks   <=  lock_count                        <=  granted locks   + locks without an answer
    granted unlocks <=  lock_count - (1 if Locked else 0) <=  granted unlocks + unlocks without an answer

An acknowledged call that was lost is below the left side, a refused one that happened above the right side.
"""

import argparse
import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from reference_server.embedded import embedded_postgres

TOKEN = "killtoken0"
CONTAINER = {"command": ["true"], "container_image": "image", "output_path": "/out", "priority": 1}
CONTAINERS = 8
LIMIT_S = 120.0  # ends a wait for what never comes
PREFIX = "/arvados/v1/containers"


class Victim:
    """A server that is started again on the port and database that it had."""

    def __init__(self, database: str, workers: int, *arguments: str) -> None:
        self.arguments = ["--database", database, "--workers", str(workers), *arguments]
        self.port = "0"
        self.start()

    def start(self) -> None:
        options = ["--end-with-stdin", "--max-dispatch-attempts", "1000", "--port", self.port, *self.arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "reference_server", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"LOCKRACE_TOKEN": TOKEN, "LOCKRACE_TOKEN2": "other", "LOCKRACE_ADMIN_TOKEN": "admin"},
            start_new_session=True,
            text=True,
        )
        assert self.process.stdout
        found = re.search(r"url=(\S+:(\d+))", self.process.stdout.readline())
        assert found, "the server did not start"
        self.url, self.port = found[1], found[2]

    def kill(self, *, with_workers: bool) -> None:
        """kill -9: all processes, or only the first one, whose workers then have to end by themselves."""
        if with_workers:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self._close()

    def end(self) -> int:
        """A clean end; its exit code."""
        self.process.terminate()
        code = self.process.wait(LIMIT_S)
        self._close()
        return code

    def _close(self) -> None:
        self.process.wait(LIMIT_S)
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()


class Load:
    """The histories of all containers, and the moment at which enough was acknowledged for a kill."""

    def __init__(self, uuids: list[str], enough: int) -> None:
        self.histories = {uuid: Counter[str]() for uuid in uuids}
        self.left = enough
        self.is_enough = asyncio.Event()

    def acknowledged(self) -> None:
        self.left -= 1
        if self.left <= 0:
            self.is_enough.set()


async def work(url: str, uuid: str, load: Load) -> None:
    """Lock and unlock until the server is gone; counts what was granted and what got no answer."""
    history = load.histories[uuid]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=LIMIT_S, verify=False, trust_env=False
    ) as client:
        while True:
            for verb in ("lock", "unlock"):
                try:
                    answer = await client.post(f"{PREFIX}/{uuid}/{verb}")
                except httpx.ConnectError:
                    return
                except httpx.HTTPError:
                    history[f"{verb} without an answer"] += 1
                    return
                history[f"{verb} {answer.status_code}"] += 1
                if answer.status_code == 200:
                    load.acknowledged()


def losses(record: dict[str, object], history: Counter[str]) -> list[str]:
    """What a container's record after the restart says against its history before."""
    locks = int(str(record["lock_count"]))
    happened = {"lock": locks, "unlock": locks - (record["state"] == "Locked")}
    found = []
    for verb, number in happened.items():
        granted, unknown = history[f"{verb} 200"], history[f"{verb} without an answer"]
        if not granted <= number <= granted + unknown:
            found.append(f"{record['uuid']}: {number} {verb}s happened, {granted} acknowledged, {unknown} unanswered")
    return found + [f"{record['uuid']}: {name}" for name in history if re.search(r" 5\d\d$", name)]


async def one_kill(victim: Victim, enough: int, *, with_workers: bool) -> tuple[int, list[str]]:
    """How many calls were acknowledged before the kill, at least `enough`, and what of them was lost."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        base_url=victim.url, headers=headers, timeout=LIMIT_S, verify=False, trust_env=False
    ) as client:
        answers = [await client.post(PREFIX, json={"container": CONTAINER}) for _ in range(CONTAINERS)]
    load = Load([answer.json()["uuid"] for answer in answers], enough)
    histories = load.histories
    workers = [asyncio.create_task(work(victim.url, uuid, load)) for uuid in histories for _ in range(2)]
    async with asyncio.timeout(LIMIT_S):
        await load.is_enough.wait()
    victim.kill(with_workers=with_workers)
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(*workers)
    victim.start()
    async with httpx.AsyncClient(
        base_url=victim.url, headers=headers, timeout=LIMIT_S, verify=False, trust_env=False
    ) as client:
        records = [(await client.get(f"{PREFIX}/{uuid}")).json() for uuid in histories]
    found = [line for record in records for line in losses(record, histories[record["uuid"]])]
    return sum(history[f"{verb} 200"] for history in histories.values() for verb in ("lock", "unlock")), found


def kill_under_load(database: str, workers: int, kills: int, enough: int, *arguments: str) -> tuple[int, list[str]]:
    """Kill a server so many times; how many calls were acknowledged in all, and a line for each thing that was lost."""
    victim = Victim(database, workers, *arguments)
    acknowledged, lost = 0, []
    try:
        for number in range(kills):
            count, found = asyncio.run(one_kill(victim, enough, with_workers=number % 2 == 0))
            acknowledged += count
            lost += found
    finally:
        victim.end()
    return acknowledged, lost


def main() -> int:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--kills", type=int, default=50, help="of each case (default: %(default)s)")
    options = parse.parse_args()
    is_good = True
    print(f"{'store':12} {'workers':>7} {'kills':>6} {'acknowledged':>13} {'lost':>5}")
    with tempfile.TemporaryDirectory() as folder, embedded_postgres() as postgres:
        for name, database, workers in (
            ("SQLite", f"{Path(folder)}/one.db", 1),
            ("SQLite", f"{Path(folder)}/two.db", 2),
            ("PostgreSQL", postgres, 4),
        ):
            acknowledged, lost = kill_under_load(database, workers, options.kills, enough=300)
            print(
                f"{name:12} {workers:7} {options.kills:6} {acknowledged:13} {len(lost):5}", *lost, sep="\n", flush=True
            )
            is_good = is_good and not lost
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
