"""`lockrace doctor`: is everything there that a run needs?"""

from typing import Any

import click

from harness.cli.options import target_options


@click.command("doctor", short_help="Check this machine and a target before a run.")
@target_options
def command(**chosen: Any) -> int:
    """Check Python, cores, the clock and the target: it answers, both tokens are good, a container can be made."""
    from harness.cli.doctoring import examine  # noqa: PLC0415

    return examine(chosen)
