"""Settings from `lockrace.toml` in the current folder: flags over environment over file; and which of them won."""

import tomllib
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from harness.cli.options import near

_SECRET = frozenset({"token", "token2"})
_SOURCES = {
    ParameterSource.COMMANDLINE: "option",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "lockrace.toml",
    ParameterSource.DEFAULT: "default",
    ParameterSource.PROMPT: "prompt",
}


def defaults_for(command: click.Command, path: Path) -> dict[str, Any]:
    """What the file says for one command, by parameter name: its own table over the keys at the top.

    Raises click.UsageError for a file that cannot be read, an unknown key, and a token: those belong in a token file.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    options = {opt.lstrip("-"): one for one in command.params if isinstance(one, click.Option) for opt in one.opts}
    own = content.get(command.name or "", {})
    if not isinstance(own, dict):
        raise click.UsageError(f"{path}: {command.name} is a table: write [{command.name}]")
    found: dict[str, Any] = {}
    for name, value in own.items():
        if name not in options:
            raise click.UsageError(f"{path}: `lockrace {command.name}` has no option {name!r}{near(name, options)}")
        found[name] = value
    top = {name: value for name, value in content.items() if not isinstance(value, dict)}
    found = {name: value for name, value in top.items() if name in options} | found
    if secret := sorted(_SECRET & found.keys()):
        raise click.UsageError(f"{path}: {secret[0]} is a secret; name a file with `token-file` instead")
    return {options[name].name or name: value for name, value in found.items()}


def shown(context: click.Context) -> str:
    """Every setting of a command, its value and where it came from; no secret."""
    rows = []
    for one in context.command.params:
        if not isinstance(one, click.Option) or one.name is None or one.name == "show_config":
            continue
        value = context.params.get(one.name)
        source = context.get_parameter_source(one.name)
        told = "(given)" if one.name in _SECRET and value else value
        rows.append((max(one.opts, key=len), str(told), _SOURCES.get(source, "") if source else ""))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{name:<{width}}  {value:<24}  {source}" for name, value, source in rows)
