"""`lockrace new`: a scenario file to start from."""

from pathlib import Path

import click

from harness.cli.options import proposing


@click.command("new", short_help="Write a scenario file to start from.")
@click.argument("name")
@click.option(
    "--kind",
    default="order",
    show_default=True,
    shell_complete=proposing("kinds_of_scenario"),
    help="order, every, cases, race or fault.",
)
@click.option(
    "--in",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder for the file; the current one unless given.",
)
def command(name: str, kind: str, folder: Path) -> int:
    """Write NAME.race.yaml, a scenario that loads and runs as it is; change it to yours."""
    import re  # noqa: PLC0415

    from harness.scenario.templates import new_scenario  # noqa: PLC0415

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name):
        raise click.UsageError(f"{name!r} is no scenario name: want small letters, digits and _, a letter first")
    path = folder / f"{name}.race.yaml"
    try:
        text = new_scenario(kind, name)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except FileExistsError:
        raise click.UsageError(f"{path} is there already; choose another name") from None
    click.echo(f"{path}\nnext: lockrace run {path}")
    return 0
