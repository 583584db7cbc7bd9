"""What `lockrace explain` says of each kind of name; all of it from the registries that check and reports read."""

import textwrap
from typing import Any

import click

from harness.check.invariants import INVARIANTS, POPULATION_INVARIANTS, Property
from harness.check.invariants.document import smallest_bad_timeline
from harness.cli.exit_codes import EXIT_CODES
from harness.cli.options import near
from harness.contract import KNOWN_RACES, REQUIREMENTS
from harness.drive.served import reference_catalogue
from harness.scenario import load_all, shipped

_WIDTH = 100


def explain(name: str) -> str:
    """Everything that is known under `name`; click.UsageError with the nearest name where nothing is."""
    kinds = (_requirement, _invariant, _race, _exit_code, _label, _scenario, _departure)
    found = [text for say in kinds if (text := say(name)) is not None]
    if not found:
        known = [one for some in names().values() for one in some]
        raise click.UsageError(f"nothing is called {name!r}{near(name, known)}; `lockrace explain` lists every name")
    return "\n".join(found)


def listing() -> str:
    """Every name that can be explained, by kind."""
    return "\n".join(f"{kind}\n{_wrapped(', '.join(some))}" for kind, some in names().items())


def names() -> dict[str, list[str]]:
    """Every name that can be explained, by kind."""
    return {
        "requirements": list(REQUIREMENTS),
        "invariants": list(_INVARIANTS),
        "known races": list(KNOWN_RACES),
        "scenarios": _scenario_names(),
        "mutants and variants": list(_departures()),
        "exit codes": [str(code) for code in EXIT_CODES],
        "labels": list(_LABELS),
    }


_INVARIANTS: dict[str, Property] = {**INVARIANTS, **POPULATION_INVARIANTS}

_LABELS = {
    "conforms": "Every run was judged and nothing that the contract or the scenario forbids was seen.",
    "known race": "An outcome came that the contract itself permits; it passes, and is told.",
    "violation": "Something came that the contract or the scenario forbids.",
    "inconclusive": (
        "Nothing was proved: requests did not overlap, a `sometimes` clause was never seen, calls were lost or limited "
        "where that was not expected, or a verdict is unknown. It is never green; try more runs, or `--budget`."
    ),
    "baseline": "Only violations came that the target's baseline lists, with a reason and an expiry.",
}


def _requirement(name: str) -> str | None:
    one = REQUIREMENTS.get(name.upper())
    if one is None:
        return None
    judges = [invariant.name for invariant in _INVARIANTS.values() if one.id in invariant.requirements]
    tries = sorted({scenario.family for scenario in load_all([shipped()]) if one.id in scenario.requires})
    return _page(
        f"{one.id}, a requirement of level {one.level}",
        one.text,
        ("judged by", ", ".join(judges)),
        ("tried by", ", ".join(tries) or "no shipped scenario by name"),
    )


def _invariant(name: str) -> str | None:
    one = _INVARIANTS.get(name)
    if one is None:
        return None
    killed = [entry["name"] for entry in _departures().values() if entry.get("invariant") == name]
    below = f"below its level it counts as the known race {one.below}" if one.below else ""
    return (
        _page(
            f"{one.name}, an invariant of level {one.level}",
            one.explain,
            ("requirements", ", ".join(one.requirements)),
            ("mutants", ", ".join(killed)),
            ("below", below),
            ("judged on", "the history of a population (`lockrace simulate`)" if name in POPULATION_INVARIANTS else ""),
        )
        + f"\n  the smallest history that breaks it:\n\n{textwrap.indent(smallest_bad_timeline(one), '    ')}\n"
    )


def _race(name: str) -> str | None:
    one = KNOWN_RACES.get(name)
    if one is None:
        return None
    text = f"{one.text} The contract permits it: a server that shows it conforms, one that does not is better than it."
    return _page(f"{one.id}, a known race", text)


def _scenario(name: str) -> str | None:
    found = [one for one in load_all([shipped()]) if name in (one.family, one.name)]
    if not found:
        return None
    first = found[0]
    return _page(
        f"{first.family}, a scenario of level {first.level}",
        first.summary,
        ("requires", ", ".join(first.requires)),
        ("instances", str(len(found)) if len(found) > 1 else ""),
        ("see", first.see or ""),
        ("file", str(first.path)),
        ("try it", f"lockrace run --select {first.family}"),
    )


def _departure(name: str) -> str | None:
    one = _departures().get(name)
    if one is None:
        return None
    kind = "mutant" if one.get("invariant") or one.get("breaks") else "variant"
    return _page(
        f"{name}, a {kind} of the reference server",
        one.get("summary", ""),
        ("breaks", ", ".join(one.get("breaks", []))),
        ("named by", one.get("invariant") or ""),
        ("seen", one.get("seen") or ""),
        ("try it", f"lockrace run --target reference:{name} --level {one.get('level', 'must')}"),
    )


def _exit_code(name: str) -> str | None:
    if not name.isdigit() or int(name) not in EXIT_CODES:
        return None
    return _page(f"exit code {name}", EXIT_CODES[int(name)])


def _label(name: str) -> str | None:
    return _page(f"{name}, what a scenario came to", _LABELS[name]) if name in _LABELS else None


def _scenario_names() -> list[str]:
    return sorted({one.family for one in load_all([shipped()])})


def _departures() -> dict[str, dict[str, Any]]:
    catalogue = reference_catalogue()
    return {entry["name"]: entry for entry in (*catalogue["mutants"], *catalogue["variants"])}


def _page(title: str, text: str, *facts: tuple[str, str]) -> str:
    lines = [title, _wrapped(text).rstrip("\n")]
    lines += [f"  {name + ':':<14}{value}" for name, value in facts if value]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ") + "\n"
