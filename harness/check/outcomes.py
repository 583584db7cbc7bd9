"""What a scenario wanted, run by run: its expectations, its clauses, its known race, and the outcomes as a histogram.

A run in which a call was lost or turned away where that was not expected proves nothing about the rest of it, so it
is not judged. Everything else is decided from the history alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.check.requirement import of_clause, of_expectation, of_setup
from harness.check.verdict import ClauseCount, HistogramRow, KnownRaceSeen, Verdict, Violation
from harness.history import Facts, Header, Operation
from harness.history.facts import EVENTS, session_of
from harness.history.overlap import raced
from harness.scenario import Clause, Expression, Scenario, Step

_SHOWN_EVIDENCE = 60
_NS_PER_MS = 1_000_000
_MARKS = {"": 0, "known race": 1, "violation": 2}

Numbered = tuple[int, Operation]
"""An operation with its index in the history."""


@dataclass
class _Tally:
    """What the runs of one history came to, so far."""

    violations: list[Violation] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)  # clause -> runs in which its expression was true
    seen: Counter[str] = field(default_factory=Counter)  # clause -> runs in which it was judged
    rows: dict[tuple[str, ...], HistogramRow] = field(default_factory=dict)
    unsure: dict[str, list[int]] = field(default_factory=dict)  # why a run is not judged -> those runs
    known: list[int] = field(default_factory=list)  # runs that reproduced the known race
    raced: int = 0
    judged: int = 0


def judge_outcomes(
    scenario: Scenario, header: Header, runs: Mapping[int, Sequence[Numbered]], verdict: Verdict
) -> None:
    """Judge every run by what the scenario says, and write it into `verdict`."""
    tally = _Tally()
    steps = scenario.steps()
    for number, operations in runs.items():
        taken = [one for one in operations if not one[1].sent_again]  # what was turned away did not happen
        _judge_run(_Run(scenario, header, steps, number, taken), tally)
    verdict.violations += tally.violations
    verdict.runs_judged = tally.judged
    verdict.clauses = [
        ClauseCount(clause.name, clause.kind, tally.held[clause.name], tally.seen[clause.name])
        for clause in scenario.clauses
    ]
    verdict.columns = _columns(scenario)
    verdict.histogram = sorted(tally.rows.values(), key=lambda row: (-row.runs, row.first_run))
    if scenario.known_race is not None:
        race = scenario.known_race
        first = min(tally.known, default=None)
        verdict.known_races.append(KnownRaceSeen(race.id, len(tally.known), tally.judged, race.because, first))
    if scenario.schedule.kind == "race":
        verdict.raced = tally.raced
    verdict.inconclusive += _reasons(scenario, tally, len(runs))


@dataclass
class _Run:
    """One run of a scenario."""

    scenario: Scenario
    header: Header
    steps: Mapping[str, Step]
    number: int
    operations: Sequence[Numbered]

    def facts(self, operations: Iterable[Numbered] | None = None) -> Facts:
        """The facts of this run, or of a part of it."""
        chosen = self.operations if operations is None else operations
        return Facts([operation for _, operation in chosen], self.header.tokens)

    def step_of(self, operation: Operation) -> tuple[str, Step] | None:
        """The step that an operation was sent for, with its full name ("D[3].lock" for a member of a fleet)."""
        if operation.phase != "run" or operation.step is None:
            return None
        session = session_of(operation.process)
        fleet, bracket, _ = session.partition("[")
        short = operation.step.rpartition(".")[2]
        if bracket and (step := self.steps.get(f"{fleet}.{short}")) is not None:
            return f"{session}.{short}", step
        step = self.steps.get(operation.step)
        return None if step is None else (operation.step, step)

    def last_tries(self) -> dict[str, tuple[int, Operation, Step]]:
        """The last try of every step that was sent."""
        found = {}
        for index, operation in self.operations:
            named = self.step_of(operation)
            if named is not None and operation.op not in EVENTS:
                found[named[0]] = (index, operation, named[1])
        return found


def _judge_run(run: _Run, tally: _Tally) -> None:
    tries = run.last_tries()
    reason = _why_unsure(run, tries)
    broken = [*_setup(run), *_expectations(run, tries if reason is None else _before_doubt(run, tries))]
    if reason is not None:
        tally.unsure.setdefault(reason, []).append(run.number)
        tally.violations += broken
        return
    facts = run.facts()
    known = False
    counted: list[tuple[str, bool]] = []
    for clause in run.scenario.clauses:
        held = _held(run, clause, facts)
        if held is None:
            reason = f"{clause.name} could not be judged: the run was not looked at long enough after its last step"
            tally.unsure.setdefault(reason, []).append(run.number)
            continue
        counted.append((clause.name, held))
        if clause.kind == "sometimes" or held is (clause.kind != "never"):
            continue
        if _is_known(run.scenario, clause, facts):
            known = True
        else:
            broken.append(_clause_violation(run, clause))
    if broken and _given_up(run):
        reason = "an unlock cancelled the container, as at an attempt limit (--max-dispatch-attempts)"
        tally.unsure.setdefault(reason, []).append(run.number)
        return
    for name, held in counted:
        tally.seen[name] += 1
        tally.held[name] += held
    tally.judged += 1
    tally.violations += broken
    if known:
        tally.known.append(run.number)
    if run.scenario.schedule.kind == "race":
        tally.raced += raced(operation for _, operation in run.operations)
    _count(run, facts, tally, "violation" if broken else "known race" if known else "")


def _setup(run: _Run) -> Iterable[Violation]:
    """What kept a run from reaching its given state, where the server definitely said no."""
    for index, operation in run.operations:
        if operation.phase == "setup" and operation.type != "ok" and not _is_unsure(operation):
            text = f"the given state was not reached: {_told(operation)}"
            yield Violation(
                "expect",
                "given",
                of_setup(run.scenario, operation),
                text,
                run.number,
                (index,),
                operation.container or operation.uuid,
                next((one.mark for one in run.scenario.given if one.name == operation.container), run.scenario.mark),
            )


def _expectations(run: _Run, tries: Mapping[str, tuple[int, Operation, Step]]) -> Iterable[Violation]:
    for name, (index, operation, step) in tries.items():
        if not step.expect or _is_unsure(operation) or _met(operation, step):
            continue
        wanted = " or ".join(str(one) for one in step.expect)
        yield Violation(
            "expect",
            step.id,
            of_expectation(run.scenario, step, operation),
            f"step {name}: {_told(operation)}; expected: {wanted}",
            run.number,
            (index,),
            operation.container or operation.uuid,
            step.mark,
        )


def _is_unsure(operation: Operation) -> bool:
    """Whether nothing definite is known of a call: it was lost, turned away for now, or cut off in its answer."""
    return operation.outcome in {"indeterminate", "limited"} or (
        operation.outcome == "garbled" and operation.status is None
    )


def _met(operation: Operation, step: Step) -> bool:
    return operation.outcome in step.expect or operation.status in step.expect


def _why_unsure(run: _Run, tries: Mapping[str, tuple[int, Operation, Step]]) -> str | None:
    """Why this run proves nothing, if it does not."""
    for _, operation in run.operations:
        if operation.phase in {"setup", "probe"} and _is_unsure(operation):
            when = "while it was prepared" if operation.phase == "setup" else "in the look at its end"
            return f"{operation.op} was {operation.outcome} {when}"
        if operation.phase == "setup" and operation.type != "ok":
            return "the given state was not reached"
    for name, (_, operation, step) in tries.items():
        if _is_unsure(operation) and not _is_expected(operation, step):
            return f"{name} was {operation.outcome}"
    return None


def _given_up(run: _Run) -> bool:
    """Whether an unlock cancelled a container at the attempt limit (UNLOCK-6), on which no scenario counts."""
    limit = run.header.max_dispatch_attempts
    locks: Counter[str | None] = Counter()
    unlocked: set[str | None] = set()
    for _, operation in run.operations:
        asked = (operation.sent or {}).get("state") if operation.op == "update" else None
        if operation.phase == "cleanup" or operation.type == "fail":
            continue
        if asked == "Cancelled":
            return False
        locks[operation.uuid] += operation.op == "lock" or asked == "Locked"
        if operation.op == "unlock" or asked == "Queued":
            unlocked.add(operation.uuid)
        is_due = operation.uuid in unlocked and (limit is None or locks[operation.uuid] >= limit)
        if is_due and operation.value is not None and operation.value.state == "Cancelled":
            return True
    return False


def _before_doubt(
    run: _Run, tries: Mapping[str, tuple[int, Operation, Step]]
) -> Mapping[str, tuple[int, Operation, Step]]:
    """The tries that were over when the first call was sent of which nothing definite is known.

    What a step expects takes for granted that the steps before it did what they expect.
    """
    doubtful = [one.invoke_ns for _, one in run.operations if one.phase == "setup" and _is_unsure(one)]
    doubtful += [one.invoke_ns for _, one, step in tries.values() if _is_unsure(one) and not _is_expected(one, step)]
    first = min(doubtful, default=None)
    if first is None:
        return tries
    return {name: one for name, one in tries.items() if one[1].return_ns is not None and one[1].return_ns <= first}


def _is_expected(operation: Operation, step: Step) -> bool:
    return operation.outcome in step.expect or (not step.expect and step.fault is not None)


def _held(run: _Run, clause: Clause, facts: Facts) -> bool | None:
    """Whether a clause's expression is true of a run; None where the run was not looked at as it asks."""
    if not _looked_at(run, clause.expression):
        return None
    if clause.kind == "eventually":
        return _held_in_time(run, clause)
    return bool(clause.expression.evaluate(facts))


def _looked_at(run: _Run, expression: Expression) -> bool:
    """Whether the probes at the run's end answer what an expression asks of tokens and final states."""
    probes = [operation for _, operation in run.operations if operation.phase == "probe"]
    seen = {operation.container for operation in probes if operation.op == "get"}
    used = {operation.secret for operation in probes if operation.op == "use"}
    asked = {tuple(token.split(".", 1)) for token in expression.saved_tokens}
    saved: dict[tuple[str, str], str] = {}  # the last that each name stands for
    for _, operation in run.operations:
        secret = None if operation.value is None else operation.value.secret
        if isinstance(secret, str) and operation.saved_as is not None and operation.phase == "run":
            saved[session_of(operation.process), operation.saved_as] = secret
    for (session, name), secret in saved.items():
        if {(session, name), (session.partition("[")[0], name)} & asked and secret not in used:
            return False
    return all(name in seen or any(str(one).startswith(f"{name}[") for one in seen) for name in expression.containers)


def _held_in_time(run: _Run, clause: Clause) -> bool | None:
    """Whether an `eventually` came true soon enough after the last step; None where nobody looked long enough."""
    steps = [one for one in run.operations if one[1].phase != "probe"]
    probes = [one for one in run.operations if one[1].phase == "probe"]
    last_ns = max((operation.return_ns or operation.invoke_ns for _, operation in steps), default=0)
    ends_ns = last_ns + (clause.within_ms or 0) * _NS_PER_MS

    def held(some: Sequence[Numbered]) -> bool | None:
        part = _Run(run.scenario, run.header, run.steps, run.number, [*steps, *some])
        return bool(clause.expression.evaluate(part.facts())) if _looked_at(part, clause.expression) else None

    in_time = [one for one in probes if one[1].return_ns is not None and one[1].return_ns <= ends_ns]
    if any(held(in_time[:count]) for count in range(len(in_time) + 1)):
        return True
    late = [one for one in probes if one[1].invoke_ns > ends_ns]  # what was under way then may tell of before
    if any(held(late[:count]) is False for count in range(1, len(late) + 1)):
        return False
    return None


def _is_known(scenario: Scenario, clause: Clause, facts: Facts) -> bool:
    race = scenario.known_race
    return race is not None and clause.name in race.breaks and bool(race.only_when.evaluate(facts))


def _clause_violation(run: _Run, clause: Clause) -> Violation:
    verb = {"never": "must never be, and was", "always": "must always be, and was not"}
    text = verb.get(clause.kind, f"was not within {clause.within_ms} ms")
    evidence = tuple(index for index, operation in run.operations if operation.phase in {"run", "probe"})
    containers = sorted(clause.expression.containers | {name for _, name in clause.expression.beliefs})
    return Violation(
        "clause",
        clause.name,
        of_clause(run.scenario, clause),
        f"{clause.name} {text}: {clause.expression.text}",
        run.number,
        evidence[:_SHOWN_EVIDENCE],
        containers[0] if containers else None,
        clause.mark,
    )


def _columns(scenario: Scenario) -> tuple[str, ...]:
    if scenario.show:
        return tuple(expression.text for expression in scenario.show)
    return tuple(clause.name for clause in scenario.clauses)


def _count(run: _Run, facts: Facts, tally: _Tally, mark: Any) -> None:
    shown = run.scenario.show or tuple(clause.expression for clause in run.scenario.clauses)
    if not shown:
        return
    values = tuple(_spelled(expression.evaluate(facts)) for expression in shown)
    row = tally.rows.get(values)
    if row is None:
        tally.rows[values] = HistogramRow(values, 1, run.number, mark)
    else:
        worst = max(row.mark, mark, key=_MARKS.__getitem__)
        tally.rows[values] = HistogramRow(values, row.runs + 1, row.first_run, worst)


def _spelled(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _reasons(scenario: Scenario, tally: _Tally, total: int) -> Iterable[str]:
    """Why the whole is inconclusive: orders that were not judged, races that did not race, what was never seen.

    Every order of `order` and `every` counts. Of samples and races, which are many of a kind, half may be lost.
    """
    lost = total - tally.judged
    partial = [reason for reason in tally.unsure if reason.endswith("after its last step")]
    many = scenario.schedule.kind in {"sample", "race"}
    if (lost and not many) or 2 * lost > total or partial:
        for reason, numbers in tally.unsure.items():
            yield f"{len(numbers)} of {total} runs not judged (first: run {numbers[0]}): {reason}"
    if total == 0:
        yield "the history holds no run"
    if scenario.schedule.kind == "race" and tally.judged and not tally.raced:
        yield f"in none of {tally.judged} runs were calls of two dispatchers under way at once"
    for clause in scenario.clauses:
        if clause.kind == "sometimes" and not tally.held[clause.name]:
            yield f'sometimes "{clause.name}" was not seen in {tally.seen[clause.name]} runs: {clause.expression.text}'


def _told(operation: Operation) -> str:
    status = "" if operation.status is None else f" ({operation.status})"
    return f"{operation.process} was told {operation.outcome}{status} when it asked for {_asked(operation)}"


def _asked(operation: Operation) -> str:
    state = (operation.sent or {}).get("state") if operation.op == "update" else None
    return f"{operation.op} {state}" if state else operation.op
