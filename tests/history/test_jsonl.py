"""Reading history files of anyone: streamed, whole, and refused with line and reason."""

from pathlib import Path

import jsonschema_rs
import msgspec
import pytest

from harness.history import (
    Header,
    HistoryError,
    HistoryWriter,
    Operation,
    Shown,
    history_schema,
    read_history,
    stream_history,
)

HEADER = b'{"format":1,"kind":"lockrace-history"}\n'
LOCK = b'{"op":"lock","process":"A#1","invoke_ns":1,"return_ns":2,"type":"ok","outcome":"granted"}\n'


def written(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    operation = Operation(
        op="lock",
        process="A#1",
        invoke_ns=1,
        return_ns=2,
        type="ok",
        outcome="granted",
        value=Shown(state="Locked", locked_by_uuid=None),
    )
    path = tmp_path / "deep" / "history.jsonl"
    with HistoryWriter(path, Header(level="arvados")) as writer:
        writer.add(operation)
    history = read_history(path)
    assert (history.header, history.operations) == (Header(level="arvados"), [operation])


def test_a_stream_reads_up_to_the_broken_line(tmp_path: Path) -> None:
    header, operations = stream_history(written(tmp_path, HEADER, LOCK, b"{broken\n", LOCK))
    assert header == Header()
    assert next(operations).op == "lock"
    with pytest.raises(HistoryError, match=r"history\.jsonl:3: not an operation: "):
        next(operations)


def test_an_arrival_may_stand_in_any_operation(tmp_path: Path) -> None:
    unheard = LOCK.replace(b'"return_ns":2,', b"").replace(b'"ok"', b'"info"').replace(b'"granted"', b'"indeterminate"')
    lines = [line.replace(b"}", b',"arrival_ns":2}') for line in (LOCK, unheard)]
    assert [one.arrival_ns for one in read_history(written(tmp_path, HEADER, *lines)).operations] == [2, 2]


@pytest.mark.parametrize(
    ("lines", "place", "reason"),
    [
        ((), 1, "not the header of a history"),
        ((LOCK,), 1, "not the header of a history"),
        ((b'{"format":2,"kind":"lockrace-history"}\n',), 1, "Invalid enum value 2"),
        ((HEADER, LOCK, b"\n"), 3, "truncated"),
        ((HEADER, LOCK[:-10]), 2, "truncated"),
        ((HEADER, LOCK[:-1] + b" " + LOCK), 2, "trailing"),
        ((HEADER, b'{"op":"\xff"}\n'), 2, "utf-8"),
        ((HEADER, b"[" * 100_000 + b"\n"), 2, "not an operation"),
        ((HEADER, LOCK, LOCK.replace(b'"lock"', b'"lick"')), 3, "unknown op 'lick', want one of create, lock"),
        ((HEADER, LOCK.replace(b'"return_ns":2,', b"")), 2, "type ok needs a return_ns"),
        ((HEADER, LOCK.replace(b'"invoke_ns":1', b'"invoke_ns":-1')), 2, "invoke_ns -1 is below 0"),
        ((HEADER, LOCK.replace(b'"ok"', b'"info"')), 2, "type info must have no return_ns"),
        ((HEADER, LOCK.replace(b'"return_ns":2', b'"return_ns":0')), 2, "return_ns 0 is before invoke_ns 1"),
        ((HEADER, LOCK.replace(b"}", b',"arrival_ns":0}')), 2, "arrival_ns 0 is not between invoke_ns and return_ns"),
        ((HEADER, LOCK.replace(b"}", b',"sent_again":true}')), 2, "only what was limited is sent_again"),
        ((HEADER, LOCK.replace(b"}", b',"arrival_ns":3}')), 2, "arrival_ns 3 is not between invoke_ns and return_ns"),
        (
            (HEADER, LOCK.replace(b"}", b',"arrival_ns":"2"}')),
            2,
            "Expected `int | null`, got `str` - at `$.arrival_ns`",
        ),
        ((HEADER, LOCK.replace(b'"granted"', b'"won"')), 2, "Invalid enum value 'won'"),
        ((HEADER, LOCK.replace(b":1,", b':"1",')), 2, "Expected `int`, got `str` - at `$.invoke_ns`"),
    ],
)
def test_a_malformed_line_is_refused_with_its_place_and_reason(
    tmp_path: Path, lines: tuple[bytes, ...], place: int, reason: str
) -> None:
    path = written(tmp_path, *lines)
    with pytest.raises(HistoryError) as raised:
        read_history(path)
    assert str(raised.value).startswith(f"{path}:{place}: ")
    assert reason in str(raised.value)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="No such file"):
        read_history(tmp_path / "none.jsonl")


def test_the_schema_accepts_what_is_written_and_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema_rs.validator_for(history_schema())
    assert validator.is_valid(msgspec.to_builtins(Header(level="must")) | {"format": 1, "kind": "lockrace-history"})
    line = msgspec.json.decode(LOCK)
    assert validator.is_valid(line)
    assert validator.is_valid(line | {"value": {"state": "Locked", "auth_uuid": None}})
    for wrong in ({"op": "lick"}, {"invoke_ns": "1"}, {"type": "won"}, {"outcome": "won"}, {"value": {"found": [1]}}):
        assert not validator.is_valid(line | wrong)
    assert not validator.is_valid({"format": 2, "kind": "lockrace-history"})
