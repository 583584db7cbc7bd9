"""Settings from `lockrace.toml` in the current folder: flags over environment over file; and which of them won."""

import tomllib
from collections.abc import Collection, Iterable, Mapping
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


def defaults_for(name: str, commands: Mapping[str, click.Command], path: Path) -> dict[str, Any]:
    """What the file says for one command, by parameter name: its own table over the keys at the top.

    `commands` are all there are, since a key or a table of none of them is a slip of the pen. Raises click.UsageError
    for that, for a file that cannot be read, and for a token: those belong in a token file.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    options = {one: _options(command) for one, command in commands.items()}
    everywhere = {option for some in options.values() for option in some}
    for key, value in content.items():
        if isinstance(value, dict):
            _check_table(key, value, options, path)
        elif key not in everywhere:
            if key in commands:
                raise click.UsageError(f"{path}: {key} is a table: write [{key}]")
            raise click.UsageError(f"{path}: no command has an option {key!r}{near(key, everywhere)}")
    own = options[name]
    found = {key: value for key, value in content.items() if key in own and not isinstance(value, dict)}
    found |= content.get(name, {})
    if secret := sorted(_SECRET & found.keys()):
        raise click.UsageError(f"{path}: {secret[0]} is a secret; name a file with `token-file` instead")
    return {own[key].name or key: value for key, value in found.items()}


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options of a command by the names that a file gives them: without dashes before."""
    return {opt.lstrip("-"): one for one in command.params if isinstance(one, click.Option) for opt in one.opts}


def _check_table(table: str, keys: Iterable[str], options: Mapping[str, Collection[str]], path: Path) -> None:
    if table not in options:
        raise click.UsageError(f"{path}: no command is called {table!r}{near(table, options)}")
    for key in keys:
        if key not in options[table]:
            raise click.UsageError(f"{path}: `lockrace {table}` has no option {key!r}{near(key, options[table])}")


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
