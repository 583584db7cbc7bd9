"""Where fresh containers come from when the API is not to make them: a command of the user's, or a list of uuids.

A container is taken only when the target shows it as Queued, never locked and nobody's; no other is ever touched.
"""

import asyncio
import contextlib
import fcntl
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import msgspec
from msgspec import UNSET

from harness.drive.line import Exchange, TargetLost
from harness.drive.secrets import environment_of
from harness.history import Operation, Shown
from harness.scenario import Mark
from harness.scenario.reader import read_source

_COMMAND_LIMIT_S = 30.0
_COMMANDS_AT_ONCE = 4
_KEPT_BYTES = 4096  # of what a command prints
_TOLD_LENGTH = 300  # of a command's last words
_UUID = re.compile(r"[!-~]{1,200}\Z")
_UNSURE = frozenset({"indeterminate", "garbled", "limited"})

Look = Callable[[str], Awaitable[Exchange]]
"""Reads one container."""


class OutOfContainers(Exception):
    """There is no further container that may be used; the text says how many there were."""


class Supply(Protocol):
    """Gives containers, each once."""

    def at(self, url: str, secrets: Mapping[str, str]) -> Self:
        """The same for one target."""

    async def next(self, name: str, attributes: Mapping[str, Any]) -> str:
        """The uuid of one more. Raises OutOfContainers, and TargetLost where none can be had for another reason."""

    def reject(self, uuid: str, why: str) -> None:
        """One that was given is not fresh. Raises TargetLost where no other will be."""


class Taken(NamedTuple):
    """A container that was taken, and what the target shows of it; not `is_sure` where that was not heard."""

    uuid: str
    began_ns: int
    seen: Exchange
    is_sure: bool


async def take(supply: Supply, name: str, attributes: Mapping[str, Any], look: Look) -> Taken:
    """One more container. Raises OutOfContainers, TargetLost."""
    while True:
        began_ns = time.monotonic_ns()
        uuid = await supply.next(name, attributes)
        seen = await look(uuid)
        if seen.answer.outcome in _UNSURE:
            return Taken(uuid, began_ns, seen, is_sure=False)
        why = _why_not_fresh(seen)
        if why is None:
            return Taken(uuid, began_ns, seen, is_sure=True)
        supply.reject(uuid, why)


def _why_not_fresh(seen: Exchange) -> str | None:
    value = seen.answer.value
    if seen.answer.outcome != "granted" or value is None:
        return f"reading it was {seen.answer.outcome}"
    if value.state != "Queued":
        return "it shows no state" if value.state is UNSET else f"it is {value.state}"
    if value.lock_count not in {UNSET, 0}:
        return f"it was locked before ({value.lock_count} times)"
    return None if value.locked_by_uuid in {UNSET, None} else "it has a locked_by_uuid"


def creation(taken: Taken, process: str, name: str, run: int = 0) -> Operation:
    """How a container that came from elsewhere stands in the history: created, by nobody's request, before the look."""
    value = taken.seen.answer.value
    priority = value.priority if value is not None else UNSET
    return Operation(
        run=run,
        op="create",
        process=process,
        invoke_ns=min(taken.began_ns, taken.seen.invoke_ns),
        return_ns=taken.seen.invoke_ns,
        type="ok",
        outcome="granted",
        phase="setup",
        token="shared",
        uuid=taken.uuid,
        container=name,
        sent={"priority": priority} if isinstance(priority, int) else {},
        value=Shown(uuid=taken.uuid, state="Queued", priority=priority),
    )


@dataclass
class CommandSupply:
    """A program that makes a container each time it is called, and prints its uuid."""

    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    given: set[str] = field(default_factory=set)
    limit_s: float = _COMMAND_LIMIT_S
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_COMMANDS_AT_ONCE), repr=False)

    def at(self, url: str, secrets: Mapping[str, str]) -> Self:
        """The same for one target, which the program finds in its environment, with the tokens."""
        return replace(self, environment={"LOCKRACE_TARGET": url, **environment_of(secrets)})

    async def next(self, name: str, attributes: Mapping[str, Any]) -> str:
        """What the program prints."""
        wanted = msgspec.json.encode({"name": name, "state": "Queued", "attributes": attributes})
        async with self._turns:
            code, said, complaints = await self._run(wanted)
        if code != 0:
            lines = complaints.strip().splitlines()
            raise self._fault(f"ended with exit code {code}" + (f": {lines[-1][-_TOLD_LENGTH:]}" if lines else ""))
        uuids = said.split()
        if len(uuids) != 1 or not _UUID.match(uuids[0]):
            raise self._fault(f"must print one uuid, and printed {'nothing' if not said.strip() else repr(said[-80:])}")
        if uuids[0] in self.given:
            raise self._fault(f"printed {uuids[0]} for a second time; it must make a container for each call")
        self.given.add(uuids[0])
        return uuids[0]

    def reject(self, uuid: str, why: str) -> None:
        """What the program made is of no use, and neither will the next be."""
        raise self._fault(f"printed {uuid}, and {why}; it must be Queued, and never have been locked")

    def _fault(self, what: str) -> TargetLost:
        for name, secret in self.environment.items():
            if name != "LOCKRACE_TARGET" and secret:
                what = what.replace(secret, f"<{name}>")
        return TargetLost(f"--provision: {self.words[0]} {what}")

    async def _run(self, wanted: bytes) -> tuple[int, str, str]:
        """Exit code, standard output and standard error; the end of each, where they are long."""
        pipe = asyncio.subprocess.PIPE
        environment = os.environ | self.environment
        try:
            process = await asyncio.create_subprocess_exec(
                *self.words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
            )
        except OSError as error:
            raise self._fault(f"cannot be run: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(self.limit_s):
                told = asyncio.gather(_end_of(process.stdout), _end_of(process.stderr), _tell(process.stdin, wanted))
                said, complaints, _ = await told
                return await process.wait(), said, complaints
        except TimeoutError:
            raise self._fault(f"did not end within {self.limit_s:g} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


async def _end_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    kept = b""
    while block := await stream.read(65536):
        kept = (kept + block)[-_KEPT_BYTES:]
    return kept.decode("utf-8", "replace")


async def _tell(stream: asyncio.StreamWriter | None, wanted: bytes) -> None:
    assert stream is not None
    with contextlib.suppress(ConnectionError):  # it need not read what is wanted
        stream.write(wanted)
        await stream.drain()
    stream.close()


@dataclass
class ListSupply:
    """A file of uuids, one a line. While one is in use, its line is locked: no other run takes it."""

    path: Path
    lines: list[tuple[int, str]]  # offset in the file, uuid; the first is given next
    total: int
    used: int = 0
    rejected: dict[str, str] = field(default_factory=dict)  # uuid -> why
    elsewhere: int = 0  # in use by other runs
    _file: int | None = field(default=None, repr=False)

    def at(self, url: str, secrets: Mapping[str, str]) -> Self:  # noqa: ARG002
        """The list itself: no two targets of a run share a container."""
        return self

    async def next(self, name: str, attributes: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The next uuid that no other run uses."""
        while self.lines:
            offset, uuid = self.lines.pop(0)
            if self._lock(offset):
                self.used += 1
                return uuid
            self.elsewhere += 1
        raise OutOfContainers(self._told())

    def reject(self, uuid: str, why: str) -> None:
        """Pass it over."""
        self.used -= 1
        self.rejected[uuid] = why

    def _told(self) -> str:
        parts = [f"{self.used} of {self.total} used"]
        if self.rejected:
            (uuid, why), *_ = self.rejected.items()
            parts.append(f"{len(self.rejected)} passed over ({uuid}: {why})")
        if self.elsewhere:
            parts.append(f"{self.elsewhere} in use by another run")
        return f"--provision: {self.path} has no more containers: {', '.join(parts)}"

    def _lock(self, offset: int) -> bool:
        """Lock the line at an offset until this process ends; False where another has."""
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDWR)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
        except BlockingIOError:
            return False
        except OSError as error:
            raise TargetLost(f"--provision: {self.path} cannot be locked: {error.strerror or error}") from None
        return True


def read_supply(written: str) -> Supply | None:
    """What `--provision` asks for; None for the API itself.

    Raises ValueError for a text that asks for nothing, ScenarioError with all faults of a list of uuids.
    """
    kind, _, rest = written.partition(":")
    if written == "api":
        return None
    if kind == "command" and rest.strip():
        try:
            words = tuple(shlex.split(rest))
        except ValueError as error:
            raise ValueError(f"{rest!r}: {error}") from None
        if shutil.which(words[0]) is None:
            raise ValueError(f"there is no program {words[0]!r} that can be run")
        return CommandSupply(words)
    if kind == "uuids" and rest.strip():
        return _read_list(Path(rest))
    raise ValueError(f"{written[:80]!r}: want api, command:PROGRAM ARGUMENT..., or uuids:FILE")


def _read_list(path: Path) -> ListSupply:
    source = read_source(path)
    lines: list[tuple[int, str]] = []
    first: dict[str, int] = {}
    offset = 0
    for number, line in enumerate(source.text.splitlines(keepends=True), 1):
        uuid = line.strip()
        if uuid and not _UUID.match(uuid):
            source.fault(_mark(number, line), "want one uuid a line")
        elif uuid and first.setdefault(uuid, number) != number:
            source.fault(_mark(number, line), f"{uuid} stands here twice: in line {first[uuid]} too")
        elif uuid:
            lines.append((offset, uuid))
        offset += len(line.encode())
    if not lines:
        source.fault(_mark(1, ""), "holds no uuid; want one a line")
    source.raise_faults()
    return ListSupply(path, lines, len(lines))


def _mark(number: int, line: str) -> Mark:
    return Mark(number, len(line) - len(line.lstrip()) + 1)
