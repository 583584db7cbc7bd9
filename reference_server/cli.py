"""The command `python -m reference_server`."""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from reference_server.departures import Departure, described
from reference_server.embedded import embedded_postgres
from reference_server.mutants import MUTANTS
from reference_server.options import ROLES, Options, UsageError, options_of, parser
from reference_server.serving import reserved_socket, serve, serve_in_workers
from reference_server.tls import Certificate, self_made_certificate
from reference_server.variants import VARIANTS


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 for a clean end, 1 where the server could not start or go on, 2 for wrong usage."""
    arguments = parser().parse_args(argv)
    if arguments.list:
        try:
            print(listing_as_json() if arguments.format == "json" else listing(), flush=True)
        except BrokenPipeError:  # `| head` has seen enough; nor shall Python's own flush at the end complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # a clean end also while it is still starting
    try:
        options = options_of(arguments)
        is_shared = options.workers > 1
        with (
            reserved_socket(options.host, options.port, is_shared) as listener,
            database_of(options.database) as database,
            self_made_certificate(options.host) if options.tls else nullcontext() as certificate,
        ):
            options = replace(options, port=listener.getsockname()[1], database=database)
            return run(options, listener, certificate)
    except UsageError as error:
        print(f"reference_server: {error}", file=sys.stderr)
        return 2


def run(options: Options, listener: socket.socket, certificate: Certificate | None) -> int:
    """Serve until told to end."""
    if options.end_with_stdin:
        threading.Thread(target=_end_with_stdin, daemon=True).start()

    def on_ready() -> None:
        for role in options.tokens.made_up:
            print(f"{ROLES[role][0]}={getattr(options.tokens, role)}")
        print(ready_line(options, certificate), flush=True)

    if options.workers == 1:
        is_clean = serve(options, certificate, listener, on_ready)
    else:
        is_clean = serve_in_workers(options, certificate, on_ready)
    return 0 if is_clean else 1


def ready_line(options: Options, certificate: Certificate | None) -> str:
    """What is printed once the server answers: words for people, NAME=VALUE for programs."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    words = [
        "reference_server ready",
        f"url={'https' if options.tls else 'http'}://{host}:{options.port}",
        f"pid={os.getpid()}",
        f"workers={options.workers}",
    ]
    words += [f"departure={options.departure}"] if options.departure else []
    words += [f"authority={certificate.authority}"] if certificate else []
    return " ".join(words)


@contextmanager
def database_of(database: str) -> Iterator[str]:
    """The database URL to use, for as long as the server runs: the one given, or a fresh temporary one."""
    if database == "embedded-postgres" or database.startswith("embedded-postgres:"):
        with embedded_postgres(database.removeprefix("embedded-postgres").removeprefix(":")) as url:
            yield url
    elif database:
        yield database
    else:
        with tempfile.TemporaryDirectory(prefix="lockrace-", ignore_cleanup_errors=True) as folder:
            yield str(Path(folder) / "containers.sqlite")


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def listing_as_json() -> str:
    """All mutants and variants, for programs."""
    return json.dumps(
        {
            "format": 1,
            "mutants": [described(departure) for departure in MUTANTS.values()],
            "variants": [described(departure) for departure in VARIANTS.values()],
        },
        indent=2,
    )


def listing() -> str:
    """All mutants and variants, for people."""
    parts = ["Mutants: one defect each."]
    parts += [_entry(departure, "breaks") for departure in MUTANTS.values()]
    parts += ["", "Variants: another way that the contract leaves open."]
    parts += [_entry(departure, "leaves open") for departure in VARIANTS.values()]
    return "\n".join(parts)


def _entry(departure: Departure, word: str) -> str:
    needs = ", ".join(f"{name} {value}" for name, value in departure.needs.items())
    lines = [
        "",
        f"  {departure.name}",
        f"    {departure.summary}",
        f"    {word} {', '.join(departure.requirements)} (level {departure.level})"
        + (f"; needs {needs}" if needs else ""),
    ]
    return "\n".join(lines + ([f"    seen: {departure.seen}"] if departure.seen else []))
