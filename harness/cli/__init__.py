"""The command `lockrace`: one module a command, each imported only when it is called."""

import difflib
import importlib
import os
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

import click

CONFIG_FILE = Path("lockrace.toml")

_COMMANDS = {
    "run": "Run scenarios (default: all shipped) against a target (default: a reference server it starts).",
    "explore": "Search for orders that violate; save the smallest as a new scenario.",
    "replay": "Run one order again, exactly; a race again, n times.",
    "recheck": "Judge recorded histories again.",
    "report": "Reports of histories, or the conformance matrix of several runs.",
    "diff": "What changed from one run to the next, regressions first.",
    "baseline": "Excuse what a target is known to violate, for a while.",
    "list": "List scenarios.",
    "lint": "Read scenario files and profiles, and say what is wrong with them.",
    "mutants": "Kill every mutant of the reference server, accuse no variant: proof that the harness sees.",
    "simulate": "A population of dispatchers works through a queue, with faults; then check.",
    "explain": "Explain a requirement, invariant, known race, mutant, scenario or exit code.",
    "serve": "Start the reference server.",
    "new": "Write a scenario file to start from.",
    "init": "Write settings, a first scenario and a CI workflow.",
    "doctor": "Check this machine and a target before a run.",
    "schema": "Print a JSON Schema: scenario, profile, history or results.",
}
"""Every command with its one line of help, so that `lockrace --help` imports none of them."""


def _command(name: str) -> click.Command:
    command: click.Command = importlib.import_module(f"harness.cli.{name}_command").command
    return command


class _Commands(click.Group):
    """Imports the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's name)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's name)
        if cmd_name not in _COMMANDS:
            close = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"no command {cmd_name!r}{hint}")
        return _command(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and command is not None and CONFIG_FILE.exists():
            from harness.cli.config import defaults_for  # noqa: PLC0415

            every = {one: _command(one) for one in _COMMANDS}
            ctx.default_map = {name: defaults_for(name, every, CONFIG_FILE)}
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's name)
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="lockrace", message="lockrace %(version)s")
def lockrace() -> None:
    """Simulate races on a container lock/unlock API and judge what its server does.

    Start with `lockrace run`: it needs nothing else. To judge a server of your own:

        lockrace run --target http://127.0.0.1:8000 --token-file tokens.yaml
    """


def main() -> None:
    """Entry point of the command; every way to end has its exit code."""
    if "_LOCKRACE_COMPLETE" in os.environ:
        from harness.cli.completing import complete  # noqa: PLC0415

        sys.exit(complete(lockrace))
    try:
        code = lockrace.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.stderr.write("interrupted\n")
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except Exception:
        traceback.print_exc()
        sys.stderr.write("This is a fault of lockrace itself: please report it with the lines above.\n")
        code = 70
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End with an exit code; a thread that an application left here, and that never ends, does not keep us."""
    if threading.active_count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
