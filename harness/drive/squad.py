"""The fleet processes as the conductor sees them: mustered for a scenario, then given rounds to play together."""

import asyncio
import os
import pickle
import signal
from collections.abc import Sequence
from typing import Any

import multiprocess

from harness.drive import fleet
from harness.drive.crew import HarnessFault
from harness.drive.fleet_messages import Company, Ended, Measure, Muster, Round, Rounds, decode_ended, encode
from harness.drive.gate import GateKind
from harness.drive.line import TargetLost
from harness.drive.messages import Settings
from harness.drive.release import Measured, ReleaseChoice
from harness.drive.start_line import CELLS

PROCESSES = 2
"""How many processes a fleet is spread over; one holds about 5,000 dispatchers."""

_START_LIMIT_S = 60.0
_MEASURED_RACERS = 10


class _Post:
    """One fleet process: a command goes in, an Ended comes out."""

    def __init__(self, settings: Settings, cells: Any) -> None:
        context = multiprocess.get_context("spawn")
        self._connection, theirs = context.Pipe(duplex=True)
        self.process = context.Process(target=fleet.main, args=(theirs, settings, cells), daemon=True)
        self.process.start()
        theirs.close()  # else its end would not be seen here

    async def ask(self, order: Muster | Rounds | Measure, limit_s: float) -> Ended:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Ended] = loop.create_future()

        def read() -> None:
            loop.remove_reader(self._connection.fileno())
            try:
                ended = decode_ended(self._connection.recv_bytes())
            except (EOFError, OSError):
                ended = Ended(broken="it ended in the middle of a round")
            if not answered.done():
                answered.set_result(ended)

        try:
            await asyncio.to_thread(self._connection.send_bytes, encode(order))
            loop.add_reader(self._connection.fileno(), read)
            async with asyncio.timeout(limit_s):
                ended = await answered
        except OSError:
            raise HarnessFault("a fleet process is gone") from None
        except TimeoutError:
            raise HarnessFault(f"a fleet process said nothing for {limit_s:.0f} s") from None
        finally:
            loop.remove_reader(self._connection.fileno())
        if ended.broken is not None:
            raise HarnessFault(f"a fleet process broke: {ended.broken}")
        return ended

    def close(self) -> None:
        self._connection.close()
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGKILL)  # whatever round it is in: nobody waits for it any more
        self.process.join(2)


class Squad:
    """All fleet processes of a run, started when first needed and kept."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cells = multiprocess.get_context("spawn").RawArray("q", CELLS)
        self._posts: list[_Post] = []
        self._active: list[_Post] = []
        self._legs = 0  # of one round
        self._leg = 1  # the next one, counted over all scenarios
        self.measured: Measured | None = None

    async def muster(self, companies: Sequence[Company]) -> None:
        """Tell each process who its dispatchers are."""
        while len(self._posts) < len(companies):
            self._posts.append(_Post(self._settings, self._cells))
        self._active = self._posts[: len(companies)]
        self._legs = companies[0].legs
        await self._ask_all([Muster(pickle.dumps(company)) for company in companies], _START_LIMIT_S)

    async def play(self, rounds: Sequence[Round]) -> list[Ended]:
        """Play rounds; one Ended for each process."""
        order = Rounds(self._leg, list(rounds))
        legs = len(rounds) * self._legs
        self._leg += legs
        return await self._ask_all([order] * len(self._active), _START_LIMIT_S + 4 * legs * self._settings.timeout_s)

    async def release(self, choice: ReleaseChoice, racers: int, token: str) -> GateKind:
        """The kind of release to use; measured once for a target when the choice is left open."""
        if choice != "auto":
            return choice
        if self.measured is None:
            order = Measure(min(max(racers, 2), _MEASURED_RACERS), token)
            ended = await self._active[0].ask(order, _START_LIMIT_S + 4 * self._settings.timeout_s)
            if ended.measured is None:
                raise TargetLost(ended.lost or "the target went away")
            self.measured = ended.measured
        return self.measured.better

    def close(self) -> None:
        """End every process."""
        for post in self._posts:
            post.close()
        self._posts.clear()

    async def _ask_all(self, orders: Sequence[Muster | Rounds], limit_s: float) -> list[Ended]:
        pairs = zip(self._active, orders, strict=True)
        tasks = [asyncio.create_task(post.ask(order, limit_s)) for post, order in pairs]
        try:
            return list(await asyncio.gather(*tasks))
        finally:  # one process that broke leaves the others waiting at the start line
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
