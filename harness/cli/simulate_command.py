"""`lockrace simulate`: a population of dispatchers works through a queue, with faults; then its history is judged."""

from pathlib import Path
from typing import Any

import click

from harness.cli.options import KNOWN_CHOICES, target_options


@click.command("simulate", short_help="Let a population of dispatchers work through a queue.")
@target_options
@click.option("--dispatchers", type=click.IntRange(1, 20_000), default=100, show_default=True)
@click.option(
    "--containers",
    type=click.IntRange(1, 1_000_000),
    default=200,
    show_default=True,
    help="How many are queued at the start.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Worker processes that the dispatchers are spread over.",
)
@click.option(
    "--policy",
    metavar="MIX",
    default="careful",
    show_default=True,
    help="What dispatchers do, with shares: careful:8,adopting:1,impatient:1,double_unlock:1.",
)
@click.option(
    "--faults",
    metavar="LIST",
    default="",
    help="Shares of the calls: lose_request=5%,lose_reply=5%,delay=5%,reset=5%,crash=1%,pause=1%; "
    "times in the run: kill=1,stop=1 (a worker process), restart=1 (the server).",
)
@click.option(
    "--operations",
    type=click.IntRange(1, 100_000_000),
    help="Keep the queue filled until so many operations were made.",
)
@click.option("--seed", type=int, help="Of the dispatchers' behaviour; made up and reported when not given.")
@click.option("--budget", metavar="TIME", default="5m", show_default=True, help="For the work itself: 90s, 5m.")
@click.option("--known", type=KNOWN_CHOICES, default="any", show_default=True, help="What known races must be.")
@click.option("--keep", is_flag=True, help="Leave containers that have not ended as they are.")
@click.option("--database", metavar="URL", help="Of the reference server that is started: embedded-postgres, ...")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes of the reference server that is started.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lockrace-out"),
    show_default=True,
    help="Where the history goes.",
)
@click.option("--quiet", "-q", is_flag=True, help="Only failures and the summary.")
def command(**chosen: Any) -> int:
    """Let a population of dispatchers work through a queue, break things meanwhile, and judge what came of it.

    Nothing may run twice unless its lock was given back or its run cancelled between, nothing may be lost, everything
    must end, and the history must be linearizable. What the contract permits is counted as the known race that it is.
    """
    from harness.cli.simulating import run_simulation  # noqa: PLC0415

    return run_simulation(chosen)


for _parameter in command.params:
    if isinstance(_parameter, click.Option) and _parameter.name == "max_rps":
        _parameter.hidden = True  # refused, in words: also where it comes from lockrace.toml
