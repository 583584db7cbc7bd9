"""`lockrace explain ID`: what a name in a report means."""

import click

from harness.cli.options import proposing


@click.command("explain", short_help="Explain what a name in a report means.")
@click.argument("name", required=False, shell_complete=proposing("explained"))
def command(name: str | None) -> int:
    """Explain NAME: a requirement (LOCK-3), an invariant, a known race, a mutant or variant, a scenario, an exit code.

    Without NAME every name is listed.
    """
    from harness.cli.explaining import explain, listing  # noqa: PLC0415

    if name is None:
        click.echo(listing(), nl=False)
        return 0
    click.echo(explain(name), nl=False)
    return 0
