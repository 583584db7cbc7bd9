"""Running the application: the sockets, the ASGI server, the worker processes, and how they all end."""

import contextlib
import errno
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import uvicorn

from reference_server.app import App, Behaviour
from reference_server.databases import store_of
from reference_server.mutants import MUTANTS
from reference_server.objects import ADMIN_USER, SYSTEM_USER, configured_token
from reference_server.options import Options, UsageError
from reference_server.places import Places
from reference_server.protocol import LimitedProtocol
from reference_server.tls import Certificate
from reference_server.variants import VARIANTS

LOWEST_PORT, PORTS_END = 20_000, 32_768  # below the ports that clients' own ends get
KEEP_ALIVE_S = 75
SHUTDOWN_S = 2
START_S = 60.0
PORT_WAIT_S = 3.0
BACKLOG = 4096

Ready = Callable[[], None]


def make_app(options: Options) -> App:
    """The application that the options ask for, with its store not yet open."""
    places = Places()
    if options.departure:
        places = (MUTANTS.get(options.departure) or VARIANTS[options.departure]).apply(places)
    behaviour = Behaviour(
        places=places,
        max_dispatch_attempts=options.max_dispatch_attempts,
        with_run_auth=options.run_auth,
        with_access_log=options.access_log,
        stamps_arrivals=options.stamp_arrivals,
    )
    tokens = [
        configured_token(options.tokens.shared, SYSTEM_USER),
        configured_token(options.tokens.stranger, SYSTEM_USER),
        configured_token(options.tokens.admin, ADMIN_USER),
    ]
    return App(store_of(options.database, options.workers), tokens, behaviour)


def reserved_socket(host: str, port: int, is_shared: bool) -> socket.socket:
    """A socket at the address, so that no one else takes it. Raises UsageError.

    With port 0 it is the first free one from a place that differs between processes. A port that was asked for is
    waited for a little: the workers of a server that was killed may need a moment to be gone.
    """
    deadline = time.monotonic() + PORT_WAIT_S
    candidates = [port] if port else range(LOWEST_PORT + os.getpid() % 10_000, PORTS_END)
    while True:
        for candidate in candidates:
            try:
                if is_shared:  # SO_REUSEPORT alone would let two servers share a port in silence
                    bound_socket(host, candidate, is_shared=False).close()
                return bound_socket(host, candidate, is_shared)
            except OSError as error:
                problem = error
            if problem.errno != errno.EADDRINUSE:
                break
        if not port or time.monotonic() > deadline or problem.errno != errno.EADDRINUSE:
            raise UsageError(f"cannot listen on {host}, port {port or 'any'}: {problem}")
        time.sleep(0.05)


def bound_socket(host: str, port: int, is_shared: bool) -> socket.socket:
    """A socket bound to the address; a shared one lets each worker process have its own. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer waits 40 ms
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


class _Server(uvicorn.Server):
    """uvicorn, that says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Ready) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self.on_ready()


def serve(options: Options, certificate: Certificate | None, listener: socket.socket, on_ready: Ready) -> bool:
    """Serve in this process until SIGTERM or SIGINT; True for a clean end, False if it could not start."""
    config = uvicorn.Config(
        make_app(options),
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="critical",
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=certificate.key if certificate else None,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again after its clean end
    server = _Server(config, on_ready)
    with contextlib.suppress(SystemExit):  # uvicorn's way to say that the application did not start
        server.run(sockets=[listener])
    return server.started


def serve_in_workers(options: Options, certificate: Certificate | None, on_ready: Ready) -> bool:
    """Serve in several processes until SIGTERM or SIGINT, or until one of them ends by itself."""
    spawn = multiprocessing.get_context("spawn")
    ending = threading.Event()
    wake_up, woken = socket.socketpair()

    def end(*_: object) -> None:
        ending.set()
        woken.send(b"x")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    workers: list[BaseProcess] = []
    ready: list[Connection] = []
    for _ in range(options.workers):
        here, there = spawn.Pipe(duplex=False)
        worker = spawn.Process(target=_work, args=(options, certificate, there), daemon=True)
        worker.start()
        there.close()
        workers.append(worker)
        ready.append(here)
    try:
        if not all(_is_ready(pipe, wake_up) for pipe in ready):
            return ending.is_set()
        on_ready()
        wait([wake_up, *(worker.sentinel for worker in workers)])
        if not ending.is_set():
            print("reference_server: a worker process ended; the server ends with it", file=sys.stderr)
        return ending.is_set()
    finally:
        _end_workers(workers)


def _is_ready(pipe: Connection, wake_up: socket.socket) -> bool:
    """Whether the worker at the other end of the pipe listens."""
    if pipe not in wait([pipe, wake_up], START_S):
        return False
    try:
        return bool(pipe.recv())
    except EOFError:
        return False


def _end_workers(workers: list[BaseProcess]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join(SHUTDOWN_S + 2)
        if worker.is_alive():
            worker.kill()
            worker.join(SHUTDOWN_S)


def _work(options: Options, certificate: Certificate | None, ready: Connection) -> None:
    """One worker process; it ends when its parent does, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    listener = bound_socket(options.host, options.port, is_shared=True)
    if not serve(options, certificate, listener, lambda: ready.send(True)):
        sys.exit(1)
