"""What the model speaks of: the rules in force, one container, one call, and an answer that the contract permits."""

from collections.abc import Hashable
from typing import Any, NamedTuple

from harness.contract import Level, Outcome, State

Symbol = Hashable
"""Stands for what a server chooses by itself: the auth and the run_auth that one lock issues. Equal means the same."""

RUN_AUTH_RULES: dict[str, str] = {
    "answered_on_update": "a lock that an update takes answers a run_auth too",
    "own_per_lock": "each lock has a run_auth of its own",
    "shown_once": "no answer but the granted lock's shows the run_auth",
    "checked_on_auth": "reading the auth with a run_auth that is not the current lock's is forbidden",
    "checked_on_unlock": "unlock with a run_auth that is not the current lock's is forbidden",
    "checked_on_update": "an update with a run_auth that is not the current lock's is forbidden",
    "needed_for_auth": "reading the auth without a run_auth is forbidden",
    "needed_to_start": "an update to Running without a run_auth is forbidden",
    "ends_with_lock": "the run_auth of a lock ends with it, whoever ends the lock",
    "bare_unlock_works": "unlock without a run_auth works",
    "bare_cancel_works": "an update to Cancelled without a run_auth works",
}
"""The rules of run_auth one by one, so that a search can drop one and show what comes back."""


class Rules(NamedTuple):
    """Which contract is in force.

    `max_dispatch_attempts` None: unknown, so an unlock by the holder may always cancel. `dropped` names rules of
    RUN_AUTH_RULES that do not hold; only at level run_auth.
    """

    level: Level = "must"
    max_dispatch_attempts: int | None = None
    dropped: frozenset[str] = frozenset()

    @property
    def run_auth(self) -> bool:
        """Whether locks answer a run_auth."""
        return self.level == "run_auth"

    def keeps(self, name: str) -> bool:
        """Whether the rule of run_auth called `name` holds."""
        return self.run_auth and name not in self.dropped


class Container(NamedTuple):
    """One container. `auth` and `run_auth` are those of the current lock, and with `locked_by` None outside one."""

    state: State = "Queued"
    priority: int = 1
    locked_by: str | None = None  # uuid of the locking token
    auth: Symbol | None = None
    lock_count: int = 0
    run_auth: Symbol | None = None


class Call(NamedTuple):
    """One request about one container.

    `caller` is the uuid of the dispatch token that was sent. Where the request was made with a container auth
    instead, `caller` is None and `auth` its symbol; with neither, no token was sent. `run_auth` is the symbol of the
    X-Run-Auth header. `attributes` are those of a create or an update, with symbols for auth uuids; `uuid` only
    where it differs from the container's own.
    """

    op: str  # create, lock, unlock, auth, get, list, update or use
    caller: str | None = None
    attributes: tuple[tuple[str, Any], ...] = ()
    auth: Symbol | None = None
    run_auth: Symbol | None = None


class Result(NamedTuple):
    """One permitted answer: its outcome, the container after it, and the fields that it shows (None: none).

    `shown.run_auth` is None unless this very answer hands the run_auth out. `lock_count` is fixed from level arvados.
    An answer may show fewer fields; it may not show other values.
    """

    outcome: Outcome
    container: Container | None
    shown: Container | None = None
