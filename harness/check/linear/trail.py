"""What the fast check has done since it last had a choice, so that the choice can be made another way."""

from collections import deque
from typing import Any, NamedTuple

from harness.check.linear.section import Event
from harness.check.linear.waiting import Waiting

MOST_TAKEN_BACK = 64  # choices that can be taken back at one time


class Choice(NamedTuple):
    """A turn at which more than one lock could have been next, and how it was there. The state was Queued."""

    event: Event
    taken: int  # how many of the candidates were tried
    length: int  # of the trail
    locks: int  # so far
    last: tuple[int, ...]  # by state: when it was last left


class Trail:
    """Steps in order, each a kind and what it was done to: begin, end, unlock or unknown."""

    def __init__(self, waiting: Waiting) -> None:
        self.steps: list[tuple[str, Any]] = []
        self.choices: deque[Choice] = deque(maxlen=MOST_TAKEN_BACK)  # while it is empty, no step need be kept
        self._waiting = waiting

    def remember(self, event: Event, taken: int, locks: int, last: list[int]) -> None:
        """Make this a turn that can be gone back to, with the next candidate."""
        self.choices.append(Choice(event, taken, len(self.steps), locks, tuple(last)))

    def take_back(self) -> Choice | None:
        """Undo all steps since the newest choice, which is forgotten; None: none is left."""
        if not self.choices:
            return None
        choice = self.choices.pop()
        while len(self.steps) > choice.length:
            self._undo(*self.steps.pop())
        return choice

    def _undo(self, kind: str, what: Any) -> None:
        if kind == "begin":
            what.begun = False
            self._waiting.put_back(what)
        elif kind == "unknown":
            what.used -= 1
        elif kind == "end":
            what.end = -1
        else:
            self._waiting.put_back_unlock(what)
