"""`lockrace init`: what a repository needs to be gated by lockrace."""

from pathlib import Path

import click


@click.command("init", short_help="Write settings, a first scenario and a CI workflow.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path())
def command(folder: Path) -> int:
    """Write lockrace.toml, races/first_race.race.yaml, a CI workflow and a Dockerfile into FOLDER.

    A file that is there already is left as it is.
    """
    from harness.cli.starters import STARTERS, starter  # noqa: PLC0415
    from harness.scenario.templates import new_scenario  # noqa: PLC0415

    texts = {place: starter(name) for name, place in STARTERS.items()}
    texts["races/first_race.race.yaml"] = new_scenario("order", "first_race")
    for place, text in sorted(texts.items()):
        path = folder / place
        if path.exists():
            click.echo(f"left    {path}: it is there already")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"wrote   {path}")
    click.echo("next:   lockrace run races/")
    return 0
