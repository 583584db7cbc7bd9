"""`lockrace replay`: one order again, exactly; a race again, n times."""

from pathlib import Path
from typing import Any

import click

from harness.cli.options import cluster_option, proposing, target_options


@click.command("replay", short_help="Run one order again.")
@click.argument("text", shell_complete=proposing("replay_texts"))
@target_options
@cluster_option
@click.option(
    "--scenarios",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Where the scenario is, when it is not a shipped one.",
)
@click.option("--times", type=click.IntRange(1), help="How often (default: an order once, a race 20 times).")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lockrace-out"),
    show_default=True,
    help="Where the history goes.",
)
def command(**chosen: Any) -> int:
    """Run TEXT, as a failure printed it, again.

    TEXT names a scenario and the order of its steps: 'stolen_lock:a_lock,b_unlock,b_lock,a_auth,b_auth'.
    """
    from harness.cli.replaying import replay  # noqa: PLC0415

    return replay(chosen)
