"""The list of all mutants, by name, and the two ways in which most of them turn a rule."""

from collections.abc import Callable

from reference_server.departures import Catalogue
from reference_server.objects import Container
from reference_server.rules import Call, Change, Decision, Refusal, Rule

MUTANTS = Catalogue("mutant")
mutant = MUTANTS.add


def when_granted(faithful: Rule, alter: Callable[[Container, Call, Change], Decision]) -> Rule:
    """The faithful rule, with what it grants altered."""

    def rule(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return alter(row, call, decision) if isinstance(decision, Change) else decision

    return rule


def when_refused(faithful: Rule, alter: Callable[[Container, Call, Refusal], Decision]) -> Rule:
    """The faithful rule, with what it refuses altered."""

    def rule(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return alter(row, call, decision) if isinstance(decision, Refusal) else decision

    return rule
