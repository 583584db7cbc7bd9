"""A race told in sessions, which have orders: each member of a fleet becomes one, and clauses speak of each by name.

fleets:   {D: {count: 2, steps: [{id: lock, ...}]}}     count(D.lock.granted) == 1
sessions: {D1: [{id: d1_lock, ...}], D2: [...]}         count(d1_lock.granted, d2_lock.granted) == 1
"""

import ast
import copy
from dataclasses import dataclass
from typing import Any

import yaml

from harness.explore.cut import CLAUSE_KINDS, Document
from harness.explore.document import scenario_text
from harness.scenario import Scenario, ScenarioError
from harness.scenario.loader import load_text

_LIMIT = 100_000  # of the schedule that takes the race's place; a search has limits of its own
_OWN = "[member]"


MOST = 50
"""A scenario has at most so many sessions."""


class CannotUnrollError(Exception):
    """A scenario that cannot be told in sessions; the text says why."""


def told_in_sessions(scenario: Scenario) -> Scenario:
    """The instance with its parameters filled in, a session for each member of a fleet, and every order for a race.

    Raises CannotUnrollError.
    """
    document: Document = _filled(yaml.safe_load(scenario.text), scenario.parameters)
    document.pop("parameters", None)
    crowd = len(scenario.sessions) + sum(fleet.count for fleet in scenario.fleets)
    if crowd > MOST:
        raise CannotUnrollError(
            f"{scenario.name} has {crowd:,} dispatchers, and a search over orders follows {MOST} at most: "
            "give its fleets a smaller count"
        )
    fleets = [_Fleet.of(name, fleet, document) for name, fleet in document.pop("fleets", {}).items()]
    sessions = dict(document.pop("sessions", {}))
    for fleet in fleets:
        _hand_out(fleet, document["given"])
        sessions |= {fleet.members[number]: fleet.program(number) for number in range(fleet.count)}
    outcome = document.get("outcome", {})
    for kind in CLAUSE_KINDS:
        for name, clause in outcome.get(kind, {}).items():
            if isinstance(clause, dict):
                clause["that"] = _told(clause["that"], fleets)
            else:
                outcome[kind][name] = _told(clause, fleets)
    outcome["show"] = [_told(one, fleets) for one in outcome.get("show", [])]
    if "only_when" in document.get("known_race", {}):
        document["known_race"]["only_when"] = _told(document["known_race"]["only_when"], fleets)
    document |= {"sessions": sessions, "outcome": outcome}
    if scenario.schedule.kind == "race":
        document["schedule"] = {"every": {"limit": _LIMIT}}
    text = scenario_text({key: document[key] for key in sorted(document, key=_place)})
    try:
        (one,) = load_text(text, scenario.path)
    except ScenarioError as error:
        raise CannotUnrollError(f"{scenario.name} cannot be told in sessions: {error}") from None
    return one


_PLACES = (
    *("format", "scenario", "summary", "level", "requires", "see", "tags", "given"),
    *("sessions", "nemesis", "schedule"),
)


def _place(key: str) -> int:
    return _PLACES.index(key) if key in _PLACES else len(_PLACES)


def _filled(value: Any, parameters: dict[str, Any]) -> Any:
    """A document with its parameters filled in."""
    if isinstance(value, dict):
        return {key: _filled(one, parameters) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, parameters) for one in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}"):
        return parameters.get(value[2:-1], value)
    return value


def _hand_out(fleet: "_Fleet", given: dict[str, Any]) -> None:
    """A container for each member in place of one that each has for itself; and the fleet's token for each member."""
    for name in fleet.own:
        state = given["containers"].pop(name, None)
        if state is not None:
            given["containers"] |= {f"{name}{number + 1}": copy.deepcopy(state) for number in range(fleet.count)}
    token = given["tokens"].pop(fleet.name)
    given["tokens"] |= dict.fromkeys(fleet.members, token)


@dataclass(frozen=True)
class _Fleet:
    name: str
    steps: tuple[dict[str, Any], ...]
    members: tuple[str, ...]  # names of the sessions that its members become
    own: frozenset[str]  # containers that each member has for itself

    @classmethod
    def of(cls, name: str, fleet: dict[str, Any], document: Document) -> "_Fleet":
        taken = {*document.get("sessions", {}), *document.get("fleets", {})}
        between = "_" if any(f"{name}{number + 1}" in taken for number in range(fleet["count"])) else ""
        members = tuple(f"{name}{between}{number + 1}" for number in range(fleet["count"]))
        return cls(name, tuple(fleet["steps"]), members, frozenset(_own_containers(fleet["steps"])))

    @property
    def count(self) -> int:
        return len(self.members)

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(step["id"] for step in self.steps if "id" in step)

    def step(self, number: int, name: str) -> str:
        """A step of one member by its name in the whole scenario."""
        return f"{self.members[number].lower()}_{name}"

    def program(self, number: int) -> list[dict[str, Any]]:
        """The steps of one member."""
        return [self._step(number, step) for step in self.steps]

    def _step(self, number: int, step: dict[str, Any]) -> dict[str, Any]:
        mine: dict[str, Any] = {key: self._value(number, key, value) for key, value in step.items()}
        if "when" in mine:
            mine["when"] = ast.unparse(_Member(self, number, within=True).visit(_parsed(step["when"])))
        return mine

    def _value(self, number: int, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._value(number, name, one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._value(number, key, one) for one in value]
        if not isinstance(value, str):
            return value
        if value.endswith(_OWN):
            return f"{value.removesuffix(_OWN)}{number + 1}"
        if key in {"id", "until", "after", "before"} and value in self.ids:
            return self.step(number, value)
        owner, dot, saved = value.partition(".")
        return f"{self.members[number]}.{saved}" if dot and owner == self.name else value


def _own_containers(value: Any) -> set[str]:
    """Names of containers that each member has for itself, as steps name them."""
    if isinstance(value, dict):
        return set().union(*(_own_containers(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(_own_containers(one) for one in value))
    return {value.removesuffix(_OWN)} if isinstance(value, str) and value.endswith(_OWN) else set()


def _told(expression: str, fleets: list[_Fleet]) -> str:
    """An expression that speaks of members by name, where it spoke of a fleet."""
    return ast.unparse(_Counts(fleets).visit(_parsed(expression))) if fleets else expression


def _parsed(expression: str) -> ast.expr:
    return ast.parse(str(expression).strip(), mode="eval").body  # the strict reader has read it before


class _Counts(ast.NodeTransformer):
    """Gives `count` an argument for each member where one spoke of a fleet."""

    def __init__(self, fleets: list[_Fleet]) -> None:
        self._fleets = {fleet.name: fleet for fleet in fleets}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not (isinstance(node.func, ast.Name) and node.func.id == "count"):
            return self.generic_visit(node)
        node.args = [one for argument in node.args for one in self._of_each(argument)]
        return node

    def _of_each(self, argument: ast.expr) -> list[ast.expr]:
        names = {one.id for one in ast.walk(argument) if isinstance(one, ast.Name)}
        fleet = next((self._fleets[name] for name in names if name in self._fleets), None)
        if fleet is None:
            return [argument]
        return [_Member(fleet, number).visit(copy.deepcopy(argument)) for number in range(fleet.count)]


class _Member(ast.NodeTransformer):
    """Replaces a fleet by one of its members; `within` a step of the fleet, its steps stand without its name."""

    def __init__(self, fleet: _Fleet, number: int, within: bool = False) -> None:
        self._fleet, self._number, self._within = fleet, number, within

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == self._fleet.name and node.attr in self._fleet.ids:
            return ast.Name(self._fleet.step(self._number, node.attr))
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == self._fleet.name:
            return ast.Name(self._fleet.members[self._number])
        if self._within and node.id in self._fleet.ids:
            return ast.Name(self._fleet.step(self._number, node.id))
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if isinstance(node.value, ast.Name) and ast.unparse(node.slice) == "member":
            return ast.Name(f"{node.value.id}{self._number + 1}")
        return self.generic_visit(node)
