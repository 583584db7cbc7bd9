"""What the command line and the environment ask for, as one value that worker processes can be given."""

import argparse
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reference_server.mutants import MUTANTS
from reference_server.variants import VARIANTS

ROLES = {
    "shared": ("LOCKRACE_TOKEN", "the token that all dispatchers share"),
    "stranger": ("LOCKRACE_TOKEN2", "another dispatch token"),
    "admin": ("LOCKRACE_ADMIN_TOKEN", "an administrator's token"),
}
_ALIASES = {"token": "shared", "token2": "stranger", "admin_token": "admin"} | {
    variable.lower(): role for role, (variable, _) in ROLES.items()
}
_LARGEST_TOKEN_FILE_BYTES = 65_536


class UsageError(ValueError):
    """The command line, a file or the environment asks for something that cannot be done."""


@dataclass(frozen=True)
class Tokens:
    """The secrets of the three callers, and which of them were made up here."""

    shared: str
    stranger: str
    admin: str
    made_up: tuple[str, ...] = ()


@dataclass(frozen=True)
class Options:
    """Everything that one start of the server is told."""

    host: str
    port: int
    database: str
    workers: int
    tokens: Tokens
    departure: str | None = None  # name of a mutant or variant
    run_auth: bool = False
    max_dispatch_attempts: int | None = 10
    access_log: bool = False
    stamp_arrivals: bool = False
    tls: bool = False
    end_with_stdin: bool = False


def parser() -> argparse.ArgumentParser:
    """The command line's own description."""
    parse = argparse.ArgumentParser(
        prog="reference_server", description="A container lock/unlock server that follows the contract."
    )
    add = parse.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=_port, default=0, help="0 picks a free one below 32768 (default)")
    add(
        "--database",
        default="",
        metavar="URL",
        help="a SQLite file, postgresql://..., embedded-postgres[:FOLDER] or memory: (default: a temporary file)",
    )
    add("--workers", type=_count, default=1, metavar="N", help="processes that serve (default: %(default)s)")
    add("--tls", action="store_true", help="serve https with a certificate made for the occasion")
    add("--token-file", type=Path, metavar="FILE", help="YAML, JSON or NAME=VALUE with shared, stranger and admin")
    kind = parse.add_mutually_exclusive_group()
    kind.add_argument("--mutant", metavar="NAME", help="serve with this defect")
    kind.add_argument("--variant", metavar="NAME", help="serve in this other way that the contract allows")
    add("--run-auth", action="store_true", help="serve the run_auth extension")
    add(
        "--max-dispatch-attempts",
        type=_count,
        default=10,
        metavar="N",
        help="locks after which an unlock cancels the container (default: %(default)s)",
    )
    add("--access-log", action="store_true", help="one line per call on standard error, without secrets")
    add("--stamp-arrivals", action="store_true", help="answer X-Arrival-Ns: CLOCK_MONOTONIC when the call began")
    add("--end-with-stdin", action="store_true", help="end when standard input is closed")
    add("--list", action="store_true", help="list mutants and variants, and end")
    add("--format", choices=("text", "json"), default="text", help="of --list")
    return parse


def options_of(arguments: argparse.Namespace) -> Options:
    """The options behind parsed arguments. Raises UsageError."""
    for chosen, known, kind in ((arguments.mutant, MUTANTS, "mutant"), (arguments.variant, VARIANTS, "variant")):
        if chosen is not None and chosen not in known:
            raise UsageError(f"there is no {kind} {chosen!r}; --list shows those that there are")
    if arguments.database == "memory:" and arguments.workers > 1:
        raise UsageError("memory: is one process's own; several --workers need a database that they share")
    return Options(
        host=arguments.host,
        port=arguments.port,
        database=arguments.database,
        workers=arguments.workers,
        tokens=read_tokens(arguments.token_file),
        departure=arguments.mutant or arguments.variant,
        run_auth=arguments.run_auth,
        max_dispatch_attempts=arguments.max_dispatch_attempts,
        access_log=arguments.access_log,
        stamp_arrivals=arguments.stamp_arrivals,
        tls=arguments.tls,
        end_with_stdin=arguments.end_with_stdin,
    )


def read_tokens(path: Path | None) -> Tokens:
    """The three secrets: from the file, else from the environment, else made up."""
    given = _token_file(path) if path else {}
    for role, (variable, _) in ROLES.items():
        if role not in given and os.environ.get(variable):
            given[role] = os.environ[variable]
    made_up = tuple(role for role in ROLES if role not in given)
    for role, secret in given.items():
        if not secret.isascii() or not secret.isprintable() or " " in secret or len(secret) > 1000:
            raise UsageError(f"the {role} token is not a printable word of at most 1000 characters")
        if secret.startswith("v2/") and (secret.count("/") == 1 or not all(secret.split("/")[1:3])):
            raise UsageError(f"the {role} token is not written SECRET or v2/UUID/SECRET")
    secrets_by_role = {role: given.get(role) or secrets.token_hex(25) for role in ROLES}
    if len(set(secrets_by_role.values())) < len(ROLES):
        raise UsageError("shared, stranger and admin must be three different tokens")
    return Tokens(**secrets_by_role, made_up=made_up)


def _token_file(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > _LARGEST_TOKEN_FILE_BYTES:
            raise UsageError(f"{path}: larger than a token file can be")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    tokens = {}
    for name, value in _pairs(text, path).items():
        role = _ALIASES.get(name.lower(), name.lower())
        if role not in ROLES or not isinstance(value, str) or not value:
            raise UsageError(f"{path}: {name}: want a text for one of {', '.join(ROLES)}")
        tokens[role] = value
    return tokens


def _pairs(text: str, path: Path) -> dict[str, object]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and all("=" in line and ":" not in line.partition("=")[0] for line in lines):
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
    try:
        value = msgspec.yaml.decode(text)
    except msgspec.DecodeError:
        raise UsageError(f"{path}: neither YAML, JSON nor NAME=VALUE lines") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{path}: want names and tokens, such as `shared: SECRET`")
    return value


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: want 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r}: want a whole number from 1 to 1000")
    return int(text)
