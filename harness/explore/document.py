"""A scenario file as text, from the plain values of its keys: blocks outside, one line a step inside."""

from typing import Any

import yaml

ANSWERS = ["granted", "refused", "forbidden", "unauthenticated", "missing"]
"""What a step may always be answered: it stands where a scenario must expect something, and nothing is known."""

_WIDE = 10_000  # columns: a step never wraps
_BLOCKS = 2  # levels of maps that are written as blocks
_SPACED = ("given", "sessions", "schedule", "outcome", "known_race")


def scenario_text(document: dict[str, Any]) -> str:
    """The text of a scenario file. Values are what YAML holds: maps, lists, text, numbers, true, false, null."""
    lines: list[str] = []
    for key, value in document.items():
        if key in _SPACED:
            lines.append("")
        _write(lines, key, value, 0)
    return "\n".join(lines) + "\n"


def _write(lines: list[str], key: str, value: Any, depth: int) -> None:
    indent = "  " * depth
    if isinstance(value, dict) and value and depth < _BLOCKS and _is_deep(value, depth):
        lines.append(f"{indent}{key}:")
        for inner, one in value.items():
            _write(lines, inner, one, depth + 1)
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        lines.append(f"{indent}{key}:")
        lines.extend(f"{indent}  - {_flow(one)}" for one in value)
    else:
        lines.append(f"{indent}{key}: {_flow(value)}")


def _is_deep(value: dict[str, Any], depth: int) -> bool:
    """Whether a map is worth a block: at the top always, below where it holds text that would be long in one line."""
    return depth == 0 or any(isinstance(one, (dict, list)) or len(str(one)) > 20 for one in value.values())


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=_WIDE, allow_unicode=True)
    return text.removesuffix("...\n").strip()
