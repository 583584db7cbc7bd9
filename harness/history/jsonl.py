"""History files: a header line, then one operation a line, on disk before anything is judged.

Files may come from anyone and may be large: `stream_history` holds one line at a time, and a line that is not an
operation is refused with its file, its line and the reason.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from harness.history.operation import OPS, Header, History, Operation

_KNOWN_OPS = frozenset(OPS)


class _Mark(msgspec.Struct):
    """What no header may lack: in a Header these are defaults."""

    format: int
    kind: str


class HistoryError(Exception):
    """A history file that cannot be read; the text says file, line and why."""


class HistoryWriter:
    """Appends operations to a history file; complete on disk when closed.

    Use as a context manager. Not for several writers at once.
    """

    def __init__(self, path: Path, header: Header) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._encoder = msgspec.json.Encoder()
        self._file = path.open("wb")
        mark = {"format": header.format, "kind": header.kind}  # defaults, and yet what tells the file from any other
        self._file.write(self._encoder.encode(mark | msgspec.to_builtins(header)) + b"\n")

    def add(self, operation: Operation) -> None:
        """Append one completed operation."""
        self._file.write(self._encoder.encode(operation) + b"\n")

    def close(self) -> None:
        """Flush to the disk itself, then close; a second call does nothing."""
        if self._file.closed:
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_history(path: Path) -> History:
    """Read a whole history file.

    Raises HistoryError with file, line and reason for a file that cannot be read or a malformed line.
    """
    header, operations = stream_history(path)
    return History(header, list(operations))


def stream_history(path: Path) -> tuple[Header, Iterator[Operation]]:
    """The header of a history file, and its operations one by one, so that a large file is never held whole.

    Raises HistoryError for the header here, for an operation when the iterator reaches its line.
    """
    try:
        with path.open("rb") as file:
            first = file.readline()
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from None
    try:
        msgspec.json.decode(first, type=_Mark)
        header = msgspec.json.decode(first, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(f"{path}:1: not the header of a history: {error}") from None
    return header, _operations(path, len(first))


def history_schema() -> dict[str, Any]:
    """The JSON Schema of one line of a history file: a header (the first line) or an operation."""
    (operation, header), definitions = msgspec.json.schema_components(
        (Operation, Header), ref_template="#/$defs/{name}"
    )
    definitions["Operation"]["properties"]["op"]["enum"] = list(OPS)
    definitions["Header"]["required"] = ["format", "kind"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of a lockrace history",
        "description": "The first line of the file is a header, every other line an operation.",
        "anyOf": [header, operation],
        "$defs": definitions,
    }


def _operations(path: Path, offset: int) -> Iterator[Operation]:
    decode = msgspec.json.Decoder(Operation).decode
    number = 1
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                number += 1
                operation = decode(line)
                end, arrival = operation.return_ns, operation.arrival_ns
                if (
                    (end is None) != (operation.type == "info")
                    or operation.invoke_ns < 0
                    or (end is not None and end < operation.invoke_ns)
                    or (arrival is not None and (arrival < operation.invoke_ns or (end is not None and arrival > end)))
                    or operation.op not in _KNOWN_OPS
                    or (operation.sent_again and operation.outcome != "limited")
                ):
                    raise HistoryError(f"{path}:{number}: not an operation: {_contradiction(operation)}")
                yield operation
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise HistoryError(f"{path}:{number}: not an operation: {error}") from None


def _contradiction(operation: Operation) -> str:
    """Why an operation that has every field cannot be one."""
    if operation.op not in _KNOWN_OPS:
        return f"unknown op {operation.op!r}, want one of {', '.join(OPS)}"
    if operation.sent_again and operation.outcome != "limited":
        return f"only what was limited is sent_again, and it was {operation.outcome}"
    if operation.invoke_ns < 0:
        return f"invoke_ns {operation.invoke_ns} is below 0"
    if operation.return_ns is None:
        return f"type {operation.type} needs a return_ns; only info has none"
    if operation.type == "info":
        return "type info must have no return_ns: it may still take effect"
    if operation.return_ns < operation.invoke_ns:
        return f"return_ns {operation.return_ns} is before invoke_ns {operation.invoke_ns}"
    return f"arrival_ns {operation.arrival_ns} is not between invoke_ns and return_ns"
