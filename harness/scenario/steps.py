"""Reading steps: one verb, what it is done to, and options.

Reading goes over the steps twice. `outline` takes ids and what is saved, without a word about faults; `read_steps` then
knows every name of the scenario and judges each step.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from harness.contract import OUTCOMES, STATES, Level
from harness.scenario import fields
from harness.scenario.compiler import parse_expression
from harness.scenario.diagnostics import near_name
from harness.scenario.expressions import Expression, ExpressionError, Names
from harness.scenario.fields import Form
from harness.scenario.marks import Mark
from harness.scenario.reader import Leaf, Mapping, Sequence, Source, Tree
from harness.scenario.scenario import Fault, Retry, Step, UuidOf, Verb

REQUESTS = ("lock", "unlock", "auth", "get", "list", "update", "use")
"""Verbs that send a request."""

EVENTS = ("crash", "pause", "barrier", "restart")
"""Verbs that send none."""

OPTIONS = ("expect", "save", "when", "after", "before", "fault", "retry", "as")
"""Options of a request; of them an event has only when, after and before."""

FILTERS = ("locked_by", "state", "uuid", "priority")
"""What a list step may filter by."""

FAULTS = ("lose", "reset", "hang", "hold", "delay")
"""What the harness can do to a call, one at a time."""

MAX_STEPS = 100
MAX_RETRIES = 100

_STEP_KEYS = ("id", *REQUESTS, *EVENTS, *OPTIONS, "for")
_EVENT_OPTIONS = ("when", "after", "before")
_INDEXED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\[(member|[0-9]{1,3})\]\Z")
_UUID_OF = re.compile(r"uuid\(\s*([A-Za-z][A-Za-z0-9_]*)\s*\)\Z")
_SAVED = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\.([A-Za-z][A-Za-z0-9_]*)\Z")


class Outline(NamedTuple):
    """What the first pass takes of a step."""

    id: str
    verb: str
    save: str | None
    container: str | None


def outline(owner: str, tree: Tree | None, fleet: bool = False) -> list[Outline]:
    """Ids and saves of a session's steps, as far as they can be read."""
    found = []
    for step in tree.items if isinstance(tree, Sequence) else []:
        if not isinstance(step, Mapping):
            continue
        words = {key: leaf.value for key, leaf in step.items.items() if isinstance(leaf, Leaf)}
        verb = next((key for key in step.items if key in REQUESTS + EVENTS), "")
        given, save, target = words.get("id"), words.get("save"), words.get(verb)
        if given is None and verb == "barrier":
            given = str(target) if fleet else f"{owner}_{target}"
        if isinstance(given, str):
            if isinstance(update := step.items.get("update"), Mapping):
                target = getattr(update.items.get("container"), "value", None)
            container = target if isinstance(target, str) else None
            found.append(Outline(given, verb, save if isinstance(save, str) else None, container))
    return found


@dataclass(frozen=True)
class Cast:
    """Who and what a scenario names, for reading its steps. `lists` are the saved names that hold containers."""

    source: Source
    level: Level
    names: Names
    lists: frozenset[tuple[str, str]]

    def fault(self, mark: Mark, message: str, near: str | None = None) -> None:
        """Note a fault in the file."""
        self.source.fault(mark, message, near)

    def expression(
        self, tree: Tree | None, what: str, fleet: str | None = None, condition: bool = True
    ) -> Expression | None:
        """The expression that a scalar spells."""
        if isinstance(tree, Leaf) and isinstance(tree.value, bool):
            tree = replace(tree, value=str(tree.value).lower())
        found = fields.text(self.source, tree, what)
        if found is None or not isinstance(tree, Leaf):
            return None
        names = replace(self.names, fleet=fleet) if fleet else self.names
        try:
            return parse_expression(found, names, condition)
        except ExpressionError as error:
            column = tree.mark.column + tree.offset + error.offset if tree.one_line else tree.mark.column
            self.fault(Mark(tree.mark.line, column), str(error), error.near)
            return None


def read_steps(cast_: Cast, owner: str, tree: Tree | None, kind: str) -> tuple[Step, ...]:
    """The steps of a session, of a fleet or of the nemesis (`kind`)."""
    items = fields.entries(cast_.source, tree, f"the steps of {owner}")
    if len(items) > MAX_STEPS:
        cast_.fault(items[MAX_STEPS].mark, f"{owner} has more than {MAX_STEPS} steps")
    if tree is not None and not items:
        cast_.fault(tree.mark, f"{owner} has no steps")
    steps = (_StepReader(cast_, owner, item, kind).read() for item in items[:MAX_STEPS])
    return tuple(step for step in steps if step is not None)


class _StepReader:
    """Reads one step."""

    def __init__(self, cast_: Cast, owner: str, tree: Tree, kind: str) -> None:
        self.cast = cast_
        self.source = cast_.source
        self.owner = owner
        self.kind = kind
        self.form = Form(cast_.source, tree, "a step", _STEP_KEYS)

    def read(self) -> Step | None:
        form = self.form
        verbs = [key for key in form.tree.items if key in REQUESTS + EVENTS]
        if len(verbs) != 1:
            what = "has no verb" if not verbs else f"has two verbs, {fields.listed(verbs)}"
            form.source.fault(form.tree.mark, f"the step {what}; it does one of {fields.listed(REQUESTS + EVENTS)}")
            return None
        verb = cast("Verb", verbs[0])
        step_id = self._id(verb)
        if step_id is None:
            return None
        self._check_options(verb)
        bare = Step(step_id, verb, form.tree.mark)
        container, argument = self._object(verb)
        fleet = self.owner if self.kind == "fleet" else None
        when = self.cast.expression(form.get("when"), "when", fleet)
        if when is not None and (when.containers or when.saved_tokens):
            form.fault(
                "when", "live(...) and state(...) are known only at the end of a run; ask for what a step answered"
            )
        return replace(
            bare,
            container=container,
            argument=argument,
            expect=self._expect(),
            save=fields.name(self.source, form.get("save"), "save"),
            when=when,
            after=self._others("after"),
            before=self._others("before"),
            fault=self._fault(),
            retry=self._retry(),
            credential=self._saved_token("as"),
            for_ms=fields.length_ms(self.source, form.get("for"), "for"),
        )

    def _id(self, verb: Verb) -> str | None:
        tree = self.form.get("id")
        if tree is None and verb == "barrier":
            barrier = fields.name(self.source, self.form.get("barrier"), "a barrier")
            return barrier if self.kind == "fleet" or barrier is None else f"{self.owner}_{barrier}"
        return fields.name(self.source, self.form.need("id"), "the id of a step")

    def _check_options(self, verb: Verb) -> None:
        allowed: tuple[str, ...] = OPTIONS if verb in REQUESTS else _EVENT_OPTIONS
        if verb == "use":
            allowed = tuple(option for option in allowed if option != "as")
        if verb not in ("auth", "list"):
            allowed = tuple(option for option in allowed if option != "save")
        if verb == "pause":
            allowed = (*allowed, "for")
        for key in (*OPTIONS, "for"):
            if key in self.form.tree.items and key not in allowed:
                self.form.fault(key, f'"{key}" has no meaning for {verb}; it takes {fields.listed(allowed)}')
        if verb == "restart" and self.kind == "fleet":
            self.form.fault("restart", "a fleet cannot restart the server; the nemesis can")

    def _object(self, verb: Verb) -> tuple[str | None, Any]:
        tree = self.form.get(verb)
        assert tree is not None
        match verb:
            case "lock" | "unlock" | "auth" | "get":
                return self._container(tree, verb), None
            case "update":
                return self._update(tree)
            case "list":
                return None, self._filters(tree)
            case "use":
                return None, self._saved_token("use")
            case "restart":
                return None, fields.one_of(self.source, tree, "restart", ("server",))
            case "barrier":
                return None, fields.name(self.source, tree, "a barrier")
        return None, self._victim(tree, verb)

    def _victim(self, tree: Tree, verb: str) -> str | None:
        if self.kind != "nemesis":
            return fields.one_of(self.source, tree, verb, ("self",))
        names = self.cast.names
        return fields.one_of(self.source, tree, verb, sorted(names.sessions | set(names.fleets)))

    def _container(self, tree: Tree, verb: str) -> str | None:
        found = fields.text(self.source, tree, verb)
        if found is None:
            return None
        names = self.cast.names
        indexed = _INDEXED.match(found)
        if indexed and indexed[2] == "member" and names.each.get(indexed[1]) == self.owner:
            return found
        if indexed and (self.owner, indexed[1]) in self.cast.lists:
            return found
        if found in names.containers and found not in names.each:
            return found
        known = [name for name in names.containers if name not in names.each]
        known += [f"{name}[member]" for name, fleet in names.each.items() if fleet == self.owner]
        known += [f"{saved}[0]" for owner, saved in self.cast.lists if owner == self.owner]
        self.cast.fault(tree.mark, f'unknown container "{found}"', near_name(found, known))
        return None

    def _update(self, tree: Tree) -> tuple[str | None, dict[str, Any]]:
        if not isinstance(tree, Mapping) or "container" not in tree.items:
            self.cast.fault(tree.mark, "update wants {container: c1, state: Running} or other attributes")
            return None, {}
        attributes = {key: self._attribute(value) for key, value in tree.items.items() if key != "container"}
        if not attributes:
            self.cast.fault(tree.mark, "update changes nothing; name an attribute, such as state")
        state = attributes.get("state", "Queued")
        if state not in STATES and self._expect() != ("refused",):
            near = near_name(state, STATES) if isinstance(state, str) else None
            self.cast.fault(
                tree.items["state"].mark,
                f'no state is called "{state}" (to send it all the same, expect: refused)',
                near,
            )
        return self._container(tree.items["container"], "container"), attributes

    def _attribute(self, tree: Tree) -> Any:
        value = fields.plain(tree)
        match = _UUID_OF.match(value) if isinstance(value, str) else None
        if not match:
            return value
        known = sorted(self.cast.names.sessions | self.cast.names.containers)
        if match[1] not in known:
            self.cast.fault(
                tree.mark, f'uuid of what? no session or container is "{match[1]}"', near_name(match[1], known)
            )
        return UuidOf(match[1])

    def _filters(self, tree: Tree) -> dict[str, Any]:
        form = Form(self.source, tree, "list", FILTERS)
        found: dict[str, Any] = {}
        if form.get("locked_by") is not None:
            found["locked_by"] = fields.one_of(self.source, form.get("locked_by"), "locked_by", ("me",))
        if states := fields.one_or_more(form.get("state")):
            found["state"] = tuple(fields.one_of(self.source, one, "a state", STATES) for one in states)
        if uuids := fields.one_or_more(form.get("uuid")):
            found["uuid"] = tuple(self._container(one, "uuid") for one in uuids)
        if form.get("priority") is not None:
            found["priority"] = fields.whole(self.source, form.get("priority"), "priority", 0, 1_000_000)
        return found

    def _saved_token(self, key: str) -> str | None:
        found = fields.text(self.source, self.form.get(key), key)
        if found is None:
            return None
        match = _SAVED.match(found)
        tokens = {pair for pair in self.cast.names.saved if pair not in self.cast.lists}
        if match and (match[1], match[2]) in tokens:
            return found
        known = [f"{owner}.{saved}" for owner, saved in tokens]
        self.cast.fault(self.form.tree.items[key].mark, f'no step saves a token as "{found}"', near_name(found, known))
        return None

    def _expect(self) -> tuple[str | int, ...]:
        found: list[str | int] = []
        for tree in fields.one_or_more(self.form.get("expect")):
            value = tree.value if isinstance(tree, Leaf) else None
            if isinstance(value, int) and not isinstance(value, bool):
                if self.cast.level == "must":
                    self.cast.fault(tree.mark, "at level must an outcome is a word, not a status: granted, refused ...")
                elif not 100 <= value <= 599:
                    self.cast.fault(tree.mark, f"{value} is no HTTP status")
                found.append(value)
            elif (word := fields.one_of(self.source, tree, "expect", OUTCOMES)) is not None:
                found.append(word)
        return tuple(found)

    def _others(self, key: str) -> tuple[str, ...]:
        """Step ids of other sessions, not of fleets: a barrier says when a crowd has come so far."""
        found = []
        known = self.cast.names.steps
        for tree in fields.one_or_more(self.form.get(key)):
            step = fields.text(self.source, tree, key)
            if step in known:
                found.append(step)
            elif step is not None:
                self.cast.fault(tree.mark, f'unknown step "{step}"', near_name(step, known))
        return tuple(found)

    def _fault(self) -> Fault | None:
        tree = self.form.get("fault")
        if tree is None:
            return None
        form = Form(self.source, tree, "fault", (*FAULTS, "until"))
        kinds = [key for key in FAULTS if key in form.tree.items]
        if len(kinds) != 1:
            self.cast.fault(tree.mark, f"a fault is one of {fields.listed(FAULTS)}")
        if ("until" in form.tree.items) != ("hold" in form.tree.items):
            self.cast.fault(tree.mark, "hold and until belong together: {hold: reply, until: b_lock}")
        until = form.get("until")
        if isinstance(until, Leaf) and until.value not in self.cast.names.steps:
            near = near_name(str(until.value), self.cast.names.steps)
            self.cast.fault(until.mark, f'unknown step "{until.value}"', near)
        parts = ("request", "reply")
        return Fault(
            lose=cast("Any", fields.one_of(self.source, form.get("lose"), "lose", parts)),
            reset=fields.one_of(self.source, form.get("reset"), "reset", ("connection",)) is not None,
            hang=fields.one_of(self.source, form.get("hang"), "hang", ("connection",)) is not None,
            hold=cast("Any", fields.one_of(self.source, form.get("hold"), "hold", parts)),
            until=fields.text(self.source, until, "until"),
            delay_ms=fields.length_ms(self.source, form.get("delay"), "delay"),
        )

    def _retry(self) -> Retry | None:
        tree = self.form.get("retry")
        if tree is None:
            return None
        form = Form(self.source, tree, "retry", ("times", "if"))
        times = fields.whole(self.source, form.need("times"), "times", 1, MAX_RETRIES)
        words = [fields.one_of(self.source, one, "if", OUTCOMES) for one in fields.one_or_more(form.need("if"))]
        return Retry(times or 1, frozenset(word for word in words if word is not None))


def saved_lists(outlines: Iterable[tuple[str, list[Outline]]]) -> frozenset[tuple[str, str]]:
    """The saved names that hold containers, not tokens."""
    return frozenset(
        (owner, step.save) for owner, steps in outlines for step in steps if step.verb == "list" and step.save
    )
