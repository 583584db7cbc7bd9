"""What an exchange keeps of a reply: the target's own stamp of the arrival, where it can be one."""

import pytest

from harness.drive.line import exchange_of
from harness.wire import Call, Reply


@pytest.mark.parametrize(
    ("stamp", "kept"),
    [
        ("150", 150),
        ("100", 100),
        ("200", 200),
        ("99", None),  # before the call, after it: another clock
        ("201", None),
        ("-150", None),
        ("150.5", None),
        ("\u0661\u0665\u0660", None),
        ("", None),
        ("9" * 5000, None),
        (None, None),
    ],
)
def test_a_stamp_that_lies_within_the_call_is_kept(stamp: str | None, kept: int | None) -> None:
    headers = () if stamp is None else (("Content-Type", "application/json"), ("X-Arrival-Ns", stamp))
    reply = Reply(invoke_ns=100, return_ns=200, status=200, headers=headers, body=b"{}")
    assert exchange_of(Call(op="get", token="t", uuid="u"), "req-1", reply, {}).arrival_ns == kept
