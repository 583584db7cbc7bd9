"""The check: from one history to its verdict. Pure: no clock, no network, the same answer for the same file."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from harness.check.index import Index, make_index
from harness.check.invariants import INVARIANTS, Accusation, Invariant
from harness.check.outcomes import judge_outcomes
from harness.check.verdict import KnownRaceSeen, Verdict, Violation
from harness.contract import KNOWN_RACES, REQUIREMENTS
from harness.history import History
from harness.scenario import Scenario, ScenarioError, load_text

Placed = tuple[tuple[int, int, int], Violation]
"""A violation with its place in the report: run, when it showed, and which invariant is named first."""


def check(history: History, scenario: Scenario | None = None) -> Verdict:
    """All that the contract, and the scenario where there is one, say of a history.

    Without `scenario`, the one whose text the history carries is read again; a history of someone else's making need
    carry none, and is judged by the contract alone. Violations come in the order of runs, and within one in the order
    in which they showed; what the scenario wanted comes after what the contract wants.
    """
    index = make_index(history.header, history.operations)
    verdict = Verdict(runs=len(index.runs), runs_judged=len(index.runs), operations=len(history.operations))
    if scenario is None:
        scenario = _own_scenario(history, verdict)
    _judge_invariants(index, scenario, verdict)
    if scenario is not None:
        runs = {
            run: [
                (number, history.operations[number])
                for number in numbers
                if history.operations[number].phase != "cleanup"
            ]
            for run, numbers in index.runs.items()
        }
        judge_outcomes(scenario, history.header, runs, verdict)
    return verdict


def _own_scenario(history: History, verdict: Verdict) -> Scenario | None:
    """The scenario that a history carries."""
    header = history.header
    if header.text is None:
        return None
    path = Path(header.path or f"{header.scenario}.race.yaml")
    try:
        instances = load_text(header.text, path)
    except ScenarioError as error:
        verdict.inconclusive.append(f"the scenario that the history carries cannot be read: {error}")
        return None
    for scenario in instances:
        if scenario.name == header.scenario:
            return scenario
    verdict.inconclusive.append(f'the scenario that the history carries has no instance "{header.scenario}"')
    return None


def _judge_invariants(index: Index, scenario: Scenario | None, verdict: Verdict) -> None:
    found: list[Placed] = []
    exercised: Counter[str] = Counter()
    races: dict[str, list[Accusation]] = {}
    for rank, invariant in enumerate(INVARIANTS.values()):
        findings = invariant.find(index)
        judged = {one: count for one, count in findings.judged.items() if index.covers(REQUIREMENTS[one].level)}
        if index.covers(invariant.level):
            verdict.judged[invariant.name] = sum(judged.values())
        exercised.update(judged)
        for accusation in findings.accusations:
            if _is_tidying(index, accusation):
                continue
            if index.covers(REQUIREMENTS[accusation.requirement].level):
                found.append(_place(index, scenario, invariant, accusation, rank))
            elif invariant.below is not None:
                races.setdefault(invariant.below, []).append(accusation)
    unknown = [one.reason for one in index.linear.containers if one.verdict == "unknown"]
    verdict.inconclusive += unknown
    if any(violation.name == "linearizable" for _, violation in found):
        verdict.linearizability = "violated"
    elif unknown:
        verdict.linearizability = "unknown"
    verdict.violations, verdict.more_violations = _first_of_each(found)
    verdict.exercised = {one: count for one, count in exercised.items() if count}
    verdict.known_races += _races_below(races, scenario, verdict.runs)


def _is_tidying(index: Index, accusation: Accusation) -> bool:
    """Whether an accusation rests on a call that only tidied up: those are never judged."""
    return any(index.operations[number].phase == "cleanup" for number in accusation.operations)


def _place(index: Index, scenario: Scenario | None, invariant: Invariant, accusation: Accusation, rank: int) -> Placed:
    steps = {} if scenario is None else scenario.steps()
    evidence = accusation.operations
    marks = [steps[step].mark for number in evidence if (step := index.operations[number].step or "") in steps]
    violation = Violation(
        "invariant",
        invariant.name,
        accusation.requirement,
        accusation.message,
        accusation.run,
        evidence,
        accusation.container,
        marks[-1] if marks else None,
        accusation.counterexample,
    )
    return (accusation.run, max(evidence, default=0), rank), violation


def _first_of_each(found: list[Placed]) -> tuple[list[Violation], int]:
    """The first violation of each invariant in each run and container, and how many further ones there were.

    What is not linearizable is named only where nothing else explains it; else its counterexample goes with the first
    violation that does.
    """
    chosen: dict[tuple[str, int, str | None], Violation] = {}
    for _, violation in sorted(found, key=lambda one: one[0]):
        chosen.setdefault((violation.name, violation.run, violation.container), violation)
    explained: dict[tuple[int, str | None], tuple[str, int, str | None]] = {}
    for key in chosen:
        if key[0] != "linearizable":
            explained.setdefault(key[1:], key)
    for key, violation in list(chosen.items()):
        if key[0] == "linearizable" and key[1:] in explained:
            first = explained[key[1:]]
            chosen[first] = replace(chosen[first], counterexample=violation.counterexample)
            del chosen[key]
    return list(chosen.values()), len(found) - len(chosen)


def _races_below(races: dict[str, list[Accusation]], scenario: Scenario | None, runs: int) -> list[KnownRaceSeen]:
    """What the invariants of level run_auth saw below that level, except what the scenario declares itself."""
    declared = None if scenario is None or scenario.known_race is None else scenario.known_race.id
    return [
        KnownRaceSeen(
            race,
            len({one.run for one in seen}),
            runs,
            KNOWN_RACES[race].text,
            min(one.run for one in seen),
            declared=False,
        )
        for race, seen in races.items()
        if race != declared
    ]
