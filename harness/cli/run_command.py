"""`lockrace run`: scenarios against a target."""

import time
from pathlib import Path
from typing import Any

import click

from harness.cli.options import KNOWN_CHOICES, cluster_option, proposing, target_options


@click.command("run", short_help="Run scenarios against a target.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@target_options
@cluster_option
@click.option(
    "--select",
    metavar="TERMS",
    shell_complete=proposing("terms"),
    help="Only scenarios with these names, tags or requirement IDs: a,b,c.",
)
@click.option("--seed", type=int, help="Of sampled orders; made up and reported when not given.")
@click.option("--runs", type=click.IntRange(1), help="Runs of each sampled or raced scenario.")
@click.option(
    "--release",
    type=click.Choice(["auto", "gate", "burst"]),
    default="auto",
    show_default=True,
    help="How the requests of a race are let go: last bytes held back, whole requests, or what measures closer.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Scenarios at a time, each job with a server of its own where lockrace starts it. Races collide best with two "
    "cores to themselves: on few cores leave it at 1.",
)
@click.option(
    "--budget", metavar="TIME", help="For everything together: 90s, 5m. What it leaves no time for is told, and exit 3."
)
@click.option("--known", type=KNOWN_CHOICES, default="any", show_default=True, help="What known races must be.")
@click.option(
    "--baseline",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Known violations of this target: see `lockrace baseline`.",
)
@click.option(
    "--format",
    "forms",
    multiple=True,
    type=click.Choice(["html", "json", "junit", "markdown", "github"]),
    help="Further reports in --out; results.json always, report.html when something failed.",
)
@click.option("--keep", is_flag=True, help="Leave the run's containers as they are.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first scenario with a violation.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lockrace-out"),
    show_default=True,
    help="Where histories and reports go.",
)
@click.option("--show-config", is_flag=True, help="Say what every setting is and where it came from; run nothing.")
@click.option("--verbose", "-v", is_flag=True, help="A line per instance.")
@click.option("--quiet", "-q", is_flag=True, help="Only failures and the summary.")
def command(**chosen: Any) -> int:
    """Run scenarios against a target and say what was violated.

    Without PATH everything shipped is run; without --target against a reference server that is started for it.
    """
    if chosen.pop("show_config"):
        from harness.cli.config import shown  # noqa: PLC0415

        click.echo(shown(click.get_current_context()))
        return 0
    begun = time.monotonic()
    from harness.cli.running import run_scenarios  # noqa: PLC0415

    return run_scenarios(chosen, begun)
