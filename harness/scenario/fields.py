"""Typed reading of a tree's parts. Each notes a fault and gives None where the part is not what it should be."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from harness.scenario.diagnostics import near_name
from harness.scenario.marks import Mark
from harness.scenario.reader import Leaf, Mapping, Sequence, Source, Tree

MAX_TEXT = 2_000
"""Characters of any one text."""

MAX_LISTED = 9
"""More choices than this are not listed in an error; the near name helps more."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}\Z")
_LENGTH = re.compile(r"([0-9]{1,6})(ms|s)\Z")


class Form:
    """A map of which every key is known; the others are faults with the name that was meant."""

    def __init__(self, source: Source, tree: Tree, what: str, keys: Collection[str]) -> None:
        self.source = source
        self.what = what
        self.tree = tree if isinstance(tree, Mapping) else Mapping({}, {}, tree.mark)
        if not isinstance(tree, Mapping):
            source.fault(tree.mark, f"{what} must be a map of {listed(keys)}")
        for key in self.tree.items:
            if key not in keys:
                self.fault(key, f'{what} has no key "{key}"; the keys are {listed(keys)}', near_name(key, keys))

    def get(self, key: str) -> Tree | None:
        """The value of a key, None where the file does not hold it."""
        return self.tree.items.get(key)

    def need(self, key: str) -> Tree | None:
        """As `get`, but a missing key is a fault."""
        if key not in self.tree.items and isinstance(self.tree, Mapping):
            self.source.fault(self.tree.mark, f'{self.what} needs the key "{key}"')
        return self.get(key)

    def mark(self, key: str) -> Mark:
        """Where a key stands, or the whole map where it does not."""
        return self.tree.marks.get(key, self.tree.mark)

    def fault(self, key: str, message: str, near: str | None = None) -> None:
        """Note a fault at a key."""
        self.source.fault(self.mark(key), message, near)


def listed(names: Collection[str], last: str = "and") -> str:
    """Names for a reader: "a, b and c"."""
    words = list(names)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def text(source: Source, tree: Tree | None, what: str) -> str | None:
    """A text that is not empty."""
    if tree is None:
        return None
    if not isinstance(tree, Leaf) or not isinstance(tree.value, str) or not tree.value.strip():
        source.fault(tree.mark, f"{what} must be a text")
        return None
    if len(tree.value) > MAX_TEXT:
        source.fault(tree.mark, f"{what} is longer than {MAX_TEXT:,} characters")
        return None
    return tree.value


def name(source: Source, tree: Tree | None, what: str) -> str | None:
    """A name: a letter, then letters, digits and underscores."""
    found = text(source, tree, what)
    if found is None or tree is None:
        return None
    return found if is_name(source, found, tree.mark, what) else None


def is_name(source: Source, found: str, mark: Mark, what: str) -> bool:
    """Whether a text is fit to be a name; a fault where it is not."""
    if _NAME.match(found):
        return True
    source.fault(mark, f'{what} "{found[:60]}" is not a name: a letter, then at most 59 letters, digits or underscores')
    return False


def one_of(source: Source, tree: Tree | None, what: str, choices: Collection[str]) -> str | None:
    """One of a few words."""
    if tree is None:
        return None
    if isinstance(tree, Leaf) and isinstance(tree.value, str) and tree.value in choices:
        return tree.value
    shown = tree.value if isinstance(tree, Leaf) else "a collection"
    near = near_name(shown, choices) if isinstance(shown, str) else None
    if len(choices) > MAX_LISTED:
        source.fault(tree.mark, f'{what}: "{shown}" is unknown', near)
    else:
        source.fault(tree.mark, f"{what} must be {listed(choices, 'or')}, not {shown}", near)
    return None


def whole(source: Source, tree: Tree | None, what: str, low: int, high: int) -> int | None:
    """A whole number within limits."""
    if tree is None:
        return None
    if isinstance(tree, Leaf) and type(tree.value) is int and low <= tree.value <= high:
        return tree.value
    source.fault(tree.mark, f"{what} must be a whole number from {low:,} to {high:,}")
    return None


def length_ms(source: Source, tree: Tree | None, what: str, high_ms: int = 60_000) -> int | None:
    """A length of time, written 200ms or 2s, in milliseconds."""
    if tree is None:
        return None
    match = _LENGTH.match(tree.value) if isinstance(tree, Leaf) and isinstance(tree.value, str) else None
    if match:
        found = int(match[1]) * (1000 if match[2] == "s" else 1)
        if 0 < found <= high_ms:
            return found
    source.fault(tree.mark, f"{what} must be a time such as 200ms or 2s, at most {high_ms // 1000}s")
    return None


def entries(source: Source, tree: Tree | None, what: str) -> list[Tree]:
    """The entries of a list."""
    if tree is None:
        return []
    if isinstance(tree, Sequence):
        return tree.items
    source.fault(tree.mark, f"{what} must be a list")
    return []


def one_or_more(tree: Tree | None) -> list[Tree]:
    """The entries of a list, or the one thing that stands in its place."""
    if tree is None:
        return []
    return tree.items if isinstance(tree, Sequence) else [tree]


def named(source: Source, tree: Tree | None, what: str) -> Iterator[tuple[str, Mark, Tree]]:
    """Name, mark and value of each entry of a map of names that the author chose."""
    if tree is None:
        return
    if not isinstance(tree, Mapping):
        source.fault(tree.mark, f"{what} must be a map of names")
        return
    for key, value in tree.items.items():
        if is_name(source, key, tree.marks[key], f"the name in {what}"):
            yield key, tree.marks[key], value


def plain(tree: Tree) -> Any:
    """A part of the file as plain data, for what the harness hands to the target as it stands."""
    if isinstance(tree, Leaf):
        return tree.value
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.items.items()}
    return [plain(item) for item in tree.items]
