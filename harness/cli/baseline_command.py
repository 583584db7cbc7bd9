"""`lockrace baseline`: excuse what a target is known to violate, for a while."""

from pathlib import Path

import click


@click.command("baseline", short_help="Excuse what a target is known to violate, for a while.")
@click.argument("results", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("lockrace-baseline.yaml"),
    show_default=True,
    help="The baseline file; what it says of violations that still come is kept.",
)
@click.option("--reason", metavar="TEXT", help="Why the new ones are excused.")
@click.option("--expires", metavar="DAY", help="Last day of the new ones, 2027-05-31; default: in 90 days.")
def command(results: Path, out: Path, reason: str | None, expires: str | None) -> int:
    """Write or renew a target's baseline from a run's results.json (or its folder); use it with `run --baseline`.

    An entry whose violation does not come any more is dropped here, and is red in a run until it is.
    """
    from harness.cli.reports import make_baseline  # noqa: PLC0415

    return make_baseline(results, out, reason, expires)
