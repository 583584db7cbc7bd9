"""Short texts of one operation, the same in every report; text that a server sent comes out harmless."""

from typing import Any

from harness.contract import REQUIREMENTS
from harness.history import Operation

_MARKDOWN = str.maketrans({**{char: f"\\{char}" for char in "\\|`*_[]"}, "<": "&lt;", ">": "&gt;"})

EVENTS = frozenset({"crash", "pause", "resume", "restart", "barrier"})
"""Operations that are no requests: they have no answer to tell of."""

HARNESS = "harness"
"""The column of calls that no dispatcher of the scenario made: setup and the probes at the end."""


def harmless(text: str) -> str:
    """`text` on one line without control characters, so that no answer of a server can steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in " ".join(text.split()))


def shortened(text: str, length: int) -> str:
    """`text`, at most `length` characters; an ellipsis stands for what was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def markdown_cell(text: str) -> str:
    """`text` as one cell of a Markdown table, whatever is in it."""
    return shortened(harmless(text), 400).translate(_MARKDOWN)


def dispatcher_of(operation: Operation) -> str:
    """The dispatcher that sent it: its process without the incarnation, or `harness` outside the run itself."""
    if operation.phase != "run":
        return HARNESS
    return harmless(operation.process.rpartition("#")[0] or operation.process)


def request_of(operation: Operation) -> str:
    """What was asked, in a few words: "lock", "update state=Running", "use B.token"."""
    parts = [operation.op]
    if operation.op == "use" and operation.token:
        parts.append(operation.token)
    if operation.sent and operation.op not in {"create", "use"}:  # a container's whole description says nothing
        parts += [f"{name}={_value(value)}" for name, value in operation.sent.items()]
    return shortened(harmless(" ".join(parts)), 80)


def answer_of(operation: Operation) -> str:
    """What came back: "200 granted", "no answer", or nothing for an event."""
    if operation.op in EVENTS:
        return ""
    if operation.status is None:
        return "no answer" if operation.outcome == "indeterminate" else operation.outcome
    return f"{operation.status} {operation.outcome}"


def incarnation_of(operation: Operation) -> str:
    """The process, where it is not the dispatcher's first: "A#2"; else nothing."""
    name, _, number = operation.process.rpartition("#")
    return harmless(operation.process) if name and number != "1" and operation.phase == "run" else ""


def step_of(operation: Operation) -> str:
    """The step's id, else what the harness was about: "probe", "setup"."""
    return harmless(operation.step or operation.phase)


def requirement_text(requirement: str) -> str:
    """The requirement's sentence in the contract; empty for an ID that the contract does not have."""
    known = REQUIREMENTS.get(requirement)
    return known.text if known else ""


def _value(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
