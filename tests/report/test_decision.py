"""Label and exit code, through every combination of what they are decided from."""

from itertools import chain, combinations, product
from typing import get_args

import pytest

from harness.check.verdict import KnownRaceSeen, Verdict, Violation
from harness.report.decision import Baseline, Known, decide, exit_code, worst_exit
from harness.report.result import Label, RunResult
from tests.report.builders import result

SEEN = Violation("invariant", "single_winner", "LOCK-3", "two were granted", 0, (0, 1))
BASELINES = {
    "no baseline": None,
    "empty": Baseline(),
    "lists it": Baseline(frozenset({"single_winner"})),
    "lists it, expired": Baseline(frozenset({"single_winner"}), frozenset({"single_winner"})),
    "lists another": Baseline(frozenset({"durable"})),
    "lists both": Baseline(frozenset({"single_winner", "durable"})),
}
RACES = {
    "none": [],
    "reproduced": [KnownRaceSeen("stolen_lock", 1, 2, "why")],
    "closed": [KnownRaceSeen("stolen_lock", 0, 2, "why")],
    "seen below its level": [KnownRaceSeen("stolen_lock", 1, 2, "why", declared=False)],
}


def expected(violated: bool, unsure: bool, known: Known, race: str, baseline: str) -> Label:
    excused = baseline in {"lists it", "lists both"}
    gone = baseline in {"lists another", "lists both"} or (baseline.startswith("lists it") and not violated)
    reproduced = race in {"reproduced", "seen below its level"}
    red = [
        violated and not excused,
        known == "closed" and reproduced,
        known == "reproduced" and race == "closed" and not unsure,
        gone and not unsure,
    ]
    if any(red):
        return "violation"
    if unsure:
        return "inconclusive"
    if violated:
        return "baseline"
    return "known race" if reproduced else "conforms"


@pytest.mark.parametrize("baseline", BASELINES)
@pytest.mark.parametrize("race", RACES)
@pytest.mark.parametrize("known", get_args(Known))
def test_label(known: Known, race: str, baseline: str) -> None:
    for violated, reason, unknown in product((False, True), repeat=3):
        verdict = Verdict(
            violations=[SEEN] if violated else [],
            inconclusive=["nothing overlapped"] if reason else [],
            linearizability="unknown" if unknown else "linearizable",
            known_races=RACES[race],
        )
        label = decide(verdict, known, BASELINES[baseline])
        assert label == expected(violated, reason or unknown, known, race, baseline)
        if unknown or reason:
            assert worst_exit([label]) != 0  # what is not known never passes


LABELS = tuple(chain.from_iterable(combinations(get_args(Label), size) for size in range(len(get_args(Label)) + 1)))


@pytest.mark.parametrize("labels", LABELS, ids=lambda labels: "+".join(labels) or "nothing")
def test_exit_code(labels: tuple[Label, ...]) -> None:
    results = [result(label) for label in labels]
    for interrupted, fault, unreachable, unplayed in product((False, True), repeat=4):
        run = RunResult("reference", "must", 1, "2026-01-01T00:00:00+00:00")
        run.results = results
        run.interrupted = interrupted
        run.fault = "a fault" if fault else None
        run.unreachable = "refused" if unreachable else None
        run.not_begun = ["stolen_lock"] if unplayed else []
        by_precedence = [
            (interrupted, 130),
            (fault, 70),
            ("violation" in labels, 1),
            (unreachable, 4),
            ("inconclusive" in labels or unplayed, 3),
            (bool(labels), 0),
            (True, 5),
        ]
        assert exit_code(run) == next(code for holds, code in by_precedence if holds)
