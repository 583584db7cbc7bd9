"""From YAML text to a tree of values that know where they stand. Strict: one way to write each thing.

The tree is built from parser events, not by a YAML constructor: aliases, tags and merge keys are refused as they come,
so a file cannot unfold to more than it holds, and depth and size have limits. Plain scalars are read by rules of our
own, because YAML 1.1 takes `on` for true and `1:30` for 90.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from harness.scenario.diagnostics import Diagnostic, ScenarioError, printable
from harness.scenario.marks import START, Mark

MAX_BYTES = 1_000_000
MAX_DEPTH = 12
MAX_NODES = 50_000

Scalar = str | int | float | bool | None

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,8})\.[0-9]{1,9}\Z")
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None}
_BOOLEAN_TRAP = re.compile(r"(yes|no|on|off|true|false)\Z", re.IGNORECASE)
_NULL_TRAP = re.compile(r"null\Z", re.IGNORECASE)
_NUMBER_TRAP = re.compile(r"[-+]?(\.?[0-9][0-9_]*[0-9_.:eExXoOa-fA-F+-]*|\.(inf|nan))\Z", re.IGNORECASE)
_LENGTH = re.compile(r"[0-9]+(ms|s)\Z")


@dataclass(frozen=True)
class Leaf:
    """A scalar. `value` is what it means; `offset` is how far its first character stands from its mark."""

    value: Scalar
    mark: Mark
    offset: int = 0
    one_line: bool = True


@dataclass(frozen=True)
class Sequence:
    """A list."""

    items: list["Tree"]
    mark: Mark


@dataclass(frozen=True)
class Mapping:
    """A map with its keys' own marks; keys are strings and unique."""

    items: dict[str, "Tree"]
    marks: dict[str, Mark]
    mark: Mark


Tree = Leaf | Sequence | Mapping


@dataclass
class Source:
    """A scenario file's text, and the faults found in it so far."""

    path: Path
    text: str
    faults: list[Diagnostic] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = self.text.splitlines()

    def fault(self, mark: Mark, message: str, near: str | None = None) -> None:
        """Note a fault; the same one at the same place is noted once."""
        line = self._lines[mark.line - 1] if 0 < mark.line <= len(self._lines) else ""
        found = Diagnostic(self.path, mark, printable(message), near, line)
        if found not in self.faults:
            self.faults.append(found)

    def raise_faults(self) -> None:
        """Raise ScenarioError with all faults, if there are any."""
        if self.faults:
            raise ScenarioError(self.faults)


def read_source(path: Path) -> Source:
    """The file's text. Raises ScenarioError where it cannot be read, is too large, or is not UTF-8."""
    nothing = Source(path, "")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8")
    except OSError as error:
        nothing.fault(START, f"cannot be read: {error.strerror or error}")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        nothing.fault(Mark(line, 1), "is not UTF-8 text")
    else:
        if len(data) <= MAX_BYTES:
            return Source(path, text)
        nothing.fault(START, f"is larger than {MAX_BYTES:,} bytes")
    raise ScenarioError(nothing.faults)


def read_tree(source: Source) -> Tree:
    """The tree of the source's one document.

    Faults that leave a readable tree are noted in `source`; raises ScenarioError, with those too, where none is left.
    """
    builder = _Builder(source)
    try:
        for event in yaml.parse(source.text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        source.fault(_mark(place), f"is not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:  # characters that YAML does not allow
        source.fault(START, f"is not YAML: {str(error).splitlines()[0]}")
    except _GiveUpError:
        pass
    if builder.root is None or builder.broken:
        if not source.faults:
            source.fault(START, "is empty; a scenario file begins with `format: 1`")
        source.raise_faults()
    assert builder.root is not None
    return builder.root


class _GiveUpError(Exception):
    """The rest of the file is not worth reading; the fault is noted already."""


class _Builder:
    """Builds the tree from parser events with a stack of open collections, never by recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Tree | None = None
        self.broken = True  # until the document has ended
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Add one event to the tree."""
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._give_up(mark, "a second document; a file holds one scenario")
        elif isinstance(event, yaml.DocumentEndEvent):
            self.broken = False
        elif isinstance(event, yaml.AliasEvent):
            self._give_up(mark, "aliases (*name) are not part of the format; write it out")
        elif isinstance(event, yaml.NodeEvent):
            self._node(event, mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._put(self._open.pop().finish())

    def _node(self, event: yaml.NodeEvent, mark: Mark) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._give_up(mark, f"more than {MAX_NODES:,} values")
        if event.anchor is not None:
            self.source.fault(mark, "anchors (&name) are not part of the format")
        if getattr(event, "tag", None) not in (None, "!"):
            self.source.fault(mark, "tags (!name) are not part of the format")
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._leaf(event, mark))
            return
        if len(self._open) >= MAX_DEPTH:
            self._give_up(mark, f"nested deeper than {MAX_DEPTH} levels")
        flow = bool(getattr(event, "flow_style", False))
        kind = _OpenMapping if isinstance(event, yaml.MappingStartEvent) else _OpenSequence
        self._open.append(kind(self.source, mark, flow))

    def _put(self, tree: Tree) -> None:
        if self._open:
            self._open[-1].put(tree)
        else:
            self.root = tree

    def _leaf(self, event: yaml.ScalarEvent, mark: Mark) -> Leaf:
        one_line = mark.line == _mark(event.end_mark).line
        if event.style in (None, ""):
            return Leaf(_plain(self.source, event.value, mark), mark, 0, one_line)
        return Leaf(event.value, mark, 1, one_line and event.style in ("'", '"'))

    def _give_up(self, mark: Mark, message: str) -> None:
        self.source.fault(mark, message)
        raise _GiveUpError


class _Open:
    """A collection whose end has not come yet."""

    def __init__(self, source: Source, mark: Mark, flow: bool) -> None:
        self.source = source
        self.mark = mark
        self.flow = flow

    def put(self, tree: Tree) -> None:
        raise NotImplementedError

    def finish(self) -> Tree:
        raise NotImplementedError


class _OpenSequence(_Open):
    def __init__(self, source: Source, mark: Mark, flow: bool) -> None:
        super().__init__(source, mark, flow)
        self.items: list[Tree] = []

    def put(self, tree: Tree) -> None:
        if isinstance(tree, Leaf) and tree.value is EMPTY:
            self.source.fault(tree.mark, "an empty list entry")
        elif self.flow and self.items and _open_call(self.items[-1]):
            self.source.fault(self.items.pop().mark, _COMMA)
        else:
            self.items.append(tree)

    def finish(self) -> Sequence:
        return Sequence(self.items, self.mark)


class _OpenMapping(_Open):
    def __init__(self, source: Source, mark: Mark, flow: bool) -> None:
        super().__init__(source, mark, flow)
        self.items: dict[str, Tree] = {}
        self.marks: dict[str, Mark] = {}
        self._key: Tree | None = None
        self._last: Tree | None = None  # the value before, for the comma hint

    def put(self, tree: Tree) -> None:
        if self._key is None:
            self._key = tree
            return
        key, self._key = self._key, None
        if isinstance(tree, Leaf) and tree.value is EMPTY:
            self._no_value(key)
            return
        name = self._name(key)
        if name is not None:
            self.items[name] = tree
            self.marks[name] = key.mark
            self._last = tree

    def _no_value(self, key: Tree) -> None:
        before = self._last
        if self.flow and before is not None and _open_call(before):
            self.source.fault(before.mark, _COMMA)
        else:
            self.source.fault(key.mark, f"{_spelling(key)} has no value")

    def _name(self, key: Tree) -> str | None:
        if not isinstance(key, Leaf):
            self.source.fault(key.mark, "a key must be a name, not a collection")
            return None
        if key.value is EMPTY:
            self.source.fault(key.mark, "a value without a key")
            return None
        if isinstance(key.value, str):
            if key.value == "<<":
                self.source.fault(key.mark, "merge keys (<<) are not part of the format")
            elif key.value in self.items:
                self.source.fault(key.mark, f'the key "{key.value}" stands here twice')
            else:
                return key.value
            return None
        self.source.fault(key.mark, f"a key must be a name; put quotes around {key.value}")
        return None

    def finish(self) -> Mapping:
        return Mapping(self.items, self.marks, self.mark)


_COMMA = "an unquoted comma in a call ends the value here; put quotes around the value"

EMPTY = "\0empty"
"""What a plain scalar without a character reads as; told from a quoted text by identity."""


def _plain(source: Source, text: str, mark: Mark) -> Scalar:
    """A plain scalar's meaning; traps of YAML 1.1 are faults and read as the text that was written."""
    if text == "":
        return EMPTY
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text):
        return float(text)
    if _BOOLEAN_TRAP.match(text):
        source.fault(mark, f"{text} may mean true or false; write true or false, or put quotes around it")
    elif _NULL_TRAP.match(text):
        source.fault(mark, f"write null for nothing, or put quotes around {text}")
    elif _NUMBER_TRAP.match(text) and not _LENGTH.match(text):
        source.fault(
            mark, f"{text} reads differently in different YAMLs; write a plain number, or put quotes around it"
        )
    return text


def _mark(place: Any) -> Mark:
    """A mark of YAML's parser, which counts from 0, as ours."""
    return Mark(place.line + 1, place.column + 1) if place else START


def _open_call(tree: Tree) -> bool:
    """Whether an unquoted text has a bracket that is open still, as a comma of YAML leaves it."""
    return isinstance(tree, Leaf) and isinstance(tree.value, str) and tree.value.count("(") > tree.value.count(")")


def _spelling(tree: Tree) -> str:
    if isinstance(tree, Leaf) and tree.value is not EMPTY:
        return f'"{tree.value}"'
    return "this key"
