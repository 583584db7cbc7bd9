"""The plainest lock bug: SELECT, then UPDATE, with nothing in between, on SQLite with its default settings.

The reference server's mutants let other calls of the same worker in between, and commit many together, which makes
their windows wide. Here a worker looks and writes in one breath: only another worker can fall between its look and the
end of its commit. The workers share one listening socket, as those of uvicorn do, so it matters who accepts.

    python bench/narrow_server.py WORKERS        prints its port, ends with its standard input
"""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_ANSWER = (
    b"HTTP/1.1 %d X\r\nX-Worker: %d\r\nX-Arrival-Ns: %d\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)
_BODY = b'{"uuid": "only", "state": "Queued"}'


class _Locks(asyncio.Protocol):
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        arrival_ns = time.monotonic_ns()
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if len(rest) < length:
            return
        self._received = rest[length:]
        status = self._serve(head.split(b" ")[1])
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(_ANSWER % (status, os.getpid(), arrival_ns, len(_BODY), _BODY))

    def _serve(self, path: bytes) -> int:
        if path.endswith(b"/lock"):
            ((state,),) = self._database.execute("SELECT state FROM lock").fetchall()
            if state != "Queued":
                return 422
            self._database.execute("UPDATE lock SET state = 'Locked'")
        elif path.endswith(b"/unlock"):
            self._database.execute("UPDATE lock SET state = 'Queued'")
        return 200


def _connect(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=20, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    return database


async def _work(path: str, descriptor: int) -> None:
    database = _connect(path)
    listening = socket.socket(fileno=descriptor)
    listening.setblocking(False)
    await asyncio.get_running_loop().create_server(lambda: _Locks(database), sock=listening)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


def _main(workers: int) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0), backlog=2000) as listening:
        path = str(Path(folder) / "lock.sqlite")
        database = _connect(path)
        database.execute("CREATE TABLE lock (state TEXT)")
        database.execute("INSERT INTO lock VALUES ('Queued')")
        fileno = listening.fileno()
        command = [sys.executable, __file__, path, str(fileno)]
        pipe = subprocess.PIPE
        children = [subprocess.Popen(command, stdin=pipe, stdout=pipe, pass_fds=(fileno,)) for _ in range(workers)]
        for child in children:  # a worker that listens late would leave all connections to the first
            assert child.stdout is not None
            child.stdout.readline()
        print(listening.getsockname()[1], flush=True)
        sys.stdin.read()
        for child in children:
            assert child.stdin is not None
            child.stdin.close()
            child.wait(5)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        _main(int(sys.argv[1]))
    else:
        asyncio.run(_work(sys.argv[1], int(sys.argv[2])))
