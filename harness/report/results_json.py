"""`results.json`: a run for programs, with every setting; read back by diff, matrix and baseline.

The format number changes only when a reader of the old one would misunderstand a file; keys may be added at any time,
and readers pass over keys that they do not know.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from harness.contract import REQUIREMENTS, Level
from harness.report.decision import exit_code
from harness.report.describe import harmless, requirement_text
from harness.report.result import Label, RunResult, ScenarioResult
from harness.report.summary import exercised, replay_command, requirements_of, violated_requirements

FORMAT = 1

MOST_BYTES = 200_000_000
"""A larger file is none of ours."""

RequirementOutcome = Literal["held", "violated", "not exercised"]


class ViolationRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the contract, or the scenario, forbids and the history shows."""

    source: Literal["invariant", "clause", "expect"]
    name: Annotated[str, Meta(description="Of the invariant, the clause, or the step whose expectation was not met.")]
    requirement: Annotated[str, Meta(description="ID of the violated requirement.")]
    message: Annotated[str, Meta(description="What was seen, in one sentence.")]
    run: Annotated[int, Meta(description="Which run of the scenario, from 0.")]
    container: str | None = None
    place: Annotated[str | None, Meta(description="path:line:column in the scenario file.")] = None
    request_ids: Annotated[list[str], Meta(description="X-Request-Id of the requests in evidence.")] = []
    minimal: Annotated[list[int], Meta(description="Fewest operations that violate, as indices into the history.")] = []
    legal_prefix: Annotated[list[int], Meta(description="The longest legal order of those.")] = []
    stuck: Annotated[int | None, Meta(description="The operation that no order can place after it.")] = None
    replay: Annotated[str, Meta(description="The command that does it again.")]


class KnownRaceRecord(Struct, frozen=True):
    """A race that the contract itself permits: in how many of the judged runs it came out; in none means closed."""

    id: str
    reproduced: int
    judged: int


class ClauseRecord(Struct, frozen=True):
    """In how many of the judged runs a clause of the scenario held."""

    name: str
    kind: str
    held: int
    judged: int


class OutcomeRecord(Struct, frozen=True):
    """One distinct outcome: values of the scenario's columns, and in how many runs it came."""

    values: list[str]
    runs: int
    mark: str


class ScenarioRecord(Struct, frozen=True, kw_only=True):
    """One scenario instance, driven and judged."""

    name: Annotated[str, Meta(description="Unique in a run: stolen_lock, thundering_herd[size=10].")]
    family: Annotated[str, Meta(description="The name in the file, without the brackets.")]
    summary: str
    level: Level
    place: Annotated[str, Meta(description="path:line:column of the scenario.")]
    label: Label
    runs: int
    runs_judged: Annotated[int, Meta(description="Without those that faults or limits made inconclusive.")]
    raced: Annotated[int | None, Meta(description="Of a race: judged runs in which calls really overlapped.")]
    race: Annotated[str | None, Meta(description="Of a race: how hard its rounds tried, and what clean ones exclude.")]
    release: Annotated[str | None, Meta(description="Of a race: the kind of release that was used, and why.")] = None
    requests: int
    processes: Annotated[int, Meta(description="Distinct operating system processes that sent requests.")]
    operations: int
    seconds: float
    linearizability: Literal["linearizable", "violated", "unknown"]
    violations: list[ViolationRecord]
    more_violations: Annotated[int, Meta(description="Further ones of the same kinds, left out for brevity.")]
    inconclusive: Annotated[list[str], Meta(description="Reasons, a sentence each.")]
    known_races: list[KnownRaceRecord]
    clauses: list[ClauseRecord]
    columns: list[str]
    outcomes: list[OutcomeRecord]
    judged: Annotated[dict[str, int], Meta(description="Invariant to the number of observations judged.")]
    exercised: Annotated[dict[str, int], Meta(description="Requirement to the number of observations judged.")]
    history: Annotated[str, Meta(description="Where the history is, as the run was told.")]
    replay: Annotated[str, Meta(description="Text for lockrace replay.")]


class RequirementRecord(Struct, frozen=True):
    """What came of one requirement of the run's level."""

    text: str
    judged: int
    outcome: RequirementOutcome


class Results(Struct, frozen=True, kw_only=True):
    """One call of lockrace run."""

    format: Annotated[int, Meta(description="Of this file; 1.")] = FORMAT
    kind: Literal["lockrace-results"] = "lockrace-results"
    version: Annotated[str, Meta(description="Of lockrace.")]
    target: str
    level: Level
    seed: int
    started: Annotated[str, Meta(description="Wall clock, ISO 8601.")]
    seconds: float
    exit_code: int
    settings: Annotated[dict[str, Any], Meta(description="Every setting of the run by its name; no secret.")]
    unreachable: str | None
    fault: str | None
    interrupted: bool
    skipped: Annotated[list[str], Meta(description="Scenarios left out, with the reason.")]
    untried: Annotated[list[str], Meta(description="Entries of the baseline of which nothing was learned.")] = []
    not_begun: Annotated[list[str], Meta(description="Scenarios for which the budget left no time.")] = []
    requirements: dict[str, RequirementRecord]
    scenarios: list[ScenarioRecord]


class ResultsError(Exception):
    """A results file that cannot be used; the text says which, where and why."""


def results(run: RunResult) -> Results:
    """A run as a record."""
    judged, violated = exercised(run.results), violated_requirements(run.results)
    names = dict.fromkeys([*requirements_of(run), *violated])
    return Results(
        version=version("lockrace"),
        target=run.target,
        level=run.level,
        seed=run.seed,
        started=run.started,
        seconds=round(run.seconds, 3),
        exit_code=exit_code(run),
        settings=run.settings,
        unreachable=run.unreachable,
        fault=run.fault,
        interrupted=run.interrupted,
        skipped=run.skipped,
        untried=run.untried,
        not_begun=run.not_begun,
        requirements={
            name: RequirementRecord(
                requirement_text(name),
                judged.get(name, 0),
                "violated" if name in violated else "held" if judged.get(name) else "not exercised",
            )
            for name in names
        },
        scenarios=[_scenario(run, result) for result in run.results],
    )


def results_json(run: RunResult) -> str:
    """The text of `results.json`; settings that JSON has no form for are written as text."""
    encoded = msgspec.json.encode(results(run), enc_hook=str)
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def results_schema() -> dict[str, Any]:
    """The JSON Schema of `results.json`."""
    schema = msgspec.json.schema(Results)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "lockrace results", **schema}


def read_results(path: Path) -> Results:
    """Read one `results.json`. Raises ResultsError with the file, where in it, and what is wrong."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ResultsError(f"{path}: larger than {MOST_BYTES:,} bytes: no results file")
        content = path.read_bytes()
        head = msgspec.json.decode(content, type=_Head)
        if head.kind != "lockrace-results":
            raise ResultsError(f'{path}: no results of lockrace: "kind" is not "lockrace-results"')
        if head.format != FORMAT:
            raise ResultsError(f"{path}: format {head.format}; this lockrace reads format {FORMAT}")
        return msgspec.json.decode(content, type=Results)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ResultsError(f"{path}: no results of lockrace: {harmless(str(error))}") from None


class _Head(Struct):
    kind: str = ""
    format: int = 0


def _scenario(run: RunResult, result: ScenarioResult) -> ScenarioRecord:
    scenario, verdict = result.scenario, result.verdict
    return ScenarioRecord(
        name=scenario.name,
        family=scenario.family,
        summary=scenario.summary,
        level=scenario.level,
        place=scenario.place(scenario.mark),
        label=result.label,
        runs=verdict.runs,
        runs_judged=verdict.runs_judged,
        raced=verdict.raced,
        race=result.race,
        release=result.release,
        requests=result.requests,
        processes=result.processes,
        operations=verdict.operations,
        seconds=round(result.seconds, 3),
        linearizability=verdict.linearizability,
        violations=[_violation(run, result, number) for number in range(len(verdict.violations))],
        more_violations=verdict.more_violations,
        inconclusive=verdict.inconclusive,
        known_races=[KnownRaceRecord(race.id, race.reproduced, race.judged) for race in verdict.known_races],
        clauses=[ClauseRecord(one.name, one.kind, one.held, one.judged) for one in verdict.clauses],
        columns=list(verdict.columns),
        outcomes=[OutcomeRecord(list(row.values), row.runs, row.mark) for row in verdict.histogram],
        judged=verdict.judged,
        exercised=verdict.exercised,
        history=str(result.history_path),
        replay=result.replay,
    )


def _violation(run: RunResult, result: ScenarioResult, number: int) -> ViolationRecord:
    violation = result.verdict.violations[number]
    case = violation.counterexample
    evidence = [result.history.operations[index] for index in violation.operations[:50]]
    return ViolationRecord(
        source=violation.source,
        name=violation.name,
        requirement=violation.requirement,
        message=harmless(violation.message),
        run=violation.run,
        container=violation.container,
        place=result.scenario.place(violation.mark) if violation.mark else None,
        request_ids=[operation.request_id for operation in evidence if operation.request_id],
        minimal=list(case.operations) if case else [],
        legal_prefix=list(case.prefix) if case else [],
        stuck=case.stuck if case else None,
        replay=replay_command(run, result, violation),
    )


def requirement_order(names: set[str]) -> list[str]:
    """Requirement IDs in the contract's order; those that it does not have, last."""
    order = {name: place for place, name in enumerate(REQUIREMENTS)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))
