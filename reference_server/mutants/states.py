"""Mutants that one caller alone can find: a rule of the contract that is not kept."""

from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant
from reference_server.objects import Container
from reference_server.rules import Call, Change, Decision, Refusal, Rule


@mutant("lock", "LOCK-2 LOCK-3", invariant="single_winner", seen="Arvados #9898, first draft of lock")
def lock_noop(faithful: Rule) -> Rule:
    """A lock that does nothing because the container is Locked already is granted."""

    def lock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return Change(row) if row.state == "Locked" and isinstance(decision, Refusal) else decision

    return lock


@mutant("unlock", "UNLOCK-2", invariant="unlock_only_locked", seen="Arvados #9898, first draft of unlock")
def unlock_from_queued(faithful: Rule) -> Rule:
    """Unlock of a Queued container is granted."""

    def unlock(row: Container, call: Call) -> Decision:
        return Change(row) if row.state == "Queued" else faithful(row, call)

    return unlock


@mutant("unlock", "UNLOCK-3", invariant="revoked_auth_dead")
def keep_auth(faithful: Rule) -> Rule:
    """Unlock does not revoke the container auth."""

    def unlock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        return replace(decision, revoke=None) if isinstance(decision, Change) else decision

    return unlock


@mutant("unlock", "UNLOCK-1", invariant="unlock_clears")
def owner_kept(faithful: Rule) -> Rule:
    """Unlock leaves locked_by_uuid as it was."""

    def unlock(row: Container, call: Call) -> Decision:
        decision = faithful(row, call)
        if isinstance(decision, Refusal):
            return decision
        return replace(decision, after=replace(decision.after, locked_by_uuid=row.locked_by_uuid), shown=None)

    return unlock
