"""`lockrace diff`: what changed from one run to the next."""

from pathlib import Path

import click


@click.command("diff", short_help="What changed from one run to the next, regressions first.")
@click.argument("before", type=click.Path(exists=True, path_type=Path))
@click.argument("after", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "markdown"]), default="text", show_default=True)
def command(before: Path, after: Path, form: str) -> int:
    """Compare two runs by their results.json, or by the folders that hold them; exits 1 where something got worse."""
    from harness.cli.reports import compare  # noqa: PLC0415

    return compare(before, after, form)
