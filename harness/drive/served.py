"""Targets that the harness starts itself: the reference server, or the user's own by a command."""

import asyncio
import contextlib
import os
import random
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import msgspec

from harness.drive.line import TargetLost
from harness.drive.secrets import environment_of
from harness.drive.supply import Supply
from harness.drive.target import Endpoint, Target, TargetRefused
from harness.wire import ARVADOS, Wire

_READY_LIMIT_S = 60.0
_END_LIMIT_S = 5.0
_LOG_LINES = 15
LOOK_AGAIN_S = 0.05
_URL = re.compile(r"https?://\S+")


def made_up_secrets() -> dict[str, str]:
    """Fresh secrets for a server that lives no longer than the run."""
    return {name: secrets.token_hex(25) for name in ("shared", "stranger", "admin")}


def reference_defects() -> dict[str, str]:
    """Every mutant and variant of the reference server, by name: "mutant" or "variant"."""
    catalogue = reference_catalogue()
    return {entry["name"]: kind for kind in ("mutant", "variant") for entry in catalogue.get(f"{kind}s", [])}


def reference_catalogue() -> dict[str, Any]:
    """What `lockrace serve --list` says of each mutant and variant, as data."""
    command = [sys.executable, "-m", "reference_server", "--list", "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=_READY_LIMIT_S)  # noqa: S603 (our own)
    if done.returncode != 0:
        raise TargetRefused(f"the reference server cannot be asked: {done.stderr.decode('utf-8', 'replace')[-300:]}")
    catalogue: dict[str, Any] = msgspec.json.decode(done.stdout)
    return catalogue


@dataclass
class ReferenceTarget:
    """The reference server as a process of its own; `defect` is a mutant's or a variant's name."""

    arguments: tuple[str, ...] = ()
    defect: str | None = None
    secrets: dict[str, str] = field(default_factory=made_up_secrets, repr=False)
    supply: Supply | None = None
    hung: bool = field(default=False, init=False)  # it did not answer to the end: nobody waits for a polite one
    _folder: tempfile.TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)
    _log: Path | None = field(default=None, init=False, repr=False)
    _port: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """As it is written after --target."""
        return f"reference:{self.defect}" if self.defect else "reference"

    async def open(self) -> Endpoint:
        """Start it and wait for its ready line."""
        self._folder = tempfile.TemporaryDirectory(prefix="lockrace-reference-")
        url = await self._serve()
        self._port = httpx.URL(url).port or 0
        insecure = url.startswith("https:")
        return Endpoint(url, self.secrets, insecure, disposable=True, restart=self.restart, supply=self.supply)

    async def restart(self) -> None:
        """kill -9, then start it again on the same port and database."""
        assert self._process is not None
        await _kill(self._process)
        await self._serve()

    async def close(self) -> None:
        """End it."""
        if self._process is not None:
            await (_kill if self.hung else _end)(self._process)
        if self._folder is not None:
            self._folder.cleanup()

    async def _serve(self) -> str:
        assert self._folder is not None
        where = [] if "--database" in self.arguments else ["--database", f"{self._folder.name}/reference.sqlite"]
        command = [sys.executable, "-m", "reference_server", "--port", str(self._port)]
        command += ["--end-with-stdin", "--stamp-arrivals"]
        self._log = Path(self._folder.name) / "server.log"
        pipe = asyncio.subprocess.PIPE
        self._process = await _start([*command, *where, *self.arguments], environment_of(self.secrets), self._log, pipe)
        return await self._ready_url()

    async def _ready_url(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_READY_LIMIT_S):
                async for raw in self._process.stdout:
                    line = raw.decode("utf-8", "replace")
                    if "ready" in line and (found := _URL.search(line)):
                        return found.group().rstrip("/")
        await _end(self._process)
        raise TargetRefused(f"the reference server did not start:\n{log_end(self._log)}")


@dataclass
class CommandTarget:
    """The user's own server, started by a command with "{port}" in it; it is there when `ready_path` answers."""

    command: str
    secrets: dict[str, str] = field(repr=False)
    ready_path: str = "/"
    log: Path = Path("server.log")  # what it says; begun anew by every run
    look_again_s: float = LOOK_AGAIN_S  # until the ready path answers
    hung: bool = field(default=False, init=False)  # it did not answer to the end: nobody waits for a polite one
    wire: Wire = ARVADOS
    supply: Supply | None = None
    _process: asyncio.subprocess.Process | None = field(default=None, init=False, repr=False)
    _port: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        """The program that the command runs."""
        return Path(shlex.split(self.command)[0]).name

    async def open(self) -> Endpoint:
        """Start it on a free port and wait until its ready path answers."""
        self._port = free_port()
        self.log.unlink(missing_ok=True)
        await self._serve()
        return Endpoint(
            f"http://127.0.0.1:{self._port}",
            self.secrets,
            disposable=True,
            restart=self.restart,
            wire=self.wire,
            supply=self.supply,
        )

    async def restart(self) -> None:
        """kill -9, then start it again on the same port; what it keeps is its own affair."""
        await self._kill()
        await self._serve()

    async def close(self) -> None:
        """End it."""
        if self._process is None:
            return
        if self.hung and self._process.returncode is None:
            await self._kill()
        await _end(self._process)

    async def _kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)  # its supervisor kills the whole group
        await self._process.wait()

    async def _serve(self) -> None:
        words = [word.replace("{port}", str(self._port)) for word in shlex.split(self.command)]
        supervised = [sys.executable, "-m", "harness.drive.supervise", *words]
        self._process = await _start(supervised, environment_of(self.secrets), self.log, stdout=None)
        if not await _answers(f"http://127.0.0.1:{self._port}{self.ready_path}", self._process, self.look_again_s):
            code = self._process.returncode
            await self.close()
            silent = f"did not answer {self.ready_path} within {_READY_LIMIT_S:.0f} s"
            what = silent if code is None else f"ended with exit code {code}"
            raise TargetRefused(f"--start: the server {what}; the end of its log:\n{log_end(self.log)}")


def one_for_each(target: Target, jobs: int) -> list[Target]:
    """A target for each job: a server of its own where the harness starts it, elsewhere the same."""
    match target:
        case ReferenceTarget():
            return [target, *(replace(target) for _ in range(1, jobs))]
        case CommandTarget(log=log):
            logs = [log.with_stem(f"{log.stem}-{job}") for job in range(2, jobs + 1)]
            return [target, *(replace(target, log=one) for one in logs)]
    return [target] * jobs


async def _start(
    command: list[str], environment: dict[str, str], log: Path, stdout: int | None
) -> asyncio.subprocess.Process:
    """A child in a group of its own, so that Ctrl-C reaches us first; what it says goes to the end of `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=file if stdout is None else stdout,
            stderr=file,
            env=os.environ | environment,
            start_new_session=True,
        )


async def restart_by(command: str, url: str, look_again_s: float = LOOK_AGAIN_S) -> None:
    """Run the user's own command that kills a server and starts it again, then wait until the server answers."""
    process = await asyncio.create_subprocess_exec(*shlex.split(command), stdin=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(_READY_LIMIT_S):
            code = await process.wait()
    except TimeoutError:
        await _end(process)
        raise TargetLost(f"--restart-command did not end within {_READY_LIMIT_S:.0f} s") from None
    if code != 0:
        raise TargetLost(f"--restart-command ended with exit code {code}")
    if not await _answers(url, None, look_again_s):
        raise TargetLost(f"after --restart-command {url} did not answer within {_READY_LIMIT_S:.0f} s")


async def _answers(url: str, process: asyncio.subprocess.Process | None, look_again_s: float) -> bool:
    """Whether the URL gives any answer below 500 before the limit, and before the process ends."""
    async with httpx.AsyncClient(trust_env=False, timeout=2) as client:
        try:
            async with asyncio.timeout(_READY_LIMIT_S):
                while process is None or process.returncode is None:
                    with contextlib.suppress(httpx.HTTPError):
                        if (await client.get(url)).status_code < 500:
                            return True
                    await asyncio.sleep(look_again_s)
        except TimeoutError:
            return False
    return False


async def _kill(process: asyncio.subprocess.Process) -> None:
    """kill -9 for the process and all that it started: they are one group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL when it does not end in time."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_END_LIMIT_S):
            await process.wait()
    except TimeoutError:
        await _kill(process)


def free_port() -> int:
    """A port that nobody listens on at this moment, below those that clients are given by the kernel."""
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise TargetRefused("no free port between 20000 and 32000")


def log_end(log: Path | None) -> str:
    """The last lines of a server's log."""
    if log is None or not log.exists():
        return "(it wrote no log)"
    lines = log.read_text("utf-8", "replace").splitlines()
    return "\n".join(f"  | {line[:200]}" for line in lines[-_LOG_LINES:]) or "(its log is empty)"
