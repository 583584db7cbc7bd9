"""Replay texts say what was run, and are read back as what they said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.plan import parse_replay, replay_text
from harness.plan.plan import Order
from harness.scenario import load_all, shipped

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "race")
GROUPS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


(STOLEN_LOCK,) = load_all([shipped() / "races" / "stolen_lock.race.yaml"])


def test_an_order_with_a_group() -> None:
    order: Order = (("a_lock",), ("b_unlock",), ("b_lock", "c_lock"), ("a_auth",))
    text = "stolen_lock:a_lock,b_unlock,[b_lock,c_lock],a_auth"
    assert replay_text(STOLEN_LOCK, order) == text
    assert parse_replay(text) == ("stolen_lock", order)


def test_a_race_and_an_instance_with_brackets() -> None:
    assert parse_replay("thundering_herd[size=10,who=a.b-c]:race") == ("thundering_herd[size=10,who=a.b-c]", None)
    assert parse_replay("transition_table[Queued-shared-lock]:call,look").order == (("call",), ("look",))


def test_a_race_is_told_as_one() -> None:
    assert replay_text(STOLEN_LOCK, None) == "stolen_lock:race"


@given(st.lists(GROUPS, min_size=1, max_size=6).map(tuple))
def test_every_order_is_read_back(order: Order) -> None:
    assert parse_replay(replay_text(STOLEN_LOCK, order)).order == order


def test_every_shipped_name_can_stand_in_a_replay_text() -> None:
    for scenario in load_all([shipped()]):
        assert parse_replay(replay_text(scenario, (("a",),))) == (scenario.name, (("a",),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no replay text"),
        ("stolen_lock", "is no replay text"),
        ("stolen_lock:", "is no replay text"),
        ("Stolen:a", "is no replay text"),
        ("x[size=1:a", "is no replay text"),
        ("x" * 30_000 + ":a", "is no replay text"),
        ("x:a,,b", 'cannot read the order at ",b"'),
        ("x:a b", 'cannot read the order at "a b"'),
        ("x:a,[b,c", 'cannot read the order at "\\[b,c"'),
        ("x:[a,b]c", "cannot read the order at"),
        ("x:a,", "has an empty place"),
        ("x:[a,,b]", "has an empty place"),
    ],
)
def test_what_is_no_replay_text_is_told(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_replay(text)
