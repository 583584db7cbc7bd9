"""Which scenarios there are: files under paths, those that ship with the product, and a choice among them."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.contract import REQUIREMENTS, Level, covers
from harness.scenario.diagnostics import Diagnostic, ScenarioError, near_name
from harness.scenario.loader import load
from harness.scenario.marks import Mark
from harness.scenario.scenario import Scenario

SUFFIX = ".race.yaml"
MAX_FILES = 2_000


def find(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The scenario files that `paths` mean: a file is itself, a folder all `*.race.yaml` below it, by name.

    Raises ScenarioError for a path that does not exist, for a folder without a scenario, and for too many files.
    """
    found: dict[Path, None] = {}
    faults = []
    for path in paths:
        inside = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not path.exists():
            faults.append(Diagnostic(path, Mark(1, 1), "no such file or folder"))
        elif not inside:
            faults.append(Diagnostic(path, Mark(1, 1), f"the folder holds no scenario (*{SUFFIX})"))
        elif len(inside) > MAX_FILES:
            faults.append(Diagnostic(path, Mark(1, 1), f"more than {MAX_FILES:,} scenario files"))
        else:
            found.update(dict.fromkeys(inside))
    if faults:
        raise ScenarioError(faults)
    return tuple(found)


def shipped() -> Path:
    """The folder of the scenarios that ship: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "shipped_scenarios"
    return inside if inside.is_dir() else package.parent / "scenarios"


def load_all(paths: Iterable[Path]) -> tuple[Scenario, ...]:
    """Every scenario instance of the files that `paths` mean.

    Raises ScenarioError with the faults of all files, also where two files hold scenarios of one name.
    """
    scenarios: list[Scenario] = []
    faults: list[Diagnostic] = []
    homes: dict[str, Path] = {}
    for path in find(paths):
        try:
            loaded = load(path)
        except ScenarioError as error:
            faults += error.diagnostics
            continue
        scenarios += loaded
        first = loaded[0]
        if homes.setdefault(first.family, path) != path:
            source = first.text.splitlines()[first.mark.line - 1]
            message = f'another scenario is called "{first.family}" too: {homes[first.family]}'
            faults.append(Diagnostic(path, first.mark, message, source=source))
    if faults:
        raise ScenarioError(faults)
    return tuple(scenarios)


def select(scenarios: Iterable[Scenario], terms: Sequence[str], level: Level = "run_auth") -> tuple[Scenario, ...]:
    """The scenarios that a run at `level` judges and that any of `terms` names; without terms, all of the level.

    A term is an instance's name, a scenario's name, a tag, or the ID of a requirement.
    """
    at_level = (one for one in scenarios if covers(level, one.level))
    return tuple(one for one in at_level if not terms or any(_is_named(one, term) for term in terms))


def near_term(scenarios: Iterable[Scenario], term: str) -> str | None:
    """The term that was probably meant by one that names no scenario."""
    known = set(REQUIREMENTS)
    for one in scenarios:
        known |= {one.name, one.family, *one.tags}
    return near_name(term, sorted(known))


def _is_named(scenario: Scenario, term: str) -> bool:
    return term in (scenario.name, scenario.family) or term in scenario.tags or term in scenario.requires
