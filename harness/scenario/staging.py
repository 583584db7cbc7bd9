"""Reading a scenario that is staged: sessions, fleets and nemesis, a schedule, outcomes."""

import re
from dataclasses import dataclass, field

from harness.contract import KNOWN_RACES
from harness.scenario import fields
from harness.scenario.diagnostics import near_name
from harness.scenario.expressions import Expression, Names
from harness.scenario.fields import Form
from harness.scenario.given import read_containers, read_tokens
from harness.scenario.head import Head
from harness.scenario.marks import Mark
from harness.scenario.reader import Leaf, Mapping, Sequence, Source, Tree
from harness.scenario.scenario import (
    Clause,
    ClauseKind,
    Fleet,
    KnownRace,
    Scenario,
    Schedule,
    ScheduleKind,
    Session,
    SessionToken,
    Step,
)
from harness.scenario.steps import Cast, Outline, outline, read_steps, saved_lists

MAX_SESSIONS = 50
MAX_MEMBERS = 10_000
MAX_RUNS = 100_000
MAX_ORDERS = 100_000
MAX_CLAUSES = 100

POLICIES = ("careful", "adopting", "impatient", "double_unlock")
"""Behaviours of a fleet that stands for real dispatchers."""

_OWN = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\[member\]\Z")
_CLAUSES: tuple[ClauseKind, ...] = ("always", "never", "sometimes")
_SCHEDULES: tuple[ScheduleKind, ...] = ("order", "every", "sample", "race")


@dataclass
class _Company:
    """The parts of the file that hold steps, each with its name, before the steps are read."""

    sessions: list[tuple[str, Mark, Tree]] = field(default_factory=list)
    fleets: list[tuple[str, Mark, Form]] = field(default_factory=list)
    nemesis: Tree | None = None

    def outlines(self) -> list[tuple[str, list[Outline]]]:
        found = [(name, outline(name, tree)) for name, _, tree in self.sessions]
        found += [(name, outline(name, form.get("steps"), fleet=True)) for name, _, form in self.fleets]
        return [*found, ("nemesis", outline("nemesis", self.nemesis))]


def read_staged(head: Head, form: Form) -> Scenario | None:
    """The scenario, as far as it can be read; None where no session can."""
    source = head.source
    company = _company(source, form)
    if not company.sessions and not company.fleets:
        source.fault(form.tree.mark, "a scenario needs sessions, fleets or cases")
        return None
    given = form.need("given")
    given_form = Form(source, given, "given", ("containers", "tokens")) if given is not None else None
    containers = given_form.need("containers") if given_form else None
    marks = {name: mark for name, mark, _ in (*company.sessions, *company.fleets)}
    tokens = read_tokens(source, given_form.get("tokens"), marks) if given_form else {}
    each = _each(source, company)
    players = Cast(source, head.level, _names(company, containers, each), saved_lists(company.outlines()))
    return Scenario(
        name=head.family,
        family=head.family,
        summary=head.summary,
        level=head.level,
        requires=head.requires,
        given=read_containers(source, containers, each),
        tokens=tokens,
        sessions=_sessions(players, company, tokens),
        fleets=_fleets(players, company, tokens),
        nemesis=read_steps(players, "nemesis", company.nemesis, "nemesis"),
        schedule=_schedule(source, form),
        clauses=_clauses(players, form.get("outcome")),
        show=_show(players, form.get("outcome")),
        known_race=_known_race(players, form),
        path=source.path,
        text=source.text,
        mark=head.mark,
        see=head.see,
        tags=head.tags,
    )


def _company(source: Source, form: Form) -> _Company:
    company = _Company(nemesis=form.get("nemesis"))
    company.sessions = list(fields.named(source, form.get("sessions"), "sessions"))
    for name, mark, tree in fields.named(source, form.get("fleets"), "fleets"):
        company.fleets.append((name, mark, Form(source, tree, "a fleet", ("count", "policy", "steps"))))
    if len(company.sessions) + len(company.fleets) > MAX_SESSIONS:
        source.fault(form.mark("sessions"), f"more than {MAX_SESSIONS} sessions and fleets")
    return company


def _each(source: Source, company: _Company) -> dict[str, str]:
    """The containers of which each member of a fleet has its own, with that fleet."""
    found: dict[str, str] = {}
    for name, mark, form in company.fleets:
        for step in outline(name, form.get("steps"), fleet=True):
            own = _OWN.match(step.container or "")
            if own and found.setdefault(own[1], name) != name:
                source.fault(mark, f"{own[1]} cannot belong to the members of two fleets, {found[own[1]]} and {name}")
    return found


def _names(company: _Company, containers: Tree | None, each: dict[str, str]) -> Names:
    outlines = dict(company.outlines())
    fleets = {name: frozenset(step.id for step in outlines[name]) for name, _, _ in company.fleets}
    known = frozenset(containers.items) if isinstance(containers, Mapping) else frozenset()
    lists = saved_lists(outlines.items())
    saved = frozenset((owner, step.save) for owner, steps in outlines.items() for step in steps if step.save)
    return Names(
        steps=frozenset(step.id for owner, steps in outlines.items() if owner not in fleets for step in steps),
        sessions=frozenset(name for name, _, _ in company.sessions),
        fleets=fleets,
        containers=known,
        each={name: fleet for name, fleet in each.items() if name in known},
        saved=saved - lists,
    )


def _sessions(players: Cast, company: _Company, tokens: dict[str, SessionToken]) -> tuple[Session, ...]:
    return tuple(
        Session(name, tokens.get(name, "shared"), read_steps(players, name, tree, "session"), mark)
        for name, mark, tree in company.sessions
    )


def _fleets(players: Cast, company: _Company, tokens: dict[str, SessionToken]) -> tuple[Fleet, ...]:
    found = []
    for name, mark, form in company.fleets:
        count = fields.whole(players.source, form.need("count"), "count", 1, MAX_MEMBERS) or 1
        policy = fields.one_of(players.source, form.get("policy"), "policy", POLICIES)
        steps: tuple[Step, ...] = ()
        if policy is None:
            steps = read_steps(players, name, form.need("steps"), "fleet")
        elif form.get("steps") is not None:
            form.fault("steps", "a fleet with a policy has no steps; the policy says what it does")
        found.append(Fleet(name, count, tokens.get(name, "shared"), steps, mark, policy))
    return tuple(found)


def _schedule(source: Source, form: Form) -> Schedule:
    tree = form.need("schedule")
    nothing = Schedule("order", form.mark("schedule"))
    if tree is None:
        return nothing
    inner = Form(source, tree, "schedule", _SCHEDULES)
    kinds = [kind for kind in _SCHEDULES if inner.get(kind) is not None]
    if len(kinds) != 1:
        form.fault("schedule", f"a schedule is exactly one of {fields.listed(_SCHEDULES)}")
        return nothing
    kind, mark = kinds[0], inner.mark(kinds[0])
    value = inner.get(kind)
    assert value is not None
    if kind == "order":
        return Schedule(kind, mark, order=_order(source, value))
    settings = Form(source, value, kind, ("limit",) if kind == "every" else ("runs",))
    if kind == "every":
        limit = fields.whole(source, settings.need("limit"), "limit", 1, MAX_ORDERS)
        return Schedule(kind, mark, limit=limit or 1)
    runs = fields.whole(source, settings.need("runs"), "runs", 1, MAX_RUNS)
    return Schedule(kind, mark, runs=runs or 1)


def _order(source: Source, tree: Tree) -> tuple[tuple[str, ...], ...]:
    groups = []
    for item in fields.entries(source, tree, "order"):
        steps = [fields.text(source, one, "a step of the order") for one in fields.one_or_more(item)]
        if isinstance(item, Sequence) and len(steps) < 2:
            source.fault(item.mark, "an inner list is sent together; it needs two steps or more")
        groups.append(tuple(step for step in steps if step is not None))
    return tuple(groups)


def _outcome_form(players: Cast, tree: Tree) -> Form:
    return Form(players.source, tree, "outcome", (*_CLAUSES, "eventually", "show"))


def _clauses(players: Cast, tree: Tree | None) -> tuple[Clause, ...]:
    if tree is None:
        return ()
    source, form = players.source, _outcome_form(players, tree)
    found: list[Clause] = []
    for kind in _CLAUSES:
        for name, mark, value in fields.named(source, form.get(kind), kind):
            expression = players.expression(value, f"the clause {name}")
            if expression is not None:
                found.append(Clause(name, kind, expression, mark))
    for name, mark, value in fields.named(source, form.get("eventually"), "eventually"):
        inner = Form(source, value, "an eventually clause", ("that", "within"))
        expression = players.expression(inner.need("that"), f"the clause {name}")
        within_ms = fields.length_ms(source, inner.need("within"), "within")
        if expression is not None and within_ms is not None:
            found.append(Clause(name, "eventually", expression, mark, within_ms))
    seen: set[str] = set()
    for clause in found:
        if clause.name in seen:
            source.fault(clause.mark, f'two clauses are called "{clause.name}"')
        seen.add(clause.name)
    if len(found) > MAX_CLAUSES:
        source.fault(found[MAX_CLAUSES].mark, f"more than {MAX_CLAUSES} clauses")
    return tuple(found)


def _show(players: Cast, tree: Tree | None) -> tuple[Expression, ...]:
    shown = _outcome_form(players, tree).get("show") if tree is not None else None
    found = (
        players.expression(item, "a column of show", condition=False)
        for item in fields.entries(players.source, shown, "show")
    )
    return tuple(expression for expression in found if expression is not None)


def _known_race(players: Cast, form: Form) -> KnownRace | None:
    tree = form.get("known_race")
    if tree is None:
        return None
    source = players.source
    inner = Form(source, tree, "known_race", ("id", "breaks", "only_when", "because"))
    race = fields.one_of(source, inner.need("id"), "a known race", KNOWN_RACES)
    only_when = players.expression(inner.need("only_when"), "only_when")
    because = fields.text(source, inner.need("because"), "because")
    breaks = _breaks(players, form, inner)
    if race is None or only_when is None or because is None:
        return None
    return KnownRace(race, breaks, only_when, because, form.mark("known_race"))


def _breaks(players: Cast, form: Form, inner: Form) -> tuple[str, ...]:
    """Names of clauses that the known race may break; a `sometimes` clause cannot be broken in one run."""
    outcome = form.get("outcome")
    kinds = _outcome_form(players, outcome) if outcome is not None else None
    known = [
        name
        for kind in ("always", "never", "eventually")
        for name, _, _ in fields.named(players.source, kinds.get(kind) if kinds else None, kind)
    ]
    found = []
    for tree in fields.one_or_more(inner.need("breaks")):
        if isinstance(tree, Leaf) and isinstance(tree.value, str) and tree.value in known:
            found.append(tree.value)
        else:
            told = tree.value if isinstance(tree, Leaf) else "a collection"
            near = near_name(str(told), known)
            players.fault(tree.mark, f'no always, never or eventually clause is called "{told}"', near)
    return tuple(found)
