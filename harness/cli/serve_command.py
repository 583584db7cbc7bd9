"""`lockrace serve`: the reference server, by its own command line."""

import os
import sys

import click


@click.command(
    "serve",
    short_help="Start the reference server.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Start the reference server: `lockrace serve --help` shows its options."""
    os.execv(sys.executable, [sys.executable, "-m", "reference_server", *arguments])  # noqa: S606 (no shell is meant)
