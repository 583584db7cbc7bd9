"""A token's spelling stands in a failure exactly where it is what differs."""

from typing import Any

from harness.check.verdict import Violation
from harness.report.html.drawing import draw
from harness.report.spelling import told_apart
from harness.report.summary import failures
from harness.report.terminal import Look, failure
from harness.report.timeline import timeline
from harness.scenario import Mark
from tests.report.builders import Book, result, run_of, scenario

V2 = {"spelled": "v2"}


def book(*calls: tuple[str, dict[str, Any]]) -> Book:
    """A locks and reads its auth; then what is called."""
    kept = Book()
    kept.did("A", "lock", state="Locked", auth_uuid="t1")
    kept.did("A", "auth", auth_uuid="t1", secret_shown="s1")
    for op, more in calls:
        kept.did("A", op, **more)
    return kept


def uses(outcome: str, spelled: bool, op: str = "use") -> tuple[str, dict[str, Any]]:
    return op, {"outcome": outcome, "secret": "s1", "token": "A.token", "sent": V2 if spelled else None}


UNLOCK = ("unlock", {"state": "Queued"})


def table_of(kept: Book) -> str:
    found = Violation("invariant", "revoked_auth_dead", "UNLOCK-3", "it works", 0, (1,), "c1", Mark(2, 1))
    run = run_of(result("violation", scenario("mine"), kept.operations, violations=[found]))
    return failure(run, failures(run.results)[0], Look(130))


def test_an_auth_that_lives_on_in_one_spelling_is_shown_in_both() -> None:
    kept = book(UNLOCK, uses("unauthenticated", False), uses("unauthenticated", False, "get"), uses("granted", True))
    text = table_of(kept)
    assert "use bare token 1 → 401" in text
    assert "get by bare token 1 → 401" in text
    assert "use v2/UUID/token 1 → 200" in text
    found = Violation("invariant", "revoked_auth_dead", "UNLOCK-3", "it works", 0, (1,), "c1", Mark(2, 1))
    labels = [bar.label for lane in draw(timeline(kept.operations, found)).lanes for bar in lane.bars]
    assert "use 200 v2/UUID/token 1" in labels


def test_an_auth_that_is_dead_in_one_spelling_too_early_is_told_apart() -> None:
    assert told_apart(book(uses("granted", True), uses("unauthenticated", False)).operations) == {"s1"}
    assert told_apart(book(uses("unauthenticated", True), uses("granted", False)).operations) == {"s1"}


def test_spellings_that_are_treated_alike_are_not_mentioned() -> None:
    for kept in (
        book(uses("granted", False), UNLOCK, uses("unauthenticated", True)),
        book(uses("granted", False), uses("granted", True), UNLOCK, uses("unauthenticated", False)),
        book(uses("granted", False), UNLOCK, uses("granted", True)),
        book(uses("unauthenticated", False), uses("indeterminate", True)),
        book(uses("granted", False), ("list", {"sent": {"state": ["Locked", "Running"]}}), uses("granted", True)),
        book(uses("granted", True), ("update", {"sent": {"state": "Cancelled"}}), uses("unauthenticated", False)),
    ):
        assert told_apart(kept.operations) == set()
        text = table_of(kept)
        assert "v2" not in text
        assert "bare" not in text


def test_a_listing_of_states_ends_no_lock() -> None:
    for state in ("Queued", ["Locked", "Queued"]):
        listing = ("list", {"sent": {"state": state}})
        kept = book(uses("granted", True), listing, uses("unauthenticated", False))
        assert told_apart(kept.operations) == {"s1"}


def test_another_token_does_not_speak_for_this_one() -> None:
    kept = book(uses("unauthenticated", False), ("use", {"secret": "s2", "token": "B.token", "sent": V2}))
    assert told_apart(kept.operations) == set()
