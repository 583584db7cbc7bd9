"""`lockrace explore`: search for orders that violate; save the smallest as a new scenario."""

from pathlib import Path
from typing import Any

import click

from harness.cli.options import cluster_option, proposing, target_options


@click.command("explore", short_help="Search for orders that violate.")
@click.argument("scenario", required=False, shell_complete=proposing("scenarios_or_files"))
@target_options
@cluster_option
@click.option("--dispatchers", type=click.IntRange(1, 26), help="How many; 2 where no --program says it.")
@click.option(
    "--program",
    "programs",
    multiple=True,
    metavar="CALLS",
    help="What a dispatcher does, in order: lock,auth,unlock. Given once for all, or once for each.",
)
@click.option(
    "--calls", metavar="CALLS", help="Without --program: what any dispatcher may do at any time. A state is an update."
)
@click.option(
    "--requests", type=click.IntRange(1, 50), help="Without --program: of each dispatcher. Unset, as many as it likes."
)
@click.option("--drop", "dropped", multiple=True, metavar="RULE", help="With --level run_auth: without this rule.")
@click.option("--each-rule", is_flag=True, help="What dropping each single rule of run_auth brings back, as a table.")
@click.option("--invariant", "invariants", multiple=True, metavar="NAME", help="Look for this; may be repeated.")
@click.option("--every-answer", is_flag=True, help="Model: follow every answer that the contract leaves open.")
@click.option("--strategy", metavar="NAME", help="asgi: random, pct1, pct2, pct3 or exhaustive. Unset, all in turn.")
@click.option("--runs", type=click.IntRange(1), default=10_000, show_default=True, help="asgi: at most so many runs.")
@click.option("--replay", metavar="TEXT", help="asgi: that one run again.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the orders' sequence and of random runs.")
@click.option("--budget", metavar="TIME", help="Stop after so long: 90s, 5m.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("lockrace-out"),
    show_default=True,
    help="Where the counterexample goes, and what a later call needs to go on.",
)
def command(**chosen: Any) -> int:
    """Search for an order that violates, and hand it back as small as it gets.

    --target model (the default) searches every state that dispatchers can reach on the contract itself: the first
    violation is a shortest one, and a search that ends proves that there is none. A URL or reference:NAME plays the
    orders of SCENARIO one request at a time. asgi:module:app interleaves a Python server at every await.

    \b
    lockrace explore                                  the contract of today: finds stolen_lock
    lockrace explore --level run_auth --dispatchers 3 proves that run_auth closes it
    lockrace explore --level run_auth --each-rule     what each of its rules is for
    """
    from harness.cli.exploring import explore  # noqa: PLC0415

    return explore(chosen)


for _parameter in command.params:
    if _parameter.name == "target":
        _parameter.default = "model"
        _parameter.help = (
            "model; an http(s):// URL; reference, or reference:NAME; asgi:MODULE:NAME, or asgi:MODULE:NAME:TEXTS "
            "where NAME makes the application from texts."
        )
