"""Reading `cases`: each row becomes a scenario of its own with two sessions.

Caller    call                 the row's call, with the row's token
Watcher          look          a get with the shared token: what came of it
"""

import functools
from dataclasses import replace
from typing import Literal, cast

from harness.contract import STATES
from harness.scenario import fields
from harness.scenario.compiler import parse_expression
from harness.scenario.expressions import Expression, Names
from harness.scenario.fields import Form
from harness.scenario.given import SESSION_TOKENS, read_container
from harness.scenario.head import Head, read_requires
from harness.scenario.marks import Mark
from harness.scenario.reader import Leaf, Mapping, Sequence, Source, Tree
from harness.scenario.scenario import (
    Clause,
    GivenContainer,
    Scenario,
    Schedule,
    Session,
    SessionToken,
    Step,
)
from harness.scenario.steps import Cast, read_steps

MAX_CASES = 500

ROW_KEYS = ("name", "given", "by", "call", "expect", "then", "fields", "requires")
CALLS = ("lock", "unlock", "auth", "get", "update")
CASE_FIELDS = ("locked_by_uuid", "auth_uuid", "priority", "lock_count")

_CONTAINER = "c1"
_NAMES = Names(
    steps=frozenset({"call", "look"}),
    sessions=frozenset({"Caller", "Watcher"}),
    containers=frozenset({_CONTAINER}),
)

Branch = Literal["", "granted", "otherwise"]


def read_cases(head: Head, form: Form) -> list[Scenario]:
    """One scenario for each row of `cases`."""
    rows = fields.entries(head.source, form.get("cases"), "cases")
    if not rows:
        form.fault("cases", "cases has no rows")
    if len(rows) > MAX_CASES:
        head.source.fault(rows[MAX_CASES].mark, f"more than {MAX_CASES} cases")
    found: dict[str, Scenario] = {}
    for row in rows[:MAX_CASES]:
        scenario = _row(head, Form(head.source, row, "a case", ROW_KEYS))
        if scenario is None:
            continue
        if scenario.name in found:
            head.source.fault(row.mark, f'another case is called "{scenario.name}" too; give one a name')
        found[scenario.name] = scenario
    return list(found.values())


def _row(head: Head, form: Form) -> Scenario | None:
    source, mark = head.source, form.tree.mark
    given_tree, call_tree = form.need("given"), form.need("call")
    by = cast("SessionToken | None", fields.one_of(source, form.need("by"), "by", SESSION_TOKENS))
    form.need("expect")
    if given_tree is None or call_tree is None or by is None:
        return None
    given = read_container(source, _CONTAINER, form.mark("given"), given_tree)
    call = _call(head, form, call_tree)
    if call is None:
        return None
    exists = given.uuid == "fresh"
    if not exists:
        for key in ("then", "fields"):
            if form.get(key) is not None:
                form.fault(key, "a container that does not exist has no state and no fields")
    elif form.get("then") is None:
        form.need("then")
    label = fields.name(source, form.get("name"), "the name of a case") or _label(given, by, call)
    look = Step("look", "get", mark, container=_CONTAINER, expect=("granted",))
    sessions = (Session("Caller", by, (call,), mark), Session("Watcher", "shared", (look,), mark))[: 1 + exists]
    return Scenario(
        name=f"{head.family}[{label}]",
        family=head.family,
        summary=head.summary,
        level=head.level,
        requires=read_requires(source, form, head.level) if form.get("requires") else head.requires,
        given=(given,),
        tokens={session.name: session.token for session in sessions},
        sessions=sessions,
        fleets=(),
        nemesis=(),
        schedule=Schedule("order", mark, order=(("call",), ("look",)) if exists else (("call",),)),
        clauses=tuple(_then(source, form) + _fields(source, form, by)),
        show=tuple(_expression(text, condition=False) for text in ("call.status", "look.state")[: 1 + exists]),
        known_race=None,
        path=source.path,
        text=source.text,
        mark=mark,
        see=head.see,
        tags=head.tags,
    )


def _call(head: Head, form: Form, tree: Tree) -> Step | None:
    """The row's call as a step, read by the same rules as any other step."""
    container = Leaf(_CONTAINER, tree.mark)
    items: dict[str, Tree] = {"id": Leaf("call", tree.mark)}
    if isinstance(tree, Mapping):
        inner = Form(head.source, tree, "a call", ("update",))
        update = inner.need("update")
        if not isinstance(update, Mapping):
            return None
        items["update"] = replace(update, items={"container": container, **update.items})
    else:
        verb = fields.one_of(head.source, tree, "a call", CALLS[:-1])
        if verb is None:
            return None
        items[verb] = container
    expect = form.get("expect")
    if expect is not None:
        items["expect"] = expect
    players = Cast(head.source, head.level, _NAMES, frozenset())
    steps = read_steps(players, "Caller", Sequence([Mapping(items, {}, tree.mark)], tree.mark), "session")
    return steps[0] if steps else None


def _label(given: GivenContainer, by: str, call: Step) -> str:
    what = given.state if given.uuid == "fresh" else given.uuid
    told = [
        what,
        *(f"{key}-{value}" for key, value in given.attributes.items() if isinstance(value, int)),
        by,
        call.verb,
    ]
    if call.verb == "update":
        told += [str(value) if key == "state" else key for key, value in call.argument.items()]
    return "-".join(told)


def _branches(form: Form, key: str) -> list[tuple[Branch, Tree]]:
    """The value of a key; or its two values, for a call that was granted and for one that was not."""
    tree = form.get(key)
    if tree is None:
        return []
    if not isinstance(tree, Mapping) or not {"granted", "otherwise"} & tree.items.keys():
        return [("", tree)]
    inner = Form(form.source, tree, key, ("granted", "otherwise"))
    branches: tuple[Branch, Branch] = ("granted", "otherwise")
    return [(branch, value) for branch in branches if (value := inner.get(branch)) is not None]


def _then(source: Source, form: Form) -> list[Clause]:
    found = []
    for branch, tree in _branches(form, "then"):
        state = fields.one_of(source, tree, "then", STATES)
        if state is not None:
            found.append(_clause("then", branch, f'look.state == "{state}"', tree.mark))
    return found


def _fields(source: Source, form: Form, by: SessionToken) -> list[Clause]:
    found = []
    for branch, tree in _branches(form, "fields"):
        inner = Form(source, tree, "fields", CASE_FIELDS)
        for key, value in inner.tree.items.items():
            wanted = _wanted(source, value, by) if key in CASE_FIELDS else None
            if wanted is not None:
                found.append(_clause(key, branch, f"look.{key} {wanted}", value.mark))
    return found


def _wanted(source: Source, tree: Tree, by: SessionToken) -> str | None:
    value = tree.value if isinstance(tree, Leaf) else ""
    if value is None:
        return "== none"
    if value == "issued":
        return "!= none"
    if value == "shared":
        return "== uuid(Watcher)"
    if value == by == "stranger":
        return "== uuid(Caller)"
    if type(value) is int:
        return f"== {value}"
    source.fault(tree.mark, "a field is null, issued (anything but null), shared, stranger (the caller), or a number")
    return None


def _clause(name: str, branch: Branch, text: str, mark: Mark) -> Clause:
    """A clause that must hold always, or only where the call was (not) granted."""
    if branch == "granted":
        return Clause(f"{name}_granted", "always", _expression(f"not call.granted or {text}"), mark)
    if branch == "otherwise":
        return Clause(f"{name}_otherwise", "always", _expression(f"call.granted or {text}"), mark)
    return Clause(name, "always", _expression(text), mark)


@functools.cache
def _expression(text: str, condition: bool = True) -> Expression:
    """The expression of a text that rows have in common; rows repeat few, so each is compiled once."""
    return parse_expression(text, _NAMES, condition)
