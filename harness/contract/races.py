"""Races that the contract itself permits: a server that shows them conforms, one that does not is better than it."""

from typing import NamedTuple


class KnownRaceText(NamedTuple):
    """One known race: its ID and how it goes."""

    id: str
    text: str


_ALL = (
    KnownRaceText(
        "stolen_lock",
        "A locks, B (same token) unlocks and locks again, then both read the auth: both believe that they hold the "
        "lock and both hold a valid token. Arvados #9898 leaves it to a later run token (#9900).",
    ),
    KnownRaceText(
        "stolen_lock_early_auth",
        "As stolen_lock, but A read the auth before B unlocked: A's token is dead, and A does not know.",
    ),
    KnownRaceText(
        "double_update",
        "Two dispatchers with one token update the state to Locked; both are granted, the second as a change that "
        "changes nothing and shows the first one's lock. The old way to lock, which #9898 exists to end.",
    ),
    KnownRaceText("late_unlock", "A's unlock reply is lost; B locks; A's retry of the unlock undoes B's lock."),
    KnownRaceText(
        "lost_lock_reply",
        "A's lock reply is lost and its retry is refused: A holds the lock and does not know it.",
    ),
    KnownRaceText(
        "adopted_running",
        "A second dispatcher with the token finds a Running container that it did not start, takes it for its own "
        "and cancels it.",
    ),
)

KNOWN_RACES: dict[str, KnownRaceText] = {race.id: race for race in _ALL}
