"""What can be judged only of a whole scenario: names that collide, orders that cannot be, steps that come too late."""

from collections.abc import Iterator

from harness.scenario.diagnostics import near_name
from harness.scenario.expressions import RESERVED
from harness.scenario.marks import Mark
from harness.scenario.precedence import chains, in_a_circle, predecessors
from harness.scenario.reader import Source
from harness.scenario.scenario import Fleet, Scenario, Session, Step


def check(source: Source, scenario: Scenario) -> None:
    """Note every such fault of a scenario in its source."""
    _names(source, scenario)
    _saved_before_used(source, scenario)
    _other_sessions(source, scenario)
    _when_is_earlier(source, scenario)
    _schedule(source, scenario)
    if not scenario.clauses and not any(step.expect for step in scenario.steps().values()):
        source.fault(scenario.mark, "the scenario judges nothing: no step has an expect, and there is no outcome")


def _names(source: Source, scenario: Scenario) -> None:
    seen: dict[str, str] = {}
    for kind, name, mark in _named(scenario):
        if name in RESERVED:
            source.fault(mark, f'"{name}" is a word of expressions; call the {kind} something else')
        elif name in seen:
            other = f"another {kind}" if seen[name] == kind else f"a {seen[name]}"
            source.fault(mark, f'"{name}" names {other} too')
        seen.setdefault(name, kind)
    for fleet in scenario.fleets:
        ids: set[str] = set()
        for step in fleet.steps:
            if step.id in RESERVED:
                source.fault(step.mark, f'"{step.id}" is a word of expressions; call the step something else')
            if step.id in ids:
                source.fault(step.mark, f'"{step.id}" names another step of {fleet.name} too')
            ids.add(step.id)


def _named(scenario: Scenario) -> Iterator[tuple[str, str, Mark]]:
    for container in scenario.given:
        yield "container", container.name, container.mark
    for session in scenario.sessions:
        yield "session", session.name, session.mark
    for fleet in scenario.fleets:
        yield "fleet", fleet.name, fleet.mark
    for session in scenario.sessions:
        for step in session.steps:
            yield "step", step.id, step.mark
    for step in scenario.nemesis:
        yield "step", step.id, step.mark


def _owners(scenario: Scenario) -> tuple[Session | Fleet, ...]:
    return (*scenario.sessions, *scenario.fleets)


def _saved_before_used(source: Source, scenario: Scenario) -> None:
    """What a session saves itself must be saved before it is used; of another session's, the order decides."""
    for owner in _owners(scenario):
        saved: set[str] = set()
        later = {f"{owner.name}.{step.save}" for step in owner.steps if step.save}
        lists = {step.save for step in owner.steps if step.verb == "list" and step.save}
        for step in owner.steps:
            for used in filter(None, (step.credential, step.argument if step.verb == "use" else None)):
                if used in later and used not in saved:
                    source.fault(step.mark, f"{used} is saved only by a later step")
            name = (step.container or "").partition("[")[0]
            if name in lists and f"{owner.name}.{name}" not in saved:
                source.fault(step.mark, f"{name} is saved only by a later step")
            if step.save:
                saved.add(f"{owner.name}.{step.save}")


def _other_sessions(source: Source, scenario: Scenario) -> None:
    """`after` and `before` name steps of other sessions, and no steps wait for one another."""
    for owner in scenario.sessions:
        own = {step.id for step in owner.steps}
        for step in owner.steps:
            for other in (*step.after, *step.before):
                if other in own:
                    source.fault(
                        step.mark, f'"{other}" is a step of {owner.name} itself; its steps run in order anyway'
                    )
    circle = in_a_circle(predecessors(scenario))
    if circle:
        mark = scenario.steps()[circle[0]].mark
        source.fault(mark, f"these steps wait for one another for ever: {', '.join(circle)}")


def _when_is_earlier(source: Source, scenario: Scenario) -> None:
    for owner in _owners(scenario):
        done: set[str] = set()
        prefix = f"{owner.name}." if isinstance(owner, Fleet) else ""
        own = {prefix + step.id for step in owner.steps}
        for step in owner.steps:
            asked = step.when.steps if step.when else frozenset()
            for other in sorted(asked & own - done):
                source.fault(step.mark, f'`when` asks for "{other}", which is not done before this step')
            if prefix and asked - own:
                source.fault(
                    step.mark, f"`when` in a fleet asks only for its own steps, not for {', '.join(asked - own)}"
                )
            done.add(prefix + step.id)


def _schedule(source: Source, scenario: Scenario) -> None:
    schedule = scenario.schedule
    if scenario.fleets and schedule.kind != "race":
        source.fault(schedule.mark, "a fleet has no order; its schedule is race: {runs: 200}")
    if schedule.kind == "order":
        _order(source, scenario)


def _order(source: Source, scenario: Scenario) -> None:
    """The order names every step once, and breaks neither a session's order nor after, before, barrier or when."""
    schedule = scenario.schedule
    before = predecessors(scenario)
    steps = scenario.steps()
    done: set[str] = set()
    for group in schedule.order:
        for step in group:
            if step not in before:
                what = "is a barrier, which no order names" if step in steps else "is unknown"
                source.fault(schedule.mark, f'the step "{step}" of the order {what}', near_name(step, before))
            elif step in done or group.count(step) > 1:
                source.fault(schedule.mark, f'the order names "{step}" twice')
            else:
                _due(source, steps[step], before[step] - done, done, schedule.mark)
        done.update(group)
    missing = [step for chain in chains(scenario) for step in chain if step not in done]
    if missing:
        source.fault(schedule.mark, f"the order leaves out {', '.join(missing)}; it names every step once")


def _due(source: Source, step: Step, waiting: frozenset[str] | set[str], done: set[str], mark: Mark) -> None:
    if waiting:
        source.fault(mark, f'the order has "{step.id}" before {", ".join(sorted(waiting))}, which must be done first')
    late = (step.when.steps if step.when else frozenset()) - done - waiting
    if late:
        source.fault(step.mark, f"`when` asks for {', '.join(sorted(late))}, which the order has later")
