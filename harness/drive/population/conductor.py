"""The conductor of a population: fills the queue, keeps the workers, writes the history, ends when all has ended.

The history is complete on disk when `populate` returns, however it ends. Operations stand in it in the order in which
the conductor heard of them: for each dispatcher the order in which they completed.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import UNSET

from harness.drive.crew import HarnessFault
from harness.drive.line import Exchange, TargetLost
from harness.drive.population.choice import FAULT_TIMES, Population
from harness.drive.population.hand import Hand
from harness.drive.population.messages import Assignment, Batch, Broken, Containers, FromWorker, Halt
from harness.drive.population.records import NAME, event, has_ended, header_of
from harness.drive.population.terms import Onlooker, Populated, PopulateOptions
from harness.drive.provision import ATTRIBUTES
from harness.drive.record import operation_of
from harness.drive.secrets import Vault
from harness.drive.supply import OutOfContainers, Supply, creation, take
from harness.drive.target import OpenTarget, TargetRefused
from harness.history import HistoryWriter, Operation
from harness.wire import Call

_TICK_S = 0.1
_AT_ONCE = 16  # calls of the conductor itself under way at one time
_SILENCE_S = 2.0  # beyond twice the limit of one request: nothing that can be understood was heard from the target
_SWEEP_S = 3.0  # without one more container that has ended: look at those that have not
_LISTED = 100  # containers that a listing of the conductor asks for by their uuid
_LIST_EVERY_S = 1.0
_START_LIMIT_S = 60.0
_STOP_S = 1.0
_END_GRACE_S = 15.0  # beyond the limit of one request, for a worker process to end
_MOST_REFUSED = 3
_TIDY_LIMIT_S = 10.0


async def populate(
    population: Population, target: OpenTarget, options: PopulateOptions, path: Path, onlooker: Onlooker
) -> Populated:
    """Let a population work through a queue; raises TargetRefused where no container can be made for it."""
    if population.faults.restart and target.endpoint.restart is None:
        raise TargetRefused("restart: the harness can restart only a server that it has started itself")
    began = time.monotonic()
    with HistoryWriter(path, header_of(population, target, options)) as writer:
        conductor = _Conductor(population, target, options, writer, Populated(path), onlooker)
        try:
            await conductor.work()
            await conductor.probe()
        except TargetLost as lost:
            conductor.result.lost = str(lost)
        finally:
            await conductor.close()
    conductor.result.seconds = time.monotonic() - began
    return conductor.result


@dataclass
class _Conductor:
    population: Population
    target: OpenTarget
    options: PopulateOptions
    writer: HistoryWriter
    result: Populated
    onlooker: Onlooker
    hands: list[Hand] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)  # uuid -> name of a container that has not ended
    made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._vault = Vault()
        self._names = {caller.secret: f"{name} token" for name, caller in self.target.callers.items()}
        self._secret = self.target.callers["shared"].secret
        self._incarnations: dict[str, int] = {}  # dispatcher -> highest that was heard of
        self._heard = time.monotonic()  # when the target last said something that can be understood
        self._moved = time.monotonic()  # when a container last ended
        self._listed = time.monotonic()
        self._fault: str | None = None
        self._halting = False
        self._unanswered = 0  # of the creates that made nothing
        stream = self.population.stream("conductor")
        self._stream = stream
        self._due = sorted(  # at which part of the work something happens to a process
            (stream.uniform(0.1, 0.8), name)
            for name in FAULT_TIMES
            for _ in range(getattr(self.population.faults, name))
        )

    # the work

    async def work(self) -> None:
        """Fill the queue, start the workers, watch until all has ended or time is up."""
        ends = time.monotonic() + self.options.budget_s
        await self._fill(self.population.containers)
        numbers = range(self.population.dispatchers)
        places = min(self.population.processes, self.population.dispatchers)
        self.hands = [self._hire(dict.fromkeys(numbers[place::places], 1)) for place in range(places)]
        await self._began(self.hands)
        self._moved = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            self.onlooker.at(self.result.ended, self.result.created, self.result.operations)
            self._raise_faults()
            if time.monotonic() > ends:
                self.result.out_of_time = True
                break
            await self._misfortune()  # all that was asked for, however fast the rest goes
            if self._asks_for_more():
                await self._refill()
            elif not self.open:
                break
            await self._list_some()
            if time.monotonic() - self._moved > _SWEEP_S:
                self._moved = time.monotonic()
                await self._all(self._look(uuid, "run") for uuid in list(self.open))
        await self._halt()
        self._raise_faults()

    def _raise_faults(self) -> None:
        if self._fault is not None:
            raise HarnessFault(self._fault)
        for hand in self.hands:
            if hand.gone.is_set() and not self._halting:
                raise HarnessFault(f"a worker process ended by itself: it had {len(hand.dispatchers)} dispatchers")
        silent_s = time.monotonic() - self._heard
        if silent_s > 2 * self.options.timeout_s + _SILENCE_S:
            raise TargetLost(f"the target has said nothing that can be understood for {silent_s:.0f} s")

    def _asks_for_more(self) -> bool:
        wanted = self.population.operations
        return wanted is not None and self.result.operations < wanted and self.result.short is None

    async def _refill(self) -> None:
        missing = self.population.containers - len(self.open)
        if missing * 10 < self.population.containers:
            return
        fresh = await self._fill(missing)
        for hand in self.hands:
            await hand.tell(Containers(fresh))

    async def _halt(self) -> None:
        """Have every worker come to its end; one that does not in time is a fault of the harness."""
        self._halting = True
        for hand in self.hands:
            hand.send_signal(signal.SIGCONT)
            await hand.tell(Halt())
        try:
            async with asyncio.timeout(self.options.timeout_s + _END_GRACE_S):
                for hand in self.hands:
                    await hand.ended.wait()
        except TimeoutError:
            self._fault = "a worker process did not come to its end: its last operations are not in the history"

    async def close(self) -> None:
        """End every process, and what the run made and nobody will miss otherwise."""
        for hand in self.hands:
            hand.close()
        if not self.open or self.target.endpoint.disposable or self.options.keep or self.result.lost:
            return
        with contextlib.suppress(TargetLost, HarnessFault, TimeoutError):
            async with asyncio.timeout(_TIDY_LIMIT_S):
                await self._all(self._cancel(uuid) for uuid in list(self.open))

    # the workers

    def _hire(self, dispatchers: dict[int, int]) -> Hand:
        endpoint = self.target.endpoint
        assignment = Assignment(
            url=endpoint.url,
            insecure=endpoint.insecure,
            timeout_s=self.options.timeout_s,
            secrets={name: caller.secret for name, caller in self.target.callers.items()},
            token_uuid=self.target.callers["shared"].uuid,
            salt=self._vault.salt,
            population=self.population,
            dispatchers=dispatchers,
            containers=list(self.made),
            wire=endpoint.wire,
        )
        return Hand(assignment, self._receive)

    async def _began(self, hands: Iterable[Hand]) -> None:
        """Wait until worker processes are at work; the silence of the target counts from then on."""
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                for hand in hands:
                    await hand.began.wait()
        except TimeoutError:
            raise HarnessFault(f"a worker process did not start within {_START_LIMIT_S:.0f} s") from None
        self._heard = time.monotonic()

    def _receive(self, report: FromWorker) -> None:
        match report:
            case Batch(operations, unsent):
                self.result.unsent += unsent
                for operation in operations:
                    self._add(operation)
            case Broken(text):
                self._fault = f"a worker process broke: {text}"

    def _add(self, operation: Operation) -> None:
        """Put an operation into the history, and learn from it what has ended."""
        self.writer.add(operation)
        self.result.operations += 1
        dispatcher, _, incarnation = operation.process.partition("#")
        if int(incarnation) > self._incarnations.get(dispatcher, 0):
            self._incarnations[dispatcher] = int(incarnation)
        if operation.status is not None and operation.type != "info":
            self._heard = time.monotonic()
        if operation.type == "ok" and operation.uuid in self.open and has_ended(operation):
            del self.open[operation.uuid]
            self.result.ended += 1
            self._moved = time.monotonic()

    # misfortunes of whole processes

    async def _misfortune(self) -> None:
        """What is due by now: a process killed or stopped, the server restarted."""
        wanted = self.population.operations
        done = self.result.ended / max(1, self.result.created)
        if wanted is not None:
            done = self.result.operations / wanted
        while self._due and self._due[0][0] <= done:
            _, name = self._due.pop(0)
            match name:
                case "kill":
                    await self._kill()
                case "stop":
                    self._stop()
                case _:
                    await self._restart()

    async def _kill(self) -> None:
        """kill -9 of a worker: what it had begun may have happened; its dispatchers come back knowing nothing."""
        hand = self._stream.choice(self.hands)
        self.hands.remove(hand)
        await hand.kill()
        now = time.monotonic_ns()
        for operation in hand.begun.values():
            self._add(operation)
        for number in hand.dispatchers:
            self._add(event("crash", f"D{number}#{self._incarnations.get(f'D{number}', 1)}", now, hand.pid))
        for number in hand.dispatchers:
            self._incarnations[f"D{number}"] = self._incarnations.get(f"D{number}", 1) + 1
        fresh = self._hire({number: self._incarnations[f"D{number}"] for number in hand.dispatchers})
        self.hands.append(fresh)
        await self._began([fresh])

    def _stop(self) -> None:
        hand = self._stream.choice(self.hands)
        hand.send_signal(signal.SIGSTOP)
        asyncio.get_running_loop().call_later(_STOP_S, hand.send_signal, signal.SIGCONT)

    async def _restart(self) -> None:
        assert self.target.endpoint.restart is not None
        began_ns = time.monotonic_ns()
        try:
            await self.target.endpoint.restart()
        except TargetRefused as refused:
            raise TargetLost(f"the target did not come back from its restart: {refused}") from None
        self._add(event("restart", f"{NAME}#1", began_ns, None))
        self._heard = time.monotonic()

    # the conductor's own calls

    async def _fill(self, count: int) -> list[str]:
        """Make containers; the uuids of those that were made.

        Raises TargetLost where the target made some and answers no more, TargetRefused where it makes none.
        """
        before = set(self.made)
        refused: list[str] = []
        self._unanswered = 0
        numbers = iter(range(len(self.made), len(self.made) + count))

        async def make_some() -> None:
            for number in numbers:
                if len(refused) >= _MOST_REFUSED or not await self._make(f"c{number}", refused):
                    return

        await self._all(make_some() for _ in range(_AT_ONCE))
        if len(refused) >= _MOST_REFUSED:
            if self.made and self._unanswered == len(refused):
                raise TargetLost(
                    f"the target makes no more containers after it had made {len(self.made)}: {refused[-1]}"
                )
            raise TargetRefused(f"the target makes no containers: {refused[-1]}")
        return [uuid for uuid in self.made if uuid not in before]

    async def _make(self, name: str, refused: list[str]) -> bool:
        if self.target.endpoint.supply is not None:
            return await self._take(name, self.target.endpoint.supply)
        while len(refused) < _MOST_REFUSED:
            operation = await self._call("create", None, "setup", ATTRIBUTES, container=name)
            if operation.outcome == "granted" and operation.uuid is not None:
                self.made[operation.uuid] = self.open[operation.uuid] = name
                self.result.created += 1
                return True
            self._unanswered += operation.status is None
            texts = "; ".join(operation.errors or [operation.problem or ""])
            refused.append(f"asked for one, it was {operation.outcome} (status {operation.status}) {texts}".rstrip())
        return False

    async def _take(self, name: str, supply: Supply) -> bool:
        """Take a container from a supply; False where there is none left. Raises TargetLost."""
        try:
            taken = await take(supply, name, ATTRIBUTES, self._read)
        except OutOfContainers as out:
            self.result.short = str(out)
            return False
        if not taken.is_sure:
            answer = taken.seen.answer
            raise TargetLost(f"{taken.uuid} could not be read: {answer.problem or answer.outcome}")
        self.made[taken.uuid] = self.open[taken.uuid] = name
        self.result.created += 1
        self._add(creation(taken, self._process, name))
        seen = self._note(Call(op="get", token=self._secret, uuid=taken.uuid), taken.seen, "setup", container=name)
        if seen.value is not None and seen.value.priority not in {UNSET, ATTRIBUTES["priority"]}:
            await self._call("update", taken.uuid, "setup", {"priority": ATTRIBUTES["priority"]}, container=name)
        return True

    async def _read(self, uuid: str) -> Exchange:
        return await self.target.line.call(0, Call(op="get", token=self._secret, uuid=uuid), self._names)

    async def probe(self) -> None:
        """Look at every container once more, so that the history tells how each ended."""
        await self._all(self._look(uuid, "probe") for uuid in self.made)

    async def _list_some(self) -> None:
        """A listing in one page, whose completeness can be judged; dispatchers only ever see a part of the queue."""
        if time.monotonic() - self._listed < _LIST_EVERY_S:
            return
        self._listed = time.monotonic()
        some = self._stream.sample(list(self.open), min(_LISTED, len(self.open)))
        await self._call("list", None, "run", {"state": self._stream.choice(("Queued", "Running")), "uuid": some})

    async def _look(self, uuid: str, phase: str) -> None:
        await self._call("get", uuid, phase, container=self.made[uuid])

    async def _cancel(self, uuid: str) -> None:
        await self._call("update", uuid, "cleanup", {"state": "Cancelled"}, container=self.made[uuid])

    async def _call(
        self, op: str, uuid: str | None, phase: str, sent: dict[str, Any] | None = None, **more: Any
    ) -> Operation:
        call = Call(op=op, token=self._secret, uuid=uuid, sent=sent)
        return self._note(call, await self.target.line.call(0, call, self._names), phase, **more)

    @property
    def _process(self) -> str:
        return f"{NAME}#{self._incarnations.get(NAME, 1)}"

    def _note(self, call: Call, exchange: Exchange, phase: str, **more: Any) -> Operation:
        for earlier in exchange.turned_away:
            self._note(call, earlier, phase, **more, sent_again=True)
        more |= {"phase": phase, "token": "shared"}
        operation = operation_of(call, exchange, self._process, self._hashed, self.made, **more)
        self._add(operation)
        if operation.type == "info":
            self._incarnations[NAME] = self._incarnations.get(NAME, 1) + 1
        return operation

    def _hashed(self, secret: str) -> str:
        return self._vault.keep(secret, "secret")

    async def _all(self, calls: Iterable[Any]) -> None:
        """Await many, a few at a time; the first failure ends it."""
        waiting = iter(calls)

        async def take() -> None:
            for call in waiting:
                await call

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(take())
        except* (TargetLost, TargetRefused, HarnessFault) as errors:
            raise errors.exceptions[0] from None
        finally:
            for call in waiting:
                call.close()
