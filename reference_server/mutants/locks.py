"""Mutants of lock and unlock that one caller alone can find."""

from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant, when_granted, when_refused
from reference_server.objects import Container
from reference_server.places import Change as ChangePlace
from reference_server.rules import FOREIGN, Call, Change, Decision, Rule, locked, released, unlocked
from reference_server.stores import Store


@mutant("lock", "LOCK-2", invariant="lock_only_queued", seen="Arvados #9898, first draft: 200 when it did nothing")
def lock_noop(faithful: Rule) -> Rule:
    """Lock of a Locked container is granted and does nothing."""
    return when_refused(faithful, lambda row, _, refusal: Change(row) if row.state == "Locked" else refusal)


@mutant("lock", "LOCK-2 STATE-1", invariant="lock_only_queued", seen="Arvados 0731e1f901: requeued jobs ran again")
def lock_takes_running(faithful: Rule) -> Rule:
    """Lock of a Running container takes it from its holder."""
    return when_refused(faithful, lambda row, call, refusal: locked(row, call) if row.state == "Running" else refusal)


@mutant("lock", "LOCK-2", invariant="lock_only_queued")
def third_refusal_granted(faithful: Rule) -> Rule:
    """Every third lock that is refused on a container is granted, and does nothing."""
    refusals: dict[str, int] = {}

    def alter(row: Container, _: Call, refusal: Decision) -> Decision:
        refusals[row.uuid] = refusals.get(row.uuid, 0) + 1
        return Change(row) if row.state == "Locked" and refusals[row.uuid] % 3 == 0 else refusal

    return when_refused(faithful, alter)


@mutant("lock", "LOCK-4", "arvados", invariant="lock_only_queued", seen="Arvados 2c4ff054b5, 7839094002")
def lock_priority_zero(faithful: Rule) -> Rule:
    """Lock at priority 0 is granted."""

    def alter(row: Container, call: Call, refusal: Decision) -> Decision:
        return locked(row, call) if row.state == "Queued" and row.priority == 0 else refusal

    return when_refused(faithful, alter)


@mutant("lock", "LOCK-1", invariant="transition_granted")
def lock_once(faithful: Rule) -> Rule:
    """A container that was unlocked once cannot be locked again."""
    return when_granted(
        faithful, lambda row, _, change: FOREIGN if row.state == "Queued" and row.lock_count > 0 else change
    )


@mutant("lock", "LOCK-1", invariant="owner_recorded")
def owner_blank(faithful: Rule) -> Rule:
    """Lock does not record whose it is."""
    return when_granted(
        faithful, lambda _, __, change: replace(change, after=replace(change.after, locked_by_uuid=None))
    )


@mutant("lock", "LOCK-5", "arvados", invariant="owner_recorded")
def answer_of_before(faithful: Rule) -> Rule:
    """The answer to lock shows the container as it was before."""
    return when_granted(faithful, lambda row, _, change: replace(change, shown=row))


@mutant("lock", "LOCK-6", "arvados", invariant="lock_counted")
def lock_uncounted(faithful: Rule) -> Rule:
    """Lock leaves lock_count as it is."""
    return when_granted(
        faithful, lambda row, _, change: replace(change, after=replace(change.after, lock_count=row.lock_count))
    )


@mutant("unlock", "UNLOCK-2", invariant="unlock_only_locked", seen="Arvados #9898, first draft of unlock")
def unlock_from_queued(faithful: Rule) -> Rule:
    """Unlock of a Queued container is granted and does nothing."""
    return when_refused(faithful, lambda row, _, refusal: Change(row) if row.state == "Queued" else refusal)


@mutant("unlock", "UNLOCK-2 STATE-1", invariant="unlock_only_locked", seen="Arvados 60bbffb69b: a test server did it")
def unlock_from_running(faithful: Rule) -> Rule:
    """Unlock of a Running container puts it back into the queue."""
    return when_refused(faithful, lambda row, call, refusal: unlocked(row, call) if row.state == "Running" else refusal)


@mutant("unlock", "UNLOCK-1", invariant="unlock_clears")
def owner_kept(faithful: Rule) -> Rule:
    """Unlock leaves locked_by_uuid as it was."""

    def alter(row: Container, _: Call, change: Change) -> Decision:
        return replace(change, after=replace(change.after, locked_by_uuid=row.locked_by_uuid), shown=None)

    return when_granted(faithful, alter)


@mutant("unlock", "UNLOCK-5", "arvados", invariant="foreign_token_refused", seen="Arvados 2016-10 to 2017-05")
def foreign_unlock_granted(faithful: Rule) -> Rule:
    """Any dispatch token unlocks what another one has locked."""
    return when_refused(faithful, lambda row, call, refusal: unlocked(row, call) if refusal == FOREIGN else refusal)


@mutant("change", "UNLOCK-5", "arvados", invariant="refusal_changes_nothing")
def forbidden_unlock_done(faithful: ChangePlace) -> ChangePlace:
    """Unlock by another token is forbidden, and done all the same."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        decision = await faithful(store, uuid, rule, call)
        if call.verb == "unlock" and decision == FOREIGN:
            await store.change(uuid, lambda row: unlocked(row, call))
        return decision

    return change


@mutant("change", "LOCK-2", invariant="refusal_changes_nothing")
def refused_lock_releases(faithful: ChangePlace) -> ChangePlace:
    """A lock that is refused because the container is Locked sets it free."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        decision = await faithful(store, uuid, rule, call)
        if call.verb == "lock" and not isinstance(decision, Change) and decision is not None:
            await store.change(uuid, lambda row: Change(released(row, "Queued") if row.state == "Locked" else row))
        return decision

    return change


@mutant("unlock", "UNLOCK-6", "arvados", invariant="attempt_limit", seen="Arvados 0f14b3456d", max_dispatch_attempts=10)
def attempts_unlimited(faithful: Rule) -> Rule:
    """Unlock never cancels, however often the container was locked."""

    def unlock(row: Container, call: Call) -> Decision:
        return faithful(row, replace(call, max_dispatch_attempts=None))

    return unlock


@mutant("unlock", "UNLOCK-6", "arvados", invariant="attempt_limit", max_dispatch_attempts=10)
def attempts_silent(faithful: Rule) -> Rule:
    """Unlock at the attempt limit cancels and does not say why."""
    return when_granted(
        faithful, lambda _, __, change: replace(change, after=replace(change.after, runtime_status="{}"), shown=None)
    )
