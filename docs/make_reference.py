"""`python docs/make_reference.py > docs/reference.md`: commands, exit codes and requirements, from the code itself."""

import sys

import click

from harness.cli import lockrace
from harness.cli.exit_codes import EXIT_CODES
from harness.contract import KNOWN_RACES, REQUIREMENTS

_HEAD = """# Reference

Made from the code: `python docs/make_reference.py > docs/reference.md`. See also [invariants](invariants.md) and
the [scenario format](scenario-format.md).

An option goes before an environment variable, and that before `lockrace.toml` in the current folder;
`lockrace run --show-config` says which won.
"""

_REQUIREMENTS = """The table of transitions, and what is sent and answered: [what a server must speak](contract.md)."""


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, "## Commands"]
    with click.Context(lockrace, info_name="lockrace", terminal_width=100, max_content_width=100) as above:
        for name in lockrace.list_commands(above):
            command = lockrace.get_command(above, name)
            assert command is not None
            parts.append(_command(name, command, above))
    parts += ["## Exit codes", _table(("code", "meaning"), [(str(code), text) for code, text in EXIT_CODES.items()])]
    rows = [(one.id, one.level, one.text) for one in REQUIREMENTS.values()]
    parts += ["## Requirements", _REQUIREMENTS, _table(("ID", "level", "requirement"), rows)]
    parts += ["## Known races", "The contract permits these; a server that shows them conforms."]
    parts.append(_table(("ID", "the race"), [(one.id, one.text) for one in KNOWN_RACES.values()]))
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _command(name: str, command: click.Command, above: click.Context) -> str:
    if command.context_settings.get("ignore_unknown_options"):  # what follows is another program's
        return f"### lockrace {name}\n\n{command.get_short_help_str(200)} Its options: `lockrace {name} --help`."
    with click.Context(command, info_name=name, parent=above, terminal_width=100) as context:
        return f"### lockrace {name}\n\n```text\n{command.get_help(context).rstrip()}\n```"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
