"""Mutants of container auths: whose they are, whether they are new, and how long they live."""

import asyncio
import time

import msgspec
from msgspec.structs import replace

from reference_server.mutants.catalogue import mutant, when_granted, when_refused
from reference_server.objects import Container, Token, details_of, new_secret
from reference_server.places import Authenticate, FetchAuth, FindToken, Issue, spelled
from reference_server.places import Change as ChangePlace
from reference_server.query import Condition, Query
from reference_server.rules import FINAL, HELD, NOT_YOURS, Call, Change, Decision, Refusal, Rule
from reference_server.stores import Store

LATE_S = 0.15
CACHED_S = 1.0


@mutant("unlock", "UNLOCK-3", invariant="revoked_auth_dead")
def keep_auth(faithful: Rule) -> Rule:
    """Unlock does not revoke the container auth."""
    return when_granted(faithful, lambda _, __, change: replace(change, revoke=None))


@mutant("update", "AUTH-5", invariant="revoked_auth_dead")
def keep_auth_at_end(faithful: Rule) -> Rule:
    """A container that becomes Complete or Cancelled keeps a living auth."""
    return when_granted(
        faithful, lambda _, __, change: replace(change, revoke=None) if change.after.state in FINAL else change
    )


@mutant("update", "STATE-4 UNLOCK-3", "arvados", invariant="revoked_auth_dead")
def keep_auth_at_requeue(faithful: Rule) -> Rule:
    """An update to Queued does not revoke the container auth, though unlock does."""
    return when_granted(
        faithful, lambda _, __, change: replace(change, revoke=None) if change.after.state == "Queued" else change
    )


@mutant("change", "UNLOCK-3", invariant="revoked_auth_dead")
def late_revocation(faithful: ChangePlace) -> ChangePlace:
    """Unlock answers first and revokes the container auth a moment later."""
    tasks = set()

    async def revoke(store: Store, uuid: str, auth_uuid: str) -> None:
        await asyncio.sleep(LATE_S)
        await store.change(uuid, lambda row: Change(row, revoke=auth_uuid))

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        def keep(row: Container, call: Call) -> Decision:
            decision = rule(row, call)
            return replace(decision, revoke=None) if isinstance(decision, Change) else decision

        if call.verb != "unlock":
            return await faithful(store, uuid, rule, call)
        before = await store.container(uuid)
        decision = await faithful(store, uuid, keep, call)
        if before and before.auth_uuid and isinstance(decision, Change):
            task = asyncio.create_task(revoke(store, uuid, before.auth_uuid))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return decision

    return change


@mutant("authenticate", "UNLOCK-3 AUTH-5", invariant="revoked_auth_dead")
def token_cache(faithful: Authenticate) -> Authenticate:
    """A token that was used lives on in a cache of this process for a second."""
    cache: dict[str, tuple[float, Token]] = {}

    async def authenticate(find_token: FindToken, presented: str) -> Token | None:
        since, token = cache.get(presented, (0.0, None))
        if token is not None and time.monotonic() - since < CACHED_S:
            return token
        found = await faithful(find_token, presented)
        if found:
            cache[presented] = time.monotonic(), found
        return found

    return authenticate


@mutant("authenticate", "UNLOCK-3", invariant="revoked_auth_dead", spelling="v2")
def revoked_in_one_spelling(faithful: Authenticate) -> Authenticate:
    """A revoked auth is dead as a bare secret and lives on as v2/UUID/SECRET."""
    known: dict[str, Token] = {}

    async def authenticate(find_token: FindToken, presented: str) -> Token | None:
        uuid, secret, _ = spelled(presented)
        token = await faithful(find_token, presented)
        if token:
            known[secret] = token
        return token or (known.get(secret) if uuid else None)

    return authenticate


@mutant("issue", "AUTH-3 UNLOCK-3", invariant="fresh_auth_per_lock")
def auth_reissued(faithful: Issue) -> Issue:
    """Every lock of a container issues the same auth again, so that the old one comes back to life."""
    issued: dict[str, Token] = {}

    def issue(uuid: str) -> Token:
        return issued.setdefault(uuid, faithful(uuid))

    return issue


@mutant("issue", "AUTH-3", invariant="fresh_auth_per_lock")
def auth_uuid_reissued(faithful: Issue) -> Issue:
    """Every lock of a container issues an auth of the same uuid, with a new secret."""
    issued: dict[str, Token] = {}

    def issue(uuid: str) -> Token:
        return replace(issued.setdefault(uuid, faithful(uuid)), secret=new_secret())

    return issue


@mutant("read_auth", "AUTH-2", invariant="auth_only_holder")
def auth_for_anyone(faithful: Rule) -> Rule:
    """Any dispatch token is given the auth of a container that another one has locked."""
    return when_refused(
        faithful, lambda row, _, refusal: Change(row) if refusal == NOT_YOURS and row.state in HELD else refusal
    )


@mutant("read_auth", "AUTH-1", invariant="auth_works")
def auth_only_locked(faithful: Rule) -> Rule:
    """The auth of a Running container is forbidden to its holder."""
    return when_granted(faithful, lambda row, _, change: NOT_YOURS if row.state == "Running" else change)


@mutant("fetch_auth", "AUTH-4", invariant="auth_works")
def auth_changes(faithful: FetchAuth) -> FetchAuth:
    """Every reading of the auth answers another secret, and none of them works."""

    async def fetch_auth(store: Store, uuid: str) -> tuple[Container, Token | None] | None:
        found = await faithful(store, uuid)
        if found is None or found[1] is None:
            return found
        return found[0], replace(found[1], secret=new_secret())

    return fetch_auth


@mutant("update", "AUTH-4", invariant="auth_works")
def auth_ends_with_running(faithful: Rule) -> Rule:
    """The auth is revoked when the container becomes Running."""

    def alter(row: Container, _: Call, change: Change) -> Decision:
        return replace(change, revoke=row.auth_uuid) if (row.state, change.after.state) == HELD else change

    return when_granted(faithful, alter)


@mutant("change", "AUTH-4", invariant="auth_works", seen="Arvados 0c835b7d77, d91eb0fae8: mixed up in memory")
def unlock_revokes_others(faithful: ChangePlace) -> ChangePlace:
    """Unlock of one container revokes the auths of all that the same token has locked."""

    async def change(store: Store, uuid: str, rule: Rule, call: Call) -> Decision | None:
        decision = await faithful(store, uuid, rule, call)
        if call.verb == "unlock" and not isinstance(decision, Refusal):
            mine = Query(conditions=(Condition("locked_by_uuid", "=", call.caller.uuid),), order=(("uuid", False),))
            for other in (await store.find(mine)).rows:
                await store.change(other.uuid, lambda row: Change(row, revoke=row.auth_uuid))
        return decision

    return change


@mutant("lock", "AUTH-6", invariant="no_secret_leak")
def secret_in_record(faithful: Rule) -> Rule:
    """Lock writes the auth's secret into the container's environment, for all to read."""

    def alter(_: Container, __: Call, change: Change) -> Decision:
        if change.issue is None:
            return change
        details = details_of(change.after) | {"environment": {"ARVADOS_API_TOKEN": change.issue.secret}}
        return replace(change, after=replace(change.after, details=msgspec.json.encode(details).decode()))

    return when_granted(faithful, alter)
