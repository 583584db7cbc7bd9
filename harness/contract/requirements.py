"""What a server must do, one numbered requirement each; `lockrace explain ID` prints them."""

from typing import NamedTuple

from harness.contract.words import Level


class Requirement(NamedTuple):
    """One requirement: its ID, the level that fixes it, and what it demands."""

    id: str
    level: Level
    text: str


_ALL = (
    Requirement(
        "LOCK-1",
        "must",
        "Locking a Queued container of priority above 0 is granted: it becomes Locked, locked_by_uuid names the "
        "caller's token, auth_uuid names a newly issued container auth.",
    ),
    Requirement("LOCK-2", "must", "Locking in any other state is refused and changes nothing."),
    Requirement(
        "LOCK-3",
        "must",
        "Of any number of lock calls at once on a Queued container exactly one is granted, and every other caller "
        "is told that it lost.",
    ),
    Requirement("LOCK-4", "arvados", "Locking at priority 0 is refused and changes nothing."),
    Requirement(
        "LOCK-5",
        "arvados",
        "A granted lock or unlock answers at least uuid, state, priority, locked_by_uuid and auth_uuid, as they "
        "are then.",
    ),
    Requirement("LOCK-6", "arvados", "Each lock adds 1 to lock_count."),
    Requirement(
        "UNLOCK-1",
        "must",
        "Unlocking a Locked container with the locking token is granted: it becomes Queued (at the attempt limit "
        "Cancelled), locked_by_uuid and auth_uuid become null.",
    ),
    Requirement("UNLOCK-2", "must", "Unlocking in any other state is refused and changes nothing."),
    Requirement(
        "UNLOCK-3",
        "must",
        "Once unlock has answered, the container auth is revoked: every use of it is unauthenticated, also after "
        "the next lock.",
    ),
    Requirement(
        "UNLOCK-4",
        "must",
        "Any process with the locking token may unlock, knowing nothing but the token: a dispatcher recovers so "
        "after a crash.",
    ),
    Requirement("UNLOCK-5", "arvados", "Unlocking with a different token is forbidden and changes nothing."),
    Requirement(
        "UNLOCK-6",
        "arvados",
        "Unlocking when lock_count has reached the server's limit cancels the container and says so in "
        "runtime_status.error.",
    ),
    Requirement(
        "AUTH-1",
        "must",
        "Reading the auth of a Locked or Running container with the locking token is granted: the container auth, "
        "secret included.",
    ),
    Requirement(
        "AUTH-2", "must", "Reading the auth with an authenticated other token, or in another state, is forbidden."
    ),
    Requirement("AUTH-3", "must", "Every lock issues an auth that was never issued before."),
    Requirement("AUTH-4", "must", "During one lock every read of the auth answers the same auth, and it works."),
    Requirement("AUTH-5", "must", "The auth is revoked also when the container becomes Complete or Cancelled."),
    Requirement("AUTH-6", "must", "No secret of a token appears in a container record, a list or an error."),
    Requirement(
        "STATE-1",
        "must",
        "An update that changes the state against the table of transitions is refused and changes nothing; the "
        "same state again is granted or refused, and changes nothing.",
    ),
    Requirement(
        "STATE-2", "must", "locked_by_uuid, auth_uuid and uuid cannot be changed by an update: refused or forbidden."
    ),
    Requirement(
        "STATE-3",
        "must",
        "The locking token may take Locked to Running, Running to Complete, and Locked or Running to Cancelled; a "
        "dispatch token may take Queued to Cancelled; Running keeps holder and auth, Complete and Cancelled clear "
        "both.",
    ),
    Requirement(
        "STATE-4",
        "arvados",
        "An update to Queued of a Locked container is an unlock in every respect, an update to Locked of a Queued "
        "one is a lock in every respect: of updates at once one makes the change.",
    ),
    Requirement("GET-1", "must", "Reading a container shows the newest acknowledged state."),
    Requirement(
        "LIST-1",
        "must",
        "Listing finds containers by state, priority, uuid and locked_by_uuid; one that matches throughout is in a "
        "listing that is one page or pages by uuid.",
    ),
    Requirement(
        "ERR-1",
        "must",
        'Every refusal is JSON {"errors": [text, ...]}; no token or a dead one is unauthenticated before anything '
        "else; an unknown or malformed uuid is missing; malformed input is refused.",
    ),
    Requirement("ERR-2", "must", "No answer is a 5xx."),
    Requirement("DUR-1", "must", "What was acknowledged survives kill -9 of the server and its restart."),
    Requirement("LIVE-1", "must", "Under load every call is answered: no deadlock, no lost container."),
    Requirement(
        "RUN-1",
        "run_auth",
        "At no moment do two dispatchers hold a working auth or a working run_auth of one container.",
    ),
    Requirement(
        "RUN-2",
        "run_auth",
        "A dispatcher whose lock was taken away learns it from its next auth, unlock or update with that run_auth.",
    ),
    Requirement(
        "RUN-3",
        "run_auth",
        "An unlock sent late with its run_auth, for a lock that has ended, changes nothing.",
    ),
    Requirement("RUN-4", "run_auth", "Only the dispatcher that holds the current lock can make the container Running."),
)

REQUIREMENTS: dict[str, Requirement] = {requirement.id: requirement for requirement in _ALL}
"""Every requirement by its ID, in the contract's order."""
