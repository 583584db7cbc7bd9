"""`lockrace list`: what there is to run."""

from pathlib import Path

import click

from harness.cli.options import proposing


@click.command("list", short_help="List scenarios.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--select",
    metavar="TERMS",
    shell_complete=proposing("terms"),
    help="Only these names, tags or requirement IDs: a,b,c.",
)
@click.option("--instances", is_flag=True, help="A line per instance: parameters and rows of tables.")
def command(paths: tuple[Path, ...], select: str | None, *, instances: bool) -> int:
    """List the scenarios under PATHS (default: all shipped): name, level, how many instances, summary."""
    from harness.cli.choosing import choose, load_all  # noqa: PLC0415

    scenarios = load_all(paths)
    if select:
        scenarios = choose(scenarios, select)
    if not scenarios:
        return 5
    lines: dict[str, list[str]] = {}
    for one in scenarios:
        lines.setdefault(one.name if instances else one.family, []).append(f"{one.level:<9} {one.summary}")
    width = max(map(len, lines)) + 5
    for name, rows in lines.items():
        count = "" if len(rows) == 1 else f"×{len(rows)}"
        click.echo(f"{name:<{width}}{count:<5}{rows[0]}")
    return 0
