"""Options that several commands share, and how they become a target and its tokens."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli.wording import refuse_other_words, refuse_supply, supply_of, wire_of

if TYPE_CHECKING:
    from harness.drive.target import Target

_F = TypeVar("_F", bound=Callable[..., Any])

_CLUSTER = re.compile(r"[a-z0-9]{5}")
LEVEL_CHOICES = click.Choice(["must", "arvados", "run_auth"])
KNOWN_CHOICES = click.Choice(["any", "reproduced", "closed"])


@dataclass(frozen=True)
class TargetChoice:
    """What the user said of the target."""

    target: str
    level: str
    token: str | None
    token2: str | None
    token_file: Path | None
    insecure: bool
    start: str | None
    ready: str
    max_dispatch_attempts: int | None
    restart_command: str | None = None
    max_rps: int | None = None
    profile: Path | None = None
    provision: str = "api"
    out: Path = Path("lockrace-out")
    server_options: tuple[str, ...] = ()


def proposing(kind: str) -> Callable[..., Any]:
    """What the shell proposes for a parameter: a function of `completing`, imported when the shell asks."""

    def propose(*asked: Any) -> Any:
        from harness.cli import completing  # noqa: PLC0415

        return getattr(completing, kind)(*asked)

    return propose


def target_options(command: _F) -> _F:
    """The options that say what to aim at and with which tokens."""
    for option in reversed(
        [
            click.option(
                "--target",
                default="reference",
                show_default=True,
                envvar="LOCKRACE_TARGET",
                metavar="TARGET",
                shell_complete=proposing("targets"),
                help="An http(s):// URL; reference, or reference:NAME for one of its mutants or variants; model; "
                "asgi:MODULE:NAME for a Python application in this process.",
            ),
            click.option(
                "--token-file",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                envvar="LOCKRACE_TOKEN_FILE",
                help="YAML with the two dispatch tokens: shared and stranger.",
            ),
            click.option(
                "--token", metavar="SECRET", help="The shared token. Others on this machine can see it: prefer a file."
            ),
            click.option("--token2", metavar="SECRET", help="The stranger's token, for steps by another token."),
            click.option("--insecure", is_flag=True, help="Accept a TLS certificate that nobody vouches for."),
            click.option("--start", metavar="COMMAND", help="Start your own server: './server --port {port}'."),
            click.option(
                "--ready",
                metavar="PATH",
                default="/",
                show_default=True,
                help="With --start: the path that answers once the server is there.",
            ),
            click.option(
                "--restart-command",
                metavar="COMMAND",
                help="With a URL: what kills your server and starts it again; scenarios of DUR-1 need it.",
            ),
            click.option(
                "--max-rps",
                type=click.IntRange(1),
                metavar="N",
                help="For a site that others use: never more than N requests a second reach it. A round of a race is "
                "not split, one of more than N has the time of that many to itself.",
            ),
            click.option(
                "--profile",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                envvar="LOCKRACE_PROFILE",
                help="YAML that says how your server looks where it does not look as Arvados does.",
            ),
            click.option(
                "--provision",
                metavar="HOW",
                default="api",
                show_default=True,
                help="Where fresh containers come from: api; command:PROGRAM ARGUMENT..., which makes one and prints "
                "its uuid; or uuids:FILE, those that may be used, one a line.",
            ),
            click.option(
                "--level",
                type=LEVEL_CHOICES,
                default="must",
                show_default=True,
                envvar="LOCKRACE_LEVEL",
                help="How much of the contract is judged.",
            ),
            click.option(
                "--max-dispatch-attempts",
                type=click.IntRange(1),
                envvar="LOCKRACE_MAX_DISPATCH_ATTEMPTS",
                help="The server's attempt limit (UNLOCK-6); unset, either outcome is accepted.",
            ),
            click.option(
                "--timeout",
                "timeout_s",
                type=click.FloatRange(0.1, 600),
                default=10.0,
                show_default=True,
                help="Seconds to wait for one answer.",
            ),
        ]
    ):
        command = option(command)
    return command


def five_letters(given: str | None) -> str | None:
    """A cluster's id as it was given. Raises click.BadParameter where it is none."""
    if given is not None and not _CLUSTER.fullmatch(given):
        raise click.BadParameter(f"{given[:40]!r} is no cluster: want five small letters or digits, such as zzzzz")
    return given


cluster_option = click.option(
    "--cluster",
    metavar="ID",
    callback=lambda _context, _parameter, given: five_letters(given),
    help="What uuids that nobody has begin with (default: what the shared token's own does).",
)


def make_target(choice: TargetChoice) -> "Target":
    """The target that the user chose; click.UsageError says what is missing."""
    from harness.drive.served import LOOK_AGAIN_S, CommandTarget, restart_by  # noqa: PLC0415
    from harness.drive.target import UrlTarget  # noqa: PLC0415

    look_again_s = LOOK_AGAIN_S if choice.max_rps is None else max(LOOK_AGAIN_S, 1 / choice.max_rps)
    if choice.start is not None:
        if "{port}" not in choice.start:
            raise click.UsageError("--start has no {port} in it: the server could not know where to listen")
        started = CommandTarget(choice.start, _tokens(choice), choice.ready, choice.out / "server.log", look_again_s)
        return replace(started, wire=wire_of(choice.profile), supply=supply_of(choice.provision))
    if choice.target.startswith(("http://", "https://")):
        restart = None
        if choice.restart_command is not None:
            restart = partial(restart_by, choice.restart_command, choice.target, look_again_s)
        target = UrlTarget(choice.target, _tokens(choice), choice.insecure, restart)
        return replace(target, wire=wire_of(choice.profile), supply=supply_of(choice.provision))
    if choice.target == "model":
        from harness.explore.model_line import ModelTarget  # noqa: PLC0415

        refuse_other_words("the model", choice.profile)
        refuse_supply("the model", choice.provision, "makes its own containers")
        return ModelTarget()
    kind, _, name = choice.target.partition(":")
    if kind == "reference":
        return _reference(name or None, choice)
    if kind == "asgi":
        return _application(name, choice)
    raise click.UsageError(
        f"--target {choice.target!r} is no target: give an http:// or https:// URL, reference, reference:NAME, model, "
        "or asgi:MODULE:NAME"
    )


def _application(spec: str, choice: TargetChoice) -> "Target":
    from harness.explore.asgi_target import AsgiTarget  # noqa: PLC0415

    if ":" not in spec or not all(spec.split(":")[:2]):
        raise click.UsageError(f"--target {choice.target!r} names no application; want asgi:MODULE:NAME")
    refuse_supply(choice.target, choice.provision, "is in this process, which nobody else can reach")
    found, made_up = application_tokens(choice)
    return AsgiTarget(spec, found, made_up, choice.out / "server.log", wire_of(choice.profile))


def application_tokens(choice: TargetChoice) -> tuple[dict[str, str], frozenset[str]]:
    """Token names to bare secrets, and which of them were made up; the application finds them in the environment."""
    from harness.drive.secrets import environment_of  # noqa: PLC0415
    from harness.drive.served import made_up_secrets  # noqa: PLC0415

    given = _given_tokens(choice)
    found = {name: given.get(name) or secret for name, secret in made_up_secrets().items() if name != "admin"}
    os.environ.update(environment_of(found))
    return found, frozenset(found.keys() - given.keys())


def _reference(name: str | None, choice: TargetChoice) -> "Target":
    from harness.drive.served import ReferenceTarget, reference_defects  # noqa: PLC0415

    refuse_other_words("the reference server", choice.profile)
    if choice.provision.startswith("uuids:"):
        refuse_supply("the reference server", choice.provision, "has no containers yet when it is started")
    arguments = list(choice.server_options)
    if choice.level == "run_auth":
        arguments.append("--run-auth")
    if choice.max_dispatch_attempts is not None:
        arguments += ["--max-dispatch-attempts", str(choice.max_dispatch_attempts)]
    if name is not None:
        kinds = reference_defects()
        if name not in kinds:
            raise click.UsageError(
                f"the reference server has no mutant or variant {name!r}{near(name, kinds)}; "
                "`lockrace serve --list` shows them all"
            )
        arguments += [f"--{kinds[name]}", name]
    return ReferenceTarget(tuple(arguments), name, supply=supply_of(choice.provision))


def _tokens(choice: TargetChoice) -> dict[str, str]:
    """The tokens that were given; click.UsageError where the shared one was not."""
    found = _given_tokens(choice)
    if "shared" not in found:
        raise click.UsageError(
            "no token for this target: give --token-file FILE (YAML with shared and stranger), "
            "or set LOCKRACE_TOKEN and LOCKRACE_TOKEN2"
        )
    return found


def _given_tokens(choice: TargetChoice) -> dict[str, str]:
    """Token names to bare secrets: options over file over environment."""
    found = {"shared": os.environ.get("LOCKRACE_TOKEN"), "stranger": os.environ.get("LOCKRACE_TOKEN2")}
    if choice.token_file is not None:
        found |= read_token_file(choice.token_file)
    if choice.token or choice.token2:
        click.echo("warning: tokens on the command line can be seen by others on this machine", err=True)
        found |= {name: one for name, one in (("shared", choice.token), ("stranger", choice.token2)) if one}
    return {name: secret for name, secret in found.items() if secret}


def read_token_file(path: Path) -> dict[str, str]:
    """Token names to bare secrets from a YAML file; no secret stands in its errors."""
    import yaml  # noqa: PLC0415

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError):
        raise click.UsageError(f"{path}: not a YAML file that can be read; want lines `shared: SECRET`") from None
    if not isinstance(content, dict) or not all(isinstance(one, str) for pair in content.items() for one in pair):
        raise click.UsageError(
            f"{path}: want a mapping of token names to secrets: `shared: SECRET`, `stranger: SECRET`"
        )
    unknown = sorted(set(content) - {"shared", "stranger", "admin"})
    if unknown:
        raise click.UsageError(f"{path}: unknown token name {unknown[0][:40]!r}; want shared, stranger, admin")
    return {name: content[name] for name in ("shared", "stranger") if name in content}


def near(name: str, names: "Any") -> str:
    """ "; did you mean X?" where something is near, else nothing."""
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
