"""What was asked and answered: operations, their history, and the JSONL file that holds it."""

from harness.history.facts import Facts
from harness.history.jsonl import HistoryError, HistoryWriter, history_schema, read_history, stream_history
from harness.history.operation import (
    SHOWN_FIELDS,
    Header,
    History,
    Operation,
    OperationType,
    Shown,
)
from harness.history.overlap import RaceFigures, exclusion, race_figures, release_sentence

__all__ = [
    "SHOWN_FIELDS",
    "Facts",
    "Header",
    "History",
    "HistoryError",
    "HistoryWriter",
    "Operation",
    "OperationType",
    "RaceFigures",
    "Shown",
    "exclusion",
    "history_schema",
    "race_figures",
    "read_history",
    "release_sentence",
    "stream_history",
]
