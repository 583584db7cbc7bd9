"""History files: a header line, then one operation a line, on disk before anything is judged."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from harness.history.operation import Header, History, Operation


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
        self._file.write(self._encoder.encode(header) + b"\n")

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
    lines = _operations(path)
    header = next(lines)
    assert isinstance(header, Header)
    return History(header, list(lines))  # type: ignore[arg-type]


def _operations(path: Path) -> Iterator[Header | Operation]:
    decode_header = msgspec.json.Decoder(Header).decode
    decode = msgspec.json.Decoder(Operation).decode
    number = 0
    try:
        with path.open("rb") as file:
            first = file.readline()
            number = 1
            yield decode_header(first)
            for number, line in enumerate(file, start=2):  # noqa: B007 (named in the error below)
                yield decode(line)
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror or error}") from None
    except msgspec.DecodeError as error:
        what = "the header" if number == 1 else "an operation"
        raise HistoryError(f"{path}:{number}: not {what}: {error}") from None
