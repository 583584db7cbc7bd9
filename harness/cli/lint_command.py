"""`lockrace lint`: read scenario files and profiles, and say what is wrong with them."""

from collections.abc import Sequence
from pathlib import Path

import click


@click.command("lint", short_help="Say what is wrong with scenario files and profiles.")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
def command(paths: tuple[Path, ...]) -> int:
    """Read every scenario file and profile under PATHS (default: all shipped) and show every mistake at its place.

    Profiles are those files whose names end with .profile.yaml.
    """
    from harness.plan import make_plan  # noqa: PLC0415
    from harness.profile import read_profile  # noqa: PLC0415
    from harness.scenario import ScenarioError, find, load, shipped  # noqa: PLC0415

    profiles = _profiles(paths)
    rest = [path for path in paths if path not in profiles and not (profiles and _holds_no_scenario(path))]
    scenarios = find(rest) if rest else () if paths else find([shipped()])
    instances = 0
    broken: list[str] = []
    for path in (*scenarios, *profiles):
        try:
            if path in profiles:
                read_profile(path)
                continue
            for scenario in load(path):
                instances += 1
                make_plan(scenario, seed=0)
        except ScenarioError as error:
            broken.append(str(error))
    for text in broken:
        click.echo(text + "\n")
    read = f"{len(profiles)} profiles, " if profiles else ""
    click.echo(f"{len(scenarios)} files, {instances} instances, {read}{len(broken)} broken")
    return 2 if broken else 0


def _profiles(paths: Sequence[Path]) -> list[Path]:
    from harness.profile import SUFFIX  # noqa: PLC0415

    found = [one for path in paths for one in (sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path])]
    return [path for path in dict.fromkeys(found) if path.name.endswith(SUFFIX)]


def _holds_no_scenario(path: Path) -> bool:
    """Whether a folder holds profiles alone."""
    return path.is_dir() and not any(path.rglob("*.race.yaml"))
