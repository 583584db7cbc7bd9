"""The main program of a fleet process: many dispatchers on one loop, each on a connection of its own.

    conductor ──Muster──►  a scenario, the tokens, which dispatchers are here
              ──Rounds──►  runs with their containers, and how to release each
              ◄──Ended───  every operation, with the secrets that it learned

The processes of a fleet meet at a start line of shared memory, so that no message stands between a round and its
release. Within a round each dispatcher's first request waits at the gate; what follows leaves as it comes.
"""

import asyncio
import gc
import os
import pickle
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.drive.failures import Garbled, Lost, NotSent, Times
from harness.drive.faults import FaultProxy, fault_header
from harness.drive.fleet_messages import Company, Ended, Measure, Muster, Round, Rounds, decode_order, encode
from harness.drive.gate import Gate
from harness.drive.lifeline import end_with_parent
from harness.drive.line import (
    Exchange,
    TargetLost,
    Trouble,
    exchange_of,
    new_request_id,
    to_its_end,
    trouble_of,
)
from harness.drive.messages import Settings
from harness.drive.patience import until_taken
from harness.drive.release import measure
from harness.drive.roster import Leg
from harness.drive.script import Script
from harness.drive.secrets import Vault
from harness.drive.stage import Actor, Stage
from harness.drive.start_line import StartLine
from harness.drive.transport import Transport
from harness.history import Facts, Operation
from harness.scenario import Step
from harness.scenario.precedence import predecessors
from harness.wire import Call, Reply, Wire
from harness.wire.message import Failure

_GRACE_S = 60.0  # beyond a request's own limit, before a round counts as broken
_RETRY_PAUSE_S = 0.05
_RENEWED_LANES = 16  # connections that are opened anew for each batch of rounds, at most
_SPARE_LANES = 4  # connections beyond one a dispatcher, so that rounds rotate over the target's workers


def main(connection: Any, settings: Settings, cells: MutableSequence[int]) -> None:
    """Serve the conductor at the other end of `connection`, one command after the other, until it closes."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the conductor ends us in order
    try:
        asyncio.run(_serve(connection, settings, cells))
    except (EOFError, OSError):
        pass
    except Exception as error:
        connection.send_bytes(encode(Ended(broken=f"{type(error).__name__}: {error}")))
        sys.exit(1)


async def _serve(connection: Any, settings: Settings, cells: MutableSequence[int]) -> None:
    insecure, timeout_s = settings.insecure, settings.timeout_s
    async with (
        Transport(settings.url, timeout_s=timeout_s, insecure=insecure) as transport,
        FaultProxy(settings.url, insecure=insecure) as proxy,
        Transport(proxy.url, timeout_s=timeout_s) as detour,
    ):
        ways = _Ways(transport, proxy, detour, settings.wire)
        team: Team | None = None
        while True:
            match decode_order(await asyncio.to_thread(connection.recv_bytes)):
                case Muster(pickled):
                    company = pickle.loads(pickled)  # noqa: S301 (from our own parent)
                    team = Team(company, ways, StartLine(cells, company.place, company.processes))
                    ended = Ended()
                case Rounds(first_leg, rounds):
                    assert team is not None, "mustered first"
                    gc.disable()  # a collection in the middle of a release would spread it by milliseconds
                    ended = await team.play(first_leg, rounds)
                    gc.enable()
                case Measure(racers, token):
                    ended = await _measure(ways, racers, token)
            connection.send_bytes(encode(ended))


@dataclass(frozen=True)
class _Ways:
    """The straight way to the target, and the detour through the proxy for calls that are to meet a fault."""

    transport: Transport
    proxy: FaultProxy
    detour: Transport
    wire: Wire

    def straight(self, call: Call, request_id: str) -> bytes:
        """A call as the bytes of its request."""
        return self._bytes_of(self.transport, call, request_id)

    def around(self, call: Call, request_id: str, trouble: Trouble) -> bytes:
        """A call that is to meet a fault."""
        return self._bytes_of(self.detour, call, request_id, fault_header(*trouble))

    def _bytes_of(self, way: Transport, call: Call, request_id: str, *more: tuple[bytes, bytes]) -> bytes:
        request = self.wire.encode(call, request_id)
        headers = [*((name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers), *more]
        return way.prepare(request.method, request.path, headers, request.body)


async def _measure(ways: _Ways, racers: int, token: str) -> Ended:
    call = Call(op="use", token=token)  # changes nothing, and every target has it
    try:
        return Ended(measured=await measure(ways.transport, ways.straight(call, new_request_id()), racers))
    except NotSent as failure:
        return Ended(lost=str(failure))


class Team:
    """The dispatchers of one process in the rounds of one scenario."""

    def __init__(self, company: Company, ways: _Ways, start_line: StartLine) -> None:
        self._members = company.members
        self._ways = ways
        self._transport = ways.transport
        self._page_pause_s = company.page_pause_s
        self._start_line = start_line
        self._vault = Vault(company.salt)
        for name, secret in company.secrets_of.items():
            self._vault.keep(secret, f"{name} token")
        self._script = Script(company.scenario, company.secrets_of, company.uuids_of, self._vault)
        self._legs = company.legs
        here = {step.id for _, member in self._members for leg in member.legs for step in leg}
        self._before = {step: before & here for step, before in predecessors(company.scenario).items()}
        self._chance = random.Random(f"{company.seed}:{company.place}")
        self._lanes = range(len(self._members) + _SPARE_LANES)
        self._warm_up = ways.straight(Call(op="use", token=company.secrets_of["shared"]), new_request_id())
        self._early = 0

    async def play(self, first_leg: int, rounds: Sequence[Round]) -> Ended:
        """Play rounds, one after the other; ends early when the target is lost."""
        known = set(self._vault.names)
        operations: list[Operation] = []
        lost = None
        for lane in self._chance.sample(self._lanes, min(len(self._lanes) // 4, _RENEWED_LANES)):
            self._transport.drop(lane)  # where too many landed on one worker, they do not stay there
        try:
            await self._open_lanes()
        except NotSent as failure:
            lost = str(failure)
        leg = first_leg
        for one in rounds:
            stage, ending = await self._round(leg, one, absent=lost is not None)
            lost = lost or ending
            leg += self._legs
            operations += stage.operations
        learned = [(bare, name) for bare, name in self._vault.names.items() if bare not in known]
        return Ended(operations=operations, secrets=learned, early=self._early, lost=lost)

    async def _open_lanes(self) -> None:
        if self._page_pause_s is None:
            await self._transport.warm(self._lanes, self._warm_up)
            return
        for lane in self._lanes:  # where every request counts, none is spent on spreading over the target's workers
            await self._transport.connect(lane)

    async def _round(self, leg: int, one: Round, absent: bool) -> tuple[Stage, str | None]:
        """One run; `absent` only keeps the appointments, so that the other processes need not wait in vain."""
        stage = self._script.stage(one.run)
        stage.uuids |= one.uuids
        stage.phantoms |= one.phantoms
        actors = [Actor(member.name, member.token, desk=0) for _, member in self._members]
        lanes = self._chance.sample(self._lanes, len(actors))
        facts = Facts(stage.operations, self._script.token_uuids)
        scene = _Scene(stage, facts, self._before, defaultdict(asyncio.Event))
        dispatchers = [_Dispatcher(self._script, scene, actor) for actor in actors]
        lost = None
        for index in range(self._legs):
            gate = Gate(len(actors), one.kind)
            works = []
            for racer, (dispatcher, (_, member)) in enumerate(zip(dispatchers, self._members, strict=True)):
                steps = member.legs[index] if index < len(member.legs) and not (absent or lost) else ()
                works.append(dispatcher.run(steps, _Lane(self._ways, lanes[racer], gate, racer, self._page_pause_s)))
            offsets = [one.offsets_ns[number] if index == 0 else 0 for number, _ in self._members]
            lost = await self._leg(leg + index, gate, offsets, works) or lost
            self._early += gate.early
        return stage, lost

    async def _leg(
        self, number: int, gate: Gate, offsets_ns: Sequence[int], works: Sequence[Coroutine[Any, Any, None]]
    ) -> str | None:
        """Run one leg to its end; how the target was lost, if it was."""
        limit_s = self._transport.timeout_s + _GRACE_S
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await gate.armed(limit_s)
            at_ns = await self._start_line.meet(number, 2 * limit_s)
            await gate.release_at(at_ns, offsets_ns)
        finally:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        lost = None
        for result in results:
            if isinstance(result, TargetLost):
                lost = str(result)
            elif isinstance(result, BaseException):
                raise result
        return lost


class _Lane:
    """A dispatcher's connection in one leg; the first request waits at the gate."""

    def __init__(self, ways: _Ways, lane: int, gate: Gate, racer: int, page_pause_s: float | None) -> None:
        self.proxy = ways.proxy
        self._ways = ways
        self._lane = lane
        self._gate: Gate | None = gate
        self._racer = racer
        self._page_pause_s = page_pause_s or 0.0

    async def call(self, call: Call, secrets: Mapping[str, str], trouble: Trouble | None = None) -> Exchange:
        """Send one call; a listing goes on until its last page."""
        if trouble is not None:
            return await self._troubled(call, secrets, trouble)
        first = await self._once(call, secrets)
        return await to_its_end(
            call,
            first,
            lambda: self._later(call, secrets),
            lambda page: until_taken(lambda: self._later(page, secrets)),
            self._ways.wire,
        )

    def leave(self) -> None:
        """Nothing more is sent before the release, if nothing was."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.forfeit()

    async def _later(self, call: Call, secrets: Mapping[str, str]) -> Exchange:
        """One request more than was counted on: where the pace is limited it waits its turn."""
        await asyncio.sleep(self._page_pause_s)
        return await self._once(call, secrets)

    async def _once(self, call: Call, secrets: Mapping[str, str]) -> Exchange:
        request_id = new_request_id()
        reply = await self._reply(self._ways.transport, self._ways.straight(call, request_id))
        return exchange_of(call, request_id, reply, secrets, self._ways.wire)

    async def _troubled(self, call: Call, secrets: Mapping[str, str], trouble: Trouble) -> Exchange:
        """Send one call through the fault proxy, and learn from it what really happened."""
        request_id = new_request_id()
        reply = await self._reply(self._ways.detour, self._ways.around(call, request_id, trouble))
        happened = await self.proxy.take(trouble.id, self._ways.transport.timeout_s)
        swallowed = happened is not None and happened.forwarded_ns is None
        exchange = exchange_of(call, request_id, reply, secrets, self._ways.wire)
        return msgspec.structs.replace(exchange, fault=trouble.kind, swallowed=swallowed)

    async def _reply(self, way: Transport, data: bytes) -> Reply:
        gate, self._gate = self._gate, None
        asked_ns = time.monotonic_ns()
        try:
            answer = await way.call(data, lane=self._lane, gate=gate, racer=self._racer)
        except NotSent as error:
            return _failed("unreachable", error.times, asked_ns)
        except Lost as error:
            return _failed("timeout" if error.timed_out else "reset", error.times, asked_ns)
        except Garbled as error:
            return _failed("garbled", error.times, asked_ns)
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers)
        return Reply(**answer.times._asdict(), pid=os.getpid(), status=answer.status, headers=headers, body=answer.body)


@dataclass
class _Scene:
    """What the dispatchers of one process share in one run."""

    stage: Stage
    facts: Facts
    before: Mapping[str, frozenset[str]]  # step -> steps that must be over before it
    done: Mapping[str, asyncio.Event]


class _Dispatcher:
    """One member in one run."""

    def __init__(self, script: Script, scene: _Scene, actor: Actor) -> None:
        self._script = script
        self._stage = scene.stage
        self._scene = scene
        self._actor = actor

    async def run(self, steps: Leg, lane: _Lane) -> None:
        """Do the steps of a leg; whoever has nothing to send yet lets the others at the gate go without it."""
        try:
            for step in steps:
                await self._wait(step, lane)
                if step.when is None or step.when.evaluate(self._scene.facts, self._actor.name):
                    await self._step(step, lane)
                self._scene.done[step.id].set()
        finally:
            lane.leave()
            for step in steps:  # however this ended, nobody need wait any longer
                self._scene.done[step.id].set()

    async def _wait(self, step: Step, lane: _Lane) -> None:
        done = self._scene.done
        missing = [earlier for earlier in self._scene.before.get(step.id, ()) if not done[earlier].is_set()]
        if missing:
            lane.leave()  # who is waited for may stand at the gate
        for earlier in missing:
            await done[earlier].wait()

    async def _step(self, step: Step, lane: _Lane) -> None:
        if step.verb == "crash":  # of one dispatcher among many in a process: it forgets, the process lives on
            self._stage.event(self._actor, step, time.monotonic_ns(), None)
            self._actor.forget()
            return
        if step.verb == "pause":
            self._stage.event(self._actor, step, time.monotonic_ns(), None)
            await asyncio.sleep((step.for_ms or 0) / 1000)
            self._stage.resumed(self._actor, time.monotonic_ns(), None)
            return
        tries = 1 + (step.retry.times if step.retry else 0)
        for attempt in range(tries):
            ready = self._script.ready(self._stage, self._actor, step)
            if ready is None:
                return
            exchange = await self._send(step, lane, ready.call)
            operation = self._script.note(self._stage, ready, exchange)
            if step.retry is None or operation.outcome not in step.retry.outcomes or attempt == tries - 1:
                return
            await asyncio.sleep(_RETRY_PAUSE_S)

    async def _send(self, step: Step, lane: _Lane, call: Call) -> Exchange:
        """Send a step's call, with the fault that it is to meet; a hold ends after the step that `until` names."""
        names, trouble = self._script.vault.names, trouble_of(step.fault)
        if trouble is None or step.fault is None or step.fault.until is None:
            return await lane.call(call, names, trouble)
        letting_go = asyncio.create_task(_let_go_after(self._scene.done[step.fault.until], lane.proxy, trouble))
        try:
            return await lane.call(call, names, trouble)
        finally:
            letting_go.cancel()


async def _let_go_after(done: asyncio.Event, proxy: FaultProxy, trouble: Trouble) -> None:
    await done.wait()
    proxy.release(trouble.id)


def _failed(failure: Failure, times: Times | None, asked_ns: int) -> Reply:
    known = times or Times(asked_ns, asked_ns, time.monotonic_ns())
    return Reply(**known._asdict(), pid=os.getpid(), failure=failure)
