"""What a list call asks for: filters, order, page. Read strictly here; stores turn it into their own language."""

import operator
import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from reference_server.objects import Container, Token

COLUMNS = (
    "uuid",
    "state",
    "priority",
    "locked_by_uuid",
    "auth_uuid",
    "lock_count",
    "owner_uuid",
    "created_at",
    "modified_at",
    "started_at",
    "finished_at",
)
INTEGERS = ("priority", "lock_count")
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LARGEST_PAGE = 1000
DEFAULT_PAGE = 100
MOST_FILTERS = 50
MOST_OPERANDS = 2000
LARGEST_INTEGER = 2**63 - 1


class BadQueryError(ValueError):
    """The list call cannot be understood; the text says what is wrong with it."""


class Condition(Struct, frozen=True):
    """One filter: a column, an operator, a value (a tuple of values for `in` and `not in`)."""

    column: str
    operator: str
    value: object


class Query(Struct, frozen=True):
    """One list call, understood."""

    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()  # column, whether descending
    limit: int = DEFAULT_PAGE
    offset: int = 0
    with_count: bool = True
    readable_by: Token | None = None  # null: the caller may read everything


class Page(Struct, frozen=True):
    """The answer to a query; `available` is how many match in all, null if no one asked."""

    rows: list[Container]
    available: int | None = None


def make_query(parameters: dict[str, object], caller: Token) -> Query:
    """The query that a list call's decoded parameters ask for, on behalf of `caller`."""
    count = parameters.get("count", "exact")
    if count not in ("exact", "none"):
        raise BadQueryError("count parameter must be 'exact' or 'none'")
    return Query(
        conditions=_filters(parameters.get("filters")) + _where(parameters.get("where")),
        order=_order(parameters.get("order")),
        limit=min(_integer("limit", parameters.get("limit"), DEFAULT_PAGE), LARGEST_PAGE),
        offset=min(_integer("offset", parameters.get("offset"), 0), LARGEST_INTEGER),
        with_count=count == "exact",
        readable_by=None if caller.is_admin else caller,
    )


def _filters(filters: object) -> tuple[Condition, ...]:
    if filters is None:
        return ()
    if not isinstance(filters, list):
        raise BadQueryError('Could not parse "filters" param as an array')
    if len(filters) > MOST_FILTERS:
        raise BadQueryError(f"More than {MOST_FILTERS} filters")
    return tuple(_filter(element) for element in filters)


def _filter(element: object) -> Condition:
    if not isinstance(element, list):
        raise BadQueryError(f'Invalid element in filters array: "{str(element)[:100]}" is not an array')
    if len(element) != 3:
        raise BadQueryError("Invalid element in filters array: not [attribute, operator, operand]")
    column, name, value = element
    if column not in COLUMNS:
        raise BadQueryError(f"Invalid attribute '{str(column)[:100]}' in filter")
    if name in ("in", "not in"):
        if not isinstance(value, list) or len(value) > MOST_OPERANDS:
            raise BadQueryError(f"Invalid operand for '{name}': not an array of at most {MOST_OPERANDS} values")
        return Condition(column, name, tuple(_operand(column, item) for item in value))
    if not isinstance(name, str) or name not in COMPARISONS:
        raise BadQueryError(f"Invalid operator '{str(name)[:100]}'")
    if value is None and name not in ("=", "!="):
        raise BadQueryError(f"Invalid operand for '{name}': null")
    return Condition(column, name, _operand(column, value))


def _operand(column: str, value: object) -> object:
    """A filter's value in the column's own type: clients send numbers as text too."""
    if value is None:
        return None
    if column not in INTEGERS:
        if not isinstance(value, str) or "\0" in value:
            raise BadQueryError(f"Invalid operand type for '{column}': not a text")
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        value = int(value)
    if type(value) is not int or abs(value) > LARGEST_INTEGER:
        raise BadQueryError(f"Invalid operand type for '{column}': not an integer")
    return value


def _where(where: object) -> tuple[Condition, ...]:
    if where is None:
        return ()
    if not isinstance(where, dict):
        raise BadQueryError('Could not parse "where" param as an object')
    return tuple(_filter([column, "in" if isinstance(value, list) else "=", value]) for column, value in where.items())


def _order(order: object) -> tuple[tuple[str, bool], ...]:
    """The sort keys that are known; the rest is ignored, as Arvados does. Ends in a key that tells all rows apart."""
    words = order.split(",") if isinstance(order, str) else order
    if words is not None and not isinstance(words, list):
        raise BadQueryError('Could not parse "order" param as an array')
    keys = []
    for word in words or []:
        match = re.fullmatch(r"\s*(?:containers\.)?(\w{1,40})(?:\s+(asc|desc))?\s*", str(word)[:100], re.IGNORECASE)
        if match and match[1] in COLUMNS:
            keys.append((match[1], (match[2] or "").lower() == "desc"))
    named = {column for column, _ in keys}
    return tuple(keys) + tuple(key for key in (("modified_at", True), ("uuid", True)) if key[0] not in named)


def _integer(name: str, value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,30}", value):
        value = int(value)
    if type(value) is not int or value < 0:
        raise BadQueryError(f"Invalid value for {name} parameter")
    return value
