"""One container's part of a history, as the checks want it: the answered operations, the unknown ones, the sections."""

from collections.abc import Container
from operator import itemgetter

from harness.check.linear.section import Event, Section
from harness.check.linear.shapes import Shapes
from harness.check.linear.timed import NEVER, Timed


class ContainerHistory:
    """Events in the order in which they came; `in_order` puts those that were answered in order of return.

    `changes` are those of `events` that may have changed the container; `sections` go by the auth that was shown.
    """

    __slots__ = ("changes", "events", "is_in_order", "name", "run", "sections", "unknown")

    def __init__(self, run: int, name: str) -> None:
        self.run = run
        self.name = name  # in the scenario, else its uuid
        self.events: list[Event] = []
        self.changes: list[Event] = []
        self.unknown: list[Event] = []  # what may have changed it, and of which nobody knows whether it did
        self.sections: dict[str, Section] = {}
        self.is_in_order = True

    def with_event(self, old: Event, new: Event) -> "ContainerHistory":
        """The same history with one event in place of another; both share their sections."""
        other = ContainerHistory(self.run, self.name)
        other.events, other.changes = (
            [new if one is old else one for one in some] for some in (self.events, self.changes)
        )
        other.unknown, other.sections, other.is_in_order = self.unknown, self.sections, self.is_in_order
        return other

    def in_order(self) -> list[Event]:
        """The answered events in order of return."""
        if not self.is_in_order:
            self.events.sort(key=itemgetter(0))
            self.is_in_order = True
        return self.events

    def timed(self, shapes: Shapes, numbers: Container[int] | None = None) -> list[Timed]:
        """The same for the general search, in order of return; only the operations with these numbers, if given."""
        return [
            Timed(
                invoke,
                return_,
                number,
                shapes.request(shape, None if section is None else section.auth, count),
                return_ == NEVER,
            )
            for return_, invoke, shape, section, count, number in (*self.in_order(), *self.unknown)
            if numbers is None or number in numbers
        ]
