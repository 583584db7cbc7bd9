"""Reading the outcomes of a profile: matchers in the order in which they are tried."""

import re
from collections.abc import Collection
from typing import Any, cast

from msgspec import UNSET

from harness.contract import Outcome
from harness.profile.words import MATCHER_KEYS, MAX_OUTCOMES
from harness.scenario.fields import Form, entries, one_of, one_or_more, text
from harness.scenario.reader import Leaf, Mapping, Source, Tree
from harness.wire import Matcher
from harness.wire.places import Place, parse_place

_CLASS = re.compile(r"[1-5]xx\Z")


def read_outcomes(source: Source, tree: Tree | None, outcomes: Collection[str]) -> tuple[Matcher, ...]:
    """The matchers of a list, in its order, with a fault noted for each that is not in order."""
    trees = entries(source, tree, "outcomes")
    if len(trees) > MAX_OUTCOMES:
        source.fault(trees[MAX_OUTCOMES].mark, f"more than {MAX_OUTCOMES} outcomes")
    return tuple(matcher for one in trees[:MAX_OUTCOMES] if (matcher := _matcher(source, one, outcomes)) is not None)


def _matcher(source: Source, tree: Tree, outcomes: Collection[str]) -> Matcher | None:
    if not isinstance(tree, Mapping) or len(tree.items) != 1:
        source.fault(tree.mark, "an outcome is one of the contract's with what it looks like: refused: {status: 409}")
        return None
    ((name, value),) = tree.items.items()
    outcome = one_of(source, Leaf(name, tree.marks[name]), "an outcome", outcomes)
    form = Form(source, value, outcome or "an outcome", MATCHER_KEYS)
    if isinstance(value, Mapping) and not value.items:
        source.fault(value.mark, f"{name} must say by what it is known: status, header, json or text")
    if outcome is None:
        return None
    return Matcher(
        outcome=cast("Outcome", outcome),
        statuses=_statuses(source, form.get("status")),
        headers=_headers(source, form.get("header")),
        values=_values(source, form.get("json")),
        text=text(source, form.get("text"), "text"),
    )


def _statuses(source: Source, tree: Tree | None) -> frozenset[int] | None:
    if tree is None:
        return None
    found: set[int] = set()
    for one in one_or_more(tree):
        value = one.value if isinstance(one, Leaf) else None
        if isinstance(value, str) and _CLASS.match(value):
            first = int(value[0]) * 100
            found.update(range(first, first + 100))
        elif type(value) is int and 100 <= value <= 599:
            found.add(value)
        else:
            source.fault(one.mark, "a status is a number from 100 to 599, or 4xx for all that begin with 4")
    return frozenset(found)


def _headers(source: Source, tree: Tree | None) -> tuple[tuple[str, str | None], ...]:
    """Headers that are there, by their name alone, or with their value."""
    if tree is None:
        return ()
    if isinstance(tree, Mapping):
        return tuple((name.lower(), text(source, value, name)) for name, value in tree.items.items())
    names = [text(source, one, "header") for one in one_or_more(tree)]
    return tuple((name.lower(), None) for name in names if name is not None)


def _values(source: Source, tree: Tree | None) -> tuple[tuple[Place, Any], ...]:
    """Places of the JSON that are there, by their name alone, or with their value."""
    if tree is None:
        return ()
    found: list[tuple[Place, Any]] = []
    if isinstance(tree, Mapping):
        for name, value in tree.items.items():
            if isinstance(value, Leaf):
                found.append((_place(source, Leaf(name, tree.marks[name])), value.value))
            else:
                source.fault(
                    value.mark, "what stands at a place is compared with a text, a number, true, false or null"
                )
        return tuple(found)
    return tuple((_place(source, one), UNSET) for one in one_or_more(tree))


def _place(source: Source, tree: Tree) -> Place:
    written = text(source, tree, "json")
    try:
        return () if written is None else parse_place(written)
    except ValueError as error:
        source.fault(tree.mark, str(error))
        return ()
