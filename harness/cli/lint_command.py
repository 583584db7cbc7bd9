"""`lockrace lint`: read scenario files and say what is wrong with them."""

from pathlib import Path

import click


@click.command("lint", short_help="Say what is wrong with scenario files.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def command(paths: tuple[Path, ...]) -> int:
    """Read every scenario file under PATHS (default: all shipped) and show every mistake at its place."""
    from harness.plan import make_plan  # noqa: PLC0415
    from harness.scenario import ScenarioError, find, load, shipped  # noqa: PLC0415

    files = instances = 0
    broken: list[str] = []
    for path in find(paths or [shipped()]):
        files += 1
        try:
            for scenario in load(path):
                instances += 1
                make_plan(scenario, seed=0)
        except ScenarioError as error:
            broken.append(str(error))
    for text in broken:
        click.echo(text + "\n")
    click.echo(f"{files} files, {instances} instances, {len(broken)} broken")
    return 2 if broken else 0
