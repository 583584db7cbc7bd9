"""Reading what stands in several places of a profile; a fault is noted for each part that is not in order."""

import re
from collections.abc import Mapping

from harness.profile.words import SET_BY_US
from harness.scenario.fields import text
from harness.scenario.reader import Leaf, Source, Tree
from harness.scenario.reader import Mapping as MappingTree
from harness.wire.places import Place, parse_place

VALUE = re.compile(r"[ -~]{1,1000}\Z")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}\Z")


def read_headers(source: Source, tree: Tree | None) -> Mapping[str, str]:
    """Names and values of headers."""
    if tree is None:
        return {}
    if not isinstance(tree, MappingTree):
        source.fault(tree.mark, "headers must be a map of names to values")
        return {}
    found = {}
    for name, value in tree.items.items():
        if not _HEADER.match(name):
            source.fault(tree.marks[name], f'"{name[:60]}" is no name of a header')
        elif name.lower() in SET_BY_US:
            source.fault(tree.marks[name], f"{name} belongs to the connection; it is set by lockrace")
        told = read_matching(source, value, name, VALUE, "visible ASCII")
        found[name] = told or ""
    return found


def read_header_name(source: Source, tree: Tree | None, what: str) -> str | None:
    """The name of a header."""
    name = read_matching(source, tree, what, _HEADER, "the name of a header")
    if name is not None and tree is not None and name.lower() in SET_BY_US:
        source.fault(tree.mark, f"{name} belongs to the connection; it is set by lockrace")
    return name


def read_place(source: Source, tree: Tree, what: str) -> Place | None:
    """A place in an answer."""
    written = text(source, tree, what)
    if written is None:
        return None
    try:
        return parse_place(written)
    except ValueError as error:
        source.fault(tree.mark, str(error))
        return None


def read_matching(source: Source, tree: Tree | None, what: str, pattern: re.Pattern[str], wanted: str) -> str | None:
    """A text of a shape."""
    found = text(source, tree, what)
    if found is None or tree is None or pattern.match(found):
        return found
    source.fault(tree.mark, f'{what} "{found[:60]}" must be {wanted}')
    return None


def is_null(tree: Tree) -> bool:
    """Whether null is written there."""
    return isinstance(tree, Leaf) and tree.value is None
