"""What a run came to: the one place where label and exit code are decided.

A label is decided for each scenario from its verdict; the exit code for a whole run from the labels and from what
ended it: 130 over 70 over 1 over 4 over 3 over 0, and 5 where nothing was selected.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from harness.check.verdict import Verdict
from harness.report.result import Label, RunResult

Known = Literal["any", "reproduced", "closed"]
"""Which end of a known race passes: either one, or only the one named."""

CONFORMS, VIOLATION, USAGE, INCONCLUSIVE, UNREACHABLE, NOTHING_SELECTED, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 70, 130


@dataclass(frozen=True)
class Baseline:
    """The violations of one scenario that a target's baseline lists, by their names; `expired` ones excuse nothing."""

    listed: frozenset[str] = frozenset()
    expired: frozenset[str] = frozenset()


def decide(verdict: Verdict, known: Known = "any", baseline: Baseline | None = None) -> Label:
    """The label of one scenario instance.

    A violation that the baseline lists is excused; one that it lists and that did not come, or whose entry has
    expired, is red: the baseline has to be cleaned up. What is inconclusive cannot show that a violation is gone,
    nor can an invariant that had nothing to judge.
    """
    baseline = baseline or Baseline()
    seen = {violation.name for violation in verdict.violations}
    if seen - (baseline.listed - baseline.expired):
        return "violation"
    reproduced = any(race.reproduced for race in verdict.known_races)
    if known == "closed" and reproduced:
        return "violation"
    if verdict.inconclusive or verdict.linearizability == "unknown":
        return "inconclusive"
    if ((baseline.listed - unjudged(verdict)) | baseline.expired) - seen:
        return "violation"
    declared = [race for race in verdict.known_races if race.declared]
    if known == "reproduced" and any(not race.reproduced for race in declared):
        return "violation"
    if seen:
        return "baseline"
    return "known race" if reproduced else "conforms"


def unjudged(verdict: Verdict) -> frozenset[str]:
    """Names of the invariants that had nothing to judge."""
    return frozenset(name for name, observations in verdict.judged.items() if not observations)


def notes(verdict: Verdict, known: Known = "any", baseline: Baseline | None = None) -> list[str]:
    """What `decide` went by besides the verdict, a sentence each: entries of the baseline, the end that was wanted."""
    baseline = baseline or Baseline()
    seen = {violation.name for violation in verdict.violations}
    said = [f"the baseline's entry for {name} has expired: renew it or mend the server" for name in baseline.expired]
    unsure = bool(verdict.inconclusive) or verdict.linearizability == "unknown"
    stale = frozenset() if unsure else baseline.listed - baseline.expired - seen - unjudged(verdict)
    said += [f"the baseline lists {name}, which did not come: take the entry out" for name in stale]
    said += [f"{name} is a violation that the baseline lists" for name in seen & (baseline.listed - baseline.expired)]
    for race in verdict.known_races:
        if known == "closed" and race.reproduced:
            said.append(f"{race.id} was reproduced, and --known closed wants it closed")
        if known == "reproduced" and race.declared and not race.reproduced:
            said.append(f"{race.id} was not reproduced, and --known reproduced wants it")
    return sorted(said)


def exit_code(result: RunResult) -> int:
    """The exit code of a whole run."""
    if result.interrupted:
        return INTERRUPTED
    if result.fault is not None:
        return FAULT
    labels = [one.label for one in result.results]
    return worst_exit(labels, unreachable=result.unreachable is not None, unplayed=bool(result.not_begun))


def worst_exit(labels: Collection[Label], *, unreachable: bool = False, unplayed: bool = False) -> int:
    """The exit code of scenarios or histories that were judged.

    `unreachable` where a target could not be used, `unplayed` where the budget left no time for some.
    """
    if "violation" in labels:
        return VIOLATION
    if unreachable:
        return UNREACHABLE
    if "inconclusive" in labels or unplayed:
        return INCONCLUSIVE
    return CONFORMS if labels else NOTHING_SELECTED
