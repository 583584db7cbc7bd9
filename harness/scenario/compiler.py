"""From an expression's text to closures, by way of Python's own parser and a short list of what may stand there.

Nothing is ever evaluated as Python. Each syntax node that the list names becomes a closure over plain names; any other
is an error that says what may stand instead. Every piece knows its kind, so that a sentence without sense (`a_lock and
c1`) is found when the file is read. A piece that speaks of a fleet stays open until `count` closes it over the members.
"""

import ast
import operator
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from harness.contract import OUTCOMES, STATES
from harness.scenario.diagnostics import near_name
from harness.scenario.expressions import (
    FUNCTIONS,
    STEP_WORDS,
    Expression,
    ExpressionError,
    Names,
    World,
)

MAX_LENGTH = 2_000
MAX_DEPTH = 30

Code = Callable[[World, str | None], Any]
Kind = Literal["condition", "number", "text", "state", "value", "token", "holders", "none", "list"]


class Piece(NamedTuple):
    """A part of an expression: what kind of thing it is, of which fleet's member it speaks, and its closure."""

    kind: Kind
    fleet: str | None
    code: Code


class Reference(NamedTuple):
    """A session, step or container as an argument: its full name, given the member where it is a fleet's."""

    name: str
    fleet: str | None
    resolve: Callable[[str | None], str]


_WORDS: dict[str, tuple[Kind, Any]] = {
    "none": ("none", None),
    "true": ("condition", True),
    "false": ("condition", False),
}

_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def parse_expression(text: str, names: Names, condition: bool = True) -> Expression:
    """The expression that `text` spells, checked against `names`; with `condition` it must be true or false.

    Raises ExpressionError.
    """
    tree = _syntax(text)
    compiler = _Compiler(text, names)
    try:
        piece = compiler.piece(tree, 0)
    except RecursionError:  # told by Python while it spells a hostile node in an error
        raise ExpressionError("is nested too deeply") from None
    if condition:
        compiler.want_condition(piece, tree)
    if piece.fleet is not None and piece.fleet != names.fleet:
        raise ExpressionError(f"{piece.fleet} is a fleet; say of how many with count(...)")
    return Expression(
        text,
        names,
        frozenset(compiler.steps),
        frozenset(compiler.containers),
        frozenset(compiler.tokens),
        frozenset(compiler.beliefs),
        piece.code,
    )


def _syntax(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"is longer than {MAX_LENGTH:,} characters")
    if not text.strip():
        raise ExpressionError("is empty")
    for odd in "\\\0#":
        if odd in text:
            raise ExpressionError(f"the character {odd!r} has no meaning here", text.index(odd))
    flat = " ".join(text.split("\n"))
    indent = len(flat) - len(flat.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return ast.parse(flat[indent:], mode="eval").body
    except SyntaxError as error:
        offset = min(error.offset - 1 + indent, len(text)) if error.offset else len(text)
        raise ExpressionError(f"cannot be read: {error.msg}", offset) from None
    except (ValueError, MemoryError, RecursionError, Warning):
        raise ExpressionError("cannot be read") from None


@dataclass
class _Compiler:
    """Compiles one expression and notes what it asks."""

    text: str
    names: Names
    steps: set[str] = field(default_factory=set)
    containers: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=set)
    beliefs: set[tuple[str, str]] = field(default_factory=set)

    def error(self, node: ast.AST, message: str, near: str | None = None) -> ExpressionError:
        """The error at a node's place."""
        flat = self.text.replace("\n", " ")
        indent = len(flat) - len(flat.lstrip())
        before = flat[indent:].encode()[: getattr(node, "col_offset", 0)]
        return ExpressionError(message, indent + len(before.decode(errors="ignore")), near)

    def piece(self, node: ast.expr, depth: int) -> Piece:
        """Compile one syntax node."""
        if depth > MAX_DEPTH:
            raise self.error(node, f"nested deeper than {MAX_DEPTH} levels")
        match node:
            case ast.BoolOp():
                return self._together(node, depth)
            case ast.UnaryOp(op=ast.Not()):
                inner = self.condition(node.operand, depth)
                return Piece("condition", inner.fleet, lambda world, member: not inner.code(world, member))
            case ast.Compare():
                return self._comparison(node, depth)
            case ast.Call():
                return self._call(node, depth)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Name() if node.id in _WORDS:
                kind, constant = _WORDS[node.id]
                return Piece(kind, None, lambda *_: constant)
            case ast.Name():
                raise self._bare_name(node)
            case ast.Constant(value=str() | int()) if not isinstance(node.value, bool):
                value = node.value
                return Piece("text" if isinstance(value, str) else "number", None, lambda *_: value)
        raise self.error(node, f"{_spelled(node)} may not stand in an expression")

    def condition(self, node: ast.expr, depth: int) -> Piece:
        """Compile a node that must be true or false."""
        piece = self.piece(node, depth + 1)
        self.want_condition(piece, node)
        return piece

    def want_condition(self, piece: Piece, node: ast.expr) -> None:
        """Raise unless the piece is true or false."""
        if piece.kind != "condition":
            raise self.error(node, f"this is a {piece.kind}, not true or false; compare it with something")

    def _together(self, node: ast.BoolOp, depth: int) -> Piece:
        parts = [self.condition(value, depth) for value in node.values]
        fleet = self._one_fleet(node, (part.fleet for part in parts))
        codes = [part.code for part in parts]
        if isinstance(node.op, ast.And):
            return Piece("condition", fleet, lambda world, member: all(code(world, member) for code in codes))
        return Piece("condition", fleet, lambda world, member: any(code(world, member) for code in codes))

    def _one_fleet(self, node: ast.AST, fleets: Iterable[str | None]) -> str | None:
        named = {fleet for fleet in fleets if fleet is not None}
        if len(named) > 1:
            raise self.error(node, f"speaks of the members of {' and '.join(sorted(named))} at once; count each alone")
        return next(iter(named), None)

    def _comparison(self, node: ast.Compare, depth: int) -> Piece:
        if len(node.ops) > 1:
            raise self.error(node, "compare two things at a time, and join comparisons with `and`")
        kind, right_node = type(node.ops[0]), node.comparators[0]
        left = self.piece(node.left, depth + 1)
        if kind in (ast.In, ast.NotIn):
            return self._membership(left, right_node, kind is ast.NotIn)
        right = self.piece(right_node, depth + 1)
        for one in (left, right):
            if one.kind == "holders":
                raise self.error(node, "holders(...) are several; compare count(holders(...))")
        self._check_states(left, right_node)
        self._check_states(right, node.left)
        fleet = self._one_fleet(node, (left.fleet, right.fleet))
        return Piece("condition", fleet, self._compared(node, kind, left, right))

    def _compared(self, node: ast.Compare, kind: type[ast.cmpop], left: Piece, right: Piece) -> Code:
        tokens = (left.kind == "token") + (right.kind == "token")
        if tokens == 1 and "none" not in (left.kind, right.kind):
            raise self.error(node, "a saved token can be compared only with another one, or with none")
        if kind in _ORDERS:
            if tokens or {"none", "condition", "text", "state"} & {left.kind, right.kind}:
                raise self.error(node, "only numbers have an order")
            return _ordered(_ORDERS[kind], left.code, right.code)
        if kind not in (ast.Eq, ast.NotEq):
            raise self.error(node, "compare with == != < <= > >= in")
        same = _same_token if tokens == 2 else operator.eq
        wanted = kind is ast.Eq
        get_left, get_right = left.code, right.code
        return lambda world, member: bool(same(get_left(world, member), get_right(world, member))) is wanted

    def _membership(self, left: Piece, node: ast.expr, negated: bool) -> Piece:
        if not isinstance(node, ast.List) or not node.elts:
            raise self.error(node, '`in` wants a list, as in ["Locked", "Running"]')
        choices = []
        for element in node.elts:
            if not isinstance(element, ast.Constant) or type(element.value) not in (str, int):
                raise self.error(element, "a list holds texts or numbers")
            self._check_states(left, element)
            choices.append(element.value)
        if left.kind in ("token", "holders", "condition", "none"):
            raise self.error(node, f"a {left.kind} is not in a list of texts or numbers")
        get_left = left.code
        return Piece("condition", left.fleet, lambda world, member: (get_left(world, member) in choices) is not negated)

    def _check_states(self, piece: Piece, node: ast.expr) -> None:
        if piece.kind != "state" or not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return
        if node.value not in STATES:
            raise self.error(node, f'no state is called "{node.value}"', near_name(node.value, STATES))

    def _attribute(self, node: ast.Attribute) -> Piece:
        if isinstance(node.value, ast.Attribute) and isinstance(node.value.value, ast.Name):
            return self._fleet_step(node, node.value.value, node.value.attr)
        if not isinstance(node.value, ast.Name):
            raise self.error(node, "write step.word, or session.saved")
        owner = node.value.id
        if owner in self.names.sessions or owner in self.names.fleets:
            return self._saved(node, owner)
        step = self.step(node.value)
        return self._step_word(node, step)

    def _fleet_step(self, node: ast.Attribute, owner: ast.Name, step: str) -> Piece:
        if owner.id not in self.names.fleets:
            raise self.error(owner, f'unknown fleet "{owner.id}"', near_name(owner.id, self.names.fleets))
        return self._step_word(node, self._step_of_fleet(owner, owner.id, step))

    def _step_of_fleet(self, node: ast.AST, fleet: str, step: str) -> Reference:
        known = self.names.fleets[fleet]
        if step not in known:
            raise self.error(node, f'fleet {fleet} has no step "{step}"', near_name(step, known))
        self.steps.add(f"{fleet}.{step}")
        return Reference(f"{fleet}.{step}", fleet, lambda member: f"{member}.{step}")

    def _step_word(self, node: ast.Attribute, step: Reference) -> Piece:
        word = node.attr
        if word not in STEP_WORDS:
            raise self.error(node, f'nothing of a step is called "{word}"', near_name(word, STEP_WORDS))
        resolve = step.resolve
        if word in OUTCOMES:
            return Piece("condition", step.fleet, lambda world, member: world.outcome(resolve(member)) == word)
        if word == "status":
            return Piece("number", step.fleet, lambda world, member: world.status(resolve(member)))
        kind: Kind = "state" if word == "state" else "value"
        return Piece(kind, step.fleet, lambda world, member: world.field(resolve(member), word))

    def _saved(self, node: ast.Attribute, owner: str) -> Piece:
        known = [name for session, name in self.names.saved if session == owner]
        if node.attr not in known:
            raise self.error(node, f'no step of {owner} saves "{node.attr}"', near_name(node.attr, known))
        name = node.attr
        if owner in self.names.fleets:
            return Piece("token", owner, lambda world, member: world.saved(str(member), name))
        return Piece("token", None, lambda world, _member: world.saved(owner, name))

    def _bare_name(self, node: ast.Name) -> ExpressionError:
        names = self.names
        if node.id in names.steps or node.id in names.fleets.get(names.fleet or "", ()):
            return self.error(node, f"{node.id} is a step; ask for {node.id}.granted, .refused, .status ...")
        if node.id in names.sessions or node.id in names.fleets:
            return self.error(node, f"{node.id} is a dispatcher; ask for believes({node.id}, ...) or what it saved")
        if node.id in names.containers:
            return self.error(node, f"{node.id} is a container; ask for state({node.id})")
        known = [*FUNCTIONS, *_WORDS, *names.steps, *names.sessions, *names.fleets, *names.containers]
        return self.error(node, f'unknown name "{node.id}"', near_name(node.id, known))

    def _call(self, node: ast.Call, depth: int) -> Piece:
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        if function not in FUNCTIONS:
            raise self.error(node, f'unknown function "{_spelled(node.func)}"', near_name(function, FUNCTIONS))
        if node.keywords:
            raise self.error(node, f"{function}(...) takes no named arguments")
        if function == "count":
            return self._count(node, depth)
        wanted = FUNCTIONS[function]
        if len(node.args) != len(wanted):
            raise self.error(node, f"{function} is given {' and '.join(wanted)}, as in {_example(function)}")
        if function == "live":
            return self._live(node.args[0], depth)
        given = [getattr(self, kind)(argument) for kind, argument in zip(wanted, node.args, strict=True)]
        return self._asked(node, function, given)

    def _asked(self, node: ast.Call, function: str, given: list[Reference]) -> Piece:
        fleet = self._one_fleet(node, (one.fleet for one in given))
        first = given[0].resolve
        match function:
            case "believes":
                self.beliefs.add((given[0].name, given[1].name))
                second = given[1].resolve
                return Piece("condition", fleet, lambda world, who: world.believes(first(who), second(who)))
            case "lists":
                second = given[1].resolve
                return Piece("condition", fleet, lambda world, who: world.lists(first(who), second(who)))
            case "state":
                self.containers.add(given[0].name)
                return Piece("state", fleet, lambda world, who: world.state(first(who)))
            case "holders":
                return Piece("holders", fleet, lambda world, who: world.holders(first(who)))
            case "uuid":
                return Piece("value", fleet, lambda world, who: world.session_token_uuid(first(who)))
        assert function == "overlapping"
        return Piece("number", fleet, lambda world, who: world.overlapping(first(who)))

    def _live(self, node: ast.expr, depth: int) -> Piece:
        piece = self.piece(node, depth + 1)
        if piece.kind != "token":
            raise self.error(node, "live is given a saved token, as in live(A.token)")
        self.tokens.add(ast.unparse(node))
        code = piece.code
        return Piece("condition", piece.fleet, lambda world, member: world.live(code(world, member)))

    def _count(self, node: ast.Call, depth: int) -> Piece:
        if not node.args:
            raise self.error(node, "count what? as in count(D.lock.granted)")
        counters = [self._counter(argument, depth) for argument in node.args]
        fleet = self._one_fleet(node, (fleet for fleet, _ in counters))
        codes = [code for _, code in counters]
        return Piece("number", fleet, lambda world, member: sum(code(world, member) for code in codes))

    def _counter(self, node: ast.expr, depth: int) -> tuple[str | None, Code]:
        piece = self.piece(node, depth + 1)
        code, fleet = piece.code, piece.fleet
        if piece.kind == "holders":
            return fleet, lambda world, member: len(code(world, member))
        if piece.kind != "condition":
            raise self.error(node, f"count is given what is true or false, and this is a {piece.kind}")
        if fleet is None or fleet == self.names.fleet:
            return fleet, lambda world, member: bool(code(world, member))
        return None, lambda world, _: sum(bool(code(world, one)) for one in world.members(fleet))

    def session(self, node: ast.expr) -> Reference:
        """A session or fleet as an argument."""
        if isinstance(node, ast.Name) and node.id in self.names.sessions:
            name = node.id
            return Reference(name, None, lambda _: name)
        if isinstance(node, ast.Name) and node.id in self.names.fleets:
            return Reference(node.id, node.id, str)
        known = [*self.names.sessions, *self.names.fleets]
        raise self.error(node, f'unknown session "{_spelled(node)}"', near_name(_spelled(node), known))

    def container(self, node: ast.expr) -> Reference:
        """A container as an argument: c1, or c[member]."""
        names = self.names
        if isinstance(node, ast.Name) and node.id in names.containers:
            if node.id in names.each:
                raise self.error(node, f"every member has its own {node.id}; write {node.id}[member]")
            name = node.id
            return Reference(name, None, lambda _: name)
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Name(id="member")) if name in names.each:
                return Reference(f"{name}[member]", names.each[name], lambda who: own_container(name, str(who)))
        known = [name for name in names.containers if name not in names.each] + [
            f"{name}[member]" for name in names.each
        ]
        raise self.error(node, f'unknown container "{_spelled(node)}"', near_name(_spelled(node), known))

    def step(self, node: ast.expr) -> Reference:
        """A step as an argument: a_lock, or D.lock of a fleet."""
        names = self.names
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names.fleets:
            return self._step_of_fleet(node, node.value.id, node.attr)
        if isinstance(node, ast.Name):
            name = node.id
            if names.fleet is not None and name in names.fleets[names.fleet]:
                return self._step_of_fleet(node, names.fleet, name)
            if name in names.steps:
                self.steps.add(name)
                return Reference(name, None, lambda _: name)
        own = names.fleets.get(names.fleet or "", frozenset())
        near = near_name(_spelled(node), [*names.steps, *own])
        raise self.error(node, f'unknown step "{_spelled(node)}"', near)


def own_container(name: str, member: str) -> str:
    """The container of its own that a fleet's member has: c of D[3] is "c[3]"."""
    return name + member[member.index("[") :]


def _ordered(compare: Callable[[Any, Any], bool], get_left: Code, get_right: Code) -> Code:
    def code(world: World, member: str | None) -> bool:
        left, right = get_left(world, member), get_right(world, member)
        return isinstance(left, int) and isinstance(right, int) and compare(left, right)

    return code


def _same_token(left: Any, right: Any) -> bool:
    return left is not None and right is not None and bool(left == right)


def _spelled(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else text[:37] + "..."


def _example(function: str) -> str:
    shown = {"session": "A", "container": "c1", "step": "a_lock", "token": "A.token"}
    return f"{function}({', '.join(shown[kind] for kind in FUNCTIONS[function])})"
