"""Mutants of updates: states and fields that change, or do not, against the contract."""

from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant, when_granted, when_refused
from reference_server.objects import Container
from reference_server.rules import FOREIGN, Call, Change, Decision, Refusal, Rule, refused, released, unlocked
from reference_server.updates import after_update


def asks(row: Container, call: Call, before: str, after: str) -> bool:
    """Whether an update asks for this change of state."""
    return row.state == before and call.attributes.get("state") == after


@mutant("update", "STATE-1", invariant="legal_transitions", seen="Arvados 60bbffb69b: a container ran twice")
def running_to_queued(faithful: Rule) -> Rule:
    """An update puts a Running container back into the queue."""

    def alter(row: Container, call: Call, refusal: Refusal) -> Decision:
        return unlocked(row, call) if asks(row, call, "Running", "Queued") else refusal

    return when_refused(faithful, alter)


@mutant("update", "STATE-1", invariant="legal_transitions")
def cancelled_to_queued(faithful: Rule) -> Rule:
    """An update takes a Cancelled container back into the queue."""

    def alter(row: Container, call: Call, refusal: Refusal) -> Decision:
        return Change(released(row, "Queued")) if asks(row, call, "Cancelled", "Queued") else refusal

    return when_refused(faithful, alter)


@mutant("update", "STATE-3", invariant="transition_granted")
def complete_refused(faithful: Rule) -> Rule:
    """The locking token cannot complete what it runs."""

    def alter(row: Container, call: Call, change: Change) -> Decision:
        return refused("State cannot change") if asks(row, call, "Running", "Complete") else change

    return when_granted(faithful, alter)


@mutant("update", "STATE-3", invariant="unlock_clears")
def complete_keeps_owner(faithful: Rule) -> Rule:
    """A container that becomes Complete keeps its locked_by_uuid."""

    def alter(row: Container, call: Call, change: Change) -> Decision:
        if not asks(row, call, "Running", "Complete"):
            return change
        return replace(change, after=replace(change.after, locked_by_uuid=row.locked_by_uuid))

    return when_granted(faithful, alter)


@mutant("update", "STATE-3", invariant="owner_recorded")
def running_forgets_owner(faithful: Rule) -> Rule:
    """A container that becomes Running loses its locked_by_uuid."""

    def alter(row: Container, call: Call, change: Change) -> Decision:
        if not asks(row, call, "Locked", "Running"):
            return change
        return replace(change, after=replace(change.after, locked_by_uuid=None))

    return when_granted(faithful, alter)


@mutant("update", "STATE-2", invariant="fields_protected")
def owner_writable(faithful: Rule) -> Rule:
    """An update may change locked_by_uuid."""

    def alter(row: Container, call: Call, refusal: Refusal) -> Decision:
        if list(call.attributes) != ["locked_by_uuid"]:
            return refusal
        wanted = call.attributes["locked_by_uuid"]
        return Change(replace(row, locked_by_uuid=None if wanted is None else str(wanted)))

    return when_refused(faithful, alter)


@mutant("update", "LOCK-6 STATE-4", "arvados", invariant="lock_counted", seen="Arvados b441daaf99 (#15295)")
def lock_by_update_uncounted(faithful: Rule) -> Rule:
    """An update to Locked does not count as a lock."""

    def alter(row: Container, _: Call, change: Change) -> Decision:
        return replace(change, after=replace(change.after, lock_count=row.lock_count)) if change.issue else change

    return when_granted(faithful, alter)


@mutant("update", "UNLOCK-5 STATE-4", "arvados", invariant="foreign_token_refused", seen="Arvados 754913fc3e (#10172)")
def foreign_requeue_granted(faithful: Rule) -> Rule:
    """Any dispatch token unlocks what another one has locked, by an update to Queued."""

    def alter(row: Container, call: Call, refusal: Refusal) -> Decision:
        return after_update(row, "Queued", {}, call) if refusal == FOREIGN else refusal

    return when_refused(faithful, alter)
