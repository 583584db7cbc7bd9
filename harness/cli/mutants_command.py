"""`lockrace mutants`: does the harness find every defect that it should, and accuse nothing that is correct?"""

from pathlib import Path

import click

from harness.cli.options import proposing


@click.command("mutants", short_help="Kill every mutant of the reference server, accuse no variant.")
@click.argument("names", nargs=-1, shell_complete=proposing("departures"))
@click.option(
    "--scenarios",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Scenario files or folders instead of the shipped ones.",
)
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="How many at a time.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of sampled orders.")
@click.option("--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def command(names: tuple[str, ...], paths: tuple[Path, ...], jobs: int, seed: int, form: str) -> int:
    """Run the shipped scenarios against every mutant and variant (or those NAMED) and print the table.

    Fails when a mutant survives, when another invariant than the one meant for it names it first, when a variant is
    accused, or, of the whole table, when an invariant is named first for no mutant.
    """
    from harness.cli.mutating import try_mutants  # noqa: PLC0415

    return try_mutants(names, paths, jobs, seed, markdown=form == "markdown")
