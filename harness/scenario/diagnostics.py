"""What is wrong with a scenario file, told so that an author can mend it at once.

scenarios/x.race.yaml:12:33: unknown step "a_lok"; did you mean "a_lock"?
    - {id: a_auth, auth: c1, when: a_lok.granted}
                                   ^
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.scenario.marks import Mark

SHOWN_WIDTH = 160
"""Longer source lines are cut around the caret, in characters."""


@dataclass(frozen=True)
class Diagnostic:
    """One fault of one file: where, what, and the name that was probably meant."""

    path: Path
    mark: Mark
    message: str
    near: str | None = None
    source: str = ""  # the line that the mark points into

    def __str__(self) -> str:
        hint = f'; did you mean "{self.near}"?' if self.near else ""
        head = f"{self.path}:{self.mark.line}:{self.mark.column}: {self.message}{hint}"
        if not self.source.strip():
            return head
        start = max(0, self.mark.column - 1 - SHOWN_WIDTH // 2)
        line = self.source[start : start + SHOWN_WIDTH]
        indent = self.mark.column - 1 - start
        return f"{head}\n    {printable(line)}\n    {' ' * min(indent, len(line))}^"


class ScenarioError(Exception):
    """Scenario files that cannot be used. `diagnostics` holds every fault that was found, in file order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda one: (str(one.path), one.mark.line, one.mark.column)))
        super().__init__("\n".join(str(one) for one in self.diagnostics))


def near_name(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that looks most like `name`, or None where nothing is near."""
    by_folded = {known.casefold(): known for known in names}
    cutoff = 0.6 if len(name) > 3 else 0.5  # c2 and c1 share half of their letters
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def printable(text: str) -> str:
    """The text with control characters replaced, so that a hostile file cannot drive the reader's terminal."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "?" for char in text)
