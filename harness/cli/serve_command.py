"""`lockrace serve`: the reference server, by its own command line."""

import os
import sys
from typing import Any

import click

from harness.cli.options import proposing


class _ServeCommand(click.Command):
    """Its options are those of the server, which is another program."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> Any:
        return proposing("options_of_the_server")(ctx, None, incomplete)


@click.command(
    "serve",
    cls=_ServeCommand,
    short_help="Start the reference server.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, shell_complete=proposing("values_of_the_server"))
def command(arguments: tuple[str, ...]) -> None:
    """Start the reference server: `lockrace serve --help` shows its options."""
    os.execv(sys.executable, [sys.executable, "-m", "reference_server", *arguments])  # noqa: S606 (no shell is meant)
