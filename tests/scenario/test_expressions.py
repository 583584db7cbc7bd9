"""Expressions: what they mean in a world, what they ask, and what is refused where."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario import ExpressionError, Names, parse_expression
from harness.scenario.expressions import RESERVED

NAMES = Names(
    steps=frozenset({"a_lock", "a_auth", "b_lock", "a_find"}),
    sessions=frozenset({"A", "B"}),
    fleets={"D": frozenset({"lock", "auth"}), "E": frozenset({"lock"})},
    containers=frozenset({"c1", "own"}),
    each={"own": "D"},
    saved=frozenset({("A", "token"), ("B", "token"), ("D", "token")}),
)


OUTCOMES = {
    "a_lock": "granted",
    "b_lock": "refused",
    "D[0].lock": "granted",
    "D[1].lock": "refused",
    "D[2].lock": "refused",
}
STATUSES = {"a_lock": 200, "b_lock": 422, "D[0].lock": 200}
FIELDS = {("a_lock", "state"): "Locked", ("a_lock", "locked_by_uuid"): "gj3su-1", ("a_lock", "lock_count"): 2}
TOKENS = {"A": "s1", "D[0]": "s9"}


class Told:
    """A world whose answers are written down."""

    def outcome(self, step: str) -> str | None:
        return OUTCOMES.get(step)

    def status(self, step: str) -> int | None:
        return STATUSES.get(step)

    def field(self, step: str, name: str) -> Any:
        return FIELDS.get((step, name))

    def saved(self, session: str, name: str) -> Any:
        return TOKENS.get(session) if name == "token" else None

    def session_token_uuid(self, session: str) -> str | None:
        return {"A": "gj3su-1", "B": "gj3su-2"}.get(session)

    def believes(self, session: str, container: str) -> bool:
        return (session, container) in {("A", "c1"), ("D[1]", "own[1]"), ("D[0]", "c1")}

    def live(self, secret: str | None) -> bool:
        return secret in {"s1", "s9"}

    def state(self, container: str) -> str | None:
        return {"c1": "Locked", "own[0]": "Queued", "own[1]": "Locked", "own[2]": "Queued"}[container]

    def holders(self, container: str) -> list[str]:
        return ["A", "D[0]"]

    def lists(self, step: str, container: str) -> bool:
        return (step, container) == ("a_find", "c1")

    def overlapping(self, step: str) -> int:
        return 3

    def members(self, fleet: str) -> list[str]:
        return [f"{fleet}[{index}]" for index in range(3)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a_lock.granted", True),
        ("b_lock.granted", False),
        ("b_lock.refused", True),
        ("a_auth.granted", False),  # not performed
        ("not a_auth.granted", True),
        ("a_lock.status == 200", True),
        ("a_lock.status != 200", False),
        ("b_lock.status >= 400", True),
        ("a_auth.status >= 0", False),  # nothing has no order
        ("a_auth.status < 0", False),
        ("a_auth.status == none", True),
        ('a_lock.state == "Locked"', True),
        ('a_lock.state in ["Locked", "Running"]', True),
        ('a_lock.state not in ["Locked", "Running"]', False),
        ("a_lock.lock_count in [1, 2]", True),
        ("a_lock.locked_by_uuid == uuid(A)", True),
        ("a_lock.locked_by_uuid == uuid(B)", False),
        ("a_lock.auth_uuid == none", True),
        ("A.token == A.token", True),
        ("A.token == B.token", False),
        ("A.token != B.token", True),
        ("B.token == B.token", False),  # never saved: equals no token, not even itself
        ("B.token == none", True),
        ("A.token != none", True),
        ("live(A.token)", True),
        ("live(B.token)", False),
        ("believes(A, c1) and not believes(B, c1)", True),
        ("believes(B, c1) or believes(A, c1)", True),
        ('state(c1) == "Locked"', True),
        ("count(holders(c1)) == 2", True),
        ("lists(a_find, c1)", True),
        ("overlapping(a_lock) >= 3", True),
        ("count(a_lock.granted, b_lock.granted) == 1", True),
        ("count(D.lock.granted) == 1", True),
        ("count(D.lock.refused) == 2", True),
        ("count(D.lock.granted, E.lock.granted, a_lock.granted) == 2", True),
        ("count(live(D.token)) == 1", True),
        ("count(D.lock.granted and live(D.token)) == 1", True),
        ("count(D.lock.status == 200) == 1", True),
        ("count(believes(D, c1)) == 1", True),
        ("count(believes(D, own[member])) == 1", True),
        ('count(state(own[member]) == "Queued") == 2', True),
        ("true", True),
        ("false", False),
        ("a_lock.granted and (b_lock.granted or b_lock.refused)", True),
        ("a_lock.granted\nand b_lock.refused", True),
    ],
)
def test_an_expression_means_what_it_says(text: str, meant: bool) -> None:
    assert parse_expression(text, NAMES).evaluate(Told()) is meant


def test_a_column_may_be_any_value() -> None:
    assert parse_expression("a_lock.status", NAMES, condition=False).evaluate(Told()) == 200
    assert parse_expression("a_auth.status", NAMES, condition=False).evaluate(Told()) is None
    assert parse_expression("count(D.lock.granted)", NAMES, condition=False).evaluate(Told()) == 1


def test_a_when_inside_a_fleet_speaks_of_the_member_whose_step_it_is() -> None:
    inside = Names(**{**NAMES.__dict__, "fleet": "D"})
    expression = parse_expression("lock.granted and believes(D, c1)", inside)
    assert expression.steps == {"D.lock"}
    assert expression.evaluate(Told(), "D[0]") is True
    assert expression.evaluate(Told(), "D[1]") is False


def test_an_expression_tells_what_it_asks() -> None:
    text = 'believes(A, c1) and live(A.token) and count(live(D.token)) > 0 and state(c1) == "Locked" and a_lock.granted'
    expression = parse_expression(f"{text} and count(D.lock.granted) > 0", NAMES)
    assert expression.saved_tokens == {"A.token", "D.token"}
    assert expression.containers == {"c1"}
    assert expression.steps == {"a_lock", "D.lock"}
    assert expression.beliefs == {("A", "c1")}
    assert parse_expression('count(state(own[member]) == "Queued") == 2', NAMES).containers == {"own[member]"}


@pytest.mark.parametrize(
    ("text", "offset", "message", "near"),
    [
        ("a_lok.granted", 0, 'unknown step "a_lok"', "a_lock"),
        ("a_lock.grantd", 0, 'nothing of a step is called "grantd"', "granted"),
        ("b_lock.refused and a_lock.stat == 1", 19, 'called "stat"', "state"),
        ("live(A.tokn)", 5, 'no step of A saves "tokn"', "token"),
        ("live(a_lock.granted)", 5, "live is given a saved token", None),
        ("believs(A, c1)", 0, 'unknown function "believs"', "believes"),
        ("believes(A)", 0, "believes is given session and container", None),
        ("believes(a_lock, c1)", 9, 'unknown session "a_lock"', None),
        ("believes(A, c2)", 12, 'unknown container "c2"', "c1"),
        ("state(own) == 1", 6, "every member has its own own; write own[member]", None),
        ("lists(a_fnd, c1)", 6, 'unknown step "a_fnd"', "a_find"),
        ("D.lok.granted", 0, 'fleet D has no step "lok"', "lock"),
        ("C.lock.granted", 0, 'unknown fleet "C"', None),
        ('state(c1) == "Runing"', 13, 'no state is called "Runing"', "Running"),
        ('a_lock.state in ["Loked"]', 17, 'no state is called "Loked"', "Locked"),
        ("a_lock", 0, "a_lock is a step; ask for a_lock.granted", None),
        ("A", 0, "A is a dispatcher", None),
        ("not c1", 4, "c1 is a container; ask for state(c1)", None),
        ("a_lock.status", 0, "this is a number, not true or false", None),
        ("a_lock.granted and a_lock.status", 19, "this is a number, not true or false", None),
        ("D.lock.granted", 0, "D is a fleet; say of how many with count(...)", None),
        ("count(D.lock.granted and E.lock.granted) > 0", 6, "members of D and E at once", None),
        ("holders(c1) == 1", 0, "compare count(holders(...))", None),
        ("count(a_lock.status) == 1", 6, "count is given what is true or false", None),
        ("count() == 1", 0, "count what?", None),
        ("A.token == 3", 0, "a saved token can be compared only with another one", None),
        ("A.token < B.token", 0, "only numbers have an order", None),
        ('a_lock.state < "Locked"', 0, "only numbers have an order", None),
        ("1 < a_lock.status < 300", 0, "compare two things at a time", None),
        ("a_lock.status is none", 0, "compare with ==", None),
        ("a_lock.status in 5", 17, "`in` wants a list", None),
        ("A.token in [1]", 11, "a token is not in a list", None),
        ("a_lock.granted and", 18, "cannot be read", None),
        ("a_lock.granted or or b_lock.granted", 18, "cannot be read", None),
        ("", 0, "is empty", None),
        ("a_lock.granted # sure", 15, "the character '#' has no meaning here", None),
        ("None", 0, "may not stand in an expression", None),
        ("True", 0, "may not stand in an expression", None),
        ("nobody", 0, 'unknown name "nobody"', None),
        ("non == 3", 0, 'unknown name "non"', "none"),
        ("ä_lock.granted and a_lok.granted", 0, "unknown step", "b_lock"),
        ("believes(A, c1, c1)", 0, "believes is given", None),
        ("count(x=1) == 1", 0, "takes no named arguments", None),
    ],
)
def test_a_fault_is_told_at_its_place_with_the_name_that_was_meant(
    text: str, offset: int, message: str, near: str | None
) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, NAMES)
    assert message in str(caught.value)
    assert (caught.value.offset, caught.value.near) == (offset, near)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a_lock.__class__",
        "A.token.__class__",
        "().__class__.__bases__",
        "(lambda: 1)()",
        "[x for x in holders(c1)]",
        "a_lock.granted if true else false",
        "f'{a_lock}'",
        "(a := 1)",
        "1 + 1 == 2",
        "-1 == 1",
        "a_lock.status[0]",
        "own[0]",
        "count(*holders(c1)) == 1",
        "await a_lock",
        "{1: 2}",
        "1.5 == 1.5",
        "...",
        "a_lock.granted; b_lock.granted",
        "state(c1)()",
        "not " * 400 + "true",
        "(" * 300 + "true" + ")" * 300,
        "true and " * 300 + "true",
        "lambda: " * 200 + "1",
        "a" * 3000,
        "true\\\n",
        "'\\x41' == 'A'",
        "\0",
    ],
)
def test_what_is_not_of_the_language_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text, NAMES)


FRAGMENTS = (
    *sorted(RESERVED),
    "a_lock",
    ".granted",
    "A.token",
    "(",
    ")",
    ",",
    "c1",
    "==",
    " ",
    "1",
    "own[member]",
    "D",
)


@given(st.text(max_size=60) | st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_any_text_is_an_expression_or_an_error_of_ours(text: str) -> None:
    try:
        value = parse_expression(text, NAMES).evaluate(Told())
    except ExpressionError as error:
        value = error.offset in range(len(text) + 1) or error.offset
    assert value in (True, False)


def test_an_expression_travels_to_another_process() -> None:
    expression = parse_expression("believes(A, c1) and not live(B.token)", NAMES)
    again = pickle.loads(pickle.dumps(expression))
    assert again == expression
    assert again.evaluate(Told()) is True
