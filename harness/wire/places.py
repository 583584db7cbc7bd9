"""Places in a JSON answer, written as `job.id`, `$.errors[*].message` or `data[0]`."""

import re
from typing import Any

from msgspec import UNSET

Place = tuple[str | int | None, ...]
"""Keys and indices on the way to a value; None stands for every entry of a list. The empty place is all of it."""

_STEP = re.compile(r"(?:\.|\A)([^.\[\]\s$*]+)|\[([0-9]{1,4})\]|(\[\*\])")


def parse_place(text: str) -> Place:
    """The place that a text names. Raises ValueError where it names none."""
    rest = text
    if text[:2] in {"$.", "$["} and len(text) > 2:
        rest = text[1:].removeprefix(".")
    elif text == "$":
        return ()
    found: list[str | int | None] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at) if at or rest[0] != "." else None
        if step is None:
            raise ValueError(f'"{text[:80]}" names no place in an answer: want job.id, errors[*].message or data[0]')
        key, index, _ = step.groups()
        found.append(key if key is not None else int(index) if index is not None else None)
        at = step.end()
    if not found:
        raise ValueError('a place in an answer is not empty; "$" is all of it')
    return tuple(found)


def found_at(answer: Any, place: Place) -> list[Any]:
    """Every value at a place, none where there is no such place."""
    values = [answer]
    for step in place:
        if step is None:
            values = [entry for value in values if isinstance(value, list) for entry in value]
        elif isinstance(step, int):
            values = [value[step] for value in values if isinstance(value, list) and step < len(value)]
        else:
            values = [value[step] for value in values if isinstance(value, dict) and step in value]
    return values


def shown_at(record: Any, place: Place) -> Any:
    """The one value at a place of keys: UNSET where the record does not show it.

    What stands deeper is null where the object that holds it is null or leaves it out: `{"lock": null}` says that
    `lock.holder` is nobody.
    """
    value = record
    for depth, step in enumerate(place):
        if value is None and depth:
            return None
        if not isinstance(value, dict):
            return UNSET
        if step not in value:
            return None if depth else UNSET
        value = value[step]
    return value


def written(place: Place | None) -> str:
    """A place as a profile writes it."""
    text = "".join("[*]" if one is None else f"[{one}]" if isinstance(one, int) else f".{one}" for one in place or ())
    return text.removeprefix(".") or "$"
