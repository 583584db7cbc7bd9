"""Every invariant: what it holds a server to, in plain words, and the function that finds out.

Their order is the order in which they are named where one operation breaks several. What an operation across a restart
of the server shows is named by `durable`, whichever invariant found it. What only a population shows is judged where
its containers' lives are (`harness.check.population`), and stands here to be explained.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.check.index import Index
from harness.check.invariants import auths, locks, order, reads, run_auth, service, states, unlocks
from harness.check.invariants.findings import Findings
from harness.contract import REQUIREMENTS, Level


@dataclass(frozen=True)
class Property:
    """One property that every history of a correct server has."""

    name: str
    requirements: tuple[str, ...]
    explain: str
    below: str | None = field(default=None, kw_only=True)  # the known race as which it counts below its level

    @property
    def level(self) -> Level:
        """The lowest level that fixes one of its requirements."""
        order: tuple[Level, ...] = ("must", "arvados", "run_auth")
        return min((REQUIREMENTS[one].level for one in self.requirements), key=order.index)


@dataclass(frozen=True)
class Invariant(Property):
    """A property that is judged on every history, whatever it is of."""

    find: Callable[[Index], Findings]


_SURVIVES = (
    locks.lock_only_queued,
    unlocks.unlock_only_locked,
    auths.revoked_auth_dead,
    auths.auth_works,
    auths.auth_only_holder,
    auths.fresh_auth_per_lock,
    states.legal_transitions,
    states.transition_granted,
    unlocks.recoverable,
    reads.no_lost_container,
    reads.read_your_writes,
)
"""What these accuse across a restart is a loss of what was acknowledged."""


def _kept(find: Callable[[Index], Findings]) -> Callable[[Index], Findings]:
    """The same invariant, without what only a restart of the server explains."""

    def find_within(index: Index) -> Findings:
        findings = find(index)
        if index.restarts:
            findings.accusations = [one for one in findings.accusations if not reads.crosses_restart(index, one)]
        return findings

    return find_within


def _durable(index: Index) -> Findings:
    if not index.restarts:
        return Findings()
    return reads.durable(index, [find(index) for find in _SURVIVES])


_ALL = (
    Invariant(
        "durable",
        ("DUR-1",),
        "What the server acknowledged before it was killed is still so after its restart: a granted lock is held, a "
        "revoked auth is dead, a container is there.",
        _durable,
    ),
    Invariant(
        "no_server_error",
        ("ERR-2",),
        "No answer has a status of 500 or above. A 503 that says when to come again (Retry-After) is a limit, and no "
        "error.",
        service.no_server_error,
    ),
    Invariant(
        "error_shape",
        ("ERR-1",),
        'Whoever is turned away is told why in JSON, {"errors": [text, ...]}, and whoever has no valid token is told '
        "unauthenticated before anything else.",
        service.error_shape,
    ),
    Invariant(
        "no_secret_leak",
        ("AUTH-6",),
        "The secret of a token stands in the answer to a reading of the auth and nowhere else: in no record, no list "
        "and no error.",
        auths.no_secret_leak,
    ),
    Invariant(
        "single_winner",
        ("LOCK-3", "STATE-4"),
        "Of locks sent at once one is granted. Two that are granted need something between them that gives the lock "
        "back. At level arvados that holds for updates to Locked too, told apart by the auth that they show.",
        locks.single_winner,
    ),
    Invariant(
        "lock_only_queued",
        ("LOCK-2", "LOCK-4"),
        "A lock is granted only where the container can have been Queued, and at level arvados only above priority 0.",
        _kept(locks.lock_only_queued),
    ),
    Invariant(
        "foreign_token_refused",
        ("UNLOCK-5",),
        "A token that does not hold the lock cannot give it back, by unlock or by an update to Queued: it is "
        "forbidden.",
        unlocks.foreign_token_refused,
    ),
    Invariant(
        "unlock_only_locked",
        ("UNLOCK-2",),
        "An unlock is granted only where the container can have been Locked, and one lock is given back once.",
        _kept(unlocks.unlock_only_locked),
    ),
    Invariant(
        "single_holder",
        ("RUN-1",),
        "No two dispatchers are ever given one working auth of a container.",
        run_auth.single_holder,
        below="stolen_lock",
    ),
    Invariant(
        "only_holder_starts",
        ("RUN-4",),
        "Only the dispatcher that holds the current lock makes the container Running.",
        run_auth.only_holder_starts,
        below="stolen_lock",
    ),
    Invariant(
        "late_unlock_harmless",
        ("RUN-3",),
        "An unlock that belongs to a lock which has ended does not end the lock that came after.",
        run_auth.late_unlock_harmless,
        below="late_unlock",
    ),
    Invariant(
        "told_of_loss",
        ("RUN-2",),
        "A dispatcher whose lock was taken away is told so by the answer to its next auth or update.",
        run_auth.told_of_loss,
        below="stolen_lock",
    ),
    Invariant(
        "legal_transitions",
        ("STATE-1",),
        "An update that changes the state is granted only along the table of transitions, and no answer shows a state "
        "that the contract does not know.",
        _kept(states.legal_transitions),
    ),
    Invariant(
        "fields_protected",
        ("STATE-2",),
        "No update that asks for another locked_by_uuid, auth_uuid or uuid is granted.",
        states.fields_protected,
    ),
    Invariant(
        "refusal_changes_nothing",
        ("LOCK-2", "LOCK-4", "UNLOCK-2", "UNLOCK-5", "STATE-1"),
        "What was refused or forbidden did not happen: no read after it shows a state, a holder or an auth that only "
        "the refused call can have left.",
        states.refusal_changes_nothing,
    ),
    Invariant(
        "no_lost_container",
        ("LIVE-1",),
        "A container that was there for a token stays there: it is never missing later.",
        _kept(reads.no_lost_container),
    ),
    Invariant(
        "fresh_auth_per_lock",
        ("AUTH-3",),
        "Every lock issues an auth that no lock before it had, of this container or of another one.",
        _kept(auths.fresh_auth_per_lock),
    ),
    Invariant(
        "owner_recorded",
        ("LOCK-1", "LOCK-5", "STATE-3"),
        "While a container is Locked or Running its record names the token that locked it and an auth. At level "
        "arvados the answers to lock and unlock show both, with uuid, state and priority.",
        locks.owner_recorded,
    ),
    Invariant(
        "unlock_clears",
        ("UNLOCK-1", "STATE-3"),
        "A container that is Queued, Complete or Cancelled has no holder and no auth: both fields are null.",
        unlocks.unlock_clears,
    ),
    Invariant(
        "lock_counted",
        ("LOCK-6",),
        "lock_count grows by one with each lock, and with nothing else.",
        locks.lock_counted,
    ),
    Invariant(
        "attempt_limit",
        ("UNLOCK-6",),
        "An unlock cancels the container exactly when its lock_count has reached the server's limit, which the run is "
        "told with --max-dispatch-attempts, and the record then says why in runtime_status.error.",
        unlocks.attempt_limit,
    ),
    Invariant(
        "revoked_auth_dead",
        ("UNLOCK-3", "AUTH-5"),
        "Once what ended a lock has been answered, every use of that lock's auth is unauthenticated, for good.",
        _kept(auths.revoked_auth_dead),
    ),
    Invariant(
        "auth_works",
        ("AUTH-1", "AUTH-4"),
        "Whoever holds the lock is given its auth, the same one each time, and it works until the lock ends.",
        _kept(auths.auth_works),
    ),
    Invariant(
        "auth_only_holder",
        ("AUTH-2",),
        "The auth of a container is for the token that locked it, while it is Locked or Running; everyone else, and "
        "everyone at any other time, is forbidden.",
        _kept(auths.auth_only_holder),
    ),
    Invariant(
        "recoverable",
        ("UNLOCK-1", "UNLOCK-4"),
        "The locking token alone is enough to give a lock back, for any process: so a dispatcher recovers after a "
        "crash.",
        _kept(unlocks.recoverable),
    ),
    Invariant(
        "transition_granted",
        ("STATE-3", "LOCK-1"),
        "What the contract lets a dispatcher do is granted: a lock of a Queued container, and the changes of state of "
        "the one who holds it.",
        _kept(states.transition_granted),
    ),
    Invariant(
        "list_complete",
        ("LIST-1",),
        "A container that matches a listing's filters for as long as the listing takes is in it, and one that does "
        "not match for as long is not.",
        reads.list_complete,
    ),
    Invariant(
        "read_your_writes",
        ("GET-1",),
        "A read shows the newest state that was acknowledged before it began, or a newer one that was under way.",
        _kept(reads.read_your_writes),
    ),
    Invariant(
        "no_deadlock",
        ("LIVE-1",),
        "Every call is answered. Two that are never answered while the server answers others wait for each other.",
        service.no_deadlock,
    ),
    Invariant(
        "linearizable",
        ("LOCK-3", "UNLOCK-1", "AUTH-1", "STATE-1", "GET-1", "LIST-1"),
        "There is one order of each container's operations, each at a moment between its invocation and its return, "
        "that the contract accepts. It is named where no other invariant explains what happened.",
        order.linearizable,
    ),
)

INVARIANTS: dict[str, Invariant] = {invariant.name: invariant for invariant in _ALL}
"""Every invariant by its name, in the order in which they are named."""

POPULATION_INVARIANTS: dict[str, Property] = {
    "ran_once": Property(
        "ran_once",
        ("LOCK-3",),
        "No two dispatchers of a population run one container, each under a lock that was granted to it, unless "
        "something that can have given the first lock back came between the two.",
    )
}
"""What is judged beside them on the history of `lockrace simulate`, by name."""
