"""From a `*.race.yaml` file to its scenarios: one for each combination of parameters, or for each row of cases.

All faults of a file are found before any is raised, and a file with a fault gives no scenario at all.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.scenario import fields
from harness.scenario.cases import read_cases
from harness.scenario.checks import check
from harness.scenario.diagnostics import near_name
from harness.scenario.fields import Form
from harness.scenario.head import read_head
from harness.scenario.reader import Leaf, Mapping, Scalar, Sequence, Source, Tree, read_source, read_tree
from harness.scenario.scenario import Scenario
from harness.scenario.staging import read_staged

MAX_INSTANCES = 500

TOP_KEYS = (
    "format",
    "scenario",
    "summary",
    "level",
    "requires",
    "see",
    "tags",
    "parameters",
    "given",
    "sessions",
    "fleets",
    "nemesis",
    "schedule",
    "outcome",
    "known_race",
    "cases",
)

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_PARAMETER_TEXT = re.compile(r"[A-Za-z0-9_.-]{1,40}\Z")


def load(path: Path) -> tuple[Scenario, ...]:
    """Every scenario instance of one file, in file order.

    Raises ScenarioError with all faults of the file.
    """
    return _load(read_source(path))


def load_text(text: str, path: Path) -> tuple[Scenario, ...]:
    """Every scenario instance of a file's text, which a history carries; `path` is where it was read from."""
    return _load(Source(path, text))


def _load(source: Source) -> tuple[Scenario, ...]:
    tree = read_tree(source)
    form = Form(source, tree, "a scenario file", TOP_KEYS)
    found: list[Scenario] = []
    for bound, values in _bindings(source, form):
        found += _instances(source, bound, values)
    source.raise_faults()
    return tuple(found)


def _instances(source: Source, form: Form, values: dict[str, Scalar]) -> list[Scenario]:
    head = read_head(source, form)
    if form.get("cases") is not None:
        for key in ("given", "sessions", "fleets", "nemesis", "schedule", "outcome", "known_race"):
            if form.get(key) is not None:
                form.fault(key, f'"{key}" and cases exclude each other; each row of cases says it all')
        found = read_cases(head, form)
    else:
        staged = read_staged(head, form)
        found = [staged] if staged else []
    if values:
        told = ",".join(f"{name}={_told(value)}" for name, value in values.items())
        found = [replace(one, name=_with_parameters(one.name, told), parameters=values) for one in found]
    for one in found:
        check(source, one)
    return found


def _with_parameters(name: str, told: str) -> str:
    return f"{name[:-1]},{told}]" if name.endswith("]") else f"{name}[{told}]"


def _told(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bindings(source: Source, form: Form) -> Iterator[tuple[Form, dict[str, Scalar]]]:
    """The file's map once for each combination of parameters, placeholders filled in."""
    parameters = _parameters(source, form.get("parameters"))
    used: set[str] = set()
    count = 1
    for values in parameters.values():
        count *= len(values)
    if count > MAX_INSTANCES:
        form.fault("parameters", f"{count:,} combinations; at most {MAX_INSTANCES} are allowed")
        parameters = {name: values[:1] for name, values in parameters.items()}
    rest = {key: value for key, value in form.tree.items.items() if key != "parameters"}
    for combination in itertools.product(*parameters.values()):
        leaves = dict(zip(parameters, combination, strict=True))
        tree = Mapping(rest, form.tree.marks, form.tree.mark)
        if "${" in source.text:
            tree = _filled(source, tree, leaves, used)
        yield Form(source, tree, "a scenario file", TOP_KEYS), {name: leaf.value for name, leaf in leaves.items()}
    for name in parameters.keys() - used:
        form.fault("parameters", f'the parameter "{name}" is used nowhere; a scalar "${{{name}}}" stands for it')


def _parameters(source: Source, tree: Tree | None) -> dict[str, list[Leaf]]:
    found: dict[str, list[Leaf]] = {}
    for name, _, value in fields.named(source, tree, "parameters"):
        leaves: list[Leaf] = []
        for entry in fields.entries(source, value, f"the values of {name}"):
            if not isinstance(entry, Leaf) or entry.value is None:
                source.fault(entry.mark, "a parameter's value is a number, a word, true or false")
            elif isinstance(entry.value, str) and not _PARAMETER_TEXT.match(entry.value):
                source.fault(entry.mark, "a parameter's text is at most 40 letters, digits, or _ . -")
            elif any(entry.value == other.value for other in leaves):
                source.fault(entry.mark, f"{entry.value} stands here twice")
            else:
                leaves.append(entry)
        if leaves:
            found[name] = leaves
        else:
            source.fault(value.mark, f"the parameter {name} has no values")
    return found


def _filled(source: Source, tree: Tree, leaves: dict[str, Leaf], used: set[str]) -> Any:
    if isinstance(tree, Mapping):
        return replace(tree, items={key: _filled(source, value, leaves, used) for key, value in tree.items.items()})
    if isinstance(tree, Sequence):
        return replace(tree, items=[_filled(source, item, leaves, used) for item in tree.items])
    if not isinstance(tree.value, str) or "${" not in tree.value:
        return tree
    match = _PLACEHOLDER.fullmatch(tree.value)
    if match is None:
        source.fault(tree.mark, 'a parameter stands for a whole scalar, as in count: "${size}"')
        return tree
    if match[1] not in leaves:
        source.fault(tree.mark, f'no parameter is called "{match[1]}"', near_name(match[1], leaves))
        return Leaf(1, tree.mark)
    used.add(match[1])
    return Leaf(leaves[match[1]].value, tree.mark, tree.offset)
