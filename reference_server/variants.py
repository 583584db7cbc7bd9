"""Variants: the reference server doing something else that the contract leaves open. None may ever be accused."""

from reference_server.departures import Catalogue
from reference_server.objects import Container
from reference_server.rules import FOREIGN, Call, Decision, Rule, refused
from reference_server.updates import changed

VARIANTS = Catalogue("variant")
variant = VARIANTS.add


@variant("unlock", "UNLOCK-5", seen="Arvados until 2019-06")
def foreign_unlock_422(faithful: Rule) -> Rule:
    """Unlock with a different token is refused by 422 instead of forbidden by 403."""

    def unlock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return refused(*FOREIGN.errors) if decision == FOREIGN else decision

    return unlock


@variant("update", "STATE-1", "arvados")
def same_state_refused(faithful: Rule) -> Rule:
    """An update to the state that the container is in already is refused."""

    def update(row: Container, call: Call) -> Decision:
        if call.attributes.get("state") == row.state and not changed(row, call.attributes):
            return refused(f"State is {row.state} already")
        return faithful(row, call)

    return update
